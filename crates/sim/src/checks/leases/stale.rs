//! L4: the end of a lease that was proposed in an earlier reign, or before the lease was used, ends
//! nothing.

use synod_machine::{
    Batch, Command, FenceGuard, LeaseCommand, Machine, Reign, Rejection, Reply, Request, Seq,
    Timestamp,
};

use crate::violation::{Checked, demand};

/// A reign has begun after this one.
pub(super) fn of_an_earlier_reign(machine: &Machine, earlier: Reign) -> Checked {
    ends_nothing(machine, |uses| guard(earlier, uses))
}

/// A lease has just been used.
pub(super) fn of_before_a_use(machine: &Machine) -> Checked {
    ends_nothing(machine, |uses| guard(machine.reign(), uses.checked_sub(1)?))
}

/// What would a copy of the machine say of such an end?
fn ends_nothing(machine: &Machine, guard: impl Fn(u64) -> Option<FenceGuard>) -> Checked {
    let Some((lease, guard)) =
        machine.live_leases().find_map(|(lease, _, uses)| Some((lease, guard(uses)?)))
    else {
        return Ok(());
    };
    let command = Command::Lease(LeaseCommand::Expire { lease, guard });
    let request = Request { id: None, acked: Seq::ZERO, command };
    let mut copy = machine.clone();
    let said = copy.apply(Batch { stamp: Timestamp(0), requests: vec![request] });
    let said = said.first().map(|applied| &applied.reply);
    demand!(
        said == Some(&Reply::Rejected(Rejection::ExpiryOverruled)),
        "L4",
        "the end of lease {lease} that {guard:?} guards comes to {said:?}"
    );
    Ok(())
}

fn guard(reign: Reign, renewals: u64) -> Option<FenceGuard> {
    Some(FenceGuard { reign, renewals })
}
