//! A4: what is chosen is the only decree that is proposed above, before it is chosen or after.

use synod_paxos::{Ballot, Decree, Slot};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// Somebody proposes in a slot where something may have been chosen.
pub(super) fn is_proposed(ghost: &Ghost, slot: Slot, ballot: Ballot, decree: &Decree) -> Checked {
    if let Some((at, chosen)) = ghost.chosen(slot) {
        demand!(
            *at > ballot || chosen == decree,
            "A4",
            "slot {slot}: proposed {decree:?} at {ballot} after {chosen:?} was chosen at {at}"
        );
    }
    Ok(())
}

/// A quorum has voted in a slot where something may have been proposed above.
pub(super) fn is_chosen(ghost: &Ghost, slot: Slot, ballot: Ballot, decree: &Decree) -> Checked {
    for (above, other) in ghost.proposed_above(slot, ballot) {
        demand!(
            other == decree,
            "A4",
            "slot {slot}: {decree:?} chosen at {ballot}, with {other:?} proposed at {above}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::Ballot;

    use crate::checks::agreement::{
        spoken,
        stage::{accept, ghost, life, name, value, vote},
    };

    /// What is chosen binds every higher ballot, proposed before or after.
    #[test]
    fn another_decree_at_a_higher_ballot_is_caught() {
        let low = Ballot::first(life(1));
        let high = low.raised_by(life(2));
        let mut after = ghost();
        vote(&mut after, 1, low, &value("a")).unwrap();
        vote(&mut after, 3, low, &value("a")).unwrap();
        assert_eq!(name(spoken(&mut after, &accept(2, high, value("b")))), "A4");

        let mut before = ghost();
        spoken(&mut before, &accept(2, high, value("b"))).unwrap();
        vote(&mut before, 1, low, &value("a")).unwrap();
        assert_eq!(name(vote(&mut before, 3, low, &value("a"))), "A4");
    }
}
