//! S: what lives on the log beside keys and transactions does what the simplest model of it does,
//! request by request in the order of the log, and every reply and every read says so.
//!
//! The order of the log is one that a client cannot tell from one moment to each request: no write
//! is told at a revision that somebody had seen before it was asked, and no read of one before what
//! had been seen. So with the models this is linearizability, service by service (Herlihy and Wing,
//! *Linearizability*, TOPLAS 1990), found and not sought.

mod barriers;
mod claims;
mod counters;
mod elections;
mod guards;
mod journals;
mod leases;
mod locks;
mod once;
mod past;
mod rare;
mod reads;
mod registers;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Batch, Change, Command, LeaseCommand, LeaseId, Machine, Multi, Name, Office, Proposal,
    Rejection, Reply, Request, RequestId, Revision, SessionId, Verdict,
};

use self::{
    barriers::Barriers, claims::Claims, counters::Counters, elections::Elections, guards::Guards,
    journals::Journals, leases::Owners, locks::Locks, once::Onces, registers::Registers,
};
use super::{order::Effect, shelf::Shelf};
use crate::{
    sights::{Sight, Sights},
    violation::{Checked, demand},
};

/// All of them, as the simplest models have them.
#[derive(Debug, Default)]
pub(crate) struct Services {
    now_ms: u64,
    clients: BTreeMap<SessionId, String>,
    leases: Owners,
    locks: Locks,
    claims: Claims,
    registers: Registers,
    counters: Counters,
    barriers: Barriers,
    journals: Journals,
    elections: Elections,
    onces: Onces,
    guards: Guards,
    /// As each was told to be last.
    offices: BTreeMap<Name, Office>,
    pub(super) seen: Sights,
}

/// When a request takes effect, and who asked.
#[derive(Debug)]
pub(super) struct Moment<'m> {
    client: &'m str,
    now_ms: u64,
    revision: Revision,
}

impl Moment<'_> {
    /// The revision at which everything is as it is.
    fn at(&self) -> Revision {
        self.revision
    }

    /// Something changes: from this revision on.
    fn change(&mut self) -> Revision {
        self.revision = self.revision.next();
        self.revision
    }
}

impl Services {
    /// A slot has joined the chosen prefix, in which these requests took effect or were refused;
    /// `machine` has applied it.
    pub(super) fn applied(
        &mut self,
        effect: &Effect,
        took: &[bool],
        machine: &Machine,
        shelf: &mut Shelf,
    ) -> Checked {
        let Effect { batch: Batch { stamp, requests }, results } = effect;
        self.now_ms = self.now_ms.max(stamp.0);
        let mut offices: Vec<_> = machine
            .changes_since(shelf.revision())
            .filter_map(|(at, change)| match change {
                Change::Election { name, office } => Some((at, name, office)),
                _ => None,
            })
            .collect();
        offices.reverse();
        let asked = requests.iter().zip(results).zip(took).filter(|(_, took)| **took);
        for ((request, result), _) in asked {
            let judged = self.judge(request, &result.reply, shelf);
            if let Some(sight) = rare::sight(&result.reply) {
                self.seen.see(sight);
            }
            shelf.passes(&result.reply);
            let now = shelf.revision();
            while let Some((_, name, office)) = offices.pop_if(|(at, ..)| *at <= now) {
                self.offices.insert(name, office);
            }
            // Who is granted says more than what somebody is told of it.
            self.look_at_offices(now)?;
            judged?;
        }
        self.compare(machine)
    }

    fn judge(&mut self, request: &Request, reply: &Reply, shelf: &mut Shelf) -> Checked {
        if was_not_done(reply) {
            return Ok(());
        }
        if let (Command::OpenSession { owner, .. }, Reply::Session(session)) =
            (&request.command, reply)
        {
            self.clients.insert(*session, owner.clone());
            return Ok(());
        }
        let client = request.id.and_then(|RequestId { session, .. }| self.clients.get(&session));
        let client = client.cloned().unwrap_or_default();
        let Command::Once(once) = &request.command else {
            return self.judge_one(&request.command, &client, reply, shelf);
        };
        if let Some(told) = self.onces.told(&client, once, &self.leases) {
            self.seen.see(Sight::ToldAgain);
            demand!(
                *reply == told,
                "S8",
                "{client} asks under a key for what was done: it is told {reply:?}, not {told:?}"
            );
            return Ok(());
        }
        self.judge_one(&once.what.clone().into(), &client, reply, shelf)?;
        self.onces.keep(&client, once, reply);
        Ok(())
    }

    fn judge_one(
        &mut self,
        command: &Command,
        client: &str,
        reply: &Reply,
        shelf: &mut Shelf,
    ) -> Checked {
        match command {
            Command::Put { .. } | Command::Delete { .. } | Command::Cas { .. } => {
                return shelf.place(command, reply);
            }
            Command::Multi(multi) => {
                self.judge_multi(multi, client, reply, shelf)?;
                return shelf.place(command, reply);
            }
            Command::Decide { outcome: Proposal::Commit { multi: Some(multi), .. }, .. } => {
                if *reply != Reply::Verdict(Verdict::Committed) {
                    return Ok(());
                }
                self.ride(multi)?;
                return shelf.decide(multi);
            }
            Command::Lease(LeaseCommand::Expire { lease, .. }) if *reply != overruled() => {
                return self.ends(*lease, reply, shelf);
            }
            Command::Lease(LeaseCommand::Break { lease, .. }) => {
                return match self.leases.refuse(*lease, client) {
                    Some(why @ Rejection::UnknownLease) => {
                        is_told(command, &Reply::Rejected(why), reply)
                    }
                    _ => self.ends(*lease, reply, shelf),
                };
            }
            Command::Lease(LeaseCommand::Revoke { lease }) => {
                let refused = self.leases.refuse(*lease, client);
                return match refused {
                    None | Some(Rejection::LeaseEnded) => self.ends(*lease, reply, shelf),
                    Some(why) => is_told(command, &Reply::Rejected(why), reply),
                };
            }
            _ => {}
        }
        let (now_ms, revision) = (self.now_ms, shelf.revision());
        let mut moment = Moment { client, now_ms, revision };
        let Some(expected) = self.does(command, &mut moment) else { return Ok(()) };
        shelf.moves_to(moment.revision);
        is_told(command, &expected, reply)
    }

