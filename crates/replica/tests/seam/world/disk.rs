//! What a store does, in memory: see `synod_store::Store`.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, Decree, Durable, Fetch, Fetched, Mark, Record, Slot, Write};

#[derive(Default)]
pub(crate) struct Disk {
    promised: Option<Ballot>,
    records: BTreeMap<Slot, Record>,
    trimmed: Slot,
    chosen_upto: Slot,
    mark: Mark,
}

impl Disk {
    pub(crate) fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Promised { ballot } => self.promised = Some(*ballot),
                Write::Accepted { slot, ballot, decree } => {
                    let (ballot, decree) = (*ballot, decree.clone());
                    self.records.insert(*slot, Record::Accepted { ballot, decree });
                }
                Write::Chosen { slot, decree } => {
                    self.records.insert(*slot, Record::Chosen { decree: decree.clone() });
                }
                Write::ChosenUpto { slot } => self.chosen_upto = *slot,
                Write::Trimmed { upto } => {
                    self.records = self.records.split_off(&upto.next());
                    self.trimmed = self.trimmed.max(*upto);
                    self.chosen_upto = self.chosen_upto.max(*upto);
                }
                Write::Marked { mark } => self.mark = *mark,
            }
        }
    }

    pub(crate) fn durable(&self) -> Durable {
        let above = self.records.range(self.chosen_upto.next()..);
        let records = above.map(|(slot, record)| (*slot, record.clone())).collect();
        let Disk { promised, trimmed, chosen_upto, mark, .. } = *self;
        Durable { promised, trimmed, chosen_upto, records, mark }
    }

    /// The chosen decrees of the gapless prefix.
    pub(crate) fn log(&self) -> Vec<(Slot, Decree)> {
        self.upto(self.chosen_upto)
    }

    /// What stands up to a slot: the chosen decrees, if all of them are known to be chosen.
    pub(crate) fn upto(&self, slot: Slot) -> Vec<(Slot, Decree)> {
        let prefix = self.records.range(..=slot);
        let decree = |record: &Record| match record {
            Record::Accepted { decree, .. } | Record::Chosen { decree } => decree.clone(),
            Record::Faulty => panic!("this disk damages nothing"),
        };
        prefix.map(|(slot, record)| (*slot, decree(record))).collect()
    }

    pub(crate) fn fetch(&self, fetch: Fetch) -> Fetched {
        let wanted = |slot: &Slot| (fetch.first..=fetch.upto).contains(slot);
        let decrees = self.log().into_iter().filter(|(slot, _)| wanted(slot)).collect();
        Fetched { to: fetch.to, decrees, damaged: None }
    }
}
