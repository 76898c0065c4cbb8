//! Bugs that the simulator plants into its own devices, to show that its checks bite.

use synod_paxos::{Envelope, Message};

/// A bug of the driver or the disk that a universe may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// `Promise` is spoken before it is durable.
    PromiseBeforeSync,
    /// `Accepted` is spoken before it is durable.
    AcceptedBeforeSync,
    /// A candidate opens its ballot before it is durable.
    BallotBeforeSync,
    /// A participant votes before its prepare is durable.
    VoteBeforeSync,
    /// A participant answers a read before what was read is durable.
    ReadBeforeSync,
    /// A holder gives back what it has before that what it does under it has ended.
    ReleaseBeforeReaped,
    /// The history of clients, and no other check, has a read find what its key held before the
    /// last change.
    StaleHistory,
}

impl Plant {
    /// Every one of them.
    pub const ALL: [Plant; 7] = [
        Plant::PromiseBeforeSync,
        Plant::AcceptedBeforeSync,
        Plant::BallotBeforeSync,
        Plant::VoteBeforeSync,
        Plant::ReadBeforeSync,
        Plant::ReleaseBeforeReaped,
        Plant::StaleHistory,
    ];

    /// Whether this bug opens sealed words.
    pub(crate) fn opens_words(self) -> bool {
        match self {
            Plant::PromiseBeforeSync | Plant::AcceptedBeforeSync | Plant::BallotBeforeSync => true,
            Plant::VoteBeforeSync
            | Plant::ReadBeforeSync
            | Plant::ReleaseBeforeReaped
            | Plant::StaleHistory => false,
        }
    }

    /// Whether this sealed word is spoken before the facts behind it are durable.
    pub(crate) fn speaks_early(self, word: &Envelope) -> bool {
        match self {
            Plant::PromiseBeforeSync => matches!(word.message, Message::Promise { .. }),
            Plant::AcceptedBeforeSync => matches!(word.message, Message::Accepted { .. }),
            Plant::BallotBeforeSync => matches!(word.message, Message::Prepare { .. }),
            Plant::VoteBeforeSync
            | Plant::ReadBeforeSync
            | Plant::ReleaseBeforeReaped
            | Plant::StaleHistory => false,
        }
    }
}
