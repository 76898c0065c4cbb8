//! A2: for a slot and a ballot there is one decree, the one that the ballot's owner proposes.

use synod_paxos::{Ballot, Decree, Life, Slot};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// Somebody votes for what it does not propose itself.
pub(super) fn is_voted_for(
    ghost: &Ghost,
    life: Life,
    slot: Slot,
    ballot: Ballot,
    decree: &Decree,
) -> Checked {
    let proposal = ghost.proposed(slot, ballot);
    demand!(
        proposal == Some(decree),
        "A2",
        "{life} votes in slot {slot} at {ballot} for {decree:?}; proposed was {proposal:?}"
    );
    Ok(())
}

/// Somebody proposes, which is noted.
pub(super) fn is_proposed(
    ghost: &mut Ghost,
    by: Life,
    slot: Slot,
    ballot: Ballot,
    decree: &Decree,
) -> Checked {
    demand!(ballot.owner() == by, "A2", "{by} proposes in slot {slot} at {ballot}, another's");
    ghost.propose(slot, ballot, decree);
    let first = ghost.proposed(slot, ballot);
    demand!(
        first == Some(decree),
        "A2",
        "slot {slot} at {ballot}: proposed {decree:?} after {first:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::Ballot;

    use crate::checks::agreement::{
        spoken,
        stage::{accept, ghost, life, name, value},
    };

    /// One ballot, one decree, one owner.
    #[test]
    fn a_ballot_with_two_decrees_or_another_owner_is_caught() {
        let (mut ghost, ballot) = (ghost(), Ballot::first(life(1)));
        assert_eq!(name(spoken(&mut ghost, &accept(2, ballot, value("a")))), "A2");
        spoken(&mut ghost, &accept(1, ballot, value("a"))).unwrap();
        assert_eq!(name(spoken(&mut ghost, &accept(1, ballot, value("b")))), "A2");
    }
}
