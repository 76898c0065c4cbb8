//! What an owner and a participant say to each other: one [`Ask`] on a stream of its own, one
//! [`Said`] back. Pure data, next to [`door`](crate::door), which is the node's.
//!
//! A native participant (a shard) is handed its work with the prepare, so that the owner needs no
//! session at it and a repeated prepare is answered with the same vote.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::branch::Work;
use crate::door::{NotApplied, Refusal};
use crate::{BranchIncarnation, Entry, ParticipantName, Revision, TxnId, Verdict};

/// A call with the time that is left for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Milliseconds that the caller will still wait.
    pub within_ms: u32,
    /// What is asked.
    pub call: Call,
}

/// What may be asked of a participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Phase 1: make this work durable and lock what it touches, or refuse. Asked again, the
    /// answer is the same.
    Prepare {
        /// Of which transaction.
        txn: TxnId,
        /// What to do if it commits.
        work: Work,
    },
    /// Phase 2: apply or undo. May come several times, and before the prepare.
    Finish {
        /// Which transaction.
        txn: TxnId,
        /// `Committed` or `Aborted`; anything else is misuse, for nobody may act on it.
        verdict: Verdict,
    },
    /// Which branches are prepared and wait for a verdict.
    InDoubt,
    /// One key.
    Get {
        /// Which.
        key: Bytes,
        /// How fresh: see [`Freshness`].
        freshness: Freshness,
    },
    /// Keys in byte order.
    Scan {
        /// That begin with this.
        prefix: Bytes,
        /// And come after this one.
        after: Option<Bytes>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
        /// How fresh: see [`Freshness`].
        freshness: Freshness,
    },
    /// Who it is and how it stands.
    Info,
}

/// How fresh a read of a participant must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// Sees every transaction that anybody was told has committed before the read began: it waits
    /// until those have ended here that were prepared when it came and write what it reads.
    Committed,
    /// As of the last transaction that has finished here; waits for nothing.
    Finished,
}

/// What a participant says to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Said {
    /// `Prepare`.
    Vote(Vote),
    /// `Finish`: done and durable, now or before.
    Finished,
    /// `Finish`: not done, and the participant has said why to its operator. `Committed` was asked
    /// of a branch that it has neither prepared nor applied as far as it remembers.
    Unproven,
    /// `InDoubt`, oldest id first.
    InDoubt(Vec<InDoubt>),
    /// `Get`.
    Key {
        /// The participant's own revision.
        revision: Revision,
        /// The key, if it is there.
        entry: Option<Entry>,
    },
    /// `Scan`.
    Keys {
        /// The participant's own revision.
        revision: Revision,
        /// Keys in byte order.
        entries: Vec<(Bytes, Entry)>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Info`.
    Info(Info),
    /// Nothing was done; safe to repeat.
    NotApplied(NotApplied),
    /// It will not be done for this caller.
    Refused(Refusal),
}

/// A participant's vote. Only `Yes` lets a transaction commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Vote {
    /// The work is durable and locked; from here on only a verdict ends it.
    Yes {
        /// The store that promises so.
        incarnation: BranchIncarnation,
    },
    /// There is nothing to do or to hold: neither commit nor abort need be told, and the
    /// participant is not one of the commit's parts.
    ReadOnly,
    /// It refused, and holds nothing.
    No {
        /// Why.
        reason: NoReason,
    },
    /// It may or may not be prepared. A participant says this never; an owner concludes it when
    /// the answer is lost. Counts as no for the decision, as maybe prepared for the clean-up.
    Unknown,
}

/// Why a participant refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NoReason {
    /// A key is locked by another transaction that is prepared. Try again when it has ended.
    #[error("a key is locked by transaction {by}")]
    Locked {
        /// Which.
        by: TxnId,
        /// The key.
        key: Bytes,
    },
    /// A guard does not hold.
    #[error("guard {place} does not hold")]
    GuardFailed {
        /// Which, by its place.
        place: u32,
    },
    /// The transaction was ended here before this prepare came.
    #[error("the transaction has ended here already")]
    Ended,
    /// The work breaks a limit or contradicts itself.
    #[error("{0}")]
    Misuse(String),
    /// It holds as many prepared branches as it will.
    #[error("{limit} branches are prepared already")]
    TooMany {
        /// How many it holds.
        limit: u64,
    },
    /// The participant is shutting down, or its disk takes no more.
    #[error("the participant takes no new work: {0}")]
    Closed(String),
}

/// A prepared branch that waits for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InDoubt {
    /// Of which transaction.
    pub txn: TxnId,
    /// Keys it has locked.
    pub locks: u32,
    /// Milliseconds that it has waited in this life of the participant.
    pub waited_ms: u64,
    /// Whether the log answered `Retired`: only a person can end it.
    pub held: bool,
}

/// A participant for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Info {
    /// Its name.
    pub name: ParticipantName,
    /// The store it votes from.
    pub incarnation: BranchIncarnation,
    /// Its own revision: one per committed transaction that wrote.
    pub revision: Revision,
    /// Branches that wait for a verdict.
    pub in_doubt: u64,
    /// Branches that wait for a person.
    pub held: u64,
    /// Keys.
    pub keys: u64,
    /// Transactions committed in this life of the participant.
    pub committed: u64,
    /// Transactions rolled back in this life of the participant.
    pub aborted: u64,
}
