//! The participant's half of atomic commit, as a value: what is prepared, what is locked, and what
//! must be durable before a vote is spoken.
//!
//! [`Branches`] is stepped like a Paxos peer: time, calls and verdicts come in, and what must be
//! written, said, proposed and shouted comes out. It owns no keys; it reads them through a closure
//! and writes them as [`Write`]s, so that a shard process and a simulator can both be its world.
//!
//! The driver's loop: open one write transaction of the store; for every input that waits, step
//! (the closure reads *inside* that transaction) and put the step's writes into it; sync once;
//! then open the envelope with [`Durably::synced`] and send what is in it. If the sync fails, stop.
//!
//! What it promises (*transactions*, the proof): a yes is spoken only when the prepare is durable;
//! from then on only a verdict of the log ends the branch, however long that takes; what was
//! committed is done once, however often it is asked for.

mod alarmed;
mod branches;
mod durable;
mod ended;
mod locks;
mod readers;
#[cfg(test)]
mod tests;

pub use branches::Branches;
pub use durable::{Durable, Durably, Word, Write};
pub use ended::Room;
pub use readers::{Reader, Readers, Turn};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::participant_door::Said;
use crate::{BranchIncarnation, Command, Guard, Mutation, ParticipantName, TxnId, Verdict};

/// A branch's share of a transaction, on the participant's own keys and revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Work {
    /// All must hold when it is prepared, and hold still when it commits: their keys are locked.
    pub guards: Vec<Guard>,
    /// What is then done. A key may be written once.
    pub mutations: Vec<Mutation>,
}

/// Branches that a participant holds prepared at once: each holds locks and memory until its
/// verdict comes, which may be never while there is no quorum.
pub const PREPARED_MAX: usize = 4_096;

/// Milliseconds on the participant's own clock; only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// So many milliseconds later.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Moment {
        Moment(self.0.saturating_add(ms))
    }
}

/// The driver's name for one call of one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// What a participant is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its registered name.
    pub name: ParticipantName,
    /// Its store.
    pub incarnation: BranchIncarnation,
    /// How long a prepared branch waits for news before it asks the log to abort, and asks again.
    pub in_doubt_grace_ms: u64,
}

/// What can happen to a participant.
#[derive(Clone, Debug)]
pub enum Input {
    /// An owner asks for a vote.
    Prepare {
        /// Who waits for it.
        asker: Asker,
        /// Of which transaction.
        txn: TxnId,
        /// What to do if it commits.
        work: Work,
    },
    /// A verdict: from an owner, from the log's answer to `Attend`, or from its answer to what was
    /// proposed. Only what the log has decided may be put in here, and an owner's own abort.
    Finish {
        /// Who waits for it to be done, if anybody.
        asker: Option<Asker>,
        /// Of which transaction.
        txn: TxnId,
        /// How it ended.
        verdict: Verdict,
    },
    /// The log has the acknowledgement of these.
    Acknowledged(Vec<TxnId>),
    /// The moment of `wake_at` has come.
    Wake,
}

/// What a participant wants of the world. One value is for one step; merge the `durably` of those
/// that one sync covers.
#[must_use = "an output that is dropped is a promise broken"]
#[derive(Debug, Default)]
pub struct Output {
    /// Facts to sync, and the words that rely on them.
    pub durably: Durably,
    /// Answers that rely on nothing unsynced.
    pub at_once: Vec<(Asker, Said)>,
    /// To be put into the log; feed the verdict that comes back as [`Input::Finish`].
    pub propose: Vec<Command>,
    /// For an operator, each once in a life of the participant.
    pub alarms: Vec<Alarm>,
}

/// What a person must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// The log no longer knows how this prepared branch ended. Its locks are held until a person
    /// says.
    Held {
        /// Which.
        txn: TxnId,
    },
    /// The log says it committed, and nothing is prepared here nor known to have been applied:
    /// a promise was lost, or it is older than what is remembered.
    NeverPrepared {
        /// Which.
        txn: TxnId,
    },
    /// It was applied here, and somebody says it aborted.
    Contradicted {
        /// Which.
        txn: TxnId,
    },
}

/// How a participant stands, for people and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Branches that wait for a verdict, those held for a person too.
    pub in_doubt: u64,
    /// Branches that wait for a person.
    pub held: u64,
    /// Keys locked.
    pub locked: u64,
    /// Commits that the log has not confirmed to know to be finished.
    pub unacknowledged: u64,
    /// Transactions committed in this life.
    pub committed: u64,
    /// Transactions rolled back in this life.
    pub aborted: u64,
    /// Votes of no in this life.
    pub refused: u64,
}

/// The keys that a piece of work touches, and whether it writes them.
fn touched(work: &Work) -> impl Iterator<Item = (&Bytes, bool)> {
    let read = work.guards.iter().map(|guard| (&guard.key, false));
    read.chain(work.mutations.iter().map(|mutation| (mutation.key(), true)))
}
