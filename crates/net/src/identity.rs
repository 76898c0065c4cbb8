use std::fmt;

/// A cluster's, node's or client's name: 1 to 64 of `a-z A-Z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    pub fn new(name: impl Into<String>) -> Result<Name, IdentityError> {
        let name = name.into();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match name.len() {
            0 => Err(IdentityError::Empty),
            1..=64 if name.chars().all(fits) => Ok(Name(name)),
            1..=64 => Err(IdentityError::Characters(name)),
            len => Err(IdentityError::TooLong(len)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client may do; each role may all that the one before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads, status.
    Read,
    /// Votes, acknowledges and asks for verdicts of its own name only. (Beside the ladder.)
    Participant,
    /// And writes, sessions, transactions as owner.
    Write,
    /// And forcing.
    Admin,
}

/// Who somebody is, by the one URI SAN of its certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// In which cluster.
    pub cluster: Name,
    /// As what.
    pub who: Who,
}

/// A node or a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// `synod://CLUSTER/node/NAME`
    Node(Name),
    /// `synod://CLUSTER/client/NAME?role=ROLE`
    Client {
        /// Its name.
        name: Name,
        /// What it may do.
        role: Role,
    },
}

/// Why a name or a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing there.
    #[error("an empty name")]
    Empty,
    /// Longer than 64 bytes.
    #[error("a name of {0} bytes; at most 64 are allowed")]
    TooLong(usize),
    /// Other characters than allowed.
    #[error("{0:?} has characters other than a-z A-Z 0-9 . _ -")]
    Characters(String),
}
