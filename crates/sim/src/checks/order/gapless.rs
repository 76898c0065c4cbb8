//! C3: what is chosen is applied in order and without a gap: a node takes no slots for chosen among
//! which it has nothing.

use synod_paxos::{Decree, Life, Slot};

use crate::violation::Violation;

/// A node takes all slots up to there for chosen, and has this in the slot `below`.
pub(super) fn has(
    life: Life,
    upto: Slot,
    below: Slot,
    decree: Option<&Decree>,
) -> Result<&Decree, Violation> {
    decree.ok_or_else(|| Violation {
        invariant: "C3",
        what: format!("{life} takes all up to {upto} for chosen and has nothing in {below}"),
    })
}
