//! H5: all parts of a transaction are done, or none: what a part was asked to find is so when it is
//! done, and of what is done nothing is missing on the disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_machine::{
    Entry, Expect, Guard, Mutation, TxnId, Verdict,
    branch::{Branches, Durable, Input, Work},
};

use super::{ASKER, After, put};
use crate::violation::{Checked, demand};

/// A participant is about to do its part of a commit: what it was asked to find when it promised
/// is still so, for nobody else may have changed it.
pub(crate) fn guards_hold(
    place: usize,
    txn: TxnId,
    work: &Work,
    keys: &BTreeMap<Bytes, Entry>,
) -> Checked {
    let failed = work.guards.iter().find(|guard| !guard.expect.holds(keys.get(&guard.key)));
    demand!(
        failed.is_none(),
        "H5",
        "participant {place} commits {txn}, and {failed:?} holds no more: {:?}",
        failed.and_then(|guard| keys.get(&guard.key))
    );
    Ok(())
}

/// Whatever a participant has done is what it has asked its disk for.
pub(super) fn is_written_too(branches: &Branches, durable: &Durable) -> Checked {
    demand!(
        durable.revision == branches.revision(),
        "H5",
        "a participant has come to {}, and its disk to {}",
        branches.revision(),
        durable.revision
    );
    Ok(())
}

impl After<'_> {
    /// It has promised work: somebody scans what that writes, and begins before it.
    pub(super) fn scans_wait(&self, txn: TxnId, work: &Work) -> Checked {
        for key in work.mutations.iter().map(Mutation::key) {
            for after in [None, Some(&Bytes::new())] {
                demand!(
                    self.branches.writers(key, after).contains(&txn),
                    "H5",
                    "a scan from {after:?} on of what begins with {key:?} waits not for {txn}"
                );
            }
        }
        Ok(())
    }

    /// Another transaction guards a key, and one more is to write it.
    pub(super) fn what_is_guarded_is_not_written(&self, txn: TxnId) -> Checked {
        let key = Bytes::from_static(b"guarded");
        let guards = vec![Guard { key: key.clone(), expect: Expect::Absent }];
        let work = Work { guards, mutations: Vec::new() };
        let mut branches = self.branches.clone();
        let guarding = Input::Prepare { asker: ASKER, txn, work };
        drop(branches.step(self.now, guarding, |_| None));
        let after = After { branches: &branches, now: self.now };
        let writer = TxnId { n: txn.n - 1, ..txn };
        if !branches.is_prepared(txn) {
            return Ok(());
        }
        after.is_refused(writer, put(&key), "H5")?;
        after.and_not_when_another_has_let_go(TxnId { n: txn.n - 2, ..txn }, writer, key)
    }

    /// One more guards the same key, and ends.
    fn and_not_when_another_has_let_go(&self, txn: TxnId, writer: TxnId, key: Bytes) -> Checked {
        let guards = vec![Guard { key: key.clone(), expect: Expect::Absent }];
        let work = Work { guards, mutations: Vec::new() };
        let mut branches = self.branches.clone();
        let guarding = Input::Prepare { asker: ASKER, txn, work };
        drop(branches.step(self.now, guarding, |_| None));
        let ends = Input::Finish { asker: None, txn, verdict: Verdict::Aborted };
        drop(branches.step(self.now, ends, |_| None));
        After { branches: &branches, now: self.now }.is_refused(writer, put(&key), "H5")
    }
}
