//! How much room guests take: connections by name, and bytes that wait for an answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Identity, limits::Limits};

/// A budget is counted in units of this many bytes; the smallest question takes one.
const UNIT_BYTES: usize = 512;

/// The guests of one house.
#[derive(Debug)]
pub(crate) struct Guests {
    limits: Limits,
    seats: Mutex<BTreeMap<Identity, usize>>,
    room: Arc<Semaphore>,
    trays: Arc<Semaphore>,
}

/// One connection's place among the guests, with its own budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    guests: Arc<Guests>,
    identity: Identity,
    room: Arc<Semaphore>,
    tray: Tray,
}

/// Where answers lie that their callers have not taken.
#[derive(Clone, Debug)]
pub(crate) struct Tray {
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    pub(crate) patience: Duration,
}

/// Room for one question until it is answered, or for one answer until it is taken.
#[derive(Debug)]
pub(crate) struct Room {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl Guests {
    pub(crate) fn new(limits: Limits) -> Guests {
        let room = Arc::new(Semaphore::new(limits.unanswered_bytes_all / UNIT_BYTES));
        let trays = Arc::new(Semaphore::new(limits.untaken_bytes_all / UNIT_BYTES));
        Guests { limits, seats: Mutex::default(), room, trays }
    }

    /// A place for one more connection, unless a limit says no.
    pub(crate) fn seat(self: &Arc<Guests>, identity: &Identity) -> Option<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = seats.values().sum();
        let own = seats.get(identity).copied().unwrap_or_default();
        if total >= self.limits.clients || own >= self.limits.clients_per_name {
            return None;
        }
        seats.insert(identity.clone(), own + 1);
        let room = Arc::new(Semaphore::new(self.limits.unanswered_bytes / UNIT_BYTES));
        let tray = Tray {
            own: Arc::new(Semaphore::new(self.limits.untaken_bytes / UNIT_BYTES)),
            shared: Arc::clone(&self.trays),
            patience: self.limits.untaken,
        };
        Some(Seat { guests: Arc::clone(self), identity: identity.clone(), room, tray })
    }
}

impl Tray {
    /// Room for an answer that is not taken at once, if there is some.
    pub(crate) fn room(&self, bytes: usize) -> Option<Room> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).ok()?;
        let own = Arc::clone(&self.own).try_acquire_many_owned(units).ok()?;
        let shared = Arc::clone(&self.shared).try_acquire_many_owned(units).ok()?;
        Some(Room { _own: own, _shared: shared })
    }
}

impl Seat {
    pub(crate) fn tray(&self) -> Tray {
        self.tray.clone()
    }

    /// Waits for room for so many bytes; not for long. The own budget first: who has exhausted it
    /// must not take of the shared one meanwhile.
    pub(crate) async fn room(&self, bytes: usize, patience: Duration) -> Option<Room> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).ok()?;
        let (own, shared) = (Arc::clone(&self.room), Arc::clone(&self.guests.room));
        let both = async {
            let own = own.acquire_many_owned(units).await.ok()?;
            let shared = shared.acquire_many_owned(units).await.ok()?;
            Some(Room { _own: own, _shared: shared })
        };
        timeout(patience, both).await.ok().flatten()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.guests.seats.lock().unwrap_or_else(PoisonError::into_inner);
        match seats.get(&self.identity).copied().unwrap_or_default() {
            0 | 1 => seats.remove(&self.identity),
            own => seats.insert(self.identity.clone(), own - 1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        clients: 3,
        clients_per_name: 2,
        unanswered_bytes: 4 * UNIT_BYTES,
        unanswered_bytes_all: 6 * UNIT_BYTES,
        room: Duration::from_millis(1),
        ..Limits::DEFAULT
    };

    fn client(name: &str) -> Identity {
        format!("synod://eu/client/{name}?role=write").parse().unwrap()
    }

    #[test]
    fn seats_are_limited_by_name_and_in_all_and_given_back() {
        let guests = Arc::new(Guests::new(SMALL));
        let first = guests.seat(&client("a")).unwrap();
        let _second = guests.seat(&client("a")).unwrap();
        assert!(guests.seat(&client("a")).is_none());
        let third = guests.seat(&client("b")).unwrap();
        assert!(guests.seat(&client("c")).is_none());
        drop(third);
        assert!(guests.seat(&client("c")).is_some());
        drop(first);
        assert!(guests.seat(&client("a")).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_guest_can_take_its_own_room_and_leaves_some_of_the_house() {
        let guests = Arc::new(Guests::new(SMALL));
        let (greedy, modest) =
            (guests.seat(&client("a")).unwrap(), guests.seat(&client("b")).unwrap());
        let taken = greedy.room(4 * UNIT_BYTES, SMALL.room).await.unwrap();
        assert!(greedy.room(1, SMALL.room).await.is_none());
        let _kept = modest.room(2 * UNIT_BYTES, SMALL.room).await.unwrap();
        assert!(modest.room(1, SMALL.room).await.is_none(), "the house is full");
        drop(taken);
        assert!(modest.room(1, SMALL.room).await.is_some());
    }
}
