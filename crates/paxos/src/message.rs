use serde::{Deserialize, Serialize};

use crate::{Epoch, Life, NodeId};

/// A word from one life to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who speaks.
    pub from: Life,
    /// To whom; possibly to itself.
    pub to: NodeId,
    /// The configuration that the speaker is in.
    pub epoch: Epoch,
    /// What is said.
    pub message: Message,
}

/// What peers say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {}

impl Envelope {
    /// Whether this word carries decrees and so belongs on the bulk or log lane rather than on the
    /// control lane, where heartbeats must never wait behind a payload.
    pub fn lane(&self) -> Lane {
        match self.message {}
    }
}

/// How urgent a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Heartbeats, phase 1, read barriers.
    Control,
    /// Phase 2.
    Log,
    /// Catch-up.
    Bulk,
}
