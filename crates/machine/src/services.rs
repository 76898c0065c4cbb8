//! What lives on the log beside keys and transactions: each service is a table with rules of its
//! own, in a file of its own, and knows nothing of the others. Who ends when a lease ends is known
//! here.

pub(crate) mod leases;
pub(crate) mod locks;

use leases::Leases;
use locks::Locks;
use serde::Serialize;

use crate::{
    LeaseId, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
    table::Digesting,
};

// The seeds of the tables' digests.
const LEASES: u64 = 0x60;
const LOCKS: u64 = 0x70;

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) leases: Leases,
    pub(crate) locks: Locks,
}

impl Services {
    pub(crate) fn new() -> Services {
        Services { leases: Leases::new(LEASES), locks: Locks::new(LOCKS) }
    }

    /// A lease is over: all that hung on it ends with it, at one revision.
    pub(crate) fn lease_ended(
        &mut self,
        lease: LeaseId,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) {
        if self.locks.hangs_on(lease) {
            *revision = revision.next();
            self.locks.leave_all(lease, (*revision, now), history);
        }
    }

    pub(crate) fn digest(&self, how: Digesting) -> impl Serialize + use<> {
        (self.leases.digest(how), self.locks.digest(how))
    }

    /// The same without what follows from the rest: cheap, and enough to encode.
    pub(crate) fn rows(&self) -> Services {
        Services { leases: self.leases.rows(), locks: self.locks.rows() }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.leases.encode(to)?;
        self.locks.encode(to)
    }

    pub(crate) fn restore(from: &mut Decoder<'_>) -> Result<Services, RestoreError> {
        let leases = Leases::restore(LEASES, from)?;
        Ok(Services { leases, locks: Locks::restore(LOCKS, from)? })
    }
}
