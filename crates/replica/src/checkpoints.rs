//! Digests of the state at certain slots, and whether other nodes had the same.

use std::collections::{BTreeMap, VecDeque};

use synod_paxos::{NodeId, Slot};

use crate::Checkpoint;

/// Checkpoints remembered of each node, this one included: at 64 slots between two and 10 000 slots
/// a second, a node may be some 400 ms behind another and still be compared.
const REMEMBERED_MAX: usize = 64;

/// The own checkpoints, those of others that are ahead, and the count.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    every_slots: u64,
    own: VecDeque<Checkpoint>,
    ahead: BTreeMap<NodeId, VecDeque<Checkpoint>>,
    tally: Tally,
}

/// What comparing has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checkpoints of other nodes that agreed with this one's.
    pub agreed: u64,
    /// And that did not: a bug, or a disk that changed what it was given.
    pub differed: u64,
    /// The first that did not: with whom, and after which slot.
    pub first_difference: Option<(NodeId, Slot)>,
}

impl Checkpoints {
    /// A checkpoint after every so many slots, for the given other nodes.
    pub(crate) fn new(every_slots: u64, others: impl Iterator<Item = NodeId>) -> Checkpoints {
        assert!(every_slots > 0, "checkpoints are at least one slot apart");
        let ahead = others.map(|node| (node, VecDeque::new())).collect();
        Checkpoints { every_slots, own: VecDeque::new(), ahead, tally: Tally::default() }
    }

    /// Whether there is one after `slot`.
    pub(crate) fn falls_on(&self, slot: Slot) -> bool {
        slot.get().is_multiple_of(self.every_slots)
    }

    /// The state after a slot has this digest here.
    pub(crate) fn reached(&mut self, own: Checkpoint) {
        remember(&mut self.own, own);
        for (node, ahead) in &mut self.ahead {
            while let Some(theirs) = ahead.front()
                && theirs.slot <= own.slot
            {
                if theirs.slot == own.slot {
                    self.tally.compare(*node, own, *theirs);
                }
                ahead.pop_front();
            }
        }
    }

    /// Another node tells its own. What no longer can be compared is let go.
    pub(crate) fn told(&mut self, from: NodeId, theirs: Checkpoint) {
        let Some(ahead) = self.ahead.get_mut(&from) else { return };
        if !theirs.slot.get().is_multiple_of(self.every_slots) {
            return;
        }
        let reached = self.own.back().map_or(Slot::ZERO, |own| own.slot);
        if theirs.slot > reached {
            // In slot order, whatever order they came in; the furthest go first when it is full.
            let place = ahead.partition_point(|known| known.slot < theirs.slot);
            if ahead.get(place).is_none_or(|known| known.slot != theirs.slot) {
                ahead.insert(place, theirs);
                ahead.truncate(REMEMBERED_MAX);
            }
        } else if let Some(own) = self.own.iter().find(|own| own.slot == theirs.slot) {
            self.tally.compare(from, *own, theirs);
        }
    }

    /// The latest of this node, newest last.
    pub(crate) fn own(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        self.own.iter().copied()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

impl Tally {
    fn compare(&mut self, node: NodeId, own: Checkpoint, theirs: Checkpoint) {
        if own.hash == theirs.hash {
            self.agreed = self.agreed.saturating_add(1);
        } else {
            self.differed = self.differed.saturating_add(1);
            self.first_difference.get_or_insert((node, own.slot));
        }
    }
}

fn remember(ring: &mut VecDeque<Checkpoint>, checkpoint: Checkpoint) {
    if ring.len() == REMEMBERED_MAX {
        ring.pop_front();
    }
    ring.push_back(checkpoint);
}

#[cfg(test)]
mod tests {
    use synod_machine::StateHash;

    use super::*;

    const OTHER: NodeId = NodeId::new(2);

    fn at(slot: u64, hash: u64) -> Checkpoint {
        Checkpoint { slot: Slot::new(slot), hash: StateHash(hash) }
    }

    fn checkpoints() -> Checkpoints {
        Checkpoints::new(10, [OTHER].into_iter())
    }

    /// It does not matter who is ahead: each checkpoint that both had is compared once.
    #[test]
    fn checkpoints_are_compared_whoever_is_ahead() {
        let mut own = checkpoints();
        own.told(OTHER, at(20, 2));
        own.told(OTHER, at(10, 1));
        own.reached(at(10, 1));
        own.reached(at(20, 2));
        own.reached(at(30, 3));
        own.told(OTHER, at(30, 3));
        assert_eq!(own.tally(), Tally { agreed: 3, differed: 0, first_difference: None });
    }

    /// The first difference is kept: everything after it only follows.
    #[test]
    fn a_difference_is_counted_and_the_first_one_remembered() {
        let mut own = checkpoints();
        own.reached(at(10, 1));
        own.told(OTHER, at(20, 9));
        own.told(OTHER, at(10, 1));
        own.reached(at(20, 2));
        own.reached(at(30, 3));
        own.told(OTHER, at(30, 9));
        let first_difference = Some((OTHER, Slot::new(20)));
        assert_eq!(own.tally(), Tally { agreed: 1, differed: 2, first_difference });
    }

    /// Strangers, odd slots and endless futures cost nothing.
    #[test]
    fn what_is_told_is_bounded() {
        let mut own = checkpoints();
        own.told(NodeId::new(9), at(10, 1));
        own.told(OTHER, at(15, 1));
        for slot in (1..=1_000).rev() {
            own.told(OTHER, at(slot * 10, 1));
        }
        assert_eq!(own.ahead[&OTHER].len(), REMEMBERED_MAX);
        assert_eq!(own.ahead[&OTHER].front().map(|one| one.slot), Some(Slot::new(10)));
        assert!(!own.ahead.contains_key(&NodeId::new(9)));
    }
}
