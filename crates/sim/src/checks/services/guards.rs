//! S10: what is asked for on condition that somebody holds something is done while that one does,
//! and at no other time; alone or in the commit of a transaction.
//!
//! L3 of leases: the log is a resource that checks tokens, and after one it never takes a smaller.

use std::collections::BTreeMap;

use synod_machine::{Hold, Multi, Name, Reply, Revision};

use super::{Services, Shelf};
use crate::{
    sights::Sight,
    violation::{Checked, demand},
};

/// The largest token of each lock and office that anything was done under.
#[derive(Debug, Default)]
pub(super) struct Guards {
    tokens: BTreeMap<(bool, Name), Revision>,
}

impl Guards {
    fn takes(&mut self, hold: &Hold) -> Checked {
        let (place, token) = match hold {
            Hold::Lock { name, token } => ((true, name.clone()), *token),
            Hold::Incumbent { election, token } => ((false, election.clone()), *token),
            Hold::Claim { .. } => return Ok(()),
        };
        let last = self.tokens.entry(place).or_default();
        demand!(*last <= token, "L3", "{hold:?} is taken after token {last}");
        *last = token;
        Ok(())
    }
}

impl Services {
    fn holds(&self, hold: &Hold) -> bool {
        match hold {
            Hold::Lock { name, token } => {
                self.locks.holder(name).is_some_and(|holder| holder.token == *token)
            }
            Hold::Claim { name, owner } => self.claims.is_for(name, owner),
            Hold::Incumbent { election, token } => {
                let incumbent = self.elections.office(election).incumbent;
                incumbent.is_some_and(|one| one.token == *token)
            }
        }
    }

    /// Guards on keys are the shelf's to judge; those that somebody holds something come after.
    pub(super) fn judge_multi(
        &mut self,
        multi: &Multi,
        client: &str,
        reply: &Reply,
        shelf: &Shelf,
    ) -> Checked {
        if let Some(why) = multi.lease.and_then(|lease| self.leases.refuse(lease, client)) {
            let refused = Reply::Rejected(why);
            demand!(*reply == refused, "S9", "{multi:?} comes to {reply:?}, not {refused:?}");
            return Ok(());
        }
        let failing = shelf.failing(&multi.guards).or_else(|| {
            let place = multi.holds.iter().position(|hold| !self.holds(hold))?;
            Some(multi.guards.len() + place)
        });
        match reply {
            Reply::MultiDone { .. } => {
                let Some(place) = failing.and_then(|at| at.checked_sub(multi.guards.len())) else {
                    return multi.holds.iter().try_for_each(|hold| self.guards.takes(hold));
                };
                let hold = &multi.holds[place];
                demand!(false, "S10", "{multi:?} is done although {hold:?} is not so");
            }
            Reply::MultiRefused { failed, .. } => {
                if !multi.holds.is_empty() {
                    self.seen.see(Sight::GuardFailed);
                }
                demand!(
                    failing == Some(*failed as usize),
                    "S10",
                    "{multi:?} is refused for condition {failed}; the first that fails: {failing:?}"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// What rides in a commit is done.
    pub(super) fn ride(&mut self, multi: &Multi) -> Checked {
        for hold in &multi.holds {
            demand!(
                self.holds(hold),
                "S10",
                "a transaction commits on condition of {hold:?}, which is not so"
            );
            self.seen.see(Sight::GuardedCommit);
            self.guards.takes(hold)?;
        }
        Ok(())
    }
}
