use std::collections::BTreeMap;

use fastrand::Rng;
use synod_paxos::{Ballot, Decree, Durable, Mark, Record, Slot, Write};

/// What a store holds, as plain values: the model of `synod_store` that most universes run on, and
/// the ghost that remembers what every disk must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    promised: Option<Ballot>,
    trimmed: Slot,
    chosen_upto: Slot,
    records: BTreeMap<Slot, Record>,
    mark: Mark,
    /// The watermark that a store found to be readable when it was opened; its next batch writes
    /// it down.
    readable_upto: Option<Slot>,
}

impl Facts {
    /// Takes in one fact, as the store does: in place of what was there, but never a lower promise.
    pub(crate) fn apply(&mut self, write: &Write) {
        if let Some(upto) = self.readable_upto.take() {
            self.chosen_upto = upto;
        }
        match write {
            Write::Promised { ballot } => self.promised = self.promised.max(Some(*ballot)),
            Write::Accepted { slot, ballot, decree } => {
                let record = Record::Accepted { ballot: *ballot, decree: decree.clone() };
                self.records.insert(*slot, record);
            }
            Write::Chosen { slot, decree } => {
                self.records.insert(*slot, Record::Chosen { decree: decree.clone() });
            }
            Write::ChosenUpto { slot } => self.chosen_upto = (*slot).max(self.trimmed),
            Write::Trimmed { upto } => {
                self.records = self.records.split_off(&upto.next());
                self.trimmed = self.trimmed.max(*upto);
                self.chosen_upto = self.chosen_upto.max(*upto);
            }
            Write::Marked { mark } => self.mark = *mark,
        }
    }

    /// The store is opened anew. What is damaged below the watermark lowers it.
    pub(crate) fn open(&mut self) {
        let damaged = self.records.iter().find(|(_, record)| **record == Record::Faulty);
        let before = |slot: &Slot| Slot::new(slot.get() - 1);
        let readable = damaged.map_or(self.chosen_upto, |(slot, _)| before(slot));
        self.readable_upto = (readable < self.chosen_upto).then_some(readable);
    }

    /// A record decays: which one, if there is any.
    pub(crate) fn rot(&mut self, rng: &mut Rng) -> Option<Slot> {
        let slots: Vec<Slot> = self.records.keys().copied().collect();
        let slot = rng.choice(slots)?;
        self.damage(slot);
        Some(slot)
    }

    /// The record of `slot`, if there is one, can no longer be read.
    pub(crate) fn damage(&mut self, slot: Slot) {
        if let Some(record) = self.records.get_mut(&slot) {
            *record = Record::Faulty;
        }
    }

    /// The highest promise, or the ballot below all.
    pub(crate) fn promised(&self) -> Ballot {
        self.promised.unwrap_or(Ballot::ZERO)
    }

    /// Everything up to here is chosen, as the store knows it.
    pub(crate) fn chosen_upto(&self) -> Slot {
        self.readable_upto.unwrap_or(self.chosen_upto)
    }

    /// How much was written.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Where the log begins.
    pub(crate) fn trimmed(&self) -> Slot {
        self.trimmed
    }

    /// What stands in `slot`.
    pub(crate) fn record(&self, slot: Slot) -> Option<&Record> {
        self.records.get(&slot)
    }

    /// Everything from `first` on.
    pub(crate) fn records_from(&self, first: Slot) -> impl Iterator<Item = (Slot, &Record)> {
        self.records.range(first..).map(|(slot, record)| (*slot, record))
    }

    /// What a node that starts from these facts is handed.
    pub(crate) fn durable(&self) -> Durable {
        let known = |(slot, record): (Slot, &Record)| match record {
            Record::Accepted { decree, .. } if slot <= self.chosen_upto => {
                (slot, Record::Chosen { decree: decree.clone() })
            }
            other => (slot, other.clone()),
        };
        let chosen_upto = self.chosen_upto();
        Durable {
            promised: self.promised,
            trimmed: self.trimmed,
            chosen_upto,
            records: self.records_from(chosen_upto.next()).map(known).collect(),
            mark: self.mark,
        }
    }

    /// Chosen decrees from `first` to at most `upto`, gapless, until `bytes_max` are gathered;
    /// `None` when the first is unreadable.
    pub(crate) fn chosen(
        &self,
        first: Slot,
        upto: Slot,
        bytes_max: usize,
    ) -> Option<Vec<(Slot, Decree)>> {
        let (mut found, mut next, mut bytes) = (Vec::new(), first, 0);
        for (slot, record) in self.records_from(first) {
            if slot != next || slot > upto || bytes >= bytes_max && !found.is_empty() {
                break;
            }
            let decree = match record {
                Record::Chosen { decree } => decree,
                Record::Accepted { decree, .. } if slot <= self.chosen_upto() => decree,
                Record::Accepted { .. } => break,
                Record::Faulty if slot == first => return None,
                Record::Faulty => break,
            };
            bytes += decree.bytes();
            found.push((slot, decree.clone()));
            next = slot.next();
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Life, NodeId};

    use super::*;

    fn value(text: &'static str) -> Decree {
        Decree::Value(bytes::Bytes::from_static(text.as_bytes()))
    }

    /// Slots 1 to 3 by votes, with the watermark over all of them.
    fn three() -> Facts {
        let ballot = Ballot::first(Life::first(NodeId::new(1)));
        let mut facts = Facts::default();
        for slot in (1..=3).map(Slot::new) {
            facts.apply(&Write::Accepted { slot, ballot, decree: value("v") });
        }
        facts.apply(&Write::ChosenUpto { slot: Slot::new(3) });
        facts
    }

    /// As the store has it: what is damaged below the watermark lowers it, what stands above is
    /// still known to be chosen in this life, and the next write makes that a mere vote.
    #[test]
    fn damage_below_the_watermark_lowers_it_at_the_next_opening() {
        let mut facts = three();
        facts.damage(Slot::new(2));
        assert_eq!(facts.chosen(Slot::new(2), Slot::new(3), 9), None);
        assert_eq!(facts.chosen_upto(), Slot::new(3), "not looked at yet");
        facts.open();
        let found = facts.durable();
        assert_eq!(found.chosen_upto, Slot::new(1));
        assert_eq!(found.records[0], (Slot::new(2), Record::Faulty));
        assert_eq!(found.records[1], (Slot::new(3), Record::Chosen { decree: value("v") }));
        facts.apply(&Write::Marked { mark: Mark::new(1) });
        assert!(matches!(facts.durable().records[1].1, Record::Accepted { .. }));
    }
}
