use std::collections::{BTreeSet, VecDeque};

use synod_machine::TxnId;

/// Transactions that are remembered. The copies of a prepare that are under way are of the last
/// few.
const TOMBSTONES_MAX: usize = 4_096;

/// What has ended here in this life of the process, so that a late copy of its prepare is refused:
/// of an abort it would take locks, of a commit its work could be done twice.
#[derive(Default)]
pub(super) struct Ended {
    known: BTreeSet<TxnId>,
    oldest: VecDeque<TxnId>,
}

impl Ended {
    pub(super) fn contains(&self, txn: TxnId) -> bool {
        self.known.contains(&txn)
    }

    pub(super) fn note(&mut self, txn: TxnId) {
        if self.known.insert(txn) {
            self.oldest.push_back(txn);
        }
        if self.oldest.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::SessionId;

    use super::*;

    /// The last ones are known, however often each was told.
    #[test]
    fn tombstones_are_bounded() {
        let mut ended = Ended::default();
        let txn = |n| TxnId { session: SessionId::new(1), n };
        for n in 0..=TOMBSTONES_MAX as u64 {
            ended.note(txn(n));
            ended.note(txn(n));
        }
        assert!(!ended.contains(txn(0)));
        assert!(ended.contains(txn(1)) && ended.contains(txn(TOMBSTONES_MAX as u64)));
    }
}
