//! The exception to L2: what an operator takes away is over for whoever counts on it, and only
//! that. Whoever had it does not know; that its token is refused is all that the others have.

use std::collections::BTreeSet;

use synod_machine::{LeaseId, Name, Revision};

use super::Leases;
use crate::sights::Sight;

/// What was taken away.
#[derive(Debug, Default)]
pub(super) struct Broken {
    leases: BTreeSet<LeaseId>,
    /// Each under the token that it was held with.
    locks: BTreeSet<(Name, Revision)>,
}

impl Broken {
    pub(super) fn has_lease(&self, lease: LeaseId) -> bool {
        self.leases.contains(&lease)
    }

    pub(super) fn has_lock(&self, name: &Name, token: Revision) -> bool {
        self.locks.contains(&(name.clone(), token))
    }
}

impl Leases {
    /// Whether what is held so was taken away.
    pub(crate) fn is_broken(&self, lease: LeaseId, name: &Name, token: Revision) -> bool {
        self.broken.has_lease(lease) || self.broken.has_lock(name, token)
    }

    pub(super) fn lease_is_broken(&mut self, lease: LeaseId) {
        if self.live.remove(&lease) {
            self.seen.see(Sight::LeaseBroken);
            self.broken.leases.insert(lease);
            self.holders.retain(|_, (their, _)| *their != lease);
        }
    }

    pub(super) fn lock_is_broken(&mut self, name: &Name, token: Revision) {
        self.seen.see(Sight::LockBroken);
        self.broken.locks.insert((name.clone(), token));
        for (_, locks) in self.holders.values_mut() {
            if locks.get(name) == Some(&token) {
                locks.remove(name);
            }
        }
    }
}
