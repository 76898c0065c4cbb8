//! L5: who cannot write does not lead.

use synod_paxos::{Ballot, NodeId};

use super::Times;
use crate::violation::{Checked, demand};

/// A node leads that may take so long to notice that its disk stands still.
pub(super) fn holds(node: NodeId, ballot: Ballot, silence_us: u64, times: Times) -> Checked {
    let deaf_to_disk = times.syncing_us.min(times.awake_us);
    demand!(
        deaf_to_disk < silence_us,
        "L5",
        "{node} leads at {ballot} and its disk has stood still for {deaf_to_disk} us"
    );
    Ok(())
}
