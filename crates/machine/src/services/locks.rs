use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::shares::{Limits, Shares};
use crate::limits::{Misuse, check_name, check_reason};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, LeaseId, Name, Rejection, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
};

/// Who holds a lock and who waits for one, all of them together, and of one client.
const LIMITS: Limits = Limits {
    what: Counted::Contenders,
    max: 200_000,
    of_owner: Counted::ContendersOfOwner,
    of_owner_max: 16_384,
};
/// Those who wait that are shown of one lock.
pub(crate) const WAITERS_SHOWN_MAX: usize = 16;

/// What can be done with locks (Burrows, *The Chubby Lock Service*, 2006, §2.4: a lock is advisory,
/// and what makes it safe is the sequencer that travels with every use of it).
///
/// A lock hangs on a lease and ends with it. Whoever gets it gets a fencing token with it, which
/// grows from grant to grant for ever: the resource that the lock guards must refuse a smaller one
/// after a larger. Those who wait get it in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockCommand {
    /// Takes it, or a place in the queue: `Held`, `Queued` or `Taken`. Whoever is there already is
    /// told where it stands.
    Acquire {
        /// Which.
        name: Name,
        /// On which lease of the client whose session asks.
        lease: LeaseId,
        /// Whether to wait in the queue.
        wait: bool,
    },
    /// Lets go of it, or of the place in the queue: `Released` or `Absent`.
    Release {
        /// Which.
        name: Name,
        /// On which lease.
        lease: LeaseId,
    },
    /// A person takes it away from whoever holds it: `Released` or `Absent`.
    Break {
        /// Which.
        name: Name,
        /// Who says so.
        actor: String,
        /// And why.
        reason: String,
    },
}

/// What became of a [`LockCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockReply {
    /// It is held.
    Held {
        /// What the resource is to be shown.
        token: Revision,
    },
    /// The place in the queue; the lock comes as a [`Change::Lock`] after this revision.
    Queued {
        /// What the place is called.
        at: Revision,
        /// Who has it now.
        holder: Holder,
    },
    /// Another holds it.
    Taken {
        /// Who.
        by: Holder,
    },
    /// It was let go of, or taken away.
    Released {
        /// The revision of that.
        revision: Revision,
        /// The token under which it was held; `None` of a place in the queue.
        token: Option<Revision>,
    },
    /// There was nothing to let go of.
    Absent,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// On which lease.
    pub lease: LeaseId,
    /// Of whom.
    pub owner: String,
    /// The revision of the grant.
    pub token: Revision,
    /// When it was granted, by the stamp of the batch.
    pub since_ms: u64,
}

/// A lock for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// Which.
    pub name: Name,
    /// Who has it.
    pub holder: Holder,
    /// The first of those who wait: on which lease, and of whom.
    pub waiters: Vec<(LeaseId, String)>,
    /// How many wait.
    pub waiting: u64,
}

impl LockCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            LockCommand::Acquire { name, .. } | LockCommand::Release { name, .. } => {
                check_name(name)
            }
            LockCommand::Break { name, actor, reason } => {
                check_name(name)?;
                check_reason(actor, reason)
            }
        }
    }

    /// Bytes of the texts in it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            LockCommand::Acquire { name, .. } | LockCommand::Release { name, .. } => {
                name.as_str().len()
            }
            LockCommand::Break { name, actor, reason } => {
                name.as_str().len().saturating_add(actor.len()).saturating_add(reason.len())
            }
        }
    }
}

/// Every lock that somebody holds: the first in the queue of its name.
#[derive(Clone, Debug)]
pub(crate) struct Locks {
    rows: Table<(Name, Revision), Contender>,
    /// Follows from `rows`.
    by_lease: BTreeSet<(LeaseId, Name, Revision)>,
    /// Follows from `rows`.
    shares: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contender {
    lease: LeaseId,
    owner: String,
    /// Since when it stands here: as holder, if it holds.
    since: Timestamp,
    /// The revision of the grant. Exactly the first of a name has one.
    token: Option<Revision>,
}

impl Contender {
    fn holder(&self) -> Option<Holder> {
        let token = self.token?;
        let (lease, owner) = (self.lease, self.owner.clone());
        Some(Holder { lease, owner, token, since_ms: self.since.0 })
    }
}

impl Locks {
    pub(crate) fn new(seed: u64) -> Locks {
        Locks { rows: Table::new(seed), by_lease: BTreeSet::new(), shares: Shares::new(&LIMITS) }
    }

