//! L: leases end in the log and not before their owners' clocks say so, at most one holds a lock,
//! tokens grow, and whoever watches is told everything, once, in order, or that there is a gap.

mod broken;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Batch, Change, Command, FenceGuard, Keyed, LeaseCommand, LeaseId, LockCommand, LockReply,
    Machine, Name, Once, Reign, Rejection, Reply, Request, Revision, Seq, Timestamp,
};
use synod_paxos::Decree;

use self::broken::Broken;
use super::{
    offices::Offices,
    order::{Effect, decode},
};
use crate::{
    sights::{Sight, Sights},
    violation::{Checked, demand},
};

/// What holders count on, and what the log says of it.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// Whether clocks run so alike that leases may be counted on.
    clocks_agree: bool,
    live: BTreeSet<LeaseId>,
    /// Until which moment the owner of each lease counts on it.
    counted_on: BTreeMap<LeaseId, u64>,
    /// When each lease was ended for its owner's silence.
    expired: BTreeMap<LeaseId, u64>,
    /// Which lease each holder counts on, and which locks under which tokens.
    holders: BTreeMap<usize, (LeaseId, BTreeMap<Name, Revision>)>,
    broken: Broken,
    /// The last token of each lock.
    tokens: BTreeMap<Name, Revision>,
    offices: Offices,
    /// Everything that ever changed, in order.
    changes: Vec<(Revision, Change)>,
    reign: Reign,
    revision: Revision,
    forgotten: Revision,
    pub(crate) seen: Sights,
}

impl Leases {
    /// The checks of a universe whose clocks are off by so much at most.
    pub(crate) fn new(clocks_agree: bool) -> Leases {
        Leases { clocks_agree, ..Leases::default() }
    }

    /// A slot has joined the chosen prefix; `machine` has applied it.
    pub(crate) fn applied(&mut self, effect: &Effect, machine: &Machine, now: u64) -> Checked {
        for (request, result) in effect.batch.requests.iter().zip(&effect.results) {
            match (&request.command, &result.reply) {
                (Command::Lease(LeaseCommand::Grant { .. }), Reply::Lease(lease)) => {
                    self.live.insert(*lease);
                }
                (Command::Once(Once { what: Keyed::Grant { .. }, .. }), Reply::Lease(lease))
                    if machine.knows_of_lease(*lease) =>
                {
                    self.live.insert(*lease);
                }
                (Command::Lease(LeaseCommand::Revoke { lease }), Reply::Done(at)) => {
                    self.offices.lease_ended(*lease, *at);
                    self.live.remove(lease);
                }
                (Command::Lease(LeaseCommand::Expire { lease, .. }), Reply::Done(at)) => {
                    self.offices.lease_ended(*lease, *at);
                    self.expires(*lease, now)?;
                }
                (Command::Lease(LeaseCommand::Break { lease, .. }), Reply::Done(at)) => {
                    self.offices.lease_ended(*lease, *at);
                    self.lease_is_broken(*lease);
                }
                (
                    Command::Lock(LockCommand::Break { name, .. }),
                    Reply::Lock(LockReply::Released { token: Some(token), .. }),
                ) => self.lock_is_broken(name, *token),
                (Command::Lease(LeaseCommand::Expire { .. }), _) => {
                    self.seen.see(Sight::ExpiryOverruled);
                }
                (Command::LeaderStart { .. }, Reply::Done(_)) => {
                    // One that comes late, of a reign before the last, begins nothing.
                    let earlier = std::mem::replace(&mut self.reign, machine.reign());
                    if earlier < self.reign {
                        stale_ends_nothing(machine, |uses| guard(earlier, uses))?;
                    }
                }
                (Command::Lock(LockCommand::Acquire { .. }), Reply::Lock(_)) => {
                    stale_ends_nothing(machine, |uses| {
                        guard(machine.reign(), uses.checked_sub(1)?)
                    })?;
                }
                (Command::Election(command), reply) => self.offices.hears(command, reply),
                (Command::Compact { upto }, Reply::Done(_)) => {
                    self.forgotten = self.forgotten.max(*upto);
                }
                _ => {}
            }
        }
        for (at, change) in machine.changes_since(self.revision) {
            self.changes.push((at, change.clone()));
            if let Change::Election { name, office } = &change {
                self.offices.changed((at, name, office), &mut self.seen)?;
            }
            if let Change::Lock { name, holder: Some(holder) } = &change {
                let last = self.tokens.insert(name.clone(), holder.token);
                demand!(
                    last.is_none_or(|last| last < holder.token),
                    "L1",
                    "{name} is granted with token {} after {last:?}",
                    holder.token
                );
            }
        }
        self.revision = machine.revision();
        Ok(())
    }

    /// The end of a lease is applied; it may have ended before.
    fn expires(&mut self, lease: LeaseId, now: u64) -> Checked {
        if !self.live.remove(&lease) {
            return Ok(());
        }
        self.expired.insert(lease, now);
        self.seen.see(Sight::LeaseExpired);
        self.not_too_early(lease)
    }

    /// A holder was granted a lease, and counts on it until then.
    pub(crate) fn granted(&mut self, holder: usize, lease: LeaseId, until_us: u64) -> Checked {
        if !self.broken.has_lease(lease) {
            self.holders.insert(holder, (lease, BTreeMap::new()));
        }
        self.extended(lease, until_us)
    }

    /// A holder has heard that its lease lives, and counts on it until then.
    pub(crate) fn extended(&mut self, lease: LeaseId, until_us: u64) -> Checked {
        let counted = self.counted_on.entry(lease).or_default();
        *counted = (*counted).max(until_us);
        self.not_too_early(lease)
    }

