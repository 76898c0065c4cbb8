//! The log's beginning: what may go, what is said of what is gone, and what a snapshot replaces.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use stage::{Spoken, Stage, accept, accepted, ballot, prepare, promise, slot, value, voted};
use synod_paxos::*;

fn no_tail(config: &mut Config) {
    config.tail_slots = 0;
}

/// A node of three that knows slots 1 to `upto` to be chosen, durably so.
fn follower(upto: u64, tune: impl FnOnce(&mut Config)) -> Stage {
    let durable = Durable { chosen_upto: slot(upto), ..Durable::default() };
    let mut stage = Stage::with(3, durable, tune);
    stage.step(Input::Wake);
    stage
}

fn standing(covered: u64) -> Standing {
    Standing {
        process: Process::new(1),
        promised: Ballot::ZERO,
        reign: None,
        quorum: true,
        sees_leader: false,
        disk_alive: true,
        chosen_upto: Slot::ZERO,
        covered: slot(covered),
    }
}

fn covers(stage: &mut Stage, node: u16, upto: u64) {
    stage.hear(node, Message::Heartbeat { round: 1, standing: standing(upto) });
}

/// A heartbeat later; what was trimmed in it.
fn beat(stage: &mut Stage) -> Option<u64> {
    stage.sync();
    stage.wait(20);
    let spoken = stage.step(Input::Wake);
    spoken.writes.iter().find_map(|write| match write {
        Write::Trimmed { upto } => Some(upto.get()),
        _ => None,
    })
}

/// C5: what is trimmed is covered by durable snapshots on a quorum, the own among them; one member
/// that is dead holds nothing up.
#[test]
fn what_a_quorum_covers_is_trimmed_whoever_is_dead() {
    let mut stage = follower(300, no_tail);
    stage.step(Input::Covered(slot(200)));
    assert_eq!(beat(&mut stage), None, "nobody else covers anything");
    covers(&mut stage, 2, 150);
    assert_eq!(beat(&mut stage), Some(150), "node 3 was never heard of");
    assert_eq!(stage.peer.trimmed(), slot(150));
    covers(&mut stage, 2, 250);
    assert_eq!(beat(&mut stage), Some(200), "and not above what the own snapshots cover");
}

/// What others cover is no reason to trim what would then be gone here.
#[test]
fn nothing_is_trimmed_above_the_own_snapshots() {
    let mut stage = follower(300, no_tail);
    covers(&mut stage, 2, 250);
    covers(&mut stage, 3, 250);
    assert_eq!(beat(&mut stage), None);
}

/// A snapshot that was received and is not installed covers more than is known here.
#[test]
fn nothing_is_trimmed_above_what_is_known_to_be_chosen() {
    let mut stage = follower(300, no_tail);
    stage.step(Input::Covered(slot(400)));
    covers(&mut stage, 2, 400);
    assert_eq!(beat(&mut stage), Some(300));
}

/// A node that told a later watermark in an earlier life is asked for more than it knows.
#[test]
fn nothing_is_told_above_what_is_known_to_be_chosen() {
    let mut stage = follower(300, no_tail);
    let asked = stage.hear(2, Message::Ask { first: slot(290), upto: slot(350) });
    let known = Fetch { to: NodeId::new(2), first: slot(290), upto: slot(300) };
    assert_eq!(asked.fetch, [known]);
}

/// As many bytes as an acceptor may vote for ahead.
static ALL_ROOM: [u8; 64 << 20] = [0; 64 << 20];

/// What was voted for and is known to be chosen takes no room from what is to be voted for:
/// learned, covered by a snapshot that is installed, or by the one that a node starts from.
#[test]
fn what_is_chosen_is_no_vote_any_more() {
    let all = || Decree::Value(bytes::Bytes::from_static(&ALL_ROOM));
    let (first, second) = (ballot(1, 2), ballot(2, 2));
    let full = |upto| Message::Accept {
        ballot: second,
        slot: slot(2),
        decree: all(),
        chosen_upto: slot(upto),
    };
    let voted =
        |spoken: Spoken| spoken.writes.iter().any(|write| matches!(write, Write::Accepted { .. }));
    for how in ["open", "learned", "installed", "started"] {
        let mut stage = Stage::new(3);
        stage.hear(2, accept(first, 1, "a", 0));
        match how {
            "learned" => {
                drop(stage.hear(2, Message::Watermark { ballot: first, chosen_upto: slot(1) }))
            }
            "installed" => drop(stage.step(Input::Installed(slot(1)))),
            "started" => {
                let vote = Record::Accepted { ballot: first, decree: value("a") };
                let durable = Durable { records: vec![(slot(1), vote)], ..Durable::default() };
                stage = Stage::at(3, durable, 1);
            }
            _ => {}
        }
        assert_eq!(voted(stage.hear(2, full(0))), how != "open", "{how}");
    }
}

