use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    time::Duration,
};

use synod_machine::TxnId;
use tokio::time::Instant;

/// How long it is known that the log has accepted an acknowledgement. Nodes lag for less; one that
/// lags for longer has a commit acknowledged once more in so long.
const ACCEPTED_FOR: Duration = Duration::from_secs(5);

/// Finished commits that the log is to hear of, each once.
///
/// A commit is told several times: by its owner, and by any node that does not know yet that it was
/// acknowledged. Each time it is finished anew, so that no acknowledgement is lost; here the
/// repeats end, so that they do not fill the log.
#[derive(Debug, Default)]
pub struct Acks {
    waiting: BTreeSet<TxnId>,
    accepted: BTreeMap<TxnId, Instant>,
    oldest: VecDeque<TxnId>,
}

impl Acks {
    /// It is finished. Whether the log is to hear of it: `false` says that it has, just now.
    pub fn add(&mut self, txn: TxnId) -> bool {
        let unknown = !self.was_accepted(txn);
        if unknown {
            self.waiting.insert(txn);
        }
        unknown
    }

    /// The first of those that the log is to hear of, at most so many. They wait until they are
    /// accepted.
    pub fn first(&self, most: usize) -> Vec<TxnId> {
        self.waiting.iter().take(most).copied().collect()
    }

    /// Whether the log has heard of all.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the log has accepted it in the last moments.
    pub fn was_accepted(&mut self, txn: TxnId) -> bool {
        self.accepted_at(txn).is_some()
    }

    /// When it did, if that was in the last moments.
    pub(crate) fn accepted_at(&mut self, txn: TxnId) -> Option<Instant> {
        self.forget();
        self.accepted.get(&txn).copied()
    }

    /// The log has accepted these.
    pub fn accepted(&mut self, txns: &[TxnId]) {
        self.forget();
        for txn in txns {
            self.waiting.remove(txn);
            if let Entry::Vacant(accepted) = self.accepted.entry(*txn) {
                accepted.insert(Instant::now());
                self.oldest.push_back(*txn);
            }
        }
    }

    fn forget(&mut self) {
        while let Some(oldest) = self.oldest.front()
            && self.accepted.get(oldest).is_none_or(|since| since.elapsed() >= ACCEPTED_FOR)
        {
            self.accepted.remove(oldest);
            self.oldest.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::SessionId;

    use super::*;

    fn txn(n: u64) -> TxnId {
        TxnId { session: SessionId::new(1), n }
    }

    /// What is told again waits once, also while it is on its way; what the log has just accepted
    /// waits no more.
    #[tokio::test(start_paused = true)]
    async fn each_waits_once_and_is_not_told_again_at_once() {
        let mut acks = Acks::default();
        for n in [2, 1, 2, 1] {
            assert!(acks.add(txn(n)));
        }
        assert_eq!(acks.first(9), [txn(1), txn(2)]);
        let told = acks.first(1);
        assert!(acks.add(txn(1)), "it is on its way");
        acks.accepted(&told);
        assert!(!acks.add(txn(1)));
        assert_eq!(acks.first(9), [txn(2)]);
        acks.accepted(&[txn(2)]);
        assert!(acks.is_empty());
    }

    /// Also where nothing was finished since.
    #[tokio::test(start_paused = true)]
    async fn what_was_accepted_long_ago_counts_as_accepted_no_more() {
        let mut acks = Acks::default();
        acks.accepted(&[txn(1)]);
        assert!(acks.was_accepted(txn(1)) && !acks.was_accepted(txn(2)));
        tokio::time::advance(ACCEPTED_FOR).await;
        assert!(!acks.was_accepted(txn(1)));
    }

    /// Who is told of it long after acknowledges it again: it may not have counted.
    #[tokio::test(start_paused = true)]
    async fn what_was_accepted_long_ago_is_told_again_and_forgotten() {
        let mut acks = Acks::default();
        acks.accepted(&[txn(1), txn(2)]);
        tokio::time::advance(ACCEPTED_FOR).await;
        assert!(acks.add(txn(1)));
        assert_eq!(acks.first(9), [txn(1)]);
        assert!(acks.accepted.is_empty() && acks.oldest.is_empty());
    }
}