    /// A holder has the lock, and counts on it until then.
    pub(crate) fn holds(
        &mut self,
        holder: usize,
        lease: LeaseId,
        (name, token): (&Name, Revision),
        (now, until_us): (u64, u64),
    ) -> Checked {
        if until_us <= now || self.is_broken(lease, name, token) {
            return Ok(());
        }
        self.is_alone(holder, lease, name, (now, until_us))?;
        if let Some((_, locks)) = self.holders.get_mut(&holder) {
            locks.insert(name.clone(), token);
        }
        self.seen.see(Sight::LockHeld);
        Ok(())
    }

    /// A holder that had let its lease run out has heard that it lives, and its lock with it.
    pub(crate) fn goes_on(
        &mut self,
        holder: usize,
        (name, token): (&Name, Revision),
        (now, until_us): (u64, u64),
    ) -> Checked {
        let Some((lease, _)) = self.holders.get(&holder).filter(|_| until_us > now) else {
            return Ok(());
        };
        if self.is_broken(*lease, name, token) {
            return Ok(());
        }
        self.is_alone(holder, *lease, name, (now, until_us))?;
        if let Some((_, locks)) = self.holders.get_mut(&holder) {
            locks.insert(name.clone(), token);
        }
        Ok(())
    }

    /// Nobody else counts on the lock.
    fn is_alone(
        &self,
        holder: usize,
        lease: LeaseId,
        name: &Name,
        (now, until_us): (u64, u64),
    ) -> Checked {
        if self.clocks_agree {
            for (other, (their, locks)) in &self.holders {
                let until = self.counted_on.get(their).copied().unwrap_or(0);
                demand!(
                    *other == holder || !locks.contains_key(name) || until <= now,
                    "L2",
                    "holders {holder} and {other} count on {name} at once: on lease {lease} until \
                     {until_us} us, on lease {their} until {until} us"
                );
            }
        }
        Ok(())
    }

    /// What a holder does under a lock that it counts on still is refused.
    pub(crate) fn is_refused(
        &mut self,
        holder: usize,
        (name, token): (&Name, Revision),
        now: u64,
    ) -> Checked {
        if self.broken.has_lock(name, token) {
            self.seen.see(Sight::BrokenRefused);
        }
        let Some((lease, locks)) = self.holders.get(&holder) else { return Ok(()) };
        let until = self.counted_on.get(lease).copied().unwrap_or(0);
        demand!(
            !self.clocks_agree || !locks.contains_key(name) || until <= now,
            "L2",
            "holder {holder} is refused at {now} us under {name}; on lease {lease} it counts on it \
             until {until} us"
        );
        Ok(())
    }

    /// Whether the owner of a lease may count on it at this moment.
    pub(super) fn counts(&self, lease: LeaseId, now: u64) -> bool {
        self.clocks_agree && self.counted_on.get(&lease).is_some_and(|until| *until > now)
    }

    /// A holder counts on a lock no more.
    pub(crate) fn lets_go(&mut self, holder: usize, name: &Name) {
        if let Some((_, locks)) = self.holders.get_mut(&holder) {
            locks.remove(name);
        }
    }

    /// A holder counts on its lease no more.
    pub(crate) fn gives_up(&mut self, holder: usize) {
        self.holders.remove(&holder);
    }

    /// A holder that counts on its lease still hears that it is over.
    pub(crate) fn is_over(&mut self, holder: usize, now: u64) -> Checked {
        let Some((lease, _)) = self.holders.get(&holder) else { return Ok(()) };
        let until = self.counted_on.get(lease).copied().unwrap_or(0);
        demand!(
            !self.clocks_agree || until <= now,
            "L2",
            "lease {lease} of holder {holder} is over at {now} us; it stands until {until} us"
        );
        Ok(())
    }

    /// A lease ends for its owner's silence only when the owner, too, counts on it no longer.
    fn not_too_early(&self, lease: LeaseId) -> Checked {
        let (Some(ended), Some(until)) = (self.expired.get(&lease), self.counted_on.get(&lease))
        else {
            return Ok(());
        };
        demand!(
            !self.clocks_agree || until <= ended,
            "L2",
            "lease {lease} is ended at {ended} us; its owner counts on it until {until} us"
        );
        Ok(())
    }
}

/// Leases that somebody holds to be over who proposes this.
pub(crate) fn ended_by(decree: &Decree) -> Vec<LeaseId> {
    let Decree::Value(bytes) = decree else { return Vec::new() };
    let requests = decode(bytes).into_iter().flat_map(|batch| batch.requests);
    let ended = requests.filter_map(|request| match request.command {
        Command::Lease(LeaseCommand::Expire { lease, .. }) => Some(lease),
        _ => None,
    });
    ended.collect()
}

/// An end of a lease that was proposed in an earlier reign, or before the lease was used, changes
/// nothing: what would a copy of the machine say of one?
fn stale_ends_nothing(machine: &Machine, guard: impl Fn(u64) -> Option<FenceGuard>) -> Checked {
    let Some((lease, guard)) =
        machine.live_leases().find_map(|(lease, _, uses)| Some((lease, guard(uses)?)))
    else {
        return Ok(());
    };
    let command = Command::Lease(LeaseCommand::Expire { lease, guard });
    let request = Request { id: None, acked: Seq::ZERO, command };
    let mut copy = machine.clone();
    let said = copy.apply(Batch { stamp: Timestamp(0), requests: vec![request] });
    let said = said.first().map(|applied| &applied.reply);
    demand!(
        said == Some(&Reply::Rejected(Rejection::ExpiryOverruled)),
        "L4",
        "the end of lease {lease} that {guard:?} guards comes to {said:?}"
    );
    Ok(())
}

fn guard(reign: Reign, renewals: u64) -> Option<FenceGuard> {
    Some(FenceGuard { reign, renewals })
}
