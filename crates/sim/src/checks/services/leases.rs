use std::collections::BTreeMap;

use synod_machine::{LeaseId, Rejection, owner_name};

/// Whose each lease is: of those that have ended, nobody's.
#[derive(Debug, Default)]
pub(super) struct Owners {
    live: BTreeMap<LeaseId, String>,
    last: LeaseId,
}

impl Owners {
    /// One more is granted.
    pub(super) fn grant(&mut self, client: &str) -> LeaseId {
        self.last = LeaseId::new(self.last.get() + 1);
        self.live.insert(self.last, client.to_owned());
        self.last
    }

    /// Whether it was there to be ended.
    pub(super) fn end(&mut self, lease: LeaseId) -> bool {
        self.live.remove(&lease).is_some()
    }

    /// Why this client cannot use it, if it cannot.
    pub(super) fn refuse(&self, lease: LeaseId, client: &str) -> Option<Rejection> {
        match self.live.get(&lease) {
            Some(owner) if owner_name(owner) == owner_name(client) => None,
            Some(_) => Some(Rejection::ForeignLease),
            None if lease != LeaseId::ZERO && lease <= self.last => Some(Rejection::LeaseEnded),
            None => Some(Rejection::UnknownLease),
        }
    }
}
