//! S6: whoever asked for a lock first has it, until it lets go of it or its lease ends.

use std::collections::BTreeMap;

use synod_machine::{Holder, LeaseId, LockCommand, LockReply, Name, Revision};

use super::Moment;

/// Locks as the simplest model has them: who asked for each, the first first, which has it.
#[derive(Debug, Default)]
pub(super) struct Locks {
    queues: BTreeMap<Name, Vec<Contender>>,
}

#[derive(Clone, Debug)]
struct Contender {
    at: Revision,
    holder: Holder,
}

impl Locks {
    /// Who has it.
    pub(super) fn holder(&self, name: &Name) -> Option<&Holder> {
        self.queues.get(name)?.first().map(|first| &first.holder)
    }

    /// What a command comes to.
    pub(super) fn does(&mut self, command: &LockCommand, moment: &mut Moment<'_>) -> LockReply {
        match command {
            LockCommand::Acquire { name, lease, wait } => self.acquire(name, *lease, *wait, moment),
            LockCommand::Release { name, lease } => self.release(name, *lease, moment),
            LockCommand::Break { name, .. } => match self.holder(name).map(|one| one.lease) {
                Some(lease) => self.release(name, lease, moment),
                None => LockReply::Absent,
            },
        }
    }

    fn acquire(
        &mut self,
        name: &Name,
        lease: LeaseId,
        wait: bool,
        moment: &mut Moment<'_>,
    ) -> LockReply {
        let queue = self.queues.entry(name.clone()).or_default();
        let first = queue.first().map(|first| first.holder.clone());
        let there = queue.iter().find(|one| one.holder.lease == lease).map(|one| one.at);
        match (there, first) {
            (Some(_), Some(by)) if by.lease == lease => LockReply::Held { token: by.token },
            (Some(at), Some(holder)) => LockReply::Queued { at, holder },
            (None, Some(by)) if !wait => LockReply::Taken { by },
            (_, first) => {
                let (at, owner) = (moment.change(), moment.client.to_owned());
                let holder = Holder { lease, owner, token: at, since_ms: moment.now_ms };
                queue.push(Contender { at, holder });
                match first {
                    Some(holder) => LockReply::Queued { at, holder },
                    None => LockReply::Held { token: at },
                }
            }
        }
    }

    fn release(&mut self, name: &Name, lease: LeaseId, moment: &mut Moment<'_>) -> LockReply {
        let held = self.holder(name).filter(|one| one.lease == lease).map(|one| one.token);
        let queue = self.queues.entry(name.clone()).or_default();
        if !queue.iter().any(|one| one.holder.lease == lease) {
            return LockReply::Absent;
        }
        let revision = moment.change();
        leaves(queue, lease, revision, moment.now_ms);
        LockReply::Released { revision, token: held }
    }

    /// A lease has ended at this revision, and nobody contends on it; whether anybody did.
    pub(super) fn lease_ended(&mut self, lease: LeaseId, at: Revision, now_ms: u64) -> bool {
        let contends =
            |queue: &&mut Vec<Contender>| queue.iter().any(|one| one.holder.lease == lease);
        let queues = self.queues.values_mut().filter(contends);
        queues.map(|queue| leaves(queue, lease, at, now_ms)).count() > 0
    }
}

/// The next one is granted at this revision, if it was the first that left.
fn leaves(queue: &mut Vec<Contender>, lease: LeaseId, at: Revision, now_ms: u64) {
    let was_first = queue.first().is_some_and(|one| one.holder.lease == lease);
    queue.retain(|one| one.holder.lease != lease);
    if let Some(next) = queue.first_mut().filter(|_| was_first) {
        (next.holder.token, next.holder.since_ms) = (at, now_ms);
    }
}
