//! D1: one node leads at a ballot, its owner, in one life of its process.

use std::collections::{BTreeMap, btree_map::Entry};

use synod_paxos::{Ballot, NodeId};

use crate::violation::{Checked, Violation, demand};

/// Which life of which process was first seen past phase 1 at a ballot.
#[derive(Debug, Default)]
pub(super) struct Reigns {
    first: BTreeMap<Ballot, (NodeId, u64)>,
}

impl Reigns {
    /// How many there have been.
    pub(super) fn count(&self) -> usize {
        self.first.len()
    }

    /// A node, in the `boot`th life of its process, leads; whether it is a new reign is returned.
    pub(super) fn is_led(
        &mut self,
        ballot: Ballot,
        node: NodeId,
        boot: u64,
    ) -> Result<bool, Violation> {
        let first = match self.first.entry(ballot) {
            Entry::Vacant(none) => {
                none.insert((node, boot));
                return Ok(true);
            }
            Entry::Occupied(first) => *first.get(),
        };
        demand!(
            first == (node, boot),
            "D1",
            "{node} in its life {boot} leads at {ballot}, at which {first:?} led before"
        );
        Ok(false)
    }
}

/// A node leads: at a ballot of its own.
pub(super) fn is_its_owner(node: NodeId, ballot: Ballot) -> Checked {
    demand!(ballot.owner().node == node, "D1", "{node} leads at {ballot}, another's");
    Ok(())
}
