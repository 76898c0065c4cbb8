use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BranchIncarnation, ParticipantName, RequestId, Revision, SessionId, TxnId, Verdict};

/// A key as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// The revision at which the key came to be.
    pub create: Revision,
    /// The revision at which it was last set.
    pub modified: Revision,
    /// How often it was set since it came to be; the first time counts.
    pub version: u64,
}

/// A question that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One key.
    Get {
        /// Which.
        key: Bytes,
    },
    /// Keys in byte order.
    List {
        /// That begin with this.
        prefix: Bytes,
        /// And come after this one.
        after: Option<Bytes>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// Verdicts, in the order asked.
    Verdicts {
        /// Of these.
        txns: Vec<TxnId>,
    },
    /// One transaction with its participants.
    Txn {
        /// Which.
        txn: TxnId,
    },
    /// Transactions whose decision is recorded and not yet acknowledged by all.
    Txns {
        /// That come after this one.
        after: Option<TxnId>,
        /// At most so many.
        limit: u32,
    },
    /// Every registered participant.
    Participants,
    /// Sessions that have not ended.
    Sessions,
    /// Whether a request took effect, as far as the log knows by now.
    Request {
        /// Which.
        request: RequestId,
    },
}

/// What a [`Query`] finds. `revision` is the state's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// `Get`.
    Key {
        /// The state's revision.
        revision: Revision,
        /// The key, if it is there.
        entry: Option<Entry>,
    },
    /// `List`.
    Keys {
        /// The state's revision.
        revision: Revision,
        /// Keys in byte order.
        entries: Vec<(Bytes, Entry)>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Verdicts`.
    Verdicts(Vec<Verdict>),
    /// `Txn`.
    Txn(TxnView),
    /// `Txns`.
    Txns {
        /// In the order of ids.
        txns: Vec<TxnView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Participants`.
    Participants(Vec<ParticipantView>),
    /// `Sessions`.
    Sessions(Vec<SessionView>),
    /// `Request`: its reply, if it took effect.
    Request(Option<crate::Reply>),
}

/// A transaction for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnView {
    /// Which.
    pub txn: TxnId,
    /// Its verdict.
    pub verdict: Verdict,
    /// Participants of a recorded commit, and whether each has acknowledged.
    pub parts: Vec<(ParticipantName, bool)>,
    /// When it was decided, in stamps of the log; `None` when no record is kept.
    pub decided_at_ms: Option<u64>,
    /// Why it was aborted, when that is recorded.
    pub cause: Option<crate::AbortCause>,
}

/// A participant for owners to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantView {
    /// Its name.
    pub name: ParticipantName,
    /// The store it votes from.
    pub incarnation: BranchIncarnation,
    /// Where owners reach it.
    pub address: String,
    /// Commits that it has not acknowledged.
    pub unacked: u64,
}

/// A session for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Which.
    pub session: SessionId,
    /// Who.
    pub owner: String,
    /// Milliseconds of silence that end it.
    pub ttl_ms: u64,
    /// How many of its requests have been applied.
    pub renewals: u64,
}