/// A tail stays below what is covered: who was away for a moment catches up from the log.
#[test]
fn a_tail_of_the_log_stays() {
    let mut stage = follower(300, |config| config.tail_slots = 60);
    stage.step(Input::Covered(slot(200)));
    covers(&mut stage, 2, 200);
    assert_eq!(beat(&mut stage), Some(140));
    assert_eq!(beat(&mut stage), None);
}

/// A long log goes a slice at a time, and not at all while the disk does not keep up: trimming can
/// wait, votes cannot.
#[test]
fn a_long_log_is_trimmed_a_slice_at_a_time() {
    let mut stage = follower(2_000, no_tail);
    stage.step(Input::Covered(slot(1_500)));
    covers(&mut stage, 2, 1_500);
    assert_eq!(beat(&mut stage), Some(512));
    stage.wait(20);
    assert_eq!(stage.step(Input::Wake).writes, [], "the slice before is not durable yet");
    assert_eq!(beat(&mut stage), Some(1_024));
    assert_eq!(beat(&mut stage), Some(1_500));
    assert_eq!(beat(&mut stage), None);
}

/// Who asks for what is gone is told so, and asks for a snapshot.
#[test]
fn an_ask_for_trimmed_slots_is_answered_with_where_the_log_begins() {
    let mut stage = follower(300, no_tail);
    stage.step(Input::Covered(slot(200)));
    covers(&mut stage, 2, 200);
    beat(&mut stage);
    let answer = stage.hear(3, Message::Ask { first: slot(200), upto: slot(220) });
    assert_eq!(answer.to(3), [&Message::Trimmed { upto: slot(200) }]);
    assert_eq!(answer.fetch, []);
    let answer = stage.hear(3, Message::Ask { first: slot(201), upto: slot(220) });
    assert_eq!(answer.fetch.len(), 1, "that is still in the store");
}

#[test]
fn who_hears_that_what_it_needs_is_trimmed_wants_a_snapshot() {
    let mut stage = follower(10, no_tail);
    let heard = stage.hear(2, Message::Trimmed { upto: slot(40) });
    assert_eq!(heard.behind, [Behind { peer: NodeId::new(2), trimmed: slot(40) }]);
    let heard = stage.hear(2, Message::Trimmed { upto: slot(10) });
    assert_eq!(heard.behind, [], "it has all of that");
}

/// A snapshot takes the place of what lies below it and of nothing else: votes above it stay, and
/// the promise is as high as it was.
#[test]
fn an_install_keeps_the_promise_and_the_votes_above() {
    let mut stage = Stage::new(3);
    stage.hear(2, accept(ballot(1, 2), 4, "below", 0));
    stage.hear(2, accept(ballot(1, 2), 6, "above", 0));
    stage.hear(2, prepare(ballot(9, 2), 1));
    stage.sync();
    let spoken = stage.step(Input::Installed(slot(5)));
    assert_eq!(spoken.writes, [Write::Trimmed { upto: slot(5) }]);
    assert_eq!(spoken.choices(), [], "what the snapshot holds is not handed out again");
    assert_eq!((stage.peer.chosen_upto(), stage.peer.promised()), (slot(5), ballot(9, 2)));
    stage.sync();
    stage.hear(3, prepare(ballot(10, 3), 1));
    let page = Page {
        first: slot(1),
        upto: None,
        chosen_upto: slot(5),
        lost_upto: Slot::ZERO,
        reports: vec![(slot(6), voted(ballot(1, 2), "above"))],
    };
    let promised = Message::Promise { ballot: ballot(10, 3), page };
    assert_eq!(stage.sync().to(3).last(), Some(&&promised));
}

/// What waited for a gap to close is handed out when a snapshot closes it.
#[test]
fn an_install_closes_the_gap_below_what_is_known() {
    let mut stage = Stage::new(3);
    let decrees = vec![(slot(4), value("in it")), (slot(6), value("next"))];
    stage.hear(2, Message::Learned { decrees, chosen_upto: slot(6) });
    let spoken = stage.step(Input::Installed(slot(5)));
    assert_eq!(spoken.choices(), [(6, value("next"))]);
}

