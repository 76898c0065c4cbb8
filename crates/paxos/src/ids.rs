use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a node in its cluster's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(u16);

impl NodeId {
    /// The node with this number.
    pub const fn new(number: u16) -> NodeId {
        NodeId(number)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Which life of a node's disk this is. A disk that was lost and formatted anew is another life,
/// and nothing the former life promised is known to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The first life of a node's disk.
    pub const FIRST: Incarnation = Incarnation(1);

    /// The life with this number.
    pub const fn new(number: u64) -> Incarnation {
        Incarnation(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One life of one node: what may own ballots and cast votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// The node.
    pub node: NodeId,
    /// Which life of its disk.
    pub incarnation: Incarnation,
}

impl Life {
    /// The first life of `node`.
    pub const fn first(node: NodeId) -> Life {
        Life { node, incarnation: Incarnation::FIRST }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.incarnation == Incarnation::FIRST {
            write!(f, "{}", self.node)
        } else {
            write!(f, "{}+{}", self.node, self.incarnation)
        }
    }
}

/// Which process of a life speaks: a number drawn at every start, compared and never ordered. It
/// tells a peer that was away from one that was slow. Safety never rests on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process(u64);

impl Process {
    /// The process that drew this number.
    pub const fn new(number: u64) -> Process {
        Process(number)
    }
}

/// The number of a configuration of members. Static membership stays in the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(u64);

impl Epoch {
    /// The configuration a cluster is formatted with.
    pub const FIRST: Epoch = Epoch(0);

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A place in the log (Lamport: instance). Slots count from 1; [`Slot::ZERO`] is before the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Slot(u64);

impl Slot {
    /// Before the first slot: the watermark of an empty log.
    pub const ZERO: Slot = Slot(0);

    /// The slot with this number.
    pub const fn new(number: u64) -> Slot {
        Slot(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The slot after this one. A log of 2^64 slots cannot be filled by honest peers, and slots
    /// from the wire are bounded before they get here; overflow is our bug, so it stops us.
    #[must_use]
    pub fn next(self) -> Slot {
        Slot(self.0.checked_add(1).expect("slot counter exhausted"))
    }

    /// The slot `count` places further, or the last one there is.
    #[must_use]
    pub fn plus(self, count: u64) -> Slot {
        Slot(self.0.saturating_add(count))
    }

    /// How many slots lie in `(earlier, self]`; zero when `earlier` is not earlier.
    pub fn distance_from(self, earlier: Slot) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
