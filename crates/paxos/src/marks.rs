use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::{Incarnation, NodeId};

/// How much one life has written: a count of the steps that wrote, which goes to the disk with what
/// they wrote, and never falls. Whoever starts from a lower one than it has told of has been given
/// an older disk than its own, or a disk that lost what it had said was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark(u64);

impl Mark {
    /// Before the first write.
    pub const ZERO: Mark = Mark(0);

    /// The mark with this number.
    pub const fn new(number: u64) -> Mark {
        Mark(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The mark of the next step that writes.
    #[must_use]
    pub fn next(self) -> Mark {
        Mark(self.0.saturating_add(1))
    }
}

/// A mark says how much was written, and not what: words and disks that differ in marks alone mean
/// the same.
impl Hash for Mark {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What every word says beside itself of two disks: the speaker's, and its addressee's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks {
    /// All that the speaker wrote up to here is durable. A process says nothing of it to whoever
    /// has not spoken to it yet.
    pub holds: Option<Mark>,
    /// Which life of the addressee `heard` is of.
    pub of: Incarnation,
    /// The highest mark that this life has told the speaker to be durable.
    pub heard: Mark,
}

impl Marks {
    /// Nothing is known of any disk.
    pub const NONE: Marks = Marks { holds: None, of: Incarnation::FIRST, heard: Mark::ZERO };
}

/// Why a peer says and does nothing any more: its disk lacks what it has told others to be there.
/// It may have promised, or voted, and no longer know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Who remembers.
    pub told: NodeId,
    /// How much that was.
    pub was: Mark,
    /// How much there is.
    pub is: Mark,
}