    /// What a command comes to; `None` of what is judged elsewhere.
    fn does(&mut self, command: &Command, moment: &mut Moment<'_>) -> Option<Reply> {
        if let Some(why) = used(command).and_then(|lease| self.leases.refuse(lease, moment.client))
        {
            return Some(Reply::Rejected(why));
        }
        Some(match command {
            Command::Lease(LeaseCommand::Grant { .. }) => {
                Reply::Lease(self.leases.grant(moment.client))
            }
            Command::Lock(command) => Reply::Lock(self.locks.does(command, moment)),
            Command::Claim(command) => {
                self.claims.does(command, moment).map_or_else(Reply::Rejected, Reply::Claim)
            }
            Command::Register(command) => Reply::Register(self.registers.does(command, moment)),
            Command::Counter(command) => Reply::Counter(self.counters.does(command, moment)),
            Command::Barrier(command) => {
                self.barriers.does(command, moment).map_or_else(Reply::Rejected, Reply::Barrier)
            }
            Command::Journal(command) => {
                let reply = self.journals.does(command, moment);
                if std::mem::take(&mut self.journals.anew) {
                    self.seen.see(Sight::AppendedAnew);
                }
                Reply::Journal(reply)
            }
            Command::Election(command) => Reply::Election(self.elections.does(command, moment)),
            _ => return None,
        })
    }

    /// A lease ends, if it had not: S9, what hung on it ends at the same revision, and nothing else
    /// moves that.
    fn ends(&mut self, lease: LeaseId, reply: &Reply, shelf: &mut Shelf) -> Checked {
        let (before, now_ms) = (shelf.revision(), self.now_ms);
        if self.leases.end(lease) {
            let (at, keys) = (before.next(), shelf.hanging(lease));
            let hung = [
                !keys.is_empty(),
                self.locks.lease_ended(lease, at, now_ms),
                self.claims.lease_ended(lease, at),
                self.barriers.lease_ended(lease, at),
                self.elections.lease_ended(lease, at, now_ms),
            ];
            if !keys.is_empty() {
                self.seen.see(Sight::KeyEnded);
            }
            shelf.lease_ended(keys, at)?;
            if hung.contains(&true) {
                shelf.moves_to(at);
            }
        }
        let expected = Reply::Done(shelf.revision());
        demand!(
            *reply == expected,
            "S9",
            "the end of lease {lease} comes to {reply:?}; what hung on it makes it {expected:?}"
        );
        Ok(())
    }

    /// Every office stands as the model has it, after a request.
    fn look_at_offices(&self, now: Revision) -> Checked {
        let names: BTreeSet<&Name> = self.offices.keys().chain(self.elections.names()).collect();
        for name in names {
            let there = self.offices.get(name).cloned().unwrap_or_default();
            let here = self.elections.office(name);
            demand!(
                there == here,
                self.elections.broken_by(name, &there),
                "{name} stands at {now} as {there:?}; whoever may be granted makes it {here:?}"
            );
        }
        Ok(())
    }
}

/// The lease that a command uses.
fn used(command: &Command) -> Option<LeaseId> {
    use synod_machine::{BarrierCommand, ClaimCommand, LockCommand};
    match command {
        Command::Lock(LockCommand::Acquire { lease, .. } | LockCommand::Release { lease, .. })
        | Command::Barrier(
            BarrierCommand::Arrive { lease, .. } | BarrierCommand::Leave { lease, .. },
        ) => Some(*lease),
        Command::Claim(ClaimCommand::Take { lease, .. }) | Command::Multi(Multi { lease, .. }) => {
            *lease
        }
        Command::Election(command) => command.lease(),
        _ => None,
    }
}

fn overruled() -> Reply {
    Reply::Rejected(Rejection::ExpiryOverruled)
}

/// Whether it was refused before anybody looked at what it asks.
fn was_not_done(reply: &Reply) -> bool {
    let Reply::Rejected(why) = reply else { return false };
    !matches!(
        why,
        Rejection::UnknownLease
            | Rejection::LeaseEnded
            | Rejection::ForeignLease
            | Rejection::ForeignClaim
            | Rejection::OtherParties { .. }
            | Rejection::KeyReused
    )
}

/// Which property a reply breaks that is not what the model says.
fn law(command: &Command) -> &'static str {
    match command {
        Command::Claim(_) => "S1",
        Command::Register(_) => "S2",
        Command::Counter(_) => "S3",
        Command::Barrier(_) => "S4",
        Command::Journal(_) => "S5",
        Command::Lock(_) => "S6",
        Command::Election(_) => "S7",
        _ => "S9",
    }
}

fn is_told(command: &Command, expected: &Reply, reply: &Reply) -> Checked {
    demand!(
        reply == expected,
        law(command),
        "{command:?} comes to {reply:?}; in the order of the log it is {expected:?}"
    );
    Ok(())
}
