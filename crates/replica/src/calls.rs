//! Calls that wait for an answer: until when, and where.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::Tick;

use crate::{ClientId, nearby::Until, queue::Ticket};

/// Every call is in here from its arrival until its one answer; whoever answers closes it first, so
/// that nobody is answered twice.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<ClientId, (Tick, Place)>,
    deadlines: BTreeSet<(Tick, ClientId)>,
}

/// Where a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To be proposed.
    Queue(Ticket),
    /// To be chosen and applied.
    Log,
    /// For the reign to be confirmed.
    Reads,
    /// For news of branches.
    Attendants,
    /// For something to change.
    Watchers,
    /// For this node's own state to have come far enough.
    Nearby(Until),
}

impl Calls {
    pub(crate) fn open(&mut self, client: ClientId, deadline: Tick, place: Place) {
        let before = self.open.insert(client, (deadline, place));
        assert!(before.is_none(), "{client:?} was given to two calls");
        self.deadlines.insert((deadline, client));
    }

    pub(crate) fn moves_to(&mut self, client: ClientId, to: Place) {
        if let Some((_, place)) = self.open.get_mut(&client) {
            *place = to;
        }
    }

    /// Takes the call out; `None` when it has been answered already, or its caller is gone.
    pub(crate) fn close(&mut self, client: ClientId) -> Option<Place> {
        let (deadline, place) = self.open.remove(&client)?;
        self.deadlines.remove(&(deadline, client));
        Some(place)
    }

    /// Until when a call waits; `None` when it has been answered already, or its caller is gone.
    pub(crate) fn deadline(&self, client: ClientId) -> Option<Tick> {
        self.open.get(&client).map(|(deadline, _)| *deadline)
    }

    /// Takes out the calls whose time is up.
    pub(crate) fn expired(&mut self, now: Tick) -> Vec<(ClientId, Place)> {
        let mut expired = Vec::new();
        while let Some(&(deadline, client)) = self.deadlines.first()
            && deadline <= now
        {
            let place = self.close(client).expect("every deadline is that of an open call");
            expired.push((client, place));
        }
        expired
    }

    /// When the next call's time is up.
    pub(crate) fn wake_at(&self) -> Option<Tick> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call is closed once, by whoever comes first, and then has no deadline either.
    #[test]
    fn a_call_is_closed_once() {
        let mut calls = Calls::default();
        calls.open(ClientId(1), Tick::from_micros(10), Place::Log);
        calls.open(ClientId(2), Tick::from_micros(5), Place::Reads);
        assert_eq!(calls.wake_at(), Some(Tick::from_micros(5)));
        assert_eq!(calls.close(ClientId(2)), Some(Place::Reads));
        assert_eq!(calls.close(ClientId(2)), None);
        assert_eq!(calls.expired(Tick::from_micros(9)), []);
        assert_eq!(calls.expired(Tick::from_micros(10)), [(ClientId(1), Place::Log)]);
        assert_eq!((calls.wake_at(), calls.count()), (None, 0));
    }
}