/// A snapshot of what this node has already is none to install.
#[test]
fn an_old_snapshot_changes_nothing() {
    let mut stage = follower(10, no_tail);
    let spoken = stage.step(Input::Installed(slot(10)));
    assert_eq!((spoken.writes, stage.peer.chosen_upto()), (vec![], slot(10)));
}

/// A node that knew slots up to 50 to be chosen, trimmed those up to 40, and lost its state after
/// 20.
fn lost_after_20() -> Stage {
    let durable = Durable { trimmed: slot(40), chosen_upto: slot(50), ..Durable::default() };
    Stage::at(3, durable, 20)
}

/// Its promise to node 2, whose campaign begins with slot 5.
fn promised_of_what_is_left(reports: Vec<(Slot, Report)>) -> Message {
    let (first, chosen_upto, lost_upto) = (slot(5), slot(20), slot(50));
    let page = Page { first, upto: None, chosen_upto, lost_upto, reports };
    Message::Promise { ballot: ballot(1, 2), page }
}

/// A promise says of what is trimmed that it is chosen, also when the state above was lost and
/// begins anew, and then that what with is lost too: silence would be a report of *empty*, and the
/// campaigner would fill it with nothing.
#[test]
fn what_is_trimmed_is_reported_as_chosen_or_lost_and_never_as_empty() {
    let mut stage = lost_after_20();
    assert_eq!(stage.peer.chosen_upto(), slot(20));
    stage.hear(2, prepare(ballot(1, 2), 5));
    assert_eq!(stage.sync().to(2), [&promised_of_what_is_left(vec![])]);
}

/// What it learned since above a gap it can tell, and tells.
#[test]
fn what_was_lost_and_learned_again_is_reported() {
    let mut stage = lost_after_20();
    let decrees = vec![(slot(45), value("told"))];
    stage.hear(3, Message::Learned { decrees, chosen_upto: slot(45) });
    stage.hear(2, prepare(ballot(1, 2), 5));
    let reports = vec![(slot(45), Report::Chosen { decree: value("told") })];
    assert_eq!(stage.sync().to(2), [&promised_of_what_is_left(reports)]);
}

/// Nor does such a node vote where it voted before and the decree is chosen.
#[test]
fn a_node_that_lost_its_state_votes_on_nothing_that_was_chosen() {
    let mut stage = lost_after_20();
    let heard = stage.hear(2, accept(ballot(1, 2), 45, "other", 0));
    assert_eq!(heard.writes, []);
    let heard = stage.hear(2, accept(ballot(1, 2), 51, "next", 0));
    assert!(heard.writes.iter().any(|write| matches!(write, Write::Accepted { .. })));
}

/// It may lead all the same, once both of the others have said what they voted for; and what is
/// chosen there is so by their votes alone.
#[test]
fn a_leader_that_lost_what_was_chosen_has_the_others_choose_it_again() {
    let durable = Durable { trimmed: slot(21), chosen_upto: slot(21), ..Durable::default() };
    let mut stage = Stage::at(3, durable, 20);
    let own = stage.campaign();
    stage.sync();
    stage.hear(2, promise(own, 20, vec![(21, voted(Ballot::of(1, stage::life(2)), "x"))]));
    assert!(!stage.leads(), "node 3 may have voted at a higher ballot");
    let won = stage.hear(3, promise(own, 20, vec![]));
    assert_eq!(won.accepts(), [(21, value("x"))]);
    assert_eq!(won.writes, []);
    assert_eq!(stage.hear(2, accepted(own, 21, 21)).choices(), []);
    assert_eq!(stage.hear(3, accepted(own, 21, 21)).choices(), [(21, value("x"))]);
}

/// Whoever campaigns behind what others have trimmed proposes nothing there, and nothing anywhere
/// before it has a state.
#[test]
fn a_campaigner_behind_the_trim_proposes_nothing_before_it_has_a_snapshot() {
    let mut stage = Stage::with(3, Durable::default(), |config| config.window_slots = 8);
    let own = stage.campaign();
    stage.sync();
    let won =
        stage.hear(2, promise(own, 60, vec![(61, voted(Ballot::of(1, stage::life(2)), "x"))]));
    assert!(stage.leads());
    assert_eq!(won.accepts(), [], "slots 1 to 60 are chosen, and 61 is beyond the window");
    assert!(!stage.peer.may_propose());
    let installed = stage.step(Input::Installed(slot(60)));
    assert!(stage.leads());
    assert_eq!(installed.accepts(), [(61, value("x"))]);
}

