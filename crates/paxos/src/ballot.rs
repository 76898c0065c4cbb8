use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Incarnation, Life, NodeId};

/// A round number owned by one life of one node (*The Part-Time Parliament* §2.2). Totally ordered:
/// round, node, incarnation.
///
/// ```
/// use synod_paxos::{Ballot, Life, NodeId};
/// let (one, two) = (Life::first(NodeId::new(1)), Life::first(NodeId::new(2)));
/// let first = Ballot::first(one);
/// assert!(first.raised_by(two) > first);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    // The field order is the order of ballots.
    round: u64,
    node: NodeId,
    incarnation: Incarnation,
}

impl Ballot {
    /// Below every ballot that anyone owns: what an acceptor has promised before it promised.
    pub const ZERO: Ballot =
        Ballot { round: 0, node: NodeId::new(0), incarnation: Incarnation::new(0) };

    /// The lowest ballot that `owner` owns.
    pub const fn first(owner: Life) -> Ballot {
        Ballot { round: 1, node: owner.node, incarnation: owner.incarnation }
    }

    /// The ballot of `round` that `owner` owns: how the store and transcripts spell one.
    pub const fn of(round: u64, owner: Life) -> Ballot {
        Ballot { round, node: owner.node, incarnation: owner.incarnation }
    }

    /// The lowest ballot of `owner` in a round above this one.
    #[must_use]
    pub fn raised_by(self, owner: Life) -> Ballot {
        let round = self.round.checked_add(1).expect("ballot rounds exhausted");
        Ballot { round, node: owner.node, incarnation: owner.incarnation }
    }

    /// The round.
    pub const fn round(self) -> u64 {
        self.round
    }

    /// The life that owns this ballot, the only one that may propose at it.
    pub const fn owner(self) -> Life {
        Life { node: self.node, incarnation: self.incarnation }
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.owner())
    }
}
