use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    named_rows,
    shares::{Limits, Shares},
};
use crate::limits::{Misuse, between, check_name};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, LeaseId, Name, Rejection, RestoreError, Revision,
    coding::{Decoder, Encoder},
    history::History,
};

/// Parties of one barrier: as many come together as a person would still look through.
pub const PARTIES_MAX: u64 = 4_096;

/// Barriers that were not removed, counted for whose party came first.
const LIMITS: Limits = Limits {
    what: Counted::Barriers,
    max: 100_000,
    of_owner: Counted::BarriersOfOwner,
    of_owner_max: 16_384,
};
/// Parties that have arrived and not left.
const ARRIVALS: Limits = Limits {
    what: Counted::Arrivals,
    max: 200_000,
    of_owner: Counted::ArrivalsOfOwner,
    of_owner_max: 16_384,
};

/// What can be done with barriers: nobody passes before everybody has come, and whoever wants to
/// know may wait until everybody has left again.
///
/// A party is a lease. Until the barrier opens, the end of a lease withdraws its party; once it is
/// open it stays so until it is removed, and the end of a lease is a party that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BarrierCommand {
    /// A party comes: `Waiting`, or `Open`.
    Arrive {
        /// At which.
        name: Name,
        /// Which party: a lease of the client whose session asks.
        lease: LeaseId,
        /// How many must come. All say the same.
        parties: u32,
    },
    /// A party goes, before the barrier opens or after: `Left`, or `Absent`.
    Leave {
        /// From which.
        name: Name,
        /// Which party.
        lease: LeaseId,
    },
    /// Removes one that is open: `Removed`, `Absent`, or `Waiting` if some still wait for it.
    Remove {
        /// Which.
        name: Name,
    },
}

/// What became of a [`BarrierCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BarrierReply {
    /// Not all have come. That it opens comes as a [`Change::Barrier`] after this revision.
    Waiting {
        /// How many have.
        arrived: u32,
        /// Of how many.
        of: u32,
        /// The revision at which it is so.
        at: Revision,
    },
    /// All have come.
    Open {
        /// The revision at which the last did.
        at: Revision,
    },
    /// The party is gone.
    Left {
        /// How many are still there.
        here: u32,
        /// The revision at which it is so.
        revision: Revision,
    },
    /// There is no barrier any more.
    Removed {
        /// The revision of that.
        revision: Revision,
    },
    /// There was no such barrier, or the party was not there.
    Absent,
}

/// What those who wait at a barrier wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BarrierNews {
    /// All have come.
    Open,
    /// All that came have left.
    Empty,
    /// It was removed.
    Removed,
}

/// A barrier for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarrierView {
    /// Which.
    pub name: Name,
    /// How many must come.
    pub parties: u32,
    /// How many are there.
    pub here: u32,
    /// The revision at which it opened.
    pub opened: Option<Revision>,
    /// The owner of the session whose party came first.
    pub owner: String,
}

impl BarrierCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            BarrierCommand::Arrive { name, parties, .. } => {
                check_name(name)?;
                between("parties of a barrier", u64::from(*parties), 1, PARTIES_MAX)
            }
            BarrierCommand::Leave { name, .. } | BarrierCommand::Remove { name } => {
                check_name(name)
            }
        }
    }

    /// Bytes of the texts in it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            BarrierCommand::Arrive { name, .. }
            | BarrierCommand::Leave { name, .. }
            | BarrierCommand::Remove { name } => name.as_str().len(),
        }
    }
}

/// Every barrier at which somebody has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Barriers {
    rows: Table<Name, Barrier>,
    /// Who has arrived and not left: the owner of each.
    arrivals: Table<(Name, LeaseId), String>,
    /// Follows from `arrivals`.
    by_lease: BTreeSet<(LeaseId, Name)>,
    /// Follows from `rows`.
    shares: Shares,
    /// Follows from `arrivals`.
    arrived: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Barrier {
    parties: u32,
    /// How many rows of `arrivals` it has.
    here: u32,
    opened: Option<Revision>,
    owner: String,
}

impl Barriers {
    pub(crate) fn new([seed, arrivals]: [u64; 2]) -> Barriers {
        Barriers::with(Table::new(seed), Table::new(arrivals))
    }

    pub(crate) fn arrive(
        &mut self,
        name: Name,
        (lease, owner): (LeaseId, String),
        parties: u32,
        revision: &mut Revision,
        history: &mut History,
    ) -> Result<BarrierReply, Rejection> {
        let place = (name, lease);
        let stands = self.rows.get(&place.0);
        match stands {
            Some(Barrier { parties: of, .. }) if *of != parties => {
                return Err(Rejection::OtherParties { of: *of });
            }
            Some(Barrier { opened: Some(at), .. }) => return Ok(BarrierReply::Open { at: *at }),
            Some(Barrier { here, .. }) if self.arrivals.contains(&place) => {
                let (arrived, of, at) = (*here, parties, *revision);
                return Ok(BarrierReply::Waiting { arrived, of, at });
            }
            Some(_) => {}
            None => self.shares.have_room(&owner, 1)?,
        }
        self.arrived.have_room(&owner, 1)?;
        *revision = revision.next();
        let at = *revision;
        let mut barrier = match self.rows.remove(&place.0) {
            Some(barrier) => barrier,
            None => {
                self.shares.take(&owner, 1);
                Barrier { parties, here: 0, opened: None, owner: owner.clone() }
            }
        };
        barrier.here = barrier.here.saturating_add(1);
        let (arrived, full) = (barrier.here, barrier.here >= parties);
        barrier.opened = full.then_some(at);
        self.rows.insert(place.0.clone(), barrier);
        self.come(place.clone(), owner);
        if !full {
            return Ok(BarrierReply::Waiting { arrived, of: parties, at });
        }
        history.note(Change::Barrier { name: place.0, news: BarrierNews::Open });
        Ok(BarrierReply::Open { at })
    }

