use std::collections::BTreeMap;

use crate::{Life, Members, Slot};

/// How much of the log snapshots make superfluous.
///
/// Invariant: what is trimmed anywhere is covered by durable snapshots on a quorum, the trimmer's
/// own among them. A dead member holds nothing up, for a quorum does without it; and one that comes
/// back is brought further by any of the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cover {
    me: Life,
    /// By the life that told it: another life has another disk.
    marks: BTreeMap<Life, Slot>,
}

impl Cover {
    pub(crate) fn new(me: Life) -> Cover {
        Cover { me, marks: BTreeMap::new() }
    }

    /// Durable snapshots of `life` cover everything up to `upto`. The latest word counts: a
    /// snapshot may be lost.
    pub(crate) fn told(&mut self, life: Life, upto: Slot) {
        self.marks.insert(life, upto);
    }

    /// What the own snapshots cover.
    pub(crate) fn own(&self) -> Slot {
        self.mark(self.me)
    }

    /// What the snapshots of a quorum cover, and the own.
    pub(crate) fn by_quorum(&self, members: &Members) -> Slot {
        let mut marks: Vec<Slot> = members.iter().map(|life| self.mark(life)).collect();
        marks.sort_unstable_by(|one, other| other.cmp(one));
        let quorum = marks.get(members.quorum() - 1).copied().unwrap_or(Slot::ZERO);
        quorum.min(self.own())
    }

    fn mark(&self, life: Life) -> Slot {
        self.marks.get(&life).copied().unwrap_or(Slot::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incarnation, NodeId};

    fn life(node: u16) -> Life {
        Life::first(NodeId::new(node))
    }

    fn five() -> (Cover, Members) {
        (Cover::new(life(1)), Members::new((1..=5).map(life).collect()).unwrap())
    }

    fn told(cover: &mut Cover, marks: &[(u16, u64)]) {
        for (node, upto) in marks {
            cover.told(life(*node), Slot::new(*upto));
        }
    }

    /// What a quorum covers counts, whoever is silent; what less than one covers does not.
    #[test]
    fn a_quorum_covers_what_the_slowest_of_its_fastest_members_covers() {
        let (mut cover, members) = five();
        told(&mut cover, &[(1, 90), (2, 80)]);
        assert_eq!(cover.by_quorum(&members), Slot::ZERO, "two of five");
        told(&mut cover, &[(3, 70)]);
        assert_eq!(cover.by_quorum(&members), Slot::new(70), "two are dead");
        told(&mut cover, &[(4, 85), (5, 10)]);
        assert_eq!(cover.by_quorum(&members), Slot::new(80), "one is slow");
    }

    /// Nobody trims what its own snapshots do not cover.
    #[test]
    fn the_own_snapshots_cover_it_too() {
        let (mut cover, members) = five();
        told(&mut cover, &[(1, 5), (2, 80), (3, 70), (4, 85)]);
        assert_eq!(cover.by_quorum(&members), Slot::new(5));
    }

    /// Another life of a member is not the member: its disk is another.
    #[test]
    fn what_another_life_told_covers_nothing() {
        let (mut cover, members) = five();
        told(&mut cover, &[(1, 90), (2, 80)]);
        let stranger = Life { node: NodeId::new(3), incarnation: Incarnation::new(2) };
        cover.told(stranger, Slot::new(70));
        assert_eq!(cover.by_quorum(&members), Slot::ZERO);
    }

    /// A member that lost a snapshot says so, and the old word is void.
    #[test]
    fn the_latest_word_of_a_member_counts() {
        let (mut cover, members) = five();
        told(&mut cover, &[(1, 90), (2, 80), (3, 70)]);
        told(&mut cover, &[(3, 20)]);
        assert_eq!(cover.by_quorum(&members), Slot::new(20));
    }
}
