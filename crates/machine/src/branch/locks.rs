use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;

use super::{Work, touched};
use crate::TxnId;

/// Who holds which key. Nobody waits for a lock: a conflict is a vote of no, so that no two
/// participants can wait for one another's transactions.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Locks {
    held: BTreeMap<Bytes, Lock>,
}

/// A key that is only guarded may be guarded by many; one that is written is held alone.
///
/// Guards are locked until the verdict, and so is work that is nothing but guards: if it were let
/// go at the vote, another transaction could commit between two participants' votes and be seen
/// by one of them only.
#[derive(Clone, Debug, Hash)]
enum Lock {
    Guarded(BTreeSet<TxnId>),
    Written(TxnId),
}

impl Locks {
    pub(super) fn len(&self) -> u64 {
        self.held.len() as u64
    }

    /// The first key that is held against this work, and which transaction holds it. The work is of
    /// a transaction that holds nothing.
    pub(super) fn conflict(&self, work: &Work) -> Option<(TxnId, Bytes)> {
        touched(work).find_map(|(key, writes)| {
            let by = match self.held.get(key)? {
                Lock::Written(by) => Some(*by),
                Lock::Guarded(by) if writes => by.first().copied(),
                Lock::Guarded(_) => None,
            };
            by.map(|by| (by, key.clone()))
        })
    }

    /// Who holds this key to write it.
    pub(super) fn writer(&self, key: &Bytes) -> Option<TxnId> {
        match self.held.get(key)? {
            Lock::Written(by) => Some(*by),
            Lock::Guarded(_) => None,
        }
    }

    /// Who holds keys to write them that begin with `prefix` and come after `after`.
    pub(super) fn writers(&self, prefix: &Bytes, after: Option<&Bytes>) -> BTreeSet<TxnId> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let held = self.held.range::<Bytes, _>((start, Bound::Unbounded));
        let below = held.take_while(|(key, _)| key.starts_with(prefix));
        let writers = below.filter_map(|(_, lock)| match lock {
            Lock::Written(by) => Some(*by),
            Lock::Guarded(_) => None,
        });
        writers.collect()
    }

    /// Takes every lock of the work, which conflicts with none.
    pub(super) fn take(&mut self, txn: TxnId, work: &Work) {
        let conflict = self.conflict(work);
        assert!(conflict.is_none(), "transaction {txn} takes a lock that is held: {conflict:?}");
        for (key, writes) in touched(work) {
            if writes {
                self.held.insert(key.clone(), Lock::Written(txn));
                continue;
            }
            let lock = self.held.entry(key.clone());
            match lock.or_insert_with(|| Lock::Guarded(BTreeSet::new())) {
                Lock::Guarded(by) => drop(by.insert(txn)),
                Lock::Written(_) => {}
            }
        }
    }

    /// Lets go of every lock of the work, all of which the transaction holds.
    pub(super) fn release(&mut self, txn: TxnId, work: &Work) {
        for (key, _) in touched(work) {
            let free = match self.held.get_mut(key) {
                None => false,
                Some(Lock::Written(_)) => true,
                Some(Lock::Guarded(by)) => {
                    by.remove(&txn);
                    by.is_empty()
                }
            };
            if free {
                self.held.remove(key);
            }
        }
    }
}