    pub(crate) fn leave(
        &mut self,
        name: Name,
        lease: LeaseId,
        revision: &mut Revision,
        history: &mut History,
    ) -> BarrierReply {
        if !self.arrivals.contains(&(name.clone(), lease)) {
            return BarrierReply::Absent;
        }
        *revision = revision.next();
        let here = self.go((name, lease), history);
        BarrierReply::Left { here, revision: *revision }
    }

    /// The party of a lease leaves every barrier with it.
    pub(crate) fn leave_all(&mut self, lease: LeaseId, history: &mut History) {
        let names: Vec<Name> = self.of_lease(lease).cloned().collect();
        for name in names {
            self.go((name, lease), history);
        }
    }

    pub(crate) fn hangs_on(&self, lease: LeaseId) -> bool {
        self.of_lease(lease).next().is_some()
    }

    pub(crate) fn remove(
        &mut self,
        name: Name,
        revision: &mut Revision,
        history: &mut History,
    ) -> BarrierReply {
        match self.rows.get(&name) {
            None => return BarrierReply::Absent,
            Some(Barrier { opened: None, here, parties, .. }) => {
                let (arrived, of, at) = (*here, *parties, *revision);
                return BarrierReply::Waiting { arrived, of, at };
            }
            Some(_) => {}
        }
        let all = (name.clone(), LeaseId::ZERO)..=(name.clone(), LeaseId::new(u64::MAX));
        let parties: Vec<_> = self.arrivals.range(all).map(|(place, _)| place.clone()).collect();
        parties.iter().for_each(|place| self.depart(place));
        self.forget(&name);
        *revision = revision.next();
        history.note(Change::Barrier { name, news: BarrierNews::Removed });
        BarrierReply::Removed { revision: *revision }
    }

    pub(crate) fn view(&self, name: &Name) -> Option<BarrierView> {
        self.rows.get(name).map(|barrier| view(name, barrier))
    }

    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
    ) -> impl Iterator<Item = BarrierView> + 'a {
        named_rows(&self.rows, prefix, after).map(|(name, barrier)| view(name, barrier))
    }

    /// How many there are, and how many parties are at them.
    pub(crate) fn count(&self) -> (u64, u64) {
        (self.rows.len(), self.arrivals.len())
    }

    pub(crate) fn digest(&self, how: Digesting) -> (u64, u64) {
        (self.rows.digest(how), self.arrivals.digest(how))
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Barriers {
        Barriers::with(self.rows.clone(), self.arrivals.clone())
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)?;
        self.arrivals.encode(to)
    }

    pub(crate) fn restore(
        [seed, arrivals]: [u64; 2],
        from: &mut Decoder<'_>,
    ) -> Result<Barriers, RestoreError> {
        let mut barriers = Barriers::with(Table::restore(seed, from)?, Table::new(arrivals));
        let arrivals: Table<(Name, LeaseId), String> = Table::restore(arrivals, from)?;
        for (_, barrier) in barriers.rows.iter() {
            barriers.shares.take(&barrier.owner, 1);
        }
        for (place, owner) in arrivals.iter() {
            barriers.come(place.clone(), owner.clone());
        }
        Ok(barriers)
    }

    fn with(rows: Table<Name, Barrier>, arrivals: Table<(Name, LeaseId), String>) -> Barriers {
        let (shares, arrived) = (Shares::new(&LIMITS), Shares::new(&ARRIVALS));
        Barriers { rows, arrivals, by_lease: BTreeSet::new(), shares, arrived }
    }

    fn of_lease(&self, lease: LeaseId) -> impl Iterator<Item = &Name> {
        let all = self.by_lease.range((lease, Name::new(""))..);
        all.take_while(move |(of, _)| *of == lease).map(|(_, name)| name)
    }

    fn come(&mut self, (name, lease): (Name, LeaseId), owner: String) {
        self.arrived.take(&owner, 1);
        self.by_lease.insert((lease, name.clone()));
        self.arrivals.insert((name, lease), owner);
    }

    fn depart(&mut self, place: &(Name, LeaseId)) {
        let Some(owner) = self.arrivals.remove(place) else { return };
        self.arrived.give_back(&owner, 1);
        self.by_lease.remove(&(place.1, place.0.clone()));
    }

    /// A party leaves; how many are still there. One that has not opened is nothing without
    /// parties, so that the next may say another number.
    fn go(&mut self, place: (Name, LeaseId), history: &mut History) -> u32 {
        self.depart(&place);
        let (name, _) = place;
        let left = self.rows.change(&name, |barrier| {
            barrier.here = barrier.here.saturating_sub(1);
            (barrier.here, barrier.opened.is_some())
        });
        let (here, opened) = left.unwrap_or_default();
        match (here, opened) {
            (0, false) => self.forget(&name),
            (0, true) => history.note(Change::Barrier { name, news: BarrierNews::Empty }),
            _ => {}
        }
        here
    }

    fn forget(&mut self, name: &Name) {
        if let Some(gone) = self.rows.remove(name) {
            self.shares.give_back(&gone.owner, 1);
        }
    }
}

fn view(name: &Name, barrier: &Barrier) -> BarrierView {
    BarrierView {
        name: name.clone(),
        parties: barrier.parties,
        here: barrier.here,
        opened: barrier.opened,
        owner: barrier.owner.clone(),
    }
}
