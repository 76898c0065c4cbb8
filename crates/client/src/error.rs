use std::fmt;

use synod_machine::{
    Rejection, RequestId, Revision, SessionId, TxnId,
    door::{NotApplied, Refusal},
    limits::Misuse,
};
use synod_net::{AskError, CredentialsError, NetError};

use crate::standing::Lost;

/// Why a call has no answer. Only [`Error::Unknown`] and [`Error::TxnUnknown`] leave it open
/// whether something happened that must not happen twice, and both can be asked about. After
/// [`Error::NoAnswer`] the call is simply made again; after any other nothing has happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was done and nothing will be: safe to repeat.
    #[error("not applied: {why}")]
    NotApplied {
        /// Why not.
        why: Why,
    },
    /// It was sent, and no answer came by the deadline. [`Client::settle`](crate::Client::settle)
    /// answers for good.
    #[error(
        "unknown whether request {request} was applied: it was sent and no answer came in time"
    )]
    Unknown {
        /// What to ask about.
        request: RequestId,
    },
    /// The commit was sent, and no answer came by the deadline.
    /// [`Client::verdict`](crate::Client::verdict) answers; the transaction is finished in the
    /// background either way.
    #[error("unknown how transaction {txn} ended: its commit was sent and no answer came in time")]
    TxnUnknown {
        /// What to ask about.
        txn: TxnId,
    },
    /// It was sent, and no answer came by the deadline, or one that does not fit; or only some of
    /// its steps were done. Whether it was done makes no difference to doing it again: settling,
    /// acknowledging, asking for an abort.
    #[error("no answer: {why}; to ask again does no harm")]
    NoAnswer {
        /// What happened instead.
        why: Why,
    },
    /// It will not be done, however often it is asked.
    #[error("refused: {why}")]
    Refused {
        /// Why not.
        why: Refused,
    },
    /// The request breaks a limit or contradicts itself; nothing was sent.
    #[error("{0}")]
    Misuse(#[from] Misuse),
    /// The cluster heard nothing of this session for its time to live and ended it; the request was
    /// not applied, and undecided transactions of the session are aborted. The next call opens
    /// another session.
    #[error("session {session} has ended; the request was not applied")]
    SessionEnded {
        /// The session that was.
        session: SessionId,
    },
    /// The lease on which it was to hang is held no more, so it is not held either.
    #[error("not held: {why}")]
    LeaseLost {
        /// Why not.
        why: Lost,
    },
    /// A watch was to go on after a revision that the cluster has not come to.
    #[error("revision {asked} is not there yet: the cluster has come to {now}")]
    NotYet {
        /// After which it was to go on.
        asked: Revision,
        /// The latest there is.
        now: Revision,
    },
    /// No node could be reached; nothing was sent.
    #[error(transparent)]
    Connect(ConnectError),
    /// The files of the configuration prove no identity; nothing was sent.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The identity of the configuration belongs to another cluster; nothing was sent.
    #[error("the certificate is of cluster {found}, the configuration is of cluster {expected}")]
    WrongCluster {
        /// As configured.
        expected: String,
        /// As certified.
        found: String,
    },
    /// No socket could be opened.
    #[error(transparent)]
    Socket(#[from] NetError),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// No node says that it leads.
    #[error("no leader was found before the deadline")]
    NoLeader,
    /// No node leads, and the disks of these, which are there, are full: they lead nobody until
    /// there is room.
    #[error("no node leads, and the disk of {} is full", .nodes.join(", "))]
    DiskFull {
        /// Their names.
        nodes: Vec<String>,
    },
    /// What the last node that was asked said.
    #[error("{0}")]
    Node(NotApplied),
    /// Too many requests of this client are unanswered, and the deadline passed while waiting.
    #[error("too many requests of this client are unanswered")]
    TooManyOpen,
    /// Somebody settled the request as never applied before it arrived.
    #[error("the request was settled as never applied")]
    Settled,
    /// The answer was lost, and the deadline passed before another came; or it had passed before
    /// anybody could be asked.
    #[error("no answer came before the deadline")]
    NoAnswer,
    /// A node said something that is no answer to what was asked.
    #[error("a node gave an answer that does not fit the question; is it of another version?")]
    Nonsense,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// Some vote of the transaction is missing; no commit was proposed.
    #[error("not every participant has voted")]
    VotesMissing,
    /// The participant is not registered.
    #[error("participant {0} is not registered")]
    NoParticipant(String),
    /// The participant could not be reached.
    #[error("participant {0}")]
    Participant(Unreached),
}

/// Who refused for good, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A node, before anything was put into the log.
    #[error("{0}")]
    Door(Refusal),
    /// The replicated machine, which changed nothing.
    #[error("{0}")]
    Log(Rejection),
}

/// Why no node could be reached: one line a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    pub(crate) cluster: String,
    pub(crate) nodes: Vec<Unreached>,
}

impl ConnectError {
    /// Every node that was tried.
    pub fn nodes(&self) -> impl Iterator<Item = &Unreached> {
        self.nodes.iter()
    }

    /// Whether every node (or this client) refused the other's identity: trying again is useless.
    pub fn is_identity(&self) -> bool {
        !self.nodes.is_empty() && self.nodes.iter().all(|node| node.identity)
    }
}

impl std::error::Error for ConnectError {}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_identity() {
            return write!(f, "no node of {} accepted this client", self.cluster);
        }
        write!(f, "no node of {} could be reached", self.cluster)
    }
}

/// Why one node or participant could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Its name.
    pub name: String,
    /// Where it should be.
    pub address: String,
    /// What went wrong.
    pub why: String,
    /// Whether one side refused the other's identity: trying again is useless.
    pub identity: bool,
}

impl Unreached {
    pub(crate) fn new(name: &str, address: &str, error: &AskError) -> Unreached {
        let (why, identity) = match error {
            AskError::Connect { why, identity, .. } | AskError::Lost { why, identity } => {
                (why.clone(), *identity)
            }
            other => (other.to_string(), false),
        };
        Unreached { name: name.to_owned(), address: address.to_owned(), why, identity }
    }
}

impl Unreached {
    /// What went wrong, and whether trying again is useless.
    pub fn cause(&self) -> String {
        let refused = if self.identity { "refused: " } else { "" };
        format!("{refused}{}", self.why)
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.name, self.address, self.cause())
    }
}

/// How a node could last be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its name.
    pub name: String,
    /// Where it should be.
    pub address: String,
    /// In words.
    pub how: String,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.name, self.address, self.how)
    }
}

impl Error {
    pub(crate) fn not_applied(why: Why) -> Error {
        Error::NotApplied { why }
    }

    pub(crate) fn no_answer(why: Why) -> Error {
        Error::NoAnswer { why }
    }

    /// As the end of a call whose first step was done, and that may be made again: that nothing was
    /// done would be true of a later step alone.
    pub(crate) fn half_way(self) -> Error {
        match self {
            Error::NotApplied { why } => Error::no_answer(why),
            Error::Unknown { .. } | Error::SessionEnded { .. } | Error::Connect(_) => {
                Error::no_answer(Why::NoAnswer)
            }
            error => error,
        }
    }

    pub(crate) fn log(rejection: Rejection) -> Error {
        Error::Refused { why: Refused::Log(rejection) }
    }

    pub(crate) fn door(refusal: Refusal) -> Error {
        Error::Refused { why: Refused::Door(refusal) }
    }
}
