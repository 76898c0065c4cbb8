//! C2: equal slots make equal states, at every node, by every way to come there.

use synod_machine::{Machine, Query, StateHash};
use synod_paxos::{NodeId, Slot};

use crate::violation::{Checked, Violation, demand};

/// A node has applied a slot, after which the log makes the state `there`.
pub(super) fn is_made(
    node: NodeId,
    applied: Slot,
    here: StateHash,
    there: Option<StateHash>,
) -> Checked {
    demand!(
        Some(here) == there,
        "C2",
        "{node} has applied slot {applied}: its state is {here:?}, the log makes {there:?}"
    );
    Ok(())
}

/// The digest that it kept is that of its state.
pub(super) fn is_kept(node: NodeId, here: StateHash, scratch: StateHash) -> Checked {
    demand!(here == scratch, "C2", "{node}: digest {here:?}, from scratch {scratch:?}");
    Ok(())
}

/// What a snapshot of this state gives back.
pub(in crate::checks) fn is_restored(machine: &Machine) -> Result<Machine, Violation> {
    let unreadable = |error| Violation { invariant: "C2", what: format!("{error}") };
    Machine::restore(&machine.snapshot().to_bytes()).map_err(unreadable)
}

/// And both have come to the time when what is over is forgotten.
pub(in crate::checks) fn is_the_same_later(restored: &Machine, later: &Machine) -> Checked {
    let census = |machine: &Machine| machine.query(&Query::Census);
    demand!(
        restored.hash() == later.hash() && census(restored) == census(later),
        "C2",
        "a state from a snapshot is another one past the horizon: {:?}, not {:?}",
        census(restored),
        census(later)
    );
    Ok(())
}
