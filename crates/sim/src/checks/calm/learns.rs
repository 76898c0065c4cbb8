//! L2: everybody learns everything. A universe whose trouble has ended comes to an end, and no node
//! is kept from it by what it says to itself.

use std::fmt;

use synod_paxos::{NodeId, Slot};

use crate::violation::{Checked, demand};

/// What a node says to itself after one input comes to an end long before this.
const TO_ITSELF_MAX: u32 = 100_000;

/// A node hears itself, after it has so often since it heard anybody else.
pub(crate) fn comes_to_rest(node: NodeId, steps: u32, input: &impl fmt::Debug) -> Checked {
    demand!(steps < TO_ITSELF_MAX, "L2", "{node} talks to itself for ever: {input:?}");
    Ok(())
}

/// What a universe breaks that comes to no end, if not all states have come to what is chosen.
pub(crate) fn broken(mut applied: impl Iterator<Item = Slot>, upto: Slot) -> Option<&'static str> {
    applied.any(|applied| applied != upto).then_some("L2")
}
