//! Reads at whichever node they arrive: answered from its own state, once that has come far enough.

use std::collections::BTreeMap;

use synod_machine::{Query, Revision};
use synod_paxos::{Fathomed, Slot, Tick};

use crate::ClientId;

/// Moments of which it is known what had to be applied, and not yet applied. One comes with every
/// question; a node that lags by more of them than this is told nothing new by the next.
const PENDING_MAX: usize = 64;

/// What such a read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// For the leader to tell how far the state must have come.
    Fathomed(u64),
    /// For this slot to be applied.
    Applied(Slot),
    /// For the state to be of this revision, or a later one.
    Revision(Revision),
}

/// Those that wait, and as of when the state lacks nothing.
#[derive(Debug, Default)]
pub(crate) struct Nearby {
    waiting: BTreeMap<(Until, ClientId), Query>,
    /// A state that has applied the slot lacks nothing from before the moment.
    pending: BTreeMap<Slot, Tick>,
    current_at: Option<Tick>,
}

impl Nearby {
    pub(crate) fn wait(&mut self, until: Until, client: ClientId, query: Query) {
        self.waiting.insert((until, client), query);
    }

    /// It waits no longer.
    pub(crate) fn leave(&mut self, until: Until, client: ClientId) {
        self.waiting.remove(&(until, client));
    }

    /// The leader has told how far the state must have come. Hands back who waits for that from now
    /// on.
    pub(crate) fn fathomed(&mut self, Fathomed { round, at, upto }: Fathomed) -> Vec<ClientId> {
        if self.pending.len() < PENDING_MAX {
            self.pending.insert(upto, at);
        }
        let round = Until::Fathomed(round);
        let waited = self.take(round, round);
        let clients = waited.iter().map(|(client, _)| *client).collect();
        for (client, query) in waited {
            self.wait(Until::Applied(upto), client, query);
        }
        clients
    }

    /// Takes out what a state of this slot and revision may answer.
    pub(crate) fn answerable(
        &mut self,
        applied: Slot,
        revision: Revision,
    ) -> Vec<(ClientId, Query)> {
        while let Some(pending) = self.pending.first_entry().filter(|it| *it.key() <= applied) {
            self.current_at = self.current_at.max(Some(pending.remove()));
        }
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let mut answerable = self.take(Until::Applied(Slot::ZERO), Until::Applied(applied));
        let least = Until::Revision(Revision::ZERO);
        answerable.append(&mut self.take(least, Until::Revision(revision)));
        answerable
    }

    /// The state lacks nothing that anybody was told of before this moment; `None` when that has
    /// not been found out in this process.
    pub(crate) fn current_at(&self) -> Option<Tick> {
        self.current_at
    }

    fn take(&mut self, first: Until, last: Until) -> Vec<(ClientId, Query)> {
        let range = (first, ClientId(0))..=(last, ClientId(u64::MAX));
        let keys: Vec<(Until, ClientId)> = self.waiting.range(range).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| Some((key.1, self.waiting.remove(&key)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query::Get { key: "k".into() }
    }

    fn clients(answerable: Vec<(ClientId, Query)>) -> Vec<u64> {
        answerable.into_iter().map(|(client, _)| client.0).collect()
    }

    fn fathomed(round: u64, at: u64, upto: u64) -> Fathomed {
        Fathomed { round, at: Tick::from_micros(at), upto: Slot::new(upto) }
    }

    /// Each waits for what it asked for, whatever the others wait for.
    #[test]
    fn a_read_waits_for_its_round_and_then_for_the_state() {
        let mut nearby = Nearby::default();
        nearby.wait(Until::Fathomed(1), ClientId(1), query());
        nearby.wait(Until::Fathomed(2), ClientId(2), query());
        nearby.wait(Until::Revision(Revision::new(3)), ClientId(3), query());
        assert_eq!(nearby.fathomed(fathomed(1, 10, 7)), [ClientId(1)]);
        let (six, seven) = (Slot::new(6), Slot::new(7));
        assert_eq!(clients(nearby.answerable(six, Revision::new(2))), []);
        assert_eq!(clients(nearby.answerable(seven, Revision::new(2))), [1]);
        assert_eq!(clients(nearby.answerable(seven, Revision::new(4))), [3]);
        nearby.leave(Until::Fathomed(2), ClientId(2));
        assert_eq!(nearby.fathomed(fathomed(2, 20, 7)), []);
        assert!(nearby.waiting.is_empty());
    }

    /// A node is as current as the last question whose slot it has applied.
    #[test]
    fn a_state_is_current_as_of_the_question_that_it_has_caught_up_with() {
        let mut nearby = Nearby::default();
        assert_eq!(nearby.current_at(), None);
        for (round, upto) in [(1, 5), (2, 5), (3, 8)] {
            nearby.fathomed(fathomed(round, round * 10, upto));
        }
        nearby.answerable(Slot::new(4), Revision::ZERO);
        assert_eq!(nearby.current_at(), None);
        nearby.answerable(Slot::new(7), Revision::ZERO);
        assert_eq!(nearby.current_at(), Some(Tick::from_micros(20)));
        nearby.answerable(Slot::new(8), Revision::ZERO);
        assert_eq!(nearby.current_at(), Some(Tick::from_micros(30)));
    }

    /// A node that lags for long keeps no more of what it has yet to reach than it needs.
    #[test]
    fn what_is_pending_is_bounded() {
        let mut nearby = Nearby::default();
        for upto in 1..1_000 {
            nearby.fathomed(fathomed(upto, upto, upto));
        }
        assert_eq!(nearby.pending.len(), PENDING_MAX);
    }
}
