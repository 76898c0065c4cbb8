use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Below every one that is ever given out.
            pub const ZERO: $name = $name(0);

            /// The one with this number.
            pub const fn new(number: u64) -> $name {
                $name(number)
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The next one. 2^64 cannot be reached by counting; overflow is a bug and stops us.
            #[must_use]
            pub fn next(self) -> $name {
                $name(self.0.checked_add(1).expect("counter exhausted"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// The client-visible place in history: one per mutating request, shared by all keys.
    Revision
);
number!(
    /// A session, numbered in the order of the log: unique for ever.
    SessionId
);
number!(
    /// A lease, numbered in the order of the log: unique for ever.
    LeaseId
);
number!(
    /// The place of an entry in its journal, counted from 1.
    Position
);
number!(
    /// The number of a request within its session, counted by the client from 1.
    Seq
);

/// One request for ever: what `Unknown` carries and `settle` asks about. Printed as `SESSION-SEQ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The session it was made in.
    pub session: SessionId,
    /// Its number there.
    pub seq: Seq,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.session, self.seq)
    }
}

/// A transaction: the owner's session and a number the owner counts in memory from 1.
/// Printed as `SESSION.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TxnId {
    /// The owner's session.
    pub session: SessionId,
    /// The owner's count.
    pub n: u64,
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, self.n)
    }
}

/// The name a participant (resource manager) is registered under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParticipantName(String);

impl ParticipantName {
    /// The participant of this name.
    pub fn new(name: impl Into<String>) -> ParticipantName {
        ParticipantName(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ParticipantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a lock, an election and their like are called: text, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// This name.
    pub fn new(name: impl Into<String>) -> Name {
        Name(name.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which store a participant voted from: drawn when the store is formatted. A participant restored
/// onto another store is another incarnation, and its earlier votes are not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BranchIncarnation(pub u64);
