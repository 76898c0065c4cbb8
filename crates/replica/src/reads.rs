//! Questions that rest on the reign being real: linearizable reads and keep-alives.

use std::collections::{BTreeMap, VecDeque};

use synod_machine::{LeaseId, Query, SessionId};
use synod_paxos::{Barrier, BarrierId, Slot, Tick};

use crate::ClientId;

/// Each waits first for the reign to serve, then for a quorum to confirm it *after* the question
/// arrived, then for the state to have caught up with what was chosen by then (Ongaro §6.4). Peers
/// confirm all that wait with one round; a leader that holds a lease needs none.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    next: u64,
    unasked: VecDeque<Waiting>,
    asked: BTreeMap<BarrierId, Waiting>,
    confirmed: BTreeMap<Slot, Vec<(Waiting, Option<Tick>)>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) client: ClientId,
    pub(crate) question: Question,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Read(Query),
    /// Does this session live?
    KeepAlive(SessionId),
    /// Does this lease?
    Renew(LeaseId),
    /// Of a request that came before the opening of its session was applied here.
    Opened(SessionId),
}

impl Reads {
    /// The reign does not serve yet: keeps the question for [`Reads::next_unasked`].
    pub(crate) fn postpone(&mut self, waiting: Waiting) {
        self.unasked.push_back(waiting);
    }

    /// The next question to be asked, once the reign serves.
    pub(crate) fn next_unasked(&mut self) -> Option<Waiting> {
        self.unasked.pop_front()
    }

    /// Takes a question in, and names the barrier that it waits for.
    pub(crate) fn ask(&mut self, waiting: Waiting) -> BarrierId {
        let id = BarrierId(self.next);
        self.next = self.next.checked_add(1).expect("2^64 reads in one process's life");
        self.asked.insert(id, waiting);
        id
    }

    /// A barrier is passed.
    pub(crate) fn confirm(&mut self, barrier: Barrier) {
        if let Some(waiting) = self.asked.remove(&barrier.id) {
            let confirmed = self.confirmed.entry(barrier.upto).or_default();
            confirmed.push((waiting, barrier.leased_until));
        }
    }

    /// Takes out what a state that has applied `applied` may answer, and for what only a lease
    /// vouches, until when that runs.
    pub(crate) fn answerable(&mut self, applied: Slot) -> Vec<(Waiting, Option<Tick>)> {
        if self.confirmed.is_empty() {
            return Vec::new();
        }
        let later = self.confirmed.split_off(&applied.next());
        std::mem::replace(&mut self.confirmed, later).into_values().flatten().collect()
    }

    /// The reign is over: takes out everything that it alone could answer. What was confirmed
    /// already stays right, but the answer would have to wait for another reign's choices.
    pub(crate) fn drain(&mut self) -> Vec<Waiting> {
        let asked = std::mem::take(&mut self.asked).into_values();
        let confirmed = std::mem::take(&mut self.confirmed).into_values().flatten();
        let confirmed = confirmed.map(|(waiting, _)| waiting);
        std::mem::take(&mut self.unasked).into_iter().chain(asked).chain(confirmed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(client: u64) -> Waiting {
        let question = Question::Read(Query::Get { key: "k".into() });
        Waiting { client: ClientId(client), question }
    }

    /// Confirmation is not enough: the state must hold what was chosen when the read came.
    #[test]
    fn a_read_waits_for_its_barrier_and_then_for_the_state() {
        let mut reads = Reads::default();
        let (one, two) = (reads.ask(waiting(1)), reads.ask(waiting(2)));
        let leased_until = Some(Tick::from_micros(9));
        reads.confirm(Barrier { id: two, upto: Slot::new(5), leased_until });
        assert_eq!(reads.answerable(Slot::new(4)), []);
        assert_eq!(reads.answerable(Slot::new(5)), [(waiting(2), leased_until)]);
        assert_eq!(reads.drain(), [waiting(1)]);
        reads.confirm(Barrier { id: one, upto: Slot::new(1), leased_until: None });
        assert_eq!(reads.answerable(Slot::new(9)), [], "the reign that asked is over");
    }
}
