//! B4: a vote is replaced only by one at a higher ballot, or by itself.

use synod_paxos::{Ballot, Decree, Life, Record, Slot};

use crate::violation::{Checked, demand};

/// A vote is asked for in a slot of which the disk was asked to keep this.
pub(super) fn holds(
    life: Life,
    slot: Slot,
    (ballot, decree): (Ballot, &Decree),
    before: Option<&Record>,
) -> Checked {
    let Some(Record::Accepted { ballot: at, decree: first }) = before else { return Ok(()) };
    demand!(ballot >= *at, "B4", "{life}, slot {slot}: votes at {ballot} after {at}");
    demand!(
        ballot > *at || decree == first,
        "B4",
        "{life}, slot {slot} at {ballot}: votes for {decree:?} after {first:?}"
    );
    Ok(())
}
