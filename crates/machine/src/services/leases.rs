use serde::{Deserialize, Serialize};

use super::shares::{Limits, Shares};
use crate::limits::{Misuse, TTL_MS_MAX, TTL_MS_MIN, between, check_reason};
use crate::table::{Digesting, Table};
use crate::{
    Counted, FenceGuard, LeaseId, Rejection, RestoreError, Timestamp,
    coding::{Decoder, Encoder},
    owner_name,
};

/// Leases that have not ended, and of one client.
const LIMITS: Limits = Limits {
    what: Counted::Leases,
    max: 100_000,
    of_owner: Counted::LeasesOfOwner,
    of_owner_max: 16_384,
};

/// What can be done with leases (Gray and Cheriton, *Leases: An Efficient Fault-Tolerant Mechanism
/// for Distributed File Cache Consistency*, 1989).
///
/// A lease is a promise of the log: what hangs on it stands until it ends, and it does not end
/// while its owner renews it in time. Renewals go to the leader and are not in the log
/// ([`Call::Renew`](crate::door::Call::Renew)); its end always is. It outlives the session in
/// which it was granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeaseCommand {
    /// A new lease for the client whose session asks: [`Reply::Lease`](crate::Reply::Lease).
    Grant {
        /// Milliseconds without a renewal that end it.
        ttl_ms: u64,
    },
    /// Its owner ends it. It may have ended already.
    Revoke {
        /// Which.
        lease: LeaseId,
    },
    /// A leader holds it to be over. Nothing happens unless the guard holds.
    Expire {
        /// Which.
        lease: LeaseId,
        /// The reign that says so, and how many signs of life it had seen in the log.
        guard: FenceGuard,
    },
    /// A person ends it, whosever it is.
    Break {
        /// Which.
        lease: LeaseId,
        /// Who says so.
        actor: String,
        /// And why.
        reason: String,
    },
}

impl LeaseCommand {
    /// Whether a second copy of it would do harm, or it is for its owner alone to say.
    pub(crate) fn must_be_named(&self) -> bool {
        !matches!(self, LeaseCommand::Expire { .. })
    }

    /// Whether it keeps the limits.
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            LeaseCommand::Grant { ttl_ms } => {
                between("milliseconds of a time to live", *ttl_ms, TTL_MS_MIN, TTL_MS_MAX)
            }
            LeaseCommand::Break { actor, reason, .. } => check_reason(actor, reason),
            LeaseCommand::Revoke { .. } | LeaseCommand::Expire { .. } => Ok(()),
        }
    }

    /// Bytes of the texts in it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            LeaseCommand::Break { actor, reason, .. } => actor.len().saturating_add(reason.len()),
            _ => 0,
        }
    }
}

/// A lease for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// Which.
    pub lease: LeaseId,
    /// The owner of the session in which it was granted.
    pub owner: String,
    /// Milliseconds without a renewal that end it.
    pub ttl_ms: u64,
    /// Signs of life that are in the log.
    pub renewals: u64,
    /// When it was granted, by the stamp of the batch.
    pub granted_at_ms: u64,
}

/// The leases that have not ended.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    last: LeaseId,
    rows: Table<LeaseId, Lease>,
    /// Follows from `rows`.
    shares: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    owner: String,
    ttl_ms: u64,
    renewals: u64,
    granted: Timestamp,
}

impl Leases {
    pub(crate) fn new(seed: u64) -> Leases {
        Leases { last: LeaseId::ZERO, rows: Table::new(seed), shares: Shares::new(&LIMITS) }
    }

    pub(crate) fn grant(
        &mut self,
        owner: String,
        ttl_ms: u64,
        now: Timestamp,
    ) -> Result<LeaseId, Rejection> {
        self.shares.have_room(&owner, 1)?;
        self.shares.take(&owner, 1);
        self.last = self.last.next();
        self.rows.insert(self.last, Lease { owner, ttl_ms, renewals: 0, granted: now });
        Ok(self.last)
    }

    /// Whether it was ever granted.
    pub(crate) fn was_granted(&self, lease: LeaseId) -> bool {
        lease != LeaseId::ZERO && lease <= self.last
    }

    /// Why it cannot be used, when it is not there.
    pub(crate) fn absent(&self, lease: LeaseId) -> Rejection {
        match self.was_granted(lease) {
            true => Rejection::LeaseEnded,
            false => Rejection::UnknownLease,
        }
    }

    /// `client` uses its lease, which is a sign of life. A lease serves nobody but its owner.
    pub(crate) fn used_by(&mut self, lease: LeaseId, client: &str) -> Result<(), Rejection> {
        let Some(owner) = self.owner(lease) else { return Err(self.absent(lease)) };
        if owner_name(owner) != owner_name(client) {
            return Err(Rejection::ForeignLease);
        }
        self.rows.change(&lease, |lease| lease.renewals = lease.renewals.saturating_add(1));
        Ok(())
    }

    /// What a leader takes for silence was none, when another reigns or the lease was used since.
    pub(crate) fn signs_of_life(&self, lease: LeaseId) -> Option<u64> {
        self.rows.get(&lease).map(|lease| lease.renewals)
    }

    /// Whether it was there to be ended.
    pub(crate) fn end(&mut self, lease: LeaseId) -> bool {
        let Some(Lease { owner, .. }) = self.rows.remove(&lease) else { return false };
        self.shares.give_back(&owner, 1);
        true
    }

    /// Who it was granted to, if it has not ended.
    pub(crate) fn owner(&self, lease: LeaseId) -> Option<&str> {
        self.rows.get(&lease).map(|lease| lease.owner.as_str())
    }

    pub(crate) fn view(&self, lease: LeaseId) -> Option<LeaseView> {
        self.rows.get(&lease).map(|row| view(lease, row))
    }

    /// Those that have not ended: their times to live and their uses.
    pub(crate) fn live(&self) -> impl Iterator<Item = (LeaseId, u64, u64)> + '_ {
        self.rows.iter().map(|(lease, row)| (*lease, row.ttl_ms, row.renewals))
    }

    pub(crate) fn views_after(&self, after: LeaseId) -> impl Iterator<Item = LeaseView> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.rows.range((Excluded(after), Unbounded)).map(|(lease, row)| view(*lease, row))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn digest(&self, how: Digesting) -> (LeaseId, u64) {
        (self.last, self.rows.digest(how))
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Leases {
        Leases { last: self.last, rows: self.rows.clone(), shares: Shares::new(&LIMITS) }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&self.last)?;
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Leases, RestoreError> {
        let last = from.take()?;
        let rows: Table<LeaseId, Lease> = Table::restore(seed, from)?;
        let mut shares = Shares::new(&LIMITS);
        rows.iter().for_each(|(_, lease)| shares.take(&lease.owner, 1));
        Ok(Leases { last, rows, shares })
    }
}

fn view(lease: LeaseId, row: &Lease) -> LeaseView {
    LeaseView {
        lease,
        owner: row.owner.clone(),
        ttl_ms: row.ttl_ms,
        renewals: row.renewals,
        granted_at_ms: row.granted.0,
    }
}
