//! A1: one decree is chosen in a slot, whatever ballots it is chosen at.

use synod_paxos::{Ballot, Decree, Slot};

use crate::violation::{Checked, demand};

/// A quorum has voted in a slot where one had voted before, for what was chosen `first`.
pub(super) fn holds(
    slot: Slot,
    (ballot, decree): (Ballot, &Decree),
    (at, first): &(Ballot, Decree),
) -> Checked {
    demand!(
        first == decree,
        "A1",
        "slot {slot}: {decree:?} chosen at {ballot} after {first:?} at {at}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::Ballot;

    use crate::checks::agreement::stage::{ghost, life, name, value, vote};

    /// Each clause bites: the check of A1 sees a second decree chosen in a slot.
    #[test]
    fn a_second_decree_chosen_in_a_slot_is_caught() {
        let (mut ghost, low) = (ghost(), Ballot::first(life(1)));
        let high = low.raised_by(life(2));
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        vote(&mut ghost, 2, low, &value("a")).unwrap();
        vote(&mut ghost, 3, high, &value("b")).unwrap();
        assert_eq!(name(vote(&mut ghost, 2, high, &value("b"))), "A1");
    }
}
