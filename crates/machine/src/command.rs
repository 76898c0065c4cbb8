use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    BarrierCommand, BranchIncarnation, ClaimCommand, CounterCommand, ElectionCommand,
    JournalCommand, LeaseCommand, LeaseId, LockCommand, Name, Once, ParticipantName,
    RegisterCommand, RequestId, Revision, Seq, SessionId, TxnId,
};

/// Wall-clock milliseconds since 1970, stamped by the leader onto a batch. The machine takes the
/// largest stamp it has seen as the time, so that time in the machine never runs backwards; how
/// long something is remembered is not measured in it, for it may leap.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// Which reign proposed something: ordered, and otherwise opaque to the machine.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Reign(pub u64, pub u64, pub u64);

/// What one slot of the log carries: everything that arrived while the last sync ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// When the leader made it.
    pub stamp: Timestamp,
    /// In the order in which they take effect.
    pub requests: Vec<Request>,
}

/// One command with the name under which it takes effect at most once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// The request's own name. Only what may safely be done twice goes without:
    /// `OpenSession`, and what a leader proposes of its own accord.
    pub id: Option<RequestId>,
    /// Every request of the session below this number has been answered and will not be sent
    /// again; its reply may be forgotten.
    pub acked: Seq,
    /// What to do.
    pub command: Command,
}

/// What can be asked of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Begins a session; it ends when nothing is heard of it for `ttl_ms`, decided in the log.
    OpenSession {
        /// Who: the name of a client, and behind a `/` what tells its processes apart. See
        /// [`owner_name`].
        owner: String,
        /// Milliseconds of silence that end it.
        ttl_ms: u64,
    },
    /// Ends the request's own session; its undecided transactions are aborted by rule.
    CloseSession,
    /// Sets a key.
    Put {
        /// Which.
        key: Bytes,
        /// To what.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// Which.
        key: Bytes,
    },
    /// Sets a key if it is as expected.
    Cas {
        /// Which.
        key: Bytes,
        /// What must hold.
        expect: Expect,
        /// To what.
        value: Bytes,
    },
    /// Does all or nothing, at one revision.
    Multi(Multi),
    /// Answers for good whether a request took effect; if it has not by now, it never will.
    Settle {
        /// Which.
        request: RequestId,
    },
    /// Makes a participant known, or tells its new address.
    RegisterParticipant {
        /// Its name.
        name: ParticipantName,
        /// The store it votes from.
        incarnation: BranchIncarnation,
        /// Where owners reach it, `host:port`.
        address: String,
    },
    /// Proposes a verdict; the first one in log order stands.
    Decide {
        /// Of which transaction.
        txn: TxnId,
        /// Which.
        outcome: Proposal,
    },
    /// From here on no transaction of the session can commit.
    Fence {
        /// Which session.
        session: SessionId,
        /// Why.
        cause: FenceCause,
        /// The fence does nothing when this no longer holds.
        guard: Option<FenceGuard>,
    },
    /// Branches that a participant has finished durably.
    Ack {
        /// Whose.
        participant: ParticipantName,
        /// Which.
        txns: Vec<TxnId>,
    },
    /// From here on no transaction of the request's own session with `n < below` can commit.
    Retire {
        /// The first that still can.
        below: u64,
    },
    /// The first command of a reign: what was chosen before it has been seen by this leader.
    LeaderStart {
        /// Which reign.
        reign: Reign,
    },
    /// A person ends the wait for a participant that is gone for good; recorded with who and why.
    ForgetParticipant {
        /// Which transaction.
        txn: TxnId,
        /// Whose acknowledgement is waited for no longer.
        participant: ParticipantName,
        /// Who says so.
        actor: String,
        /// And why.
        reason: String,
    },
    /// Of leases.
    Lease(LeaseCommand),
    /// Of locks.
    Lock(LockCommand),
    /// Forgets the history up to and including a revision: a watch from before it hears of a gap.
    Compact {
        /// The last revision that is forgotten.
        upto: Revision,
    },
    /// Of claims.
    Claim(ClaimCommand),
    /// Of registers.
    Register(RegisterCommand),
    /// Of counters.
    Counter(CounterCommand),
    /// Of barriers.
    Barrier(BarrierCommand),
    /// Of journals.
    Journal(JournalCommand),
    /// Of elections.
    Election(ElectionCommand),
    /// Takes effect once under its key.
    Once(Once),
}

