//! C10 of commit: what comes twice or late changes nothing.

use synod_machine::{
    BranchIncarnation, ParticipantName, TxnId,
    owner::{Owner, Phase},
    participant_door::{NoReason, Vote},
};

use super::{After, is_same, put};
use crate::violation::{Checked, demand};

/// An owner hears a vote again, and another one, of each of these participants.
pub(super) fn votes_are(owner: &Owner, names: &[&ParticipantName]) -> Checked {
    let phase = owner.phase();
    for name in names.iter().filter(|name| !owner.to_ask().any(|awaited| awaited == **name)) {
        for vote in votes() {
            let mut copy = owner.clone();
            copy.vote(name, &vote);
            // Who gave up early may still hear for the first time who holds something.
            let stands = match phase {
                Phase::Aborted => copy.phase() == phase,
                Phase::Voting | Phase::Proposed | Phase::Committed => is_same(&copy, owner),
            };
            demand!(stands, "C10", "{}, {phase:?}, heeds a late {vote:?} of {name}", owner.txn());
        }
    }
    Ok(())
}

impl After<'_> {
    /// It has voted no, and is asked again, when what was in the way is gone. Who heard the first
    /// vote has given up by now.
    pub(super) fn a_no(&self, txn: TxnId) -> Checked {
        self.is_refused(txn, put(b"again"), "C10")
    }

    /// It has rolled a branch back, and is asked to prepare it after that.
    pub(super) fn an_abort(&self, txn: TxnId) -> Checked {
        self.is_refused(txn, put(b"late"), "C10")
    }
}

fn votes() -> [Vote; 4] {
    let incarnation = BranchIncarnation(u64::MAX);
    [Vote::Yes { incarnation }, Vote::ReadOnly, Vote::No { reason: NoReason::Ended }, Vote::Unknown]
}
