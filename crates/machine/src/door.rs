//! What a client and a node say to each other: for each [`Ask`] one [`Said`].
//!
//! Pure data. Names of nodes are strings here: the machine does not know who leads.

use serde::{Deserialize, Serialize};

use crate::{
    Answer, Interest, LeaseId, ParticipantName, Query, Reply, Request, Revision, SessionId, TxnId,
    Verdict,
};

/// A call with the time that is left for it; a node drops what can no longer be heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Milliseconds that the caller will still wait.
    pub within_ms: u32,
    /// What is asked.
    pub call: Call,
}

/// What a client may ask of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Puts a request into the log. Leader only.
    Submit(Request),
    /// Keeps a session alive; costs no log entry. Leader only.
    KeepAlive {
        /// Which.
        session: SessionId,
    },
    /// Reads.
    Read {
        /// What.
        query: Query,
        /// How fresh.
        freshness: Freshness,
    },
    /// A participant waits for news: answered when one of `in_doubt` has a verdict, or a commit of
    /// its own is unacknowledged and not among `finished`, or the time is up. Any node.
    Attend {
        /// Who waits.
        participant: ParticipantName,
        /// Branches it holds prepared.
        in_doubt: Vec<TxnId>,
        /// Branches it has finished and whose acknowledgement is under way, so that waiting for
        /// the log to hear of them is not news.
        finished: Vec<TxnId>,
    },
    /// How the node sees itself and the cluster. Any node.
    Status,
    /// Renews a lease; costs no log entry. Leader only.
    Renew {
        /// Which.
        lease: LeaseId,
    },
    /// Waits for something to change: answered when it has, after this revision, or when the time
    /// is up. Any node.
    Watch {
        /// What.
        interest: Interest,
        /// After this revision.
        after: Revision,
    },
    /// The same for whoever waits for much: answered when any of it has changed. Any node.
    WatchAny {
        /// What, and after which revision; at most [`WATCHES_MAX`](crate::limits::WATCHES_MAX).
        watches: Vec<(Interest, Revision)>,
    },
    /// Hands the lead to another node, once that one has shown that it is there. Leader only.
    HandOver {
        /// The name of that node.
        to: String,
    },
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// Sees every write acknowledged before the read began. Leader only.
    Linearizable,
    /// Whatever the node asked has applied. Decided verdicts are right even so.
    Stale,
    /// A state of this revision or a later one: the node waits until it has come so far. Any node.
    AtLeast(Revision),
    /// As `Linearizable`, and any node: one that does not lead asks the leader how far it has to
    /// have come.
    Nearby,
}

/// What a node says to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// `Submit`: chosen and applied.
    Reply(Reply),
    /// `KeepAlive`, `Renew`: heard; the session, or the lease, lives for its time to live from when
    /// the call was sent. `HandOver`: the node has been called to lead.
    Kept,
    /// `Read`.
    Answer(Answer),
    /// `Attend`: those of `in_doubt` that are decided, and commits the participant has yet to
    /// finish. Empty when the time was up.
    Verdicts(Vec<(TxnId, Verdict)>),
    /// `Status`.
    Status(Box<NodeStatus>),
    /// Nothing was done: this node does not lead. The hint names who may.
    NotLeader {
        /// The name of the node that leads, as far as this one knows.
        leader: Option<String>,
    },
    /// Nothing was done and nothing will be.
    NotApplied(NotApplied),
    /// It was put into the log, and this node lost the lead before it learned what became of it.
    Unknown,
    /// It will not be done for this caller.
    Refused(Refusal),
    /// `Watch`.
    Watched {
        /// As to a [`Query::Changes`]: `Changes`, empty when the time was up, or `Gap`.
        news: Answer,
        /// Milliseconds since the node last knew a quorum to be there: changes chosen meanwhile
        /// may not have reached it.
        silent_ms: u32,
    },
    /// `WatchAny`.
    WatchedAny {
        /// As to a [`Query::Changes`], by the place in the call. One that there was no room for is
        /// said not to have been looked at: no changes, up to where it was.
        news: Vec<(u32, Answer)>,
        /// Nothing that is not named has changed up to here.
        upto: Revision,
        /// As of `Watched`.
        silent_ms: u32,
    },
    /// `Read` of whatever a node has applied.
    Stale {
        /// What it found.
        answer: Answer,
        /// It lacks nothing that anybody was told of so many milliseconds before it was answered.
        /// `None`: the node has not found out since it started.
        age_ms: Option<u32>,
    },
}

/// Why nothing was done; safe to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NotApplied {
    /// No quorum of nodes answers the leader.
    #[error("no quorum")]
    NoQuorum,
    /// Queues are full.
    #[error("overloaded; try again in {retry_after_ms} ms")]
    Overloaded {
        /// When to try again.
        retry_after_ms: u32,
    },
    /// The time was up before it was proposed.
    #[error("the deadline passed before it was proposed")]
    Deadline,
    /// The node stops.
    #[error("the node is stopping")]
    Stopping,
    /// The node's disk takes no more.
    #[error("the node's disk is full")]
    DiskFull,
    /// A participant's key is held by a transaction in doubt, and the time was up before it ended.
    #[error("transaction {by} is in doubt and writes what was to be read")]
    Locked {
        /// Which transaction.
        by: TxnId,
    },
    /// The lead is not handed to a node that cannot lead.
    #[error("the node cannot lead: {0}")]
    Unfit(Unfit),
    /// The time was up before the node came to the revision that was asked for.
    #[error("the node has come to revision {revision} only")]
    Behind {
        /// Where it is.
        revision: Revision,
    },
}