/// The client's name in the owner of a session. What is behind the first `/` is for people to read.
pub fn owner_name(owner: &str) -> &str {
    owner.split_once('/').map_or(owner, |(name, _)| name)
}

/// What a `Decide` proposes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Proposal {
    /// Every enlisted participant has voted yes, durably.
    Commit {
        /// Exactly those participants.
        parts: Vec<Part>,
        /// Commits only if these guards hold, and writes with the same revision.
        multi: Option<Multi>,
    },
    /// Anybody but the owner gives up on it.
    Abort {
        /// Why.
        cause: AbortCause,
    },
}

/// One participant of a transaction, as it voted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Who.
    pub participant: ParticipantName,
    /// From which store.
    pub incarnation: BranchIncarnation,
}

/// Why somebody proposed to abort.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum AbortCause {
    /// A prepared branch heard nothing for its grace.
    #[error("{participant} heard nothing of it for its grace")]
    InDoubtGrace {
        /// Whose branch.
        participant: ParticipantName,
    },
    /// A person decided.
    #[error("{actor} decided: {reason}")]
    Operator {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// The owner gave up after it may have sent its commit.
    #[error("its owner gave up")]
    Owner,
    /// The guards that rode in the commit did not hold.
    #[error("what its commit asks of the log did not hold")]
    Guard,
    /// The commit named a participant that is not registered, or that votes from another store
    /// now: its yes binds nobody, so the transaction can never commit.
    #[error("{participant} has lost the store that it voted from")]
    LostVote {
        /// Whose.
        participant: ParticipantName,
    },
}

/// Why a session was fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FenceCause {
    /// Nothing was heard of it for its time to live.
    Expired,
    /// Its owner closed it.
    Closed,
    /// It went on asking after it was refused for having too many requests open, or left more
    /// aborts on record than are kept.
    Overrun,
    /// A person decided.
    Operator,
}

/// A fence by a leader holds only in the reign it was proposed in, and only if the session has not
/// shown life in the log meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FenceGuard {
    /// The reign that proposed it.
    pub reign: Reign,
    /// How many requests of the session had reached the log when it was proposed.
    pub renewals: u64,
}

/// Guards and mutations that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Multi {
    /// All must hold.
    pub guards: Vec<Guard>,
    /// And these.
    pub holds: Vec<Hold>,
    /// What is then done, at one revision. A key may be written once.
    pub mutations: Vec<Mutation>,
    /// Keys that are set hang on this lease of the asking client, and end with it.
    pub lease: Option<LeaseId>,
    /// Keys to read in the same moment, after the mutations; also when a guard failed.
    pub reads: Vec<Bytes>,
}

/// A condition on what somebody holds: fencing where it cannot be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Hold {
    /// A lock is held under this token.
    Lock {
        /// Which.
        name: Name,
        /// The revision of the grant.
        token: Revision,
    },
    /// A name stands for this owner.
    Claim {
        /// Which.
        name: Name,
        /// Whose.
        owner: String,
    },
    /// Somebody is the incumbent of an election under this token.
    Incumbent {
        /// Of which.
        election: Name,
        /// The revision of the grant.
        token: Revision,
    },
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Guard {
    /// Which key.
    pub key: Bytes,
    /// What must hold.
    pub expect: Expect,
}

/// What is expected of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// It exists.
    Present,
    /// It was last modified at this revision.
    Revision(Revision),
    /// It has this value.
    Value(Bytes),
}

/// One write of a [`Multi`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mutation {
    /// Sets a key.
    Put {
        /// Which.
        key: Bytes,
        /// To what.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// Which.
        key: Bytes,
    },
}
