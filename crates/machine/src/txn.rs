use serde::{Deserialize, Serialize};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// All of it.
    Committed,
    /// None of it.
    Aborted,
}

/// What the log says of a transaction. All but `InProgress` are stable: said once, said for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing yet. A hint: nobody may act on it.
    InProgress,
    /// Committed.
    Committed,
    /// Aborted, by a record or by rule.
    Aborted,
    /// Older than what is remembered; ask a person. Never a guess.
    Retired,
}
