use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is proposed for a slot and chosen in it. Its bytes mean nothing to Paxos.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Decree {
    /// Nothing: fills a gap that a new leader must close.
    Noop,
    /// Somebody's bytes.
    Value(Bytes),
}

impl Decree {
    /// Bytes that the decree carries, for windows and budgets.
    pub fn bytes(&self) -> usize {
        match self {
            Decree::Noop => 0,
            Decree::Value(bytes) => bytes.len(),
        }
    }
}
