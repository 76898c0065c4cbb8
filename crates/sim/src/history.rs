//! What clients saw, and whether one order of everything explains it. Nothing here knows of
//! universes: histories of real processes are judged by the same lines.
//!
//! - [`linearizable`]: reads and writes of keys, each taking effect at one moment between its
//!   question and its answer (Herlihy and Wing, *Linearizability*, TOPLAS 1990), by the search of
//!   Wing and Gong (JPDC 1993) with Lowe's memory of where it has been (*Testing for
//!   linearizability*, 2017), key by key.
//! - [`append`]: transactions that append their numbers to lists, in one order that all lists and
//!   all clients agree with (after Kingsbury and Alvaro, *Elle*, VLDB 2020).
//! - [`bank`]: transfers, which keep the sum and add up.

pub mod append;
pub mod bank;
mod operation;
mod search;

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
pub use operation::{Operation, Saw};

/// Why a history is not linearizable, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// No order of the operations on this key explains what they saw.
    NoOrder {
        /// Which key.
        key: Bytes,
        /// How many operations the longest order holds that explains what they saw.
        placed: usize,
        /// What the key held after those.
        held: Option<Bytes>,
        /// The operations of which one would have to come next, and none can.
        stuck: Vec<Operation>,
    },
    /// There are so many possible orders that nobody has looked at them all.
    Undecided {
        /// Which key.
        key: Bytes,
        /// How many steps the search has taken.
        steps: u64,
    },
}

/// Whether every key's operations can be put into one order: each between its question and its
/// answer, each seeing what the one before left. What was never answered may have taken effect at
/// any time after its question, or not at all.
pub fn linearizable(operations: &[Operation]) -> Result<(), Contradiction> {
    let mut keys: BTreeMap<&Bytes, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys.into_iter().try_for_each(|(key, operations)| search::judge(key, &operations))
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contradiction::NoOrder { key, placed, held, stuck } => {
                write!(f, "{key:?}: after {placed} operations it holds {held:?}; none fits of")?;
                stuck.iter().try_for_each(|operation| write!(f, "\n  {operation}"))
            }
            Contradiction::Undecided { key, steps } => {
                write!(f, "{key:?}: undecided after {steps} steps")
            }
        }
    }
}

impl std::error::Error for Contradiction {}
