use std::collections::BTreeSet;

use proptest::prelude::*;
use synod_machine::{
    Answer, Change, Command, Entry, Hold, Holder, Interest, LeaseCommand, LeaseId, LockCommand,
    LockReply, Machine, Multi, Mutation, Name, Query, Reign, Rejection, Reply, Revision, Timestamp,
    owner_name,
};

use crate::{OWNERS, names, place};

/// Everything that ever happened, in order. Who holds what is found by reading it all.
#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) revision: u64,
    pub(crate) forgotten: u64,
    reign: Reign,
    /// Every lease that was ever granted: the session that asked, and whether it has ended.
    leases: Vec<(u64, bool)>,
    /// Every use of a lease.
    uses: Vec<LeaseId>,
    /// Everybody who stands in a queue, of whatever lock, in the order in which they came.
    queue: Vec<Contender>,
    changes: Vec<(u64, Change)>,
}

#[derive(Clone)]
struct Contender {
    name: Name,
    lease: LeaseId,
    owner: &'static str,
    at: u64,
    granted: Option<(u64, u64)>,
}

impl Naive {
    pub(crate) fn apply(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply {
        match command {
            Command::Lease(command) => self.lease(by, command, now),
            Command::Lock(command) => self.lock(by, command, now),
            Command::Put { key, value } => {
                self.revision += 1;
                let entry = self.entry(key, value.clone());
                self.changes.push((self.revision, Change::Put { key: key.clone(), entry }));
                Reply::Written(Revision::new(self.revision))
            }
            Command::Multi(multi) => self.multi(by, multi),
            Command::Delete { key } => {
                let existed = self.last_put(key).is_some();
                if existed {
                    self.revision += 1;
                    self.changes.push((self.revision, Change::Deleted { key: key.clone() }));
                }
                Reply::Deleted { existed, revision: Revision::new(self.revision) }
            }
            Command::LeaderStart { reign } => {
                self.reign = self.reign.max(*reign);
                self.done()
            }
            Command::Compact { upto } => {
                self.forgotten = self.forgotten.max(upto.get().min(self.revision));
                self.done()
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    pub(crate) fn changes_after(
        &self,
        after: Revision,
        interest: &Interest,
    ) -> Vec<(Revision, Vec<Change>)> {
        let mut rows: Vec<(Revision, Vec<Change>)> = Vec::new();
        for (at, change) in &self.changes {
            let concerns = match (interest, change) {
                (Interest::Keys { prefix }, Change::Put { key, .. } | Change::Deleted { key }) => {
                    key.starts_with(prefix)
                }
                (Interest::Lock { name }, Change::Lock { name: changed, .. }) => name == changed,
                _ => false,
            };
            if *at <= after.get() || !concerns {
                continue;
            }
            match rows.last_mut() {
                Some((last, row)) if last.get() == *at => row.push(change.clone()),
                _ => rows.push((Revision::new(*at), vec![change.clone()])),
            }
        }
        rows
    }

    /// Every lock is held by the first who came, and those behind wait in order.
    pub(crate) fn agrees(&self, machine: &Machine) -> Result<(), TestCaseError> {
        for name in names() {
            let queue: Vec<_> = self.queue.iter().filter(|one| one.name == name).collect();
            let revision = Revision::new(self.revision);
            let Answer::Lock { lock, revision: told } =
                machine.query(&Query::Lock { name: name.clone() })
            else {
                panic!("a lock was asked for")
            };
            prop_assert_eq!(told, revision);
            let waiters: Vec<_> =
                queue.iter().skip(1).map(|one| (one.lease, one.owner.to_owned())).collect();
            let found = lock.as_ref().map(|lock| (lock.holder.clone(), lock.waiters.clone()));
            prop_assert_eq!(found, queue.first().map(|first| (first.holder(), waiters)));
            prop_assert_eq!(
                lock.map_or(0, |lock| lock.waiting),
                queue.len().saturating_sub(1) as u64
            );
        }
        let live = self.leases.iter().filter(|(_, ended)| !ended).count();
        prop_assert_eq!(machine.census().leases, live as u64);
        prop_assert_eq!(machine.census().contenders, self.queue.len() as u64);
        let all = Query::Locks { prefix: String::new(), after: None, limit: 9 };
        let Answer::Locks { locks, .. } = machine.query(&all) else {
            panic!("locks were asked for")
        };
        let held = names().into_iter().filter(|name| self.holder(name).is_some());
        let found: Vec<_> = locks.into_iter().map(|lock| lock.name).collect();
        prop_assert_eq!(found, held.collect::<Vec<_>>());
        Ok(())
    }

    /// Puts on a lease, where a lock is held under a token.
    fn multi(&mut self, by: u64, multi: &Multi) -> Reply {
        if let Some(Err(why)) = multi.lease.map(|lease| self.uses(by, lease)) {
            return Reply::Rejected(why);
        }
        let fails = |hold: &Hold| match hold {
            Hold::Lock { name, token } => {
                self.holder(name).is_none_or(|holder| holder.token != *token)
            }
            other => panic!("the model does not know {other:?}"),
        };
        if let Some(failed) = multi.holds.iter().position(fails) {
            return Reply::MultiRefused {
                failed: u32::try_from(failed).expect("few are asked for"),
                reads: vec![],
            };
        }
        self.revision += 1;
        for mutation in &multi.mutations {
            let Mutation::Put { key, value } = mutation else { panic!("only puts are asked for") };
            let entry = Entry { lease: multi.lease, ..self.entry(key, value.clone()) };
            self.changes.push((self.revision, Change::Put { key: key.clone(), entry }));
        }
        Reply::MultiDone { revision: Revision::new(self.revision), reads: vec![] }
    }

    /// Keys that stand and were last put on this lease.
    fn keys_on(&self, lease: LeaseId) -> Vec<bytes::Bytes> {
        let put = |(_, change): &'_ (u64, Change)| match change {
            Change::Put { key, .. } => Some(key.clone()),
            _ => None,
        };
        let keys: BTreeSet<_> = self.changes.iter().filter_map(put).collect();
        let hang =
            |key: &bytes::Bytes| self.last_put(key).is_some_and(|entry| entry.lease == Some(lease));
        keys.into_iter().filter(hang).collect()
    }

    fn lease(&mut self, by: u64, command: &LeaseCommand, now: Timestamp) -> Reply {
        match command {
            LeaseCommand::Grant { .. } => {
                self.leases.push((by, false));
                Reply::Lease(LeaseId::new(self.leases.len() as u64))
            }
            LeaseCommand::Revoke { lease } => match self.uses(by, *lease) {
                Ok(()) => self.end(*lease, now),
                Err(Rejection::LeaseEnded) => self.done(),
                Err(why) => Reply::Rejected(why),
            },
            LeaseCommand::Expire { lease, guard } => match self.standing(*lease) {
                Err(Rejection::LeaseEnded) => self.done(),
                Err(why) => Reply::Rejected(why),
                Ok(_) => {
                    let uses = self.uses.iter().filter(|used| *used == lease).count() as u64;
                    if guard.reign != self.reign || guard.renewals != uses {
                        return Reply::Rejected(Rejection::ExpiryOverruled);
                    }
                    self.end(*lease, now)
                }
            },
            LeaseCommand::Break { lease, .. } => match self.standing(*lease) {
                Ok(_) => self.end(*lease, now),
                Err(Rejection::LeaseEnded) => self.done(),
                Err(why) => Reply::Rejected(why),
            },
        }
    }

    fn lock(&mut self, by: u64, command: &LockCommand, now: Timestamp) -> Reply {
        let (name, lease) = match command {
            LockCommand::Acquire { name, lease, .. } | LockCommand::Release { name, lease } => {
                if let Err(why) = self.uses(by, *lease) {
                    return Reply::Rejected(why);
                }
                (name, *lease)
            }
            LockCommand::Break { name, .. } => match self.holder(name) {
                Some(holder) => (name, holder.lease),
                None => return Reply::Lock(LockReply::Absent),
            },
        };
        let stands = self.queue.iter().find(|one| one.name == *name && one.lease == lease).cloned();
        Reply::Lock(match (command, stands) {
            (LockCommand::Acquire { .. }, Some(one)) => match one.granted {
                Some((token, _)) => LockReply::Held { token: Revision::new(token) },
                None => {
                    let holder = self.holder(name).expect("somebody is first");
                    LockReply::Queued { at: Revision::new(one.at), holder }
                }
            },
            (LockCommand::Acquire { wait, .. }, None) => {
                let holder = self.holder(name);
                if let (Some(by), false) = (&holder, wait) {
                    return Reply::Lock(LockReply::Taken { by: by.clone() });
                }
                self.revision += 1;
                let (at, owner) = (self.revision, owner(by));
                let one = Contender { name: name.clone(), lease, owner, at, granted: None };
                self.queue.push(one);
                self.pass_on(name, now);
                match holder {
                    Some(holder) => LockReply::Queued { at: Revision::new(at), holder },
                    None => LockReply::Held { token: Revision::new(at) },
                }
            }
            (_, None) => LockReply::Absent,
            (_, Some(gone)) => {
                self.revision += 1;
                self.queue.retain(|one| one.at != gone.at);
                if gone.granted.is_some() {
                    self.vacate(name);
                    self.pass_on(name, now);
                }
                let token = gone.granted.map(|(token, _)| Revision::new(token));
                LockReply::Released { revision: Revision::new(self.revision), token }
            }
        })
    }

    fn end(&mut self, lease: LeaseId, now: Timestamp) -> Reply {
        self.leases[place(lease.get())].1 = true;
        let gone: Vec<_> = self.queue.iter().filter(|one| one.lease == lease).cloned().collect();
        self.queue.retain(|one| one.lease != lease);
        let keys = self.keys_on(lease);
        if !gone.is_empty() || !keys.is_empty() {
            self.revision += 1;
        }
        for key in keys {
            self.changes.push((self.revision, Change::Deleted { key }));
        }
        let mut held: Vec<_> = gone.into_iter().filter(|one| one.granted.is_some()).collect();
        held.sort_by(|one, other| one.name.cmp(&other.name));
        for one in held {
            self.vacate(&one.name);
            self.pass_on(&one.name, now);
        }
        self.done()
    }

    /// Nobody holds it, unless somebody waits who now does: then that is the one change.
    fn vacate(&mut self, name: &Name) {
        if self.queue.iter().all(|one| one.name != *name) {
            self.changes.push((self.revision, Change::Lock { name: name.clone(), holder: None }));
        }
    }

    fn pass_on(&mut self, name: &Name, now: Timestamp) {
        let first = self.queue.iter_mut().find(|one| one.name == *name);
        if let Some(first) = first
            && first.granted.is_none()
        {
            first.granted = Some((self.revision, now.0));
            let holder = Some(first.holder());
            self.changes.push((self.revision, Change::Lock { name: name.clone(), holder }));
        }
    }

    fn holder(&self, name: &Name) -> Option<Holder> {
        self.queue.iter().find(|one| one.name == *name).map(Contender::holder)
    }

    fn standing(&self, lease: LeaseId) -> Result<u64, Rejection> {
        let granted = (lease != LeaseId::ZERO).then(|| self.leases.get(place(lease.get())));
        match granted.flatten() {
            None => Err(Rejection::UnknownLease),
            Some((_, true)) => Err(Rejection::LeaseEnded),
            Some((by, false)) => Ok(*by),
        }
    }

    fn uses(&mut self, by: u64, lease: LeaseId) -> Result<(), Rejection> {
        let granted_to = self.standing(lease)?;
        if owner_name(owner(granted_to)) != owner_name(owner(by)) {
            return Err(Rejection::ForeignLease);
        }
        self.uses.push(lease);
        Ok(())
    }

    fn done(&self) -> Reply {
        Reply::Done(Revision::new(self.revision))
    }

    fn last_put(&self, key: &bytes::Bytes) -> Option<Entry> {
        let last = self.changes.iter().rev().find_map(|(_, change)| match change {
            Change::Put { key: put, entry } if put == key => Some(Some(entry.clone())),
            Change::Deleted { key: gone } if gone == key => Some(None),
            _ => None,
        });
        last.flatten()
    }

    fn entry(&self, key: &bytes::Bytes, value: bytes::Bytes) -> Entry {
        let modified = Revision::new(self.revision);
        match self.last_put(key) {
            Some(before) => {
                let (create, version) = (before.create, before.version + 1);
                Entry { value, create, modified, version, lease: None }
            }
            None => Entry { value, create: modified, modified, version: 1, lease: None },
        }
    }
}

impl Contender {
    fn holder(&self) -> Holder {
        let (token, since_ms) = self.granted.expect("the first of a queue holds");
        Holder {
            lease: self.lease,
            owner: self.owner.to_owned(),
            token: Revision::new(token),
            since_ms,
        }
    }
}

fn owner(session: u64) -> &'static str {
    OWNERS[place(session)]
}