/// The watermark of a reign never covers what it did not see chosen with its own decree: a snapshot
/// of slots in which it has proposed ends it.
#[test]
fn a_leader_is_deposed_by_a_snapshot_of_what_it_is_proposing() {
    let mut stage = Stage::new(3);
    stage.lead();
    stage.propose("mine");
    let spoken = stage.step(Input::Installed(slot(5)));
    assert!(!stage.leads());
    let tells = |message: &&Message| matches!(message, Message::Watermark { .. });
    assert!(!spoken.to(2).iter().any(tells));
}

/// A node that died between the snapshot and the log's word of it finds the snapshot: it starts
/// there, and tells the log in its first step, whatever that is. With the first write of another
/// step, half a second later, the snapshot was known to be lost by then (simulator, seed 95338).
#[test]
fn a_state_that_is_ahead_of_its_log_is_told_to_the_log() {
    let records = vec![
        (slot(4), Record::Accepted { ballot: ballot(1, 2), decree: value("below") }),
        (slot(6), Record::Accepted { ballot: ballot(1, 2), decree: value("above") }),
    ];
    let promised = Some(ballot(1, 2));
    let mut stage = Stage::at(3, Durable { promised, records, ..Durable::default() }, 5);
    assert_eq!(stage.peer.chosen_upto(), slot(5));
    let heard = stage.hear(2, Message::Trimmed { upto: slot(3) });
    assert_eq!(heard.writes, [Write::Trimmed { upto: slot(5) }]);
    assert_eq!(stage.hear(2, Message::Trimmed { upto: slot(3) }).writes, []);
    stage.sync();
    let heard = stage.hear(2, prepare(ballot(2, 2), 1));
    assert_eq!(heard.writes, [Write::Promised { ballot: ballot(2, 2) }]);
    let page = Page {
        first: slot(1),
        upto: None,
        chosen_upto: slot(5),
        lost_upto: Slot::ZERO,
        reports: vec![(slot(6), voted(ballot(1, 2), "above"))],
    };
    let promised = Message::Promise { ballot: ballot(2, 2), page };
    assert_eq!(stage.sync().to(2), [&promised]);
}

/// A node whose snapshots were lost may first be sent one that does not reach its log (simulator,
/// seed 973): it takes it, the log begins where it did, and it still wants more.
#[test]
fn a_snapshot_that_does_not_reach_the_log_moves_no_beginning() {
    let mut stage = lost_after_20();
    let spoken = stage.step(Input::Installed(slot(30)));
    assert_eq!(spoken.writes, []);
    assert_eq!((stage.peer.chosen_upto(), stage.peer.trimmed()), (slot(30), slot(40)));
    let heard = stage.hear(2, Message::Trimmed { upto: slot(45) });
    assert_eq!(heard.behind.len(), 1);
    let spoken = stage.step(Input::Installed(slot(45)));
    assert_eq!(spoken.writes, [Write::Trimmed { upto: slot(45) }]);
}

/// A chosen decree that cannot be read here may be known to be chosen nowhere else: whoever lacks
/// it is told to fetch a snapshot, and the state above that one is wanted. (In universe 129012 the
/// leader's record of a slot had decayed; the others asked for it for ever, and were told nothing.)
#[test]
fn what_is_damaged_is_answered_with_a_snapshot() {
    let durable = Durable { chosen_upto: slot(9), ..Durable::default() };
    let mut stage = Stage::recovered(3, durable);
    let asked = stage.hear(2, Message::Ask { first: slot(4), upto: slot(9) });
    assert_eq!(asked.fetch, [Fetch { to: NodeId::new(2), first: slot(4), upto: slot(9) }]);
    let damaged = Some(slot(4));
    let fetched = Fetched { to: NodeId::new(2), decrees: Vec::new(), damaged };
    let spoken = stage.step(Input::Fetched(fetched));
    assert!(matches!(spoken.to(2)[..], [Message::Trimmed { upto }] if *upto == slot(4)));
    assert_eq!(spoken.damaged, damaged);
}
