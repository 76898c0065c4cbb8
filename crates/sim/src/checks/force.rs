//! C12 of commit: what operators bring about by force is on record.

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    AbortCause, Act, Answer, ClaimCommand, ClaimReply, Command, FenceCause, LeaseCommand, LeaseId,
    LockCommand, LockReply, Machine, Name, Proposal, Query, Rejection, Reply, Revision, SessionId,
    TxnId, Verdict,
};

use super::order::Effect;
use crate::{
    sights::{Sight, Sights},
    violation::{Checked, demand},
};

/// What operators brought about by force stands in the audit, for ever after.
#[derive(Debug, Default)]
pub(crate) struct Force {
    live: BTreeSet<SessionId>,
    ended: BTreeSet<SessionId>,
    aborted: BTreeSet<TxnId>,
    leases: BTreeSet<LeaseId>,
    last: LeaseId,
    /// What was taken away, and how often.
    broken: BTreeMap<Thing, usize>,
    pub(crate) seen: Sights,
}

/// Something that an operator may take away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Lease(LeaseId),
    Lock(Name, Revision),
    Claim(Name),
}

impl Thing {
    fn of(act: &Act) -> Option<Thing> {
        Some(match act {
            Act::LeaseBroken { lease, .. } => Thing::Lease(*lease),
            Act::LockBroken { name, holder, .. } => Thing::Lock(name.clone(), holder.token),
            Act::ClaimBroken { claim, .. } => Thing::Claim(claim.name.clone()),
            _ => return None,
        })
    }
}

impl Force {
    /// A slot has joined the chosen prefix; `machine` has applied it.
    pub(crate) fn applied(&mut self, effect: &Effect, machine: &Machine) -> Checked {
        let before = (self.ended.len(), self.aborted.len());
        let mut breaks = false;
        for (request, result) in effect.batch.requests.iter().zip(&effect.results) {
            let thing =
                (!result.repeated).then(|| self.taken_away(&request.command, &result.reply));
            if let Some(thing) = thing.flatten() {
                *self.broken.entry(thing).or_default() += 1;
                breaks = true;
            }
            match (&request.command, &result.reply) {
                (Command::OpenSession { .. }, Reply::Session(session)) => {
                    self.live.insert(*session);
                }
                (Command::Fence { session, cause, .. }, Reply::Done(_)) => {
                    let lived = self.live.remove(session);
                    if lived && *cause == FenceCause::Operator {
                        self.ended.insert(*session);
                    }
                }
                (Command::Decide { txn, outcome: Proposal::Abort { cause } }, _)
                    if by_force(machine, *txn, cause) =>
                {
                    self.aborted.insert(*txn);
                }
                _ => {}
            }
            if let Some(id) = request.id
                && (result.reply == Reply::Rejected(Rejection::SessionEnded)
                    || matches!(request.command, Command::CloseSession))
            {
                self.live.remove(&id.session);
            }
        }
        let after = (self.ended.len(), self.aborted.len());
        if before == after && !breaks {
            return Ok(());
        }
        (before.0 < after.0).then(|| self.seen.see(Sight::EndedByForce));
        (before.1 < after.1).then(|| self.seen.see(Sight::AbortedByForce));
        self.is_on_record(machine)
    }

    /// What was there, and an operator took it away.
    fn taken_away(&mut self, command: &Command, reply: &Reply) -> Option<Thing> {
        match (command, reply) {
            // Who asks again under a key is told of the lease that was granted then.
            (
                Command::Lease(LeaseCommand::Grant { .. }) | Command::Once(_),
                Reply::Lease(lease),
            ) if self.last < *lease => {
                self.last = *lease;
                self.leases.insert(*lease);
            }
            (
                Command::Lease(LeaseCommand::Revoke { lease } | LeaseCommand::Expire { lease, .. }),
                Reply::Done(_),
            ) => {
                self.leases.remove(lease);
            }
            (Command::Lease(LeaseCommand::Break { lease, .. }), Reply::Done(_))
                if self.leases.remove(lease) =>
            {
                return Some(Thing::Lease(*lease));
            }
            (
                Command::Lock(LockCommand::Break { name, .. }),
                Reply::Lock(LockReply::Released { token: Some(token), .. }),
            ) => return Some(Thing::Lock(name.clone(), *token)),
            (
                Command::Claim(ClaimCommand::Break { name, .. }),
                Reply::Claim(ClaimReply::Released { .. }),
            ) => {
                self.seen.see(Sight::ClaimBroken);
                return Some(Thing::Claim(name.clone()));
            }
            _ => {}
        }
        None
    }

    fn is_on_record(&self, machine: &Machine) -> Checked {
        let Answer::Audit(entries) = machine.query(&Query::Audit) else {
            demand!(false, "C12", "a question for the audit is answered otherwise");
            return Ok(());
        };
        let has = |of: &dyn Fn(&Act) -> bool| entries.iter().any(|entry| of(&entry.act));
        for session in &self.ended {
            let told = has(&|act| matches!(act, Act::Fenced { session: of } if of == session));
            demand!(told, "C12", "session {session} was ended by force; nothing tells of it");
        }
        for txn in &self.aborted {
            let told = has(&|act| matches!(act, Act::Aborted { txn: of, .. } if of == txn));
            demand!(told, "C12", "{txn} was aborted by force; nothing tells of it");
        }
        let mut told: BTreeMap<Thing, usize> = BTreeMap::new();
        for thing in entries.iter().filter_map(|entry| Thing::of(&entry.act)) {
            *told.entry(thing).or_default() += 1;
        }
        for (thing, times) in &self.broken {
            let told = told.get(thing).copied().unwrap_or_default();
            demand!(
                told == *times,
                "C12",
                "{thing:?} was taken away {times} times by force; of {told} times something tells"
            );
        }
        Ok(())
    }
}

/// An abort by force is answered with a verdict that ends the transaction.
pub(crate) fn leaves_none_open(verdict: Verdict) -> Checked {
    demand!(verdict != Verdict::InProgress, "C12", "an abort by force leaves it open");
    Ok(())
}

/// Whether this very abort is what the log holds the transaction to have ended by.
fn by_force(machine: &Machine, txn: TxnId, cause: &AbortCause) -> bool {
    let forced = matches!(cause, AbortCause::Operator { .. });
    forced
        && matches!(machine.query(&Query::Txn { txn }),
            Answer::Txn(view) if view.cause.as_ref() == Some(cause))
}
