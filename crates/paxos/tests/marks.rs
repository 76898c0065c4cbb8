//! What every word says of two disks, and a disk that is not the one a node had.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use std::time::Duration;

use stage::{Spoken, Stage, accept, ballot, following, life, prepare};
use synod_paxos::*;

const VOW: Duration = Duration::from_millis(90);

/// Node 1 of three, with so much on its disk.
fn holding(mark: u64) -> Stage {
    Stage::recovered(3, Durable { mark: Mark::new(mark), ..Durable::default() })
}

/// Hears a word of node 2 that says of the disk of `of` that it was told of this much.
fn told(stage: &mut Stage, message: Message, of: u64, heard: u64) -> Spoken {
    let marks = Marks { of: Incarnation::new(of), heard: Mark::new(heard), ..Marks::NONE };
    let envelope = Envelope { marks, ..Envelope::of(life(2), NodeId::new(1), message) };
    stage.step(Input::Deliver(envelope))
}

fn holds(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes.iter().filter_map(|envelope| Some(envelope.marks.holds?.get())).collect()
}

/// The very word that tells it is not answered, nor is any after it, nor does time bring about
/// anything: what it may have forgotten is what it would answer by.
#[test]
fn whoever_has_forgotten_says_no_more() {
    for word in [prepare(ballot(1, 2), 1), accept(ballot(1, 2), 1, "x", 0)] {
        let mut stage = holding(6);
        let spoken = told(&mut stage, word, 1, 7);
        let expected = Forgotten { told: NodeId::new(2), was: Mark::new(7), is: Mark::new(6) };
        assert_eq!(spoken.forgotten, Some(expected));
        let later = stage.hear(3, prepare(ballot(2, 3), 1));
        stage.wait(500);
        let woken = stage.step(Input::Wake);
        for quiet in [spoken, later, woken, stage.sync()] {
            assert!(quiet.writes.is_empty() && quiet.at_once.is_empty(), "{quiet:?}");
        }
        assert_eq!(stage.peer.wake_at(), None);
    }
}

/// What it wrote since it started counts, durable or not, for whoever has spoken to it before; and
/// of another life's disk nothing does.
#[test]
fn whoever_holds_as_much_goes_on() {
    let mut stage = holding(6);
    assert_eq!(told(&mut stage, accept(ballot(1, 2), 1, "x", 0), 1, 6).writes.len(), 2);
    assert_eq!(told(&mut stage, accept(ballot(1, 2), 2, "y", 0), 1, 7).forgotten, None);
    assert_eq!(told(&mut stage, accept(ballot(1, 2), 3, "z", 0), 2, 99).forgotten, None);
    assert_eq!(stage.sync().to(2).len(), 1);
}

/// What it wrote since it started is nothing that it had before: to the first word of each of the
/// others it holds what it started from. Nor does it say before that how much it has written, or it
/// would be told its own words. (It counted what it had learned meanwhile, and so outgrew what it
/// had forgotten.)
#[test]
fn nothing_written_since_makes_up_for_what_is_forgotten() {
    let mut stage = holding(6);
    for place in 1..=3 {
        stage.hear(3, accept(ballot(1, 3), place, "x", 0));
        stage.sync();
    }
    stage.wait(20);
    let beats = stage.step(Input::Wake).at_once;
    let says = |node: u16| {
        let mut to = beats.iter().filter(|envelope| envelope.to == NodeId::new(node));
        to.next().unwrap().marks.holds
    };
    assert_eq!((says(2), says(3)), (None, Some(Mark::new(9))));
    let spoken = told(&mut stage, prepare(ballot(2, 2), 1), 1, 7);
    let expected = Forgotten { told: NodeId::new(2), was: Mark::new(7), is: Mark::new(6) };
    assert_eq!(spoken.forgotten, Some(expected));
}

