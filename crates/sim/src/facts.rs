use std::collections::BTreeMap;

use synod_paxos::{Ballot, Decree, Durable, Record, Slot, Write};

/// What a store holds, as plain values: the model of `synod_store` that most universes run on, and
/// the ghost that remembers what every disk must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    promised: Option<Ballot>,
    chosen_upto: Slot,
    records: BTreeMap<Slot, Record>,
}

impl Facts {
    /// Takes in one fact, as the store does: in place of what was there, but never a lower promise.
    pub(crate) fn apply(&mut self, write: &Write) {
        match write {
            Write::Promised { ballot } => self.promised = self.promised.max(Some(*ballot)),
            Write::Accepted { slot, ballot, decree } => {
                let record = Record::Accepted { ballot: *ballot, decree: decree.clone() };
                self.records.insert(*slot, record);
            }
            Write::Chosen { slot, decree } => {
                self.records.insert(*slot, Record::Chosen { decree: decree.clone() });
            }
            Write::ChosenUpto { slot } => self.chosen_upto = *slot,
            Write::Probe { .. } => {}
        }
    }

    /// The highest promise, or the ballot below all.
    pub(crate) fn promised(&self) -> Ballot {
        self.promised.unwrap_or(Ballot::ZERO)
    }

    /// The watermark written last.
    pub(crate) fn chosen_upto(&self) -> Slot {
        self.chosen_upto
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
        let above = self.records_from(self.chosen_upto.next());
        Durable {
            promised: self.promised,
            chosen_upto: self.chosen_upto,
            records: above.map(|(slot, record)| (slot, record.clone())).collect(),
        }
    }

    /// Chosen decrees from `first` to at most `upto`, gapless, until `bytes_max` are gathered.
    pub(crate) fn chosen(&self, first: Slot, upto: Slot, bytes_max: usize) -> Vec<(Slot, Decree)> {
        let (mut found, mut next, mut bytes) = (Vec::new(), first, 0);
        for (slot, record) in self.records_from(first) {
            let decree = match record {
                Record::Chosen { decree } => decree,
                Record::Accepted { decree, .. } if slot <= self.chosen_upto => decree,
                Record::Accepted { .. } | Record::Faulty => break,
            };
            if slot != next || slot > upto || bytes >= bytes_max && !found.is_empty() {
                break;
            }
            bytes += decree.bytes();
            found.push((slot, decree.clone()));
            next = slot.next();
        }
        found
    }
}
