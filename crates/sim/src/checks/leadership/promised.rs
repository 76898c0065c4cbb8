//! D2: nobody proposes or leads before a quorum has promised its ballot, or serves before it has
//! applied what it inherited; and whoever promises another does not lead on.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::{Ballot, Life, NodeId, Slot};

use crate::violation::{Checked, demand};

/// Who has promised what.
#[derive(Debug)]
pub(super) struct Promised {
    quorum: usize,
    by: BTreeMap<Ballot, BTreeSet<Life>>,
}

impl Promised {
    pub(super) fn new(quorum: usize) -> Promised {
        Promised { quorum, by: BTreeMap::new() }
    }

    /// A promise leaves.
    pub(super) fn gives(&mut self, from: Life, ballot: Ballot) {
        self.by.entry(ballot).or_default().insert(from);
    }

    /// Whether a quorum has promised this ballot.
    pub(super) fn has(&self, ballot: Ballot) -> bool {
        self.by.get(&ballot).is_some_and(|lives| lives.len() >= self.quorum)
    }

    /// Somebody is past phase 1 at this ballot.
    pub(super) fn by_a_quorum(&self, ballot: Ballot) -> Checked {
        let promised = self.by.get(&ballot).map_or(0, BTreeSet::len);
        demand!(
            promised >= self.quorum,
            "D2",
            "phase 2 at {ballot} after {promised} promises of {}",
            self.quorum
        );
        Ok(())
    }
}

/// A node does not lead.
pub(super) fn serves_not(node: NodeId, serving: bool) -> Checked {
    demand!(!serving, "D2", "{node} serves and does not lead");
    Ok(())
}

/// A node serves that leads.
pub(super) fn serves(node: NodeId, ballot: Ballot, applied: Slot, inherited: Slot) -> Checked {
    demand!(
        applied >= inherited,
        "D2",
        "{node} serves at {ballot} with {applied} applied and {inherited} inherited"
    );
    Ok(())
}

/// A node leads, and has itself promised this.
pub(in crate::checks) fn is_its_own(node: NodeId, ballot: Ballot, promised: Ballot) -> Checked {
    demand!(promised == ballot, "D2", "{node} leads at {ballot} and has promised {promised}");
    Ok(())
}
