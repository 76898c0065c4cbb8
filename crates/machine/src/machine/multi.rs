//! Guarded batches: all or nothing, by themselves or riding in a commit.

use super::Machine;
use crate::{Hold, Multi, Rejection, Reply, SessionId};

impl Machine {
    pub(super) fn multi(&mut self, own: SessionId, multi: Multi) -> Result<Reply, Rejection> {
        if let Some(lease) = multi.lease {
            self.uses(own, lease)?;
        }
        let failed = self.failing(&multi);
        if failed.is_none() {
            self.keys.has_room(&multi)?;
        }
        Ok(self.keys.multi(multi, failed, &mut self.revision, &mut self.history))
    }

    /// Whether what rides in a commit can be done.
    pub(super) fn may_ride(&mut self, own: SessionId, multi: &Multi) -> bool {
        let lease_stands = multi.lease.is_none_or(|lease| self.uses(own, lease).is_ok());
        lease_stands && self.failing(multi).is_none() && self.keys.has_room(multi).is_ok()
    }

    /// The place of the first condition that does not hold: those on keys, then those on services.
    fn failing(&self, multi: &Multi) -> Option<u32> {
        self.keys.failing(&multi.guards).or_else(|| {
            let place = multi.holds.iter().position(|hold| !self.holds(hold))?;
            u32::try_from(multi.guards.len() + place).ok()
        })
    }

    fn holds(&self, hold: &Hold) -> bool {
        let services = &self.services;
        match hold {
            Hold::Lock { name, token } => {
                services.locks.holder(name).is_some_and(|holder| holder.token == *token)
            }
            Hold::Claim { name, owner } => {
                services.claims.view(name).is_some_and(|claim| claim.owner == *owner)
            }
            Hold::Incumbent { election, token } => {
                let incumbent = services.elections.office(election).incumbent;
                incumbent.is_some_and(|incumbent| incumbent.token == *token)
            }
        }
    }
}
