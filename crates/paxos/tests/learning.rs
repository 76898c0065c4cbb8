//! Learning a chosen value (Lamport, *Paxos Made Simple*, §2.3), at one peer: watermarks, what they
//! cover and what they do not, and what is fetched from others.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use stage::{Stage, accept, ballot, prepare, promise, slot, value};
use synod_paxos::*;

/// A follower hears from the distinguished learner how far all is chosen, and takes its own vote at
/// that very ballot for the chosen decree, in slot order.
#[test]
fn a_follower_learns_from_the_watermark_of_the_reign_it_voted_in() {
    let mut stage = Stage::new(3);
    let reign = ballot(1, 2);
    stage.hear(2, accept(reign, 2, "second", 0));
    assert!(stage.hear(2, accept(reign, 1, "first", 0)).chosen.is_empty());
    let spoken = stage.hear(2, Message::Watermark { ballot: reign, chosen_upto: slot(2) });
    assert_eq!(spoken.choices(), [(1, value("first")), (2, value("second"))]);
}

/// A watermark says nothing of a vote at another ballot: that slot may be chosen with another
/// decree, and the follower must ask.
#[test]
fn a_watermark_does_not_choose_a_vote_of_another_ballot() {
    let mut stage = Stage::new(5);
    stage.hear(2, accept(ballot(1, 2), 1, "old", 0));
    let spoken = stage.hear(3, Message::Watermark { ballot: ballot(2, 3), chosen_upto: slot(1) });
    assert!(spoken.chosen.is_empty());
    stage.step(Input::Wake);
    stage.wait(30);
    let asked = stage.step(Input::Wake);
    assert!(asked.to(3).contains(&&Message::Ask { first: slot(1), upto: slot(1) }), "{asked:?}");
    let decrees = vec![(slot(1), value("new"))];
    let learned = stage.hear(3, Message::Learned { decrees, chosen_upto: slot(1) });
    assert_eq!(learned.choices(), [(1, value("new"))]);
}

/// Nor of a vote at a later ballot. Reign 1 of n2 proposes X, and one other votes for it. Reign 2
/// of n3 hears of no vote, proposes Y, and dies; this node alone has its word, or will have it.
/// Reign 3 is promised by the other three, among them one that voted for X, and X is chosen. Node 2
/// has heard no more of that than the watermark, fetches X, which is what it proposed, leads on,
/// and tells its own watermark.
#[test]
fn an_earlier_watermark_covers_no_later_vote() {
    let mut stage = Stage::new(5);
    stage.hear(2, Message::Watermark { ballot: ballot(1, 2), chosen_upto: slot(1) });
    assert!(stage.hear(3, accept(ballot(2, 3), 1, "Y", 0)).chosen.is_empty());
    let later = Message::Watermark { ballot: ballot(2, 3), chosen_upto: slot(0) };
    assert!(stage.hear(3, later).chosen.is_empty());
}

/// A watermark may overtake the accepts it covers; it is remembered and applied when they come.
#[test]
fn a_watermark_may_come_before_the_accepts_that_it_covers() {
    let mut stage = Stage::new(3);
    let reign = ballot(1, 2);
    assert!(
        stage.hear(2, Message::Watermark { ballot: reign, chosen_upto: slot(2) }).chosen.is_empty()
    );
    assert!(stage.hear(2, accept(reign, 2, "second", 0)).chosen.is_empty());
    let spoken = stage.hear(2, accept(reign, 1, "first", 0));
    assert_eq!(spoken.choices(), [(1, value("first")), (2, value("second"))]);
}

/// To learn is not to accept: `promised` stays, and the slot is reported as chosen, with no ballot.
#[test]
fn a_learned_decree_is_no_vote() {
    let mut stage = Stage::new(3);
    let decrees = vec![(slot(2), value("x"))];
    let spoken = stage.hear(2, Message::Learned { decrees, chosen_upto: slot(2) });
    assert_eq!(spoken.writes, [Write::Chosen { slot: slot(2), decree: value("x") }]);
    assert_eq!(stage.peer.promised(), Ballot::ZERO);
    stage.hear(3, prepare(ballot(1, 3), 1));
    let report = Report::Chosen { decree: value("x") };
    assert_eq!(stage.sync().to(3), [&promise(ballot(1, 3), 0, vec![(2, report)])]);
}

/// Nobody votes in a slot it knows to be chosen: it says what was chosen instead, or, where that is
/// far below, how far it knows.
#[test]
fn no_vote_is_cast_where_a_decree_is_known_to_be_chosen() {
    let mut stage = Stage::new(3);
    let decrees = vec![(slot(1), value("a")), (slot(3), value("c"))];
    let learned = Message::Learned { decrees: decrees.clone(), chosen_upto: slot(1) };
    stage.hear(2, learned);
    let spoken = stage.hear(3, accept(ballot(1, 3), 3, "other", 0));
    let told = Message::Learned { decrees: decrees[1..].to_vec(), chosen_upto: slot(1) };
    assert_eq!((spoken.to(3), &spoken.writes[..]), (vec![&told], &[][..]));
    let spoken = stage.hear(3, accept(ballot(1, 3), 1, "other", 0));
    let hint = Message::Accepted { ballot: ballot(1, 3), slots: vec![], chosen_upto: slot(1) };
    assert_eq!((spoken.to(3), &spoken.writes[..]), (vec![&hint], &[][..]));
    assert!(stage.sync().to(3).is_empty());
}

/// A slot chosen with another decree than its leader proposed shows that a higher ballot was here:
/// the leader is deposed, and no watermark of its reign covers that slot. (With five acceptors a
/// follower that voted for the leader's decree at the leader's ballot would otherwise take it for
/// chosen.)
#[test]
fn a_leader_that_learns_another_decree_for_its_slot_stops_leading() {
    let mut stage = Stage::new(5);
    let own = stage.lead();
    stage.propose("mine");
    stage.sync();
    let decrees = vec![(slot(1), value("theirs"))];
    let spoken = stage.hear(3, Message::Learned { decrees, chosen_upto: slot(1) });
    assert!(!stage.leads());
    assert_eq!(spoken.choices(), [(1, value("theirs"))]);
    let authority = |envelope: &Envelope| match &envelope.message {
        Message::Watermark { .. } | Message::Accept { .. } => true,
        Message::Heartbeat { standing, .. } => standing.reign == Some(own),
        _ => false,
    };
    assert!(!spoken.at_once.iter().any(authority), "{:?}", spoken.at_once);
}

/// The same for a slot that the leader has yet to give out: somebody else's reign has been there.
#[test]
fn a_leader_that_learns_of_a_slot_beyond_its_own_stops_leading() {
    let mut stage = Stage::new(5);
    stage.lead();
    let decrees = vec![(slot(1), value("theirs"))];
    stage.hear(3, Message::Learned { decrees, chosen_upto: slot(1) });
    assert!(!stage.leads());
}
