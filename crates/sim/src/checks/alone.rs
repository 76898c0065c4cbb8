//! E1: no two nodes hold a lease for reads at once, by the time of the universe.

use std::fmt;

use synod_paxos::{Ballot, NodeId};

use crate::violation::{Checked, demand};

/// A lease that runs at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) by: NodeId,
    pub(crate) at: Ballot,
    /// When it ends on its holder's clock, if nothing prolongs it.
    pub(crate) until_us: u64,
    /// The same, should that clock run as slowly as it may from now on.
    pub(crate) latest_us: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lease of {} at {} until {} us", self.by, self.at, self.until_us)
    }
}

/// A node has taken a step; these are all leases that run.
pub(crate) fn stepped(held: &[Held]) -> Checked {
    if let [one, other, ..] = held {
        demand!(false, "E1", "{one} runs beside {other}");
    }
    Ok(())
}
