use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    named_rows,
    shares::{Limits, Shares},
};
use crate::limits::{Misuse, check_name, check_owner, check_reason};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, LeaseId, Name, Rejection, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
    owner_name,
};

/// Names that are claimed, and of one client: most claims stand without a lease, so they gather.
const LIMITS: Limits = Limits {
    what: Counted::Claims,
    max: 200_000,
    of_owner: Counted::ClaimsOfOwner,
    of_owner_max: 65_536,
};

/// What can be done with claims: names of which each has one owner at most.
///
/// A claim stands until it is released, or until the lease ends on which it hangs. It guards
/// nothing by itself: a resource that must refuse yesterday's owner wants a lock and its token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClaimCommand {
    /// Takes it: `Taken`, or `TakenBy` another. Whoever has it is told so again, and it hangs on
    /// the lease of the latest take.
    Take {
        /// Which.
        name: Name,
        /// For whom: what the name is to stand for.
        owner: String,
        /// The lease of the asking client on which it hangs; without one it stands until released.
        lease: Option<LeaseId>,
    },
    /// Gives it back, which only the client may that took it: `Released`, `Absent`, or `TakenBy`
    /// when it stands for another owner.
    Release {
        /// Which.
        name: Name,
        /// For whom it was taken.
        owner: String,
    },
    /// A person takes it away from whoever has it: `Released` or `Absent`.
    Break {
        /// Which.
        name: Name,
        /// Who says so.
        actor: String,
        /// And why.
        reason: String,
    },
}

/// What became of a [`ClaimCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClaimReply {
    /// It is the owner's for whom it was asked.
    Taken {
        /// The revision at which it came to be.
        at: Revision,
    },
    /// It is another's.
    TakenBy(ClaimView),
    /// It was given back, or taken away.
    Released {
        /// The revision of that.
        revision: Revision,
    },
    /// There was nothing to give back.
    Absent,
}

/// A claim for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClaimView {
    /// Which.
    pub name: Name,
    /// For whom.
    pub owner: String,
    /// The owner of the session in which it was taken.
    pub client: String,
    /// On which lease it hangs.
    pub lease: Option<LeaseId>,
    /// The revision at which it came to be.
    pub at: Revision,
    /// When, by the stamp of the batch.
    pub since_ms: u64,
}

impl ClaimCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            ClaimCommand::Take { name, owner, .. } | ClaimCommand::Release { name, owner } => {
                check_name(name)?;
                check_owner(owner)
            }
            ClaimCommand::Break { name, actor, reason } => {
                check_name(name)?;
                check_reason(actor, reason)
            }
        }
    }

    /// Bytes of the texts in it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            ClaimCommand::Take { name, owner, .. } | ClaimCommand::Release { name, owner } => {
                name.as_str().len().saturating_add(owner.len())
            }
            ClaimCommand::Break { name, actor, reason } => {
                name.as_str().len().saturating_add(actor.len()).saturating_add(reason.len())
            }
        }
    }
}

/// Every name that is claimed.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    rows: Table<Name, Claim>,
    /// Follows from `rows`.
    by_lease: BTreeSet<(LeaseId, Name)>,
    /// Follows from `rows`.
    shares: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    owner: String,
    client: String,
    lease: Option<LeaseId>,
    at: Revision,
    since: Timestamp,
}

impl Claim {
    fn is_for(&self, owner: &str, client: &str) -> bool {
        self.owner == owner && self.is_of(client)
    }

    fn is_of(&self, client: &str) -> bool {
        owner_name(&self.client) == owner_name(client)
    }
}

impl Claims {
    pub(crate) fn new(seed: u64) -> Claims {
        let (by_lease, shares) = (BTreeSet::new(), Shares::new(&LIMITS));
        Claims { rows: Table::new(seed), by_lease, shares }
    }

