//! E3: nobody acknowledges a write while the leader of an earlier reign holds a lease: that one
//! would read without it. (What an earlier leader acknowledges, a later one has inherited.)

use synod_paxos::Role;
use synod_replica::Status;

use super::alone::Held;
use crate::violation::{Checked, demand};

/// A node that stands so tells somebody what the log made of a request; these are all leases that
/// run.
pub(crate) fn tells(status: &Status, held: &[Held]) -> Checked {
    let Role::Leading { ballot, .. } = status.role else { return Ok(()) };
    if let Some(older) = held.iter().find(|held| held.at < ballot) {
        demand!(false, "E3", "a request is acknowledged at {ballot} beside {older}");
    }
    Ok(())
}
