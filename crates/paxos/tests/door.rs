//! Who may speak, and of what: the semantic checks before any handler.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use stage::{Stage, accept, accepted, ballot, life, prepare, promise, slot, value};
use synod_paxos::*;

/// Votes and promises count from voters in their present life, in this epoch, for one's own ballot.
#[test]
fn words_of_strangers_former_lives_and_other_epochs_are_turned_away() {
    let mut stage = Stage::new(3);
    let own = stage.campaign();
    stage.sync();
    let former = Life { node: NodeId::new(2), incarnation: Incarnation::new(7) };
    stage.hear_as(former, promise(own, 0, vec![]));
    stage.hear_as(life(9), promise(own, 0, vec![]));
    let (to, message) = (NodeId::new(1), promise(own, 0, vec![]));
    let another = postcard::from_bytes(&postcard::to_allocvec(&1_u64).unwrap()).unwrap();
    let envelope = Envelope { epoch: another, ..Envelope::of(life(2), to, message) };
    stage.step(Input::Deliver(envelope));
    stage.hear(2, prepare(ballot(90, 3), 1));
    stage.hear(2, promise(ballot(own.round(), 2), 0, vec![]));
    assert_eq!(stage.peer.turned_away(), 5);
    assert!(!stage.leads());
    assert_eq!(stage.peer.promised(), own);
    stage.hear(2, promise(own, 0, vec![]));
    assert!(stage.leads());
}

/// Slots and rounds at the end of the numbers neither overflow nor allocate.
#[test]
fn absurd_slots_and_rounds_are_turned_away() {
    let mut stage = Stage::new(3);
    let own = stage.lead();
    let words = [
        accept(ballot(own.round() + 1, 2), u64::MAX, "x", 0),
        accept(ballot(own.round() + 1, 2), 0, "x", 0),
        accept(ballot(own.round() + 1, 2), 1, "x", u64::MAX),
        prepare(ballot(u64::MAX, 2), 1),
        prepare(ballot(own.round() + 1, 2), u64::MAX),
        promise(own, u64::MAX, vec![]),
        promise(own, 0, vec![(u64::MAX, Report::Faulty)]),
        Message::Watermark { ballot: ballot(own.round() + 1, 2), chosen_upto: slot(u64::MAX) },
        Message::Ask { first: slot(1), upto: slot(u64::MAX) },
        Message::Learned { decrees: vec![(slot(u64::MAX), value("x"))], chosen_upto: slot(1) },
    ];
    let count = words.len() as u64;
    for word in words {
        stage.hear(2, word);
    }
    assert_eq!(stage.peer.turned_away(), count);
    assert!(stage.leads());
}

/// A slot further ahead than any window reaches gets no vote, and no memory.
#[test]
fn a_slot_far_ahead_gets_no_vote() {
    let mut stage = Stage::new(3);
    let spoken = stage.hear(2, accept(ballot(1, 2), 1 << 40, "x", 0));
    assert_eq!(spoken.writes, []);
    assert!(stage.sync().to(2).is_empty());
}

/// Spans of any shape in an `Accepted` are harmless.
#[test]
fn spans_of_any_shape_are_harmless() {
    let mut stage = Stage::new(3);
    let own = stage.lead();
    stage.propose("x");
    stage.sync();
    stage.hear(2, accepted(own, 5, 2));
    assert_eq!(stage.hear(2, accepted(own, 0, u64::MAX)).choices(), [(1, value("x"))]);
}
