use serde::{Deserialize, Serialize};

use crate::{Entry, Revision, SessionId, Verdict};

/// What a command did. A "no" is a reply, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// `OpenSession`: the new session.
    Session(SessionId),
    /// `CloseSession`, `RegisterParticipant`, `Ack`, `Retire`, `Fence`, `LeaderStart`,
    /// `ForgetParticipant`: it is so, as of this revision.
    Done(Revision),
    /// `Put`, or a `Cas` that held: the revision of the write.
    Written(Revision),
    /// `Delete`: whether the key was there, and the revision.
    Deleted {
        /// Whether it was there.
        existed: bool,
        /// The revision after it.
        revision: Revision,
    },
    /// A `Cas` that did not hold: what is there instead.
    Mismatch(Option<Entry>),
    /// `Multi`: all done.
    MultiDone {
        /// The revision of the writes (or of the state, when there were none).
        revision: Revision,
        /// What the `reads` found, in their order.
        reads: Vec<Option<Entry>>,
    },
    /// `Multi`: nothing done.
    MultiRefused {
        /// The first guard that failed, by its place.
        failed: u32,
        /// What the `reads` found, in their order.
        reads: Vec<Option<Entry>>,
    },
    /// `Settle`: it took effect, and this was its reply.
    SettledApplied(Box<Reply>),
    /// `Settle`: it has not taken effect and never will.
    SettledNever,
    /// `Decide`: the verdict that stands, whoever proposed it.
    Verdict(Verdict),
    /// It could not be done at all; nothing changed.
    Rejected(Rejection),
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No such session was ever opened.
    #[error("no such session")]
    UnknownSession,
    /// The session has ended; so have its locks and undecided transactions.
    #[error("the session has ended")]
    SessionEnded,
    /// The reply of this request was forgotten because the client said it had it.
    #[error("the request was answered before and its reply has been forgotten")]
    ReplyForgotten,
    /// The request was settled as never; this late copy of it changes nothing.
    #[error("the request was settled as never applied")]
    SettledNever,
    /// The session has more requests open than replies are kept for.
    #[error("more than {limit} requests of one session are unanswered")]
    TooManyOpen {
        /// How many may be.
        limit: u64,
    },
    /// The command breaks a limit or contradicts itself; the text says which.
    #[error("{0}")]
    Misuse(String),
    /// No participant of this name is registered.
    #[error("participant {0} is not registered")]
    UnknownParticipant(String),
    /// The participant votes from another store now.
    #[error("participant {0} voted from a store that it no longer has")]
    ForeignIncarnation(String),
}
