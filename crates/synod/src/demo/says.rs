//! What the director and the owner say to each other: one JSON document a line.

use serde::{Deserialize, Serialize};

/// What the owner reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OwnerSays {
    /// So many satellites stand in the catalogs; moves can begin.
    Ready {
        /// How many.
        satellites: usize,
    },
    /// A move committed, so many microseconds after its first vote was asked for.
    Committed {
        /// Microseconds.
        us: u64,
        /// Whether it was held between votes and decision, so that `us` says nothing.
        held: bool,
    },
    /// A move aborted.
    Aborted,
    /// A move was not answered in time.
    Unknown,
    /// As told: so many moves stand between their votes and their decision.
    Held {
        /// How many.
        moves: usize,
    },
    /// As told: nothing is in flight any more.
    Stopped,
}

/// What the director tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OwnerHears {
    /// Hold every move between its votes and its decision.
    Hold,
    /// Let them go on.
    Go,
    /// Finish what is in flight and end.
    Stop,
}

/// One line.
pub(crate) fn line(said: &impl Serialize) -> String {
    // These enums hold numbers and flags only: nothing in them can fail to be JSON.
    serde_json::to_string(said).unwrap_or_default()
}