/// Why a node cannot be handed the lead, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It is dead, stands still, or cannot be reached.
    #[error("it does not answer the leader")]
    Silent,
    /// Its disk stands still, or is full.
    #[error("its disk completes no writes")]
    DiskStalled,
    /// It can be reached, and no quorum by it.
    #[error("no quorum of nodes answers it")]
    CutOff,
    /// It has yet to catch up.
    #[error("it lacks {slots} slots of the log")]
    Behind {
        /// How many.
        slots: u64,
    },
}

/// Why it will not be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The caller's role does not cover it.
    #[error("role {has} may not do this; {needs} may")]
    Role {
        /// What the caller is.
        has: String,
        /// What it would have to be.
        needs: String,
    },
    /// It breaks a limit.
    #[error("{got} {what}; at most {max} are allowed")]
    Limit {
        /// Of what.
        what: String,
        /// As asked.
        got: u64,
        /// As allowed.
        max: u64,
    },
    /// It makes no sense.
    #[error("{0}")]
    Misuse(String),
    /// The bytes were not a call.
    #[error("malformed call: {0}")]
    Malformed(String),
    /// It speaks in a session that another client has opened.
    #[error("session {session} was opened by another client")]
    ForeignSession {
        /// Which.
        session: SessionId,
    },
    /// It renews a lease that was granted to another client.
    #[error("lease {lease} was granted to another client")]
    ForeignLease {
        /// Which.
        lease: LeaseId,
    },
}

/// How a node sees itself and its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// `leader`, `follower` or `candidate`.
    pub role: String,
    /// The name of the leader, as far as this node knows.
    pub leader: Option<String>,
    /// The highest ballot it promised, as `round.node`.
    pub ballot: String,
    /// Everything up to this slot is chosen.
    pub chosen_slot: u64,
    /// Everything up to this slot is applied.
    pub applied_slot: u64,
    /// The slot of its newest snapshot, or zero.
    pub snapshot_slot: u64,
    /// Everything up to this slot is gone from its log.
    pub trimmed_slot: u64,
    /// While it fetches a snapshot: how many chunks have come, and of how many.
    pub catching_up: Option<(u32, u32)>,
    /// The revision of its state.
    pub revision: Revision,
    /// (slot, digest of the state after it) at the latest checkpoints, newest last.
    pub state_hashes: Vec<(u64, u64)>,
    /// How many checkpoints of peers agreed and differed.
    pub hashes_agreed: u64,
    /// See `hashes_agreed`.
    pub hashes_differed: u64,
    /// Microseconds that this node has led, or zero.
    pub leading_for_us: u64,
    /// Microseconds from the last silence of a leader to the first command of the next, as this
    /// node saw it when it took over; zero when it never did.
    pub takeover_us: u64,
    /// The part of it until a quorum had promised.
    pub phase_1_us: u64,
    /// Median and 99th percentile of recent syncs, in microseconds.
    pub sync_us: (u64, u64),
    /// Bytes of the store.
    pub store_bytes: u64,
    /// Whether its last write found no room: it leads nobody and refuses until there is some.
    pub disk_full: bool,
    /// Sessions that have not ended.
    pub sessions: u64,
    /// Decided transactions that some participant has not acknowledged.
    pub txns_unacked: u64,
    /// Requests in flight.
    pub requests_in_flight: u64,
    /// Seconds until the node's certificate ends.
    pub certificate_ends_in_s: i64,
    /// Every other voter.
    pub peers: Vec<PeerStatus>,
    /// What its process has used since it started.
    pub spent: Spent,
    /// The build.
    pub version: String,
}

/// What a node's process has used since it started: whoever measures takes differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Microseconds of processor time, of all its threads.
    pub cpu_us: u64,
    /// Bytes of memory that it holds now.
    pub resident_bytes: u64,
    /// Where the batches that it led spent their time.
    pub stages: Stages,
}

/// Microseconds that batches of this leader have spent, all of them together; see
/// `synod_commit_stage_duration_seconds` in `docs/metrics.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Batches that were chosen.
    pub batches: u64,
    /// From the first of a batch's requests at the door to being proposed.
    pub queue_us: u64,
    /// From there to the leader's own vote being durable.
    pub sync_us: u64,
    /// From being proposed to being chosen.
    pub quorum_us: u64,
    /// From there to its answers being sent.
    pub apply_us: u64,
}

/// How a node sees one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name.
    pub node: String,
    /// Whether it answered lately.
    pub heard: bool,
    /// Microseconds of a round trip, when connected.
    pub rtt_us: Option<u64>,
    /// The last slot it said it knows to be chosen.
    pub chosen_slot: u64,
}
