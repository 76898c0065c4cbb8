//! What comes twice, late, or against what came before changes nothing: a copy is told.

use bytes::Bytes;
use synod_machine::{
    BranchIncarnation, Mutation, ParticipantName, TxnId,
    branch::{Asker, Branches, Input, Moment, Output, Work},
    owner::{Owner, Phase},
    participant_door::{NoReason, Said, Vote},
};

use crate::violation::{Checked, demand};

/// An owner hears a vote again, and another one, of each of these participants.
pub(crate) fn owner_stands<'n>(
    owner: &Owner,
    names: impl Iterator<Item = &'n ParticipantName>,
) -> Checked {
    let phase = owner.phase();
    for name in names.filter(|name| !owner.to_ask().any(|awaited| awaited == *name)) {
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

/// A participant has rolled a branch back, and is asked to prepare it after that.
pub(crate) fn branch_stays_over(branches: &Branches, now: Moment, txn: TxnId) -> Checked {
    let (key, value) = (Bytes::from_static(b"late"), Bytes::new());
    let mutations = vec![Mutation::Put { key, value }];
    let late = Input::Prepare {
        asker: Asker(u64::MAX),
        txn,
        work: Work { guards: Vec::new(), mutations },
    };
    let Output { durably, at_once, .. } = branches.clone().step(now, late, |_| None);
    let refused = at_once.iter().any(|(_, said)| matches!(said, Said::Vote(Vote::No { .. })));
    demand!(
        refused && durably.writes().is_empty(),
        "C10",
        "a late prepare of {txn}, which is over, is answered with {at_once:?}"
    );
    Ok(())
}

fn votes() -> [Vote; 4] {
    let incarnation = BranchIncarnation(u64::MAX);
    [Vote::Yes { incarnation }, Vote::ReadOnly, Vote::No { reason: NoReason::Ended }, Vote::Unknown]
}

fn is_same(one: &Owner, other: &Owner) -> bool {
    crate::checks::hash(one) == crate::checks::hash(other)
}