/// A word says of the own disk what is durable when it leaves, and no more: one that waits for a
/// sync says what that sync makes durable.
#[test]
fn a_word_tells_what_is_durable() {
    let mut stage = holding(6);
    let asked = stage.hear(2, Message::Heartbeat { round: 1, standing: following(Ballot::ZERO) });
    assert_eq!(holds(&asked.at_once), [6]);
    stage.hear(2, accept(ballot(1, 2), 1, "x", 0));
    stage.hear(2, accept(ballot(1, 2), 2, "y", 0));
    let asked = stage.hear(2, Message::Heartbeat { round: 2, standing: following(Ballot::ZERO) });
    assert_eq!(holds(&asked.at_once), [6]);
    assert_eq!(holds(&stage.sync().at_once), [8]);
    let asked = stage.hear(2, Message::Heartbeat { round: 3, standing: following(Ballot::ZERO) });
    assert_eq!(holds(&asked.at_once), [8]);
}

/// Whoever was told tells it back, to that node and to no other; what comes late lowers nothing.
#[test]
fn what_was_told_of_a_disk_is_told_back() {
    let mut stage = holding(0);
    for mark in [5, 4] {
        let marks = Marks { holds: Some(Mark::new(mark)), ..Marks::NONE };
        let beat = Message::Heartbeat { round: mark, standing: following(Ballot::ZERO) };
        let envelope = Envelope { marks, ..Envelope::of(life(3), NodeId::new(1), beat) };
        stage.step(Input::Deliver(envelope));
    }
    stage.wait(20);
    let beats = stage.step(Input::Wake).at_once;
    let heard = |node: u16| {
        let mut to = beats.iter().filter(|envelope| envelope.to == NodeId::new(node));
        to.next().unwrap().marks.heard.get()
    };
    assert_eq!((heard(2), heard(3)), (0, 5));
}

/// A node that has just started, all but node 3 having spoken to it.
fn started() -> Stage {
    let vows = |config: &mut Config| config.leasing = Leasing { asks: false, vow: VOW };
    let mut stage = Stage::with(3, Durable::default(), vows);
    stage.hear(2, Message::Heartbeat { round: 1, standing: following(Ballot::ZERO) });
    assert!(stage.hear(2, accept(ballot(1, 2), 1, "x", 0)).writes.is_empty());
    stage.hear(2, Message::Confirm { ballot: ballot(1, 2), round: 1 });
    stage
}

/// A promise that it made before is not repeated either: it may have made a higher one since.
#[test]
fn whoever_has_started_repeats_no_promise() {
    let vows = |config: &mut Config| config.leasing = Leasing { asks: false, vow: VOW };
    let promised = Durable { promised: Some(ballot(1, 2)), ..Durable::default() };
    let mut stage = Stage::with(3, promised, vows);
    stage.hear(2, prepare(ballot(1, 2), 1));
    assert!(stage.sync().to(2).is_empty());
    stage.wait(90);
    stage.hear(2, prepare(ballot(1, 2), 1));
    assert!(matches!(stage.sync().to(2)[..], [Message::Promise { .. }]));
}

/// Somebody who has not been heard may know that its disk has forgotten something.
#[test]
fn whoever_has_started_votes_when_everybody_has_spoken() {
    let mut stage = started();
    assert!(stage.sync().to(2).is_empty(), "neither a vote nor a confirmation");
    stage.hear(3, Message::Heartbeat { round: 1, standing: following(Ballot::ZERO) });
    let confirmed = stage.hear(2, Message::Confirm { ballot: ballot(1, 2), round: 2 });
    assert!(matches!(confirmed.to(2)[..], [Message::Confirmed { round: 2, .. }]));
    assert!(!stage.hear(2, accept(ballot(1, 2), 1, "x", 0)).writes.is_empty());
}

/// But a member that is dead is not waited for longer than a vow lasts.
#[test]
fn nobody_is_waited_for_longer_than_a_vow_lasts() {
    let mut stage = started();
    stage.wait(89);
    assert!(stage.hear(2, accept(ballot(1, 2), 1, "x", 0)).writes.is_empty());
    stage.wait(1);
    assert!(!stage.hear(2, accept(ballot(1, 2), 1, "x", 0)).writes.is_empty());
}
