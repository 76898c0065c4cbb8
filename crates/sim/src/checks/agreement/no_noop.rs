//! A6: no no-op is chosen over what a quorum has voted for, and nothing over a no-op. It is A1
//! where one of the two is a no-op, and has a name of its own: a slot is filled that was not empty.

use synod_paxos::{Ballot, Decree, Slot};

use crate::violation::{Checked, demand};

/// A quorum has voted in a slot where one had voted before, for what was chosen `first`.
pub(super) fn holds(
    slot: Slot,
    (ballot, decree): (Ballot, &Decree),
    (at, first): &(Ballot, Decree),
) -> Checked {
    let one_is_noop = matches!(decree, Decree::Noop) || matches!(first, Decree::Noop);
    demand!(
        first == decree || !one_is_noop,
        "A6",
        "slot {slot}: {decree:?} chosen at {ballot} after {first:?} at {at}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Ballot, Decree};

    use crate::checks::agreement::stage::{ghost, life, name, value, vote};

    /// A no-op over a chosen decree is told by its own name.
    #[test]
    fn a_noop_over_a_chosen_decree_is_caught() {
        let (mut ghost, low) = (ghost(), Ballot::first(life(1)));
        let high = low.raised_by(life(2));
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        vote(&mut ghost, 2, low, &value("a")).unwrap();
        vote(&mut ghost, 3, high, &Decree::Noop).unwrap();
        assert_eq!(name(vote(&mut ghost, 2, high, &Decree::Noop)), "A6");
    }
}