    /// Takes the lock if nobody has it, else a place in the queue if `wait`. `revision` moves if
    /// anything changes.
    pub(crate) fn acquire(
        &mut self,
        name: Name,
        contender: (LeaseId, String),
        wait: bool,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> Result<LockReply, Rejection> {
        let (lease, owner) = contender;
        let holder = self.holder(&name);
        if let Some(at) = self.place(&name, lease) {
            return Ok(match holder {
                Some(holder) if holder.lease == lease => LockReply::Held { token: holder.token },
                Some(holder) => LockReply::Queued { at, holder },
                None => LockReply::Absent,
            });
        }
        if let Some(by) = &holder
            && !wait
        {
            return Ok(LockReply::Taken { by: by.clone() });
        }
        self.shares.have_room(&owner, 1)?;
        *revision = revision.next();
        let at = *revision;
        let token = holder.is_none().then_some(at);
        self.insert(name.clone(), at, Contender { lease, owner, since: now, token });
        match holder {
            Some(holder) => Ok(LockReply::Queued { at, holder }),
            None => {
                self.tell(name, history);
                Ok(LockReply::Held { token: at })
            }
        }
    }

    /// Lets go of the lock or of the place in the queue.
    pub(crate) fn release(
        &mut self,
        name: Name,
        lease: LeaseId,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> LockReply {
        let Some(place) = self.place(&name, lease) else { return LockReply::Absent };
        *revision = revision.next();
        let token = self.remove(&name, place).and_then(|gone| gone.token);
        if token.is_some() {
            self.pass_on(name, *revision, now, history);
        }
        LockReply::Released { revision: *revision, token }
    }

    /// Lets go of everything that hangs on a lease, at one revision. A lease stands once in a
    /// queue, so nothing passes on to the lease that is over.
    pub(crate) fn leave_all(
        &mut self,
        lease: LeaseId,
        (at, now): (Revision, Timestamp),
        history: &mut History,
    ) {
        let places: Vec<_> =
            self.of_lease(lease).map(|(name, place)| (name.clone(), place)).collect();
        for (name, place) in places {
            if self.remove(&name, place).is_some_and(|gone| gone.token.is_some()) {
                self.pass_on(name, at, now, history);
            }
        }
    }

    /// Whether it holds or awaits any lock.
    pub(crate) fn hangs_on(&self, lease: LeaseId) -> bool {
        self.of_lease(lease).next().is_some()
    }

    pub(crate) fn holder(&self, name: &Name) -> Option<Holder> {
        self.queue(name).next().and_then(|(_, first)| first.holder())
    }

    pub(crate) fn view(&self, name: &Name) -> Option<LockView> {
        let holder = self.holder(name)?;
        let waiting = self.queue(name).skip(1);
        let waiters = waiting.map(|(_, waiter)| (waiter.lease, waiter.owner.clone()));
        let waiters = waiters.take(WAITERS_SHOWN_MAX).collect();
        let waiting = self.queue(name).skip(1).count() as u64;
        Some(LockView { name: name.clone(), holder, waiters, waiting })
    }

    /// Locks whose names begin with `prefix` and come after `after`, in the order of names.
    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
    ) -> impl Iterator<Item = LockView> + 'a {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let last = |name: &Name| (name.clone(), Revision::new(u64::MAX));
        let start = match after {
            Some(after) if after.as_str() >= prefix => Excluded(last(after)),
            Some(_) | None => Included((Name::new(prefix), Revision::ZERO)),
        };
        let rows = self.rows.range((start, Unbounded));
        let rows = rows.take_while(move |((name, _), _)| name.as_str().starts_with(prefix));
        let held = rows.filter(|(_, contender)| contender.token.is_some());
        held.filter_map(|((name, _), _)| self.view(name))
    }

    /// How many hold or wait.
    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Locks {
        let shares = Shares::new(&LIMITS);
        Locks { rows: self.rows.clone(), by_lease: BTreeSet::new(), shares }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Locks, RestoreError> {
        let mut locks = Locks::new(seed);
        let rows: Table<(Name, Revision), Contender> = Table::restore(seed, from)?;
        for ((name, at), contender) in rows.iter() {
            locks.insert(name.clone(), *at, contender.clone());
        }
        Ok(locks)
    }

    /// The first of the queue is the holder from here on.
    fn pass_on(&mut self, name: Name, at: Revision, now: Timestamp, history: &mut History) {
        let next = self.queue(&name).next().map(|(place, _)| place);
        if let Some(place) = next {
            self.rows.change(&(name.clone(), place), |next| {
                (next.token, next.since) = (Some(at), now);
            });
        }
        self.tell(name, history);
    }

    fn tell(&self, name: Name, history: &mut History) {
        let holder = self.holder(&name);
        history.note(Change::Lock { name, holder });
    }

    fn queue(&self, name: &Name) -> impl Iterator<Item = (Revision, &Contender)> {
        let all = (name.clone(), Revision::ZERO)..=(name.clone(), Revision::new(u64::MAX));
        self.rows.range(all).map(|((_, at), contender)| (*at, contender))
    }

    fn place(&self, name: &Name, lease: LeaseId) -> Option<Revision> {
        let all =
            (lease, name.clone(), Revision::ZERO)..=(lease, name.clone(), Revision::new(u64::MAX));
        self.by_lease.range(all).next().map(|(_, _, at)| *at)
    }

    fn of_lease(&self, lease: LeaseId) -> impl Iterator<Item = (&Name, Revision)> {
        let all = self.by_lease.range((lease, Name::new(""), Revision::ZERO)..);
        all.take_while(move |(of, _, _)| *of == lease).map(|(_, name, at)| (name, *at))
    }

    fn insert(&mut self, name: Name, at: Revision, contender: Contender) {
        self.shares.take(&contender.owner, 1);
        self.by_lease.insert((contender.lease, name.clone(), at));
        self.rows.insert((name, at), contender);
    }

    fn remove(&mut self, name: &Name, at: Revision) -> Option<Contender> {
        let gone = self.rows.remove(&(name.clone(), at))?;
        self.by_lease.remove(&(gone.lease, name.clone(), at));
        self.shares.give_back(&gone.owner, 1);
        Some(gone)
    }
}
