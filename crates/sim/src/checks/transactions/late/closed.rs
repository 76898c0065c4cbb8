//! C11 of commit: no branch stays open: nothing is locked that nobody holds in doubt, and no owner
//! waits for votes when one of them was no.

use synod_machine::{
    branch::Branches,
    owner::{Owner, Phase},
    participant_door::Vote,
};

use crate::violation::{Checked, demand};

/// An owner that still waits for votes hears a no.
pub(super) fn a_no_ends_it(owner: &Owner) -> Checked {
    if let Some(name) = owner.to_ask().next() {
        let mut copy = owner.clone();
        copy.vote(name, &Vote::Unknown);
        demand!(
            copy.phase() == Phase::Aborted,
            "C11",
            "the owner of {} waits on when {name} has voted no",
            owner.txn()
        );
    }
    Ok(())
}

/// What a participant locks it holds in doubt.
pub(super) fn nothing_else_is_locked(branches: &Branches) -> Checked {
    let counts = branches.counts();
    demand!(
        counts.in_doubt > 0 || counts.locked == 0,
        "C11",
        "nothing is in doubt, and {} keys are locked",
        counts.locked
    );
    Ok(())
}
