use serde::{Deserialize, Serialize};

use crate::{Entry, Revision, SessionId, Verdict};

/// What a command did. A "no" is a reply, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What the machine holds only so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Counted {
    /// Sessions that have not ended.
    Sessions,
    /// Registered participants.
    Participants,
    /// Commits that some participant has not acknowledged.
    Commits,
    /// Sessions of one owner that have not ended.
    SessionsOfOwner,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Counted::Sessions => "sessions",
            Counted::Participants => "participants",
            Counted::Commits => "unacknowledged commits",
            Counted::SessionsOfOwner => "sessions of this owner",
        })
    }
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
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
    /// The request is so old that whether it took effect is no longer known: its session ended
    /// and the replies of that session have been forgotten. Never a guess.
    #[error("the session ended so long ago that the reply of this request is forgotten")]
    Forgotten,
    /// The fence was proposed in an earlier reign, or the session has shown life since.
    #[error("the session has shown life, or another leader reigns")]
    FenceOverruled,
    /// A commit may be proposed only in the session that owns the transaction.
    #[error("only the owner's own session may propose to commit")]
    NotTheOwner,
    /// The log waits for no acknowledgement of this participant in this transaction.
    #[error("participant {0} is not being waited for in this transaction")]
    NotAwaited(String),
    /// More of something exists than the machine will hold.
    #[error("there are {limit} {what} already")]
    TooMany {
        /// Of what.
        what: Counted,
        /// How many there may be.
        limit: u64,
    },
}
