//! What a leader may propose: how far ahead of what is chosen, what it inherited, and for how long.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use stage::{Stage, accepted, ballot, promise, slot, value, voted};
use synod_paxos::*;

/// "A leader can get α commands ahead": proposals stop at the window above the chosen watermark,
/// and go on as it rises.
#[test]
fn a_leader_gets_no_further_ahead_than_its_window() {
    let mut stage = Stage::with(3, Durable::default(), |config| config.window_slots = 2);
    let own = stage.lead();
    stage.propose("a");
    stage.propose("b");
    assert!(!stage.peer.may_propose(), "the window is full");
    stage.sync();
    stage.hear(2, accepted(own, 2, 2));
    assert!(!stage.peer.may_propose(), "slot 1 is still open");
    stage.hear(2, accepted(own, 1, 1));
    assert!(stage.peer.may_propose());
}

/// No more bytes than its window are in flight.
#[test]
fn a_leader_holds_no_more_bytes_in_flight_than_its_window() {
    let mut stage = Stage::with(3, Durable::default(), |config| config.window_bytes = 4);
    let own = stage.lead();
    stage.propose("abcd");
    assert!(!stage.peer.may_propose());
    stage.sync();
    stage.hear(2, accepted(own, 1, 1));
    assert!(stage.peer.may_propose());
}

/// What is known above a gap fills the window, and only the slot in the gap makes room in it.
#[test]
fn the_first_slot_that_is_not_chosen_is_proposed_however_full_the_window_is() {
    let known = Record::Chosen { decree: value("abcd") };
    let durable = Durable { records: vec![(slot(2), known)], ..Durable::default() };
    let mut stage = Stage::with(3, durable, |config| config.window_bytes = 4);
    let own = stage.campaign();
    let led = stage.hear(2, promise(own, 0, vec![]));
    let mut accepts = led.accepts();
    accepts.extend(stage.sync().accepts());
    assert_eq!(accepts, [(1, Decree::Noop)]);
    assert!(!stage.peer.may_propose(), "no room");
    stage.sync();
    assert_eq!(stage.hear(2, accepted(own, 1, 1)).choices().len(), 2);
    assert!(stage.peer.may_propose());
}

/// Where nothing was said at this ballot nobody can take it for chosen: what was adopted and waits
/// for the window gives way to what was chosen, and is never said.
#[test]
fn an_adopted_decree_that_was_never_said_gives_way_to_the_chosen_one() {
    let mut stage = Stage::with(3, Durable::default(), |config| config.window_slots = 1);
    let own = stage.campaign();
    stage.sync();
    let votes = vec![(1, voted(ballot(1, 2), "a")), (2, voted(ballot(1, 2), "b"))];
    assert_eq!(stage.hear(2, promise(own, 0, votes)).accepts(), [(1, value("a"))]);
    let decrees = vec![(slot(2), value("another"))];
    stage.hear(3, Message::Learned { decrees, chosen_upto: Slot::ZERO });
    stage.sync();
    let chosen = stage.hear(2, accepted(own, 1, 1));
    assert_eq!(chosen.choices(), [(1, value("a")), (2, value("another"))]);
    assert_eq!(chosen.accepts(), []);
    assert_eq!(stage.propose("c").accepts(), [(3, value("c"))]);
}

/// A leader that no quorum answers takes no proposals, and soon ends its reign.
#[test]
fn a_leader_without_a_quorum_takes_nothing_and_ends() {
    let mut stage = Stage::new(3);
    stage.lead();
    assert!(stage.peer.may_propose());
    let (mut took_nothing, mut waited_ms) = (false, 0);
    while stage.leads() {
        took_nothing |= !stage.peer.may_propose();
        assert!(waited_ms < 3_000, "it leads on");
        assert_eq!(stage.peer.may_propose(), stage.peer.has_quorum());
        stage.wait(5);
        stage.step(Input::Wake);
        stage.sync();
        waited_ms += 5;
    }
    assert!(took_nothing);
}
