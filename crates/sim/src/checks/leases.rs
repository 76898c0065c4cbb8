//! L: leases end in the log and not before their owners' clocks say so, at most one holds a lock,
//! tokens grow, and whoever watches is told everything, once, in order, or that there is a gap.

mod broken;
mod counted_on;
mod stale;
pub(super) mod tokens;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Change, Command, Keyed, LeaseCommand, LeaseId, LockCommand, LockReply, Machine, Name, Once,
    Reign, Reply, Revision,
};
use synod_paxos::Decree;

use self::{broken::Broken, tokens::Tokens};
use super::{
    offices::Offices,
    order::{Effect, decode},
};
use crate::{
    sights::{Sight, Sights},
    violation::Checked,
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
    tokens: Tokens,
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
                        stale::of_an_earlier_reign(machine, earlier)?;
                    }
                }
                (Command::Lock(LockCommand::Acquire { .. }), Reply::Lock(_)) => {
                    stale::of_before_a_use(machine)?;
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
                self.tokens.grow(name, holder.token)?;
            }
        }
        self.revision = machine.revision();
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
