//! Exhaustive search: every interleaving within stated bounds, over the real code.
//!
//! Where a universe draws one way through what may happen, a search takes all of them, the shortest
//! first. What it can do so for is small: a few nodes, ballots and slots, or one or two
//! transactions among two participants. What it finds is a shortest way to it.

mod breadth;
mod commit;
mod lease;
mod log;
mod places;
mod pool;
mod stage;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use breadth::Searched;
pub use places::{PLACES, Place};

use synod_paxos::{Ballot, Process, Slot, Standing};

use crate::violation::Violation;

/// How somebody stands who answers, sees no leader, and is in no state to campaign.
const IDLE: Standing = Standing {
    process: Process::new(0),
    promised: Ballot::ZERO,
    reign: None,
    quorum: false,
    sees_leader: false,
    disk_alive: true,
    chosen_upto: Slot::ZERO,
    covered: Slot::ZERO,
};

/// Runs the product's code: an assertion of its own that fails is a property that did not hold.
fn guarded<T>(act: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        Err(Violation { invariant: "assertion", what: said(panic.as_ref()) })
    })
}

fn said(panic: &dyn Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
