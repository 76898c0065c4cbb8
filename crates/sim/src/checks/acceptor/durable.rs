//! B3: what a word says of its speaker's promises and votes is durable when it leaves.

use synod_paxos::{Ballot, Decree, Life, Slot, Span};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// A candidate asks for promises, and has given its own.
pub(super) fn opens(from: Life, ballot: Ballot, durable: Ballot) -> Checked {
    demand!(
        durable >= ballot,
        "B3",
        "{from} opens its ballot {ballot} with only {durable} durable"
    );
    Ok(())
}

/// A promise is given.
pub(super) fn promises(from: Life, ballot: Ballot, durable: Ballot) -> Checked {
    demand!(
        durable >= ballot,
        "B3",
        "{from} speaks a promise of {ballot} with only {durable} durable"
    );
    Ok(())
}

/// Somebody is refused for a promise that another has.
pub(super) fn refuses(from: Life, ballot: Ballot, promised: Ballot, durable: Ballot) -> Checked {
    demand!(
        durable >= promised,
        "B3",
        "{from} refuses {ballot} for a promise of {promised} with only {durable} durable"
    );
    Ok(())
}

/// Votes are given at a ballot.
pub(super) fn votes(ghost: &Ghost, from: Life, ballot: Ballot, slots: &[Span]) -> Checked {
    for span in slots {
        for slot in (span.first.get()..=span.last.get()).map(Slot::new) {
            demand!(
                ghost.voted(from, slot, ballot),
                "B3",
                "{from} speaks a vote in slot {slot} at {ballot} that is not durable"
            );
        }
    }
    Ok(())
}

/// A promise tells of a vote.
pub(super) fn reports(ghost: &Ghost, from: Life, slot: Slot, ballot: Ballot) -> Checked {
    demand!(
        ghost.voted(from, slot, ballot),
        "B3",
        "{from} reports a vote in slot {slot} at {ballot} that was never durable"
    );
    Ok(())
}

/// And of what was voted for.
pub(super) fn reports_its_decree(
    ghost: &Ghost,
    from: Life,
    slot: Slot,
    ballot: Ballot,
    decree: &Decree,
) -> Checked {
    demand!(
        ghost.proposed(slot, ballot) == Some(decree),
        "B3",
        "{from} reports {decree:?} in slot {slot}, not what {ballot} proposed"
    );
    Ok(())
}
