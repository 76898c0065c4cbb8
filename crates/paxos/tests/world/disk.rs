//! A disk: batches are synced one after the other; a crash loses what was not.

use std::collections::BTreeMap;

use synod_paxos::*;

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) promised: Option<Ballot>,
    pub(crate) trimmed: Slot,
    pub(crate) chosen_upto: Slot,
    pub(crate) records: BTreeMap<Slot, Record>,
    pub(crate) mark: Mark,
    pub(crate) stalled: bool,
    waiting: Durably,
    syncing: Option<Durably>,
}

impl Disk {
    pub(crate) fn push(&mut self, batch: Durably) {
        self.waiting.merge(batch);
    }

    /// Begins the next sync; false when one is under way or nothing waits.
    pub(crate) fn start(&mut self) -> bool {
        if self.stalled || self.syncing.is_some() || self.waiting.is_empty() {
            return false;
        }
        self.syncing = Some(std::mem::take(&mut self.waiting));
        true
    }

    /// Ends a sync: its writes are durable. `None` while the disk is stalled.
    pub(crate) fn complete(&mut self) -> Option<Durably> {
        if self.stalled {
            // It stays under way: put it back in front of what came since.
            let mut again = self.syncing.take()?;
            again.merge(std::mem::take(&mut self.waiting));
            self.waiting = again;
            return None;
        }
        let batch = self.syncing.take()?;
        for write in batch.writes() {
            self.write(write);
        }
        Some(batch)
    }

    pub(crate) fn crash(&mut self) {
        self.waiting = Durably::default();
        self.syncing = None;
        self.stalled = false;
    }

    fn write(&mut self, write: &Write) {
        match write.clone() {
            Write::Promised { ballot } => {
                assert!(self.promised.is_none_or(|earlier| earlier <= ballot), "B1: {ballot}");
                self.promised = Some(ballot);
            }
            Write::Accepted { slot, ballot, decree } => {
                self.records.insert(slot, Record::Accepted { ballot, decree });
            }
            Write::Chosen { slot, decree } => {
                self.records.insert(slot, Record::Chosen { decree });
            }
            Write::ChosenUpto { slot } => {
                assert!(slot >= self.chosen_upto, "the durable watermark falls to {slot}");
                let mut below = self.chosen_upto;
                while below < slot {
                    below = below.next();
                    let record = self.records.get(&below);
                    let whole =
                        matches!(record, Some(Record::Accepted { .. } | Record::Chosen { .. }));
                    assert!(whole, "slot {below} is below the watermark and not there");
                }
                self.chosen_upto = slot;
            }
            Write::Trimmed { upto } => {
                self.records = self.records.split_off(&upto.next());
                self.trimmed = self.trimmed.max(upto);
                self.chosen_upto = self.chosen_upto.max(upto);
            }
            Write::Marked { mark } => {
                assert!(mark > self.mark, "{mark:?} after {:?}", self.mark);
                self.mark = mark;
            }
        }
    }

    /// What a restarting node finds.
    pub(crate) fn durable(&self) -> Durable {
        let above = self.records.iter().filter(|(slot, _)| **slot > self.chosen_upto);
        Durable {
            promised: self.promised,
            trimmed: self.trimmed,
            chosen_upto: self.chosen_upto,
            records: above.map(|(slot, record)| (*slot, record.clone())).collect(),
            mark: self.mark,
        }
    }

    /// Damages the record of `slot`: what stood below the watermark above it is still known to be
    /// chosen, but the watermark ends before the damage.
    pub(crate) fn damage(&mut self, slot: Slot) {
        if !self.records.contains_key(&slot) {
            return;
        }
        self.records.insert(slot, Record::Faulty);
        while self.chosen_upto >= slot {
            let Some(record) = self.records.get_mut(&self.chosen_upto) else { break };
            if let Record::Accepted { decree, .. } = record.clone() {
                *record = Record::Chosen { decree };
            }
            self.chosen_upto = Slot::new(self.chosen_upto.get() - 1);
        }
    }

    pub(crate) fn chosen(&self, first: Slot, upto: Slot) -> Vec<(Slot, Decree)> {
        let last = upto.min(self.chosen_upto);
        let mut decrees = Vec::new();
        let mut slot = first;
        while slot <= last && decrees.len() < 100 {
            match self.records.get(&slot) {
                Some(Record::Accepted { decree, .. } | Record::Chosen { decree }) => {
                    decrees.push((slot, decree.clone()));
                }
                Some(Record::Faulty) | None => break,
            }
            slot = slot.next();
        }
        decrees
    }
}
