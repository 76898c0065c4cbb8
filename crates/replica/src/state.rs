//! The machine, and how far into the log it has come.

use synod_machine::{
    Answer, Applied, LeaseId, LeaseView, Machine, Query, Revision, SessionId, SessionView,
};
use synod_paxos::{Decree, NodeId, Slot};

use crate::{Checkpoint, attendants::Touched, batch, checkpoints::Checkpoints};

/// What every node computes alike from the chosen decrees.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) applied: Slot,
    pub(crate) checkpoints: Checkpoints,
    /// Decrees that no honest node proposes: they were skipped, here as everywhere.
    pub(crate) malformed: u64,
}

/// What one decree brought about.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// What each request came to, in order.
    pub(crate) applied: Vec<Applied>,
    pub(crate) touched: Touched,
    /// The revision before it.
    pub(crate) since: Revision,
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl State {
    pub(crate) fn new(hash_every_slots: u64, others: impl Iterator<Item = NodeId>) -> State {
        State {
            machine: Machine::new(),
            applied: Slot::ZERO,
            checkpoints: Checkpoints::new(hash_every_slots, others),
            malformed: 0,
        }
    }

    /// Takes the state after `slot` in place of this one.
    pub(crate) fn install(&mut self, slot: Slot, machine: Machine) {
        assert!(slot >= self.applied, "a state of {slot} in place of one of {}", self.applied);
        (self.machine, self.applied) = (machine, slot);
    }

    /// Applies the decree of the next slot.
    pub(crate) fn apply(&mut self, slot: Slot, decree: &Decree) -> Happened {
        assert!(slot == self.applied.next(), "gap: applied {}, was handed {slot}", self.applied);
        let since = self.machine.revision();
        let mut happened = match decree {
            Decree::Noop => Happened::default(),
            Decree::Value(value) => self.execute(value),
        };
        (self.applied, happened.since) = (slot, since);
        if self.checkpoints.falls_on(slot) {
            let checkpoint = Checkpoint { slot, hash: self.machine.hash() };
            self.checkpoints.reached(checkpoint);
            happened.checkpoint = Some(checkpoint);
        }
        happened
    }

    fn execute(&mut self, value: &[u8]) -> Happened {
        let Ok(batch) = batch::decode(value) else {
            self.malformed = self.malformed.saturating_add(1);
            return Happened::default();
        };
        let touched = Touched::by(&batch);
        let requests = batch.requests.len();
        let applied = self.machine.apply(batch);
        assert!(applied.len() == requests, "{requests} requests, {} results", applied.len());
        Happened { touched: touched.and_by(&applied), applied, ..Happened::default() }
    }

    /// A lease that has not ended.
    pub(crate) fn lease(&self, lease: LeaseId) -> Option<LeaseView> {
        match self.machine.query(&Query::Lease { lease }) {
            Answer::Lease(view) => view,
            _ => None,
        }
    }

    /// A session that has not ended.
    pub(crate) fn session(&self, session: SessionId) -> Option<SessionView> {
        let before = SessionId::new(session.get().checked_sub(1)?);
        let query = Query::Sessions { after: Some(before), limit: 1 };
        let Answer::Sessions { sessions, .. } = self.machine.query(&query) else {
            return None;
        };
        sessions.into_iter().next().filter(|view| view.session == session)
    }
}
