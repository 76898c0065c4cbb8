//! A: at most one decree is chosen per slot, for ever, and only one that somebody asked for.

use synod_paxos::{Ballot, Decree, Envelope, Life, Message, Slot, Write};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// A word leaves: a proposal must be its owner's, the only one at its ballot, and what is chosen.
pub(crate) fn spoken(ghost: &mut Ghost, envelope: &Envelope) -> Checked {
    match &envelope.message {
        Message::Accept { ballot, slot, decree, .. } => {
            proposed(ghost, envelope.from, *slot, *ballot, decree)
        }
        _ => Ok(()),
    }
}

/// A fact is asked for: the vote of a proposer for its own decree is a proposal as well, and any
/// other vote is for what was proposed.
pub(crate) fn asked(ghost: &mut Ghost, life: Life, write: &Write) -> Checked {
    let Write::Accepted { slot, ballot, decree } = write else { return Ok(()) };
    if ballot.owner() == life {
        return proposed(ghost, life, *slot, *ballot, decree);
    }
    let proposal = ghost.proposed(*slot, *ballot);
    demand!(
        proposal == Some(decree),
        "A2",
        "{life} votes in slot {slot} at {ballot} for {decree:?}; proposed was {proposal:?}"
    );
    Ok(())
}

fn proposed(ghost: &mut Ghost, by: Life, slot: Slot, ballot: Ballot, decree: &Decree) -> Checked {
    demand!(ballot.owner() == by, "A2", "{by} proposes in slot {slot} at {ballot}, another's");
    ghost.propose(slot, ballot, decree);
    let first = ghost.proposed(slot, ballot);
    demand!(
        first == Some(decree),
        "A2",
        "slot {slot} at {ballot}: proposed {decree:?} after {first:?}"
    );
    if let Some((at, chosen)) = ghost.chosen(slot) {
        demand!(
            *at > ballot || chosen == decree,
            "A4",
            "slot {slot}: proposed {decree:?} at {ballot} after {chosen:?} was chosen at {at}"
        );
    }
    Ok(())
}

/// A quorum has voted at one ballot.
pub(crate) fn chosen(ghost: &mut Ghost, slot: Slot, ballot: Ballot, decree: Decree) -> Checked {
    if let Some((at, first)) = ghost.chosen(slot) {
        // A6 is this property for a no-op.
        let name_is_noop = matches!(decree, Decree::Noop) || matches!(first, Decree::Noop);
        demand!(
            *first == decree || !name_is_noop,
            "A6",
            "slot {slot}: {decree:?} chosen at {ballot} after {first:?} at {at}"
        );
        demand!(
            *first == decree,
            "A1",
            "slot {slot}: {decree:?} chosen at {ballot} after {first:?} at {at}"
        );
    }
    for (above, other) in ghost.proposed_above(slot, ballot) {
        demand!(
            *other == decree,
            "A4",
            "slot {slot}: {decree:?} chosen at {ballot}, with {other:?} proposed at {above}"
        );
    }
    ghost.choose(slot, ballot, decree);
    Ok(())
}

/// A node takes `decree` for chosen: some quorum must have voted for it at one ballot.
pub(crate) fn believed(ghost: &Ghost, life: Life, slot: Slot, decree: &Decree) -> Checked {
    match ghost.chosen(slot) {
        Some((at, chosen)) => demand!(
            chosen == decree,
            "C4",
            "{life} takes {decree:?} for chosen in slot {slot}; chosen at {at} was {chosen:?}"
        ),
        None => demand!(
            false,
            "A3",
            "{life} takes {decree:?} for chosen in slot {slot}, where no quorum has voted"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::NodeId;

    use super::*;

    fn life(node: u16) -> Life {
        Life::first(NodeId::new(node))
    }

    fn ghost() -> Ghost {
        Ghost::new(&[life(1), life(2), life(3)])
    }

    fn value(text: &'static str) -> Decree {
        Decree::Value(bytes::Bytes::from_static(text.as_bytes()))
    }

    fn accept(from: u16, ballot: Ballot, decree: Decree) -> Envelope {
        let message =
            Message::Accept { ballot, slot: Slot::new(1), decree, chosen_upto: Slot::ZERO };
        Envelope::of(life(from), NodeId::new(2), message)
    }

    fn vote(ghost: &mut Ghost, node: u16, ballot: Ballot, decree: &Decree) -> Checked {
        let write = Write::Accepted { slot: Slot::new(1), ballot, decree: decree.clone() };
        match ghost.sync(life(node), &write) {
            Some((slot, ballot, decree)) => chosen(ghost, slot, ballot, decree),
            None => Ok(()),
        }
    }

    fn name(checked: Checked) -> &'static str {
        checked.expect_err("this must be caught").invariant
    }

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

    /// One ballot, one decree, one owner.
    #[test]
    fn a_ballot_with_two_decrees_or_another_owner_is_caught() {
        let (mut ghost, ballot) = (ghost(), Ballot::first(life(1)));
        assert_eq!(name(spoken(&mut ghost, &accept(2, ballot, value("a")))), "A2");
        spoken(&mut ghost, &accept(1, ballot, value("a"))).unwrap();
        assert_eq!(name(spoken(&mut ghost, &accept(1, ballot, value("b")))), "A2");
    }

    /// What is chosen binds every higher ballot, proposed before or after.
    #[test]
    fn another_decree_at_a_higher_ballot_is_caught() {
        let (mut ghost, low) = (ghost(), Ballot::first(life(1)));
        let high = low.raised_by(life(2));
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        vote(&mut ghost, 3, low, &value("a")).unwrap();
        assert_eq!(name(spoken(&mut ghost, &accept(2, high, value("b")))), "A4");

        let mut ghost = Ghost::new(&[life(1), life(2), life(3)]);
        spoken(&mut ghost, &accept(2, high, value("b"))).unwrap();
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        assert_eq!(name(vote(&mut ghost, 3, low, &value("a"))), "A4");
    }

    /// Nobody may take for chosen what no quorum voted for.
    #[test]
    fn a_belief_without_a_quorum_is_caught() {
        let (mut ghost, low) = (ghost(), Ballot::first(life(1)));
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        assert_eq!(name(believed(&ghost, life(2), Slot::new(1), &value("a"))), "A3");
        vote(&mut ghost, 2, low, &value("a")).unwrap();
        believed(&ghost, life(2), Slot::new(1), &value("a")).unwrap();
        assert_eq!(name(believed(&ghost, life(2), Slot::new(1), &value("b"))), "C4");
    }
}
