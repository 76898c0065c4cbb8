use serde::{Deserialize, Serialize};

use crate::{
    Answer, Batch, ParticipantName, Query, Reign, Reply, Revision, SessionId, TxnId, Verdict,
};

/// A digest of everything the machine holds; equal states have equal digests on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateHash(pub u64);

/// What one request of a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its reply: the first one, when this is a repeat.
    pub reply: Reply,
    /// Whether it was a repeat of a request applied before.
    pub repeated: bool,
}

/// The state that every node holds.
#[derive(Clone, Debug, Default)]
pub struct Machine {}

impl Machine {
    /// The machine before the first batch.
    pub fn new() -> Machine {
        Machine::default()
    }

    /// Applies one batch; one result per request, in order.
    pub fn apply(&mut self, batch: Batch) -> Vec<Applied> {
        let _ = batch;
        Vec::new()
    }

    /// Answers from the present state.
    pub fn query(&self, query: &Query) -> Answer {
        let _ = query;
        Answer::Verdicts(Vec::new())
    }

    /// The revision of the last mutating request.
    pub fn revision(&self) -> Revision {
        Revision::ZERO
    }

    /// The digest of the present state, kept as it changes.
    pub fn hash(&self) -> StateHash {
        StateHash::default()
    }

    /// The digest computed anew from everything held: equal to [`Machine::hash`], or there is a bug.
    pub fn hash_anew(&self) -> StateHash {
        StateHash::default()
    }

    /// The reign that last started.
    pub fn reign(&self) -> Reign {
        Reign::default()
    }

    /// What [`Attend`](crate::door::Call::Attend) waits for: those of `in_doubt` that are decided,
    /// and commits this participant has not acknowledged that are neither there nor in `finished`.
    pub fn news_for(
        &self,
        participant: &ParticipantName,
        in_doubt: &[TxnId],
        finished: &[TxnId],
    ) -> Vec<(TxnId, Verdict)> {
        let _ = (participant, in_doubt, finished);
        Vec::new()
    }

    /// Sessions that have not ended: (session, ttl in ms, renewals).
    pub fn live_sessions(&self) -> impl Iterator<Item = (SessionId, u64, u64)> + '_ {
        std::iter::empty()
    }
}
