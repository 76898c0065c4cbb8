//! S6: whoever asked for a lock first has it, until it lets go of it or its lease ends.

use synod_machine::{Holder, LeaseId, LockCommand, LockReply, LockView, Name, Revision};

use super::{Moment, past::Past};

/// So many of those who wait are shown.
const SHOWN_MAX: usize = 16;

/// Locks as the simplest model has them: who asked for each, the first first, which has it.
#[derive(Debug, Default)]
pub(super) struct Locks {
    pub(super) past: Past<Vec<Contender>>,
}

/// One that asked, as the holder that it is or would be.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    at: Revision,
    holder: Holder,
}

impl Locks {
    /// Who has it.
    pub(super) fn holder(&self, name: &Name) -> Option<&Holder> {
        self.past.get(name)?.first().map(|first| &first.holder)
    }

    /// As people were shown it at a revision.
    pub(super) fn as_of(&self, name: &Name, revision: Revision) -> Option<LockView> {
        let (first, waiting) = self.past.as_of(name, revision)?.split_first()?;
        let shown = waiting.iter().take(SHOWN_MAX);
        Some(LockView {
            name: name.clone(),
            holder: first.holder.clone(),
            waiters: shown.map(|one| (one.holder.lease, one.holder.owner.clone())).collect(),
            waiting: waiting.len() as u64,
        })
    }

    fn queue(&self, name: &Name) -> Vec<Contender> {
        self.past.get(name).cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &Name, at: Revision, queue: Vec<Contender>) {
        self.past.set(name, at, Some(queue).filter(|queue| !queue.is_empty()));
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
        let mut queue = self.queue(name);
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
                self.set(name, at, queue);
                match first {
                    Some(holder) => LockReply::Queued { at, holder },
                    None => LockReply::Held { token: at },
                }
            }
        }
    }

    fn release(&mut self, name: &Name, lease: LeaseId, moment: &mut Moment<'_>) -> LockReply {
        let held = self.holder(name).filter(|one| one.lease == lease).map(|one| one.token);
        let mut queue = self.queue(name);
        if !queue.iter().any(|one| one.holder.lease == lease) {
            return LockReply::Absent;
        }
        let revision = moment.change();
        leaves(&mut queue, lease, revision, moment.now_ms);
        self.set(name, revision, queue);
        LockReply::Released { revision, token: held }
    }

    /// A lease has ended at this revision, and nobody contends on it; whether anybody did.
    pub(super) fn lease_ended(&mut self, lease: LeaseId, at: Revision, now_ms: u64) -> bool {
        let contends = |queue: &[Contender]| queue.iter().any(|one| one.holder.lease == lease);
        let queues = self.past.iter().filter(|(_, queue)| contends(queue));
        let queues: Vec<_> = queues.map(|(name, queue)| (name.clone(), queue.clone())).collect();
        let any = !queues.is_empty();
        for (name, mut queue) in queues {
            leaves(&mut queue, lease, at, now_ms);
            self.set(&name, at, queue);
        }
        any
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
