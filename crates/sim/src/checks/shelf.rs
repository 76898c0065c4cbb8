//! F1 of keys: they come to be what each request makes of them that takes effect once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_machine::{
    Command, ElectionReply, Entry, Expect, Guard, LeaseId, LockReply, Multi, Mutation, Reply,
    Revision,
};

use crate::violation::{Checked, demand};

/// Keys as the simplest model has them, with their past: what requests do that each take effect
/// once, in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    past: BTreeMap<Bytes, Vec<(Revision, Option<Entry>)>>,
    touched: BTreeSet<Bytes>,
    last: Revision,
}

impl Shelf {
    /// The key as it stands.
    pub(crate) fn entry(&self, key: &Bytes) -> Option<&Entry> {
        self.past.get(key)?.last()?.1.as_ref()
    }

    /// The key as it stood at `revision`.
    pub(crate) fn as_of(&self, key: &Bytes, revision: Revision) -> Option<&Entry> {
        let past = self.past.get(key)?;
        let count = past.partition_point(|(at, _)| *at <= revision);
        past[..count].last()?.1.as_ref()
    }

    /// Keys touched since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<Bytes> {
        std::mem::take(&mut self.touched)
    }

    /// The revision up to which it has come.
    pub(crate) fn revision(&self) -> Revision {
        self.last
    }

    /// What is no key has moved the revision.
    pub(crate) fn moves_to(&mut self, revision: Revision) {
        self.last = self.last.max(revision);
    }

    /// The first guard that does not hold.
    pub(crate) fn failing(&self, guards: &[Guard]) -> Option<usize> {
        guards.iter().position(|guard| !holds(&guard.expect, self.entry(&guard.key)))
    }

    /// Keys that hang on a lease.
    pub(crate) fn hanging(&self, lease: LeaseId) -> Vec<Bytes> {
        let hangs = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.lease == Some(lease));
        let keys = self.past.keys().filter(|key| hangs(self.entry(key)));
        keys.cloned().collect()
    }

    /// Keys that hang on a lease have ended with it at this revision.
    pub(crate) fn lease_ended(&mut self, keys: Vec<Bytes>, at: Revision) -> Checked {
        let before = self.last;
        for key in keys {
            self.last = before;
            self.note(&key, None, at)?;
        }
        Ok(())
    }

    /// Does what `command` does, which came to `reply`; the reply must be what the model comes to.
    pub(crate) fn place(&mut self, command: &Command, reply: &Reply) -> Checked {
        match (command, reply) {
            (Command::Put { key, value }, Reply::Written(at)) => self.set(key, value, None, *at),
            (Command::Cas { key, expect, value }, Reply::Written(at)) => {
                let entry = self.entry(key);
                demand!(
                    holds(expect, entry),
                    "F1",
                    "a cas of {key:?} that expects {expect:?} succeeds on {entry:?}"
                );
                self.set(key, value, None, *at)
            }
            (Command::Cas { key, expect, .. }, Reply::Mismatch(found)) => {
                let entry = self.entry(key);
                demand!(
                    !holds(expect, entry) && entry == found.as_ref(),
                    "F1",
                    "a cas of {key:?} that expects {expect:?} finds {found:?} instead of {entry:?}"
                );
                Ok(())
            }
            (Command::Delete { key }, Reply::Deleted { existed, revision }) => {
                let entry = self.entry(key);
                demand!(
                    entry.is_some() == *existed,
                    "F1",
                    "a delete says existed {existed} of {key:?}, which is {entry:?}"
                );
                if *existed { self.note(key, None, *revision) } else { Ok(()) }
            }
            (Command::Multi(multi), Reply::MultiDone { revision, .. }) => {
                for guard in &multi.guards {
                    let entry = self.entry(&guard.key);
                    demand!(
                        holds(&guard.expect, entry),
                        "F1",
                        "a multi is done although {guard:?} meets {entry:?}"
                    );
                }
                self.mutate(multi, *revision)
            }
            (
                Command::Put { .. }
                | Command::Cas { .. }
                | Command::Delete { .. }
                | Command::Multi(_),
                Reply::MultiRefused { .. },
            ) => Ok(()),
            (Command::Put { .. } | Command::Cas { .. } | Command::Delete { .. }, _) => {
                demand!(false, "F1", "{command:?} comes to {reply:?}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What is no key moves the revision that keys are written at, too, and its reply tells it.
    pub(crate) fn passes(&mut self, reply: &Reply) {
        if let Reply::Done(at)
        | Reply::Lock(
            LockReply::Held { token: at }
            | LockReply::Queued { at, .. }
            | LockReply::Released { revision: at, .. },
        )
        | Reply::Election(
            ElectionReply::Incumbent { token: at }
            | ElectionReply::Waiting { at, .. }
            | ElectionReply::Done { revision: at }
            | ElectionReply::Left { revision: at, .. }
            | ElectionReply::HandingOver { revision: at, .. },
        ) = reply
        {
            self.last = self.last.max(*at);
        }
    }

    /// Does what a transaction has the log do with its commit.
    pub(crate) fn decide(&mut self, multi: &Multi) -> Checked {
        for guard in &multi.guards {
            let entry = self.entry(&guard.key);
            demand!(
                holds(&guard.expect, entry),
                "F1",
                "a transaction commits although {guard:?} meets {entry:?}"
            );
        }
        self.mutate(multi, self.last.next())
    }

    fn mutate(&mut self, multi: &Multi, at: Revision) -> Checked {
        let before = self.last;
        for mutation in &multi.mutations {
            // One revision for all of them.
            self.last = before;
            match mutation {
                Mutation::Put { key, value } => self.set(key, value, multi.lease, at)?,
                Mutation::Delete { key } if self.entry(key).is_some() => {
                    self.note(key, None, at)?
                }
                Mutation::Delete { .. } => {}
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &Bytes, value: &Bytes, lease: Option<LeaseId>, at: Revision) -> Checked {
        let (value, modified) = (value.clone(), at);
        let entry = match self.entry(key) {
            Some(before) => {
                let (create, version) = (before.create, before.version + 1);
                Entry { value, create, modified, version, lease }
            }
            None => Entry { value, create: at, modified, version: 1, lease },
        };
        self.note(key, Some(entry), at)
    }

    fn note(&mut self, key: &Bytes, entry: Option<Entry>, at: Revision) -> Checked {
        demand!(at > self.last, "F1", "{key:?} changes at {at}, after {}", self.last);
        self.last = at;
        self.touched.insert(key.clone());
        self.past.entry(key.clone()).or_default().push((at, entry));
        Ok(())
    }
}

fn holds(expect: &Expect, entry: Option<&Entry>) -> bool {
    match (expect, entry) {
        (Expect::Absent, entry) => entry.is_none(),
        (Expect::Present, entry) => entry.is_some(),
        (Expect::Revision(at), entry) => entry.is_some_and(|entry| entry.modified == *at),
        (Expect::Value(value), entry) => entry.is_some_and(|entry| entry.value == *value),
    }
}
