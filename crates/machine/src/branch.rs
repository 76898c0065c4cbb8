//! The participant's half of atomic commit, as a value: what is prepared, what is locked, and what
//! must be durable before a vote is spoken.

use serde::{Deserialize, Serialize};

use crate::{Guard, Mutation};

/// A branch's share of a transaction, on the participant's own keys and revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// All must hold when it is prepared, and hold still when it commits: their keys are locked.
    pub guards: Vec<Guard>,
    /// What is then done. A key may be written once.
    pub mutations: Vec<Mutation>,
}
