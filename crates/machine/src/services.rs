//! What lives on the log beside keys and transactions: each service is a table with rules of its
//! own, in a file of its own, and knows nothing of the others. Who ends when a lease ends is known
//! here.

pub(crate) mod barriers;
pub(crate) mod claims;
pub(crate) mod counters;
pub(crate) mod elections;
pub(crate) mod journals;
pub(crate) mod leases;
pub(crate) mod locks;
pub(crate) mod registers;
mod shares;

use barriers::Barriers;
use claims::Claims;
use counters::Counters;
use elections::Elections;
use journals::Journals;
use leases::Leases;
use locks::Locks;
use registers::Registers;
use serde::Serialize;

use crate::{
    LeaseId, Name, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
    keys::Keys,
    table::{Digesting, Table},
};

// The seeds of the tables' digests.
const LEASES: u64 = 0x60;
const LOCKS: u64 = 0x70;
const CLAIMS: u64 = 0x90;
const REGISTERS: u64 = 0xa0;
const COUNTERS: u64 = 0xb0;
const BARRIERS: [u64; 2] = [0xc0, 0xc1];
const JOURNALS: [u64; 3] = [0xd0, 0xd1, 0xd2];
const ELECTIONS: [u64; 2] = [0xe0, 0xe1];

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) leases: Leases,
    pub(crate) locks: Locks,
    pub(crate) claims: Claims,
    pub(crate) registers: Registers,
    pub(crate) counters: Counters,
    pub(crate) barriers: Barriers,
    pub(crate) journals: Journals,
    pub(crate) elections: Elections,
}

impl Services {
    pub(crate) fn new() -> Services {
        Services {
            leases: Leases::new(LEASES),
            locks: Locks::new(LOCKS),
            claims: Claims::new(CLAIMS),
            registers: Registers::new(REGISTERS),
            counters: Counters::new(COUNTERS),
            barriers: Barriers::new(BARRIERS),
            journals: Journals::new(JOURNALS),
            elections: Elections::new(ELECTIONS),
        }
    }

    /// A lease is over: all that hung on it ends with it, at one revision.
    pub(crate) fn lease_ended(
        &mut self,
        lease: LeaseId,
        keys: &mut Keys,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) {
        let hang_on_it = [
            keys.hangs_on(lease),
            self.locks.hangs_on(lease),
            self.claims.hangs_on(lease),
            self.barriers.hangs_on(lease),
            self.elections.hangs_on(lease),
        ];
        if !hang_on_it.contains(&true) {
            return;
        }
        *revision = revision.next();
        keys.end_all(lease, history);
        self.locks.leave_all(lease, (*revision, now), history);
        self.claims.end_all(lease, history);
        self.barriers.leave_all(lease, history);
        self.elections.leave_all(lease, (*revision, now), history);
    }

    pub(crate) fn digest(&self, how: Digesting) -> impl Serialize + use<> {
        let hanging = (self.leases.digest(how), self.locks.digest(how), self.claims.digest(how));
        let standing = (self.registers.digest(how), self.counters.digest(how));
        let meeting = (self.barriers.digest(how), self.elections.digest(how));
        (hanging, standing, meeting, self.journals.digest(how))
    }

    /// The same without what follows from the rest: cheap, and enough to encode.
    pub(crate) fn rows(&self) -> Services {
        Services {
            leases: self.leases.rows(),
            locks: self.locks.rows(),
            claims: self.claims.rows(),
            registers: self.registers.rows(),
            counters: self.counters.rows(),
            barriers: self.barriers.rows(),
            journals: self.journals.rows(),
            elections: self.elections.rows(),
        }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.leases.encode(to)?;
        self.locks.encode(to)?;
        self.claims.encode(to)?;
        self.registers.encode(to)?;
        self.counters.encode(to)?;
        self.barriers.encode(to)?;
        self.journals.encode(to)?;
        self.elections.encode(to)
    }

    pub(crate) fn restore(from: &mut Decoder<'_>) -> Result<Services, RestoreError> {
        Ok(Services {
            leases: Leases::restore(LEASES, from)?,
            locks: Locks::restore(LOCKS, from)?,
            claims: Claims::restore(CLAIMS, from)?,
            registers: Registers::restore(REGISTERS, from)?,
            counters: Counters::restore(COUNTERS, from)?,
            barriers: Barriers::restore(BARRIERS, from)?,
            journals: Journals::restore(JOURNALS, from)?,
            elections: Elections::restore(ELECTIONS, from)?,
        })
    }
}

/// Rows whose names begin with `prefix` and come after `after`, in the order of names.
fn named_rows<'a, V: Clone + Serialize>(
    rows: &'a Table<Name, V>,
    prefix: &'a str,
    after: Option<&Name>,
) -> impl Iterator<Item = (&'a Name, &'a V)> + use<'a, V> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match after {
        Some(after) if after.as_str() >= prefix => Excluded(after.clone()),
        Some(_) | None => Included(Name::new(prefix)),
    };
    let rows = rows.range((start, Unbounded));
    rows.take_while(move |(name, _)| name.as_str().starts_with(prefix))
}