    pub(crate) fn take(
        &mut self,
        name: Name,
        (owner, client): (String, String),
        lease: Option<LeaseId>,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> Result<ClaimReply, Rejection> {
        let (at, since) = match self.rows.get(&name) {
            Some(claim) if !claim.is_for(&owner, &client) => {
                return Ok(ClaimReply::TakenBy(view(&name, claim)));
            }
            Some(claim) if claim.lease == lease => return Ok(ClaimReply::Taken { at: claim.at }),
            Some(claim) => (claim.at, claim.since),
            None => {
                self.shares.have_room(&client, 1)?;
                (revision.next(), now)
            }
        };
        *revision = revision.next();
        self.remove(&name);
        self.insert(name.clone(), Claim { owner, client, lease, at, since });
        self.tell(name, history);
        Ok(ClaimReply::Taken { at })
    }

    pub(crate) fn release(
        &mut self,
        name: Name,
        (owner, client): (&str, &str),
        revision: &mut Revision,
        history: &mut History,
    ) -> Result<ClaimReply, Rejection> {
        let Some(claim) = self.rows.get(&name) else { return Ok(ClaimReply::Absent) };
        if !claim.is_of(client) {
            return Err(Rejection::ForeignClaim);
        }
        if !claim.is_for(owner, client) {
            return Ok(ClaimReply::TakenBy(view(&name, claim)));
        }
        Ok(self.end(name, revision, history))
    }

    /// It is nobody's, whosever it was.
    pub(crate) fn end(
        &mut self,
        name: Name,
        revision: &mut Revision,
        history: &mut History,
    ) -> ClaimReply {
        if self.remove(&name).is_none() {
            return ClaimReply::Absent;
        }
        *revision = revision.next();
        self.tell(name, history);
        ClaimReply::Released { revision: *revision }
    }

    /// Claims end with the lease on which they hang.
    pub(crate) fn end_all(&mut self, lease: LeaseId, history: &mut History) {
        let names: Vec<Name> = self.of_lease(lease).cloned().collect();
        for name in names {
            self.remove(&name);
            self.tell(name, history);
        }
    }

    pub(crate) fn hangs_on(&self, lease: LeaseId) -> bool {
        self.of_lease(lease).next().is_some()
    }

    pub(crate) fn view(&self, name: &Name) -> Option<ClaimView> {
        self.rows.get(name).map(|claim| view(name, claim))
    }

    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
    ) -> impl Iterator<Item = ClaimView> + 'a {
        named_rows(&self.rows, prefix, after).map(|(name, claim)| view(name, claim))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Claims {
        let (by_lease, shares) = (BTreeSet::new(), Shares::new(&LIMITS));
        Claims { rows: self.rows.clone(), by_lease, shares }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Claims, RestoreError> {
        let mut claims = Claims::new(seed);
        let rows: Table<Name, Claim> = Table::restore(seed, from)?;
        for (name, claim) in rows.iter() {
            claims.insert(name.clone(), claim.clone());
        }
        Ok(claims)
    }

    fn tell(&self, name: Name, history: &mut History) {
        let claim = self.view(&name);
        history.note(Change::Claim { name, claim });
    }

    fn of_lease(&self, lease: LeaseId) -> impl Iterator<Item = &Name> {
        let all = self.by_lease.range((lease, Name::new(""))..);
        all.take_while(move |(of, _)| *of == lease).map(|(_, name)| name)
    }

    fn insert(&mut self, name: Name, claim: Claim) {
        self.shares.take(&claim.client, 1);
        if let Some(lease) = claim.lease {
            self.by_lease.insert((lease, name.clone()));
        }
        self.rows.insert(name, claim);
    }

    fn remove(&mut self, name: &Name) -> Option<Claim> {
        let gone = self.rows.remove(name)?;
        self.shares.give_back(&gone.client, 1);
        if let Some(lease) = gone.lease {
            self.by_lease.remove(&(lease, name.clone()));
        }
        Some(gone)
    }
}

fn view(name: &Name, claim: &Claim) -> ClaimView {
    ClaimView {
        name: name.clone(),
        owner: claim.owner.clone(),
        client: claim.client.clone(),
        lease: claim.lease,
        at: claim.at,
        since_ms: claim.since.0,
    }
}
