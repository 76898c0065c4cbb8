//! C5: nothing goes from a log that durable snapshots do not cover, two here and one on each of a
//! quorum.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::{Life, NodeId, Slot, Write};

use super::order::rising;
use crate::{
    ghost::Ghost,
    violation::{Violation, demand},
};

/// What stands on each node's shelf, durable; what rots there stood there once.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    standing: BTreeMap<NodeId, BTreeSet<Slot>>,
    received: BTreeSet<(NodeId, Slot)>,
}

impl Beginning {
    /// A snapshot stands on a node's shelf.
    pub(crate) fn put_up(&mut self, node: NodeId, slot: Slot, received: bool) {
        self.standing.entry(node).or_default().insert(slot);
        if received {
            self.received.insert((node, slot));
        }
    }

    /// Whether one of this slot does.
    pub(crate) fn stands(&self, node: NodeId, slot: Slot) -> bool {
        self.standing.get(&node).is_some_and(|slots| slots.contains(&slot))
    }

    /// A snapshot is taken from a node's shelf.
    pub(crate) fn removed(&mut self, node: NodeId, slot: Slot) {
        self.standing.entry(node).or_default().remove(&slot);
    }

    /// A fact is asked for; whether the log is trimmed by it, and not replaced.
    pub(crate) fn asked(
        &mut self,
        ghost: &Ghost,
        life: Life,
        write: &Write,
    ) -> Result<bool, Violation> {
        if let Write::Accepted { slot, .. } | Write::Chosen { slot, .. } = write {
            rising::is_written(life, *slot, ghost.asked(life.node).trimmed())?;
        }
        let Write::Trimmed { upto } = *write else { return Ok(false) };
        let (node, facts) = (life.node, ghost.asked(life.node));
        rising::is_trimmed_on(life, upto, facts.trimmed())?;
        let own = self.covering(node, upto);
        rising::is_covered(life, upto, own)?;
        let unknown = upto > facts.chosen_upto();
        let stands = |set: &BTreeSet<Slot>| set.contains(&upto);
        let exactly = self.standing.get(&node).is_some_and(stands);
        // A snapshot takes the place of the log: one that was received, or that was written by a
        // process that died before its log was as far.
        if self.received.contains(&(node, upto)) || unknown && exactly {
            return Ok(false);
        }
        demand!(own > 1, "C5", "{life} trims up to {upto}; one snapshot alone covers that there");
        let covering = self.standing.keys().filter(|node| self.covering(**node, upto) > 0).count();
        demand!(
            covering >= ghost.quorum(),
            "C5",
            "{life} trims up to {upto}; snapshots of {covering} nodes cover that"
        );
        Ok(true)
    }

    fn covering(&self, node: NodeId, upto: Slot) -> usize {
        self.standing.get(&node).map_or(0, |slots| slots.range(upto..).count())
    }
}
