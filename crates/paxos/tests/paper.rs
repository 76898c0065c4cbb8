//! What the papers demand of one peer, each case with its source. *PMS* is Lamport, *Paxos Made
//! Simple*; *PMMC* is van Renesse and Altinbuken, *Paxos Made Moderately Complex*; *PAR* is
//! Alagappan et al., *Protocol-Aware Recovery for Consensus-Based Storage* (FAST'18).
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use stage::{Stage, accept, accepted, ballot, following, prepare, promise, slot, value, voted};
use synod_paxos::*;

fn refused(at: Ballot, promised: Ballot) -> Message {
    Message::Refused { ballot: at, promised }
}

// Choosing a value (PMS §2.2).

/// P1a: an acceptor can accept a proposal numbered n iff it has not responded to a prepare request
/// having a number greater than n.
#[test]
fn an_acceptor_accepts_unless_it_has_promised_higher() {
    let mut stage = Stage::new(3);
    stage.hear(2, prepare(ballot(5, 2), 1));
    stage.sync();

    let lower = stage.hear(3, accept(ballot(4, 3), 1, "late", 0));
    assert_eq!(lower.writes, []);
    assert_eq!(stage.sync().to(3), [&refused(ballot(4, 3), ballot(5, 2))]);

    stage.hear(2, accept(ballot(5, 2), 1, "on time", 0));
    assert_eq!(stage.sync().to(2), [&accepted(ballot(5, 2), 1, 1)]);
}

/// P1: an acceptor must accept the first proposal that it receives.
#[test]
fn an_acceptor_accepts_the_first_proposal_it_hears() {
    let mut stage = Stage::new(3);
    stage.hear(2, accept(ballot(1, 2), 1, "first", 0));
    assert_eq!(stage.sync().to(2), [&accepted(ballot(1, 2), 1, 1)]);
}

/// Phase 1b: a promise never to accept anything below n, and the highest-numbered proposal that was
/// accepted, if any.
#[test]
fn a_promise_reports_the_vote_at_the_highest_ballot() {
    let mut stage = Stage::new(3);
    stage.hear(2, accept(ballot(1, 2), 1, "old", 0));
    stage.hear(3, accept(ballot(2, 3), 1, "new", 0));
    stage.hear(2, prepare(ballot(3, 2), 1));
    let promised = promise(ballot(3, 2), 0, vec![(1, voted(ballot(2, 3), "new"))]);
    assert_eq!(stage.sync().to(2).last(), Some(&&promised));
}

/// Phase 1b: a prepare request below the promise is refused, and the promise stands.
#[test]
fn a_lower_prepare_is_refused() {
    let mut stage = Stage::new(3);
    stage.hear(2, prepare(ballot(5, 2), 1));
    stage.hear(3, prepare(ballot(4, 3), 1));
    assert_eq!(stage.sync().to(3), [&refused(ballot(4, 3), ballot(5, 2))]);
    assert_eq!(stage.peer.promised(), ballot(5, 2));
}

/// P2c: a proposer adopts the value of the highest-numbered proposal among the responses; for each
/// slot on its own, whatever the order of the answers.
#[test]
fn a_campaign_adopts_the_vote_at_the_highest_ballot_slot_by_slot() {
    let one = vec![(1, voted(ballot(3, 2), "high")), (2, voted(ballot(1, 2), "low"))];
    let two = vec![(1, voted(ballot(2, 3), "low")), (2, voted(ballot(4, 3), "high"))];
    for turned in [false, true] {
        let mut stage = Stage::new(5);
        let own = stage.campaign();
        stage.sync();
        let (one, two) = if turned { (&two, &one) } else { (&one, &two) };
        stage.hear(2, promise(own, 0, one.clone()));
        let spoken = stage.hear(3, promise(own, 0, two.clone()));
        assert_eq!(spoken.accepts(), [(1, value("high")), (2, value("high"))], "{turned}");
    }
}

/// P2c: with no proposal among the responses, the value is the proposer's own.
#[test]
fn a_leader_proposes_freely_where_nothing_was_reported() {
    let mut stage = Stage::new(3);
    stage.lead();
    assert_eq!(stage.propose("mine").accepts(), [(1, value("mine"))]);
}

/// P2c asks for a majority of responses: no reign begins with fewer, and one acceptor counts once.
#[test]
fn a_campaign_needs_a_majority_of_distinct_acceptors() {
    let mut stage = Stage::new(5);
    let own = stage.campaign();
    stage.sync();
    for _ in 0..5 {
        stage.hear(2, promise(own, 0, vec![]));
    }
    assert!(!stage.leads(), "two of five");
    stage.hear(3, promise(own, 0, vec![]));
    assert!(stage.leads(), "three of five");
}

/// A value is chosen when a majority has accepted the *same* proposal: the leader's own vote counts
/// when it is durable, each acceptor once, and votes at another ballot not at all.
#[test]
fn a_decree_is_chosen_by_a_majority_of_votes_at_one_ballot() {
    let mut stage = Stage::new(5);
    let own = stage.lead();
    stage.propose("x");
    stage.sync();
    for _ in 0..3 {
        assert!(stage.hear(2, accepted(own, 1, 1)).chosen.is_empty(), "two of five");
    }
    let earlier = Ballot::of(own.round() - 1, own.owner());
    assert!(stage.hear(3, accepted(earlier, 1, 1)).chosen.is_empty(), "a vote at another ballot");
    assert_eq!(stage.hear(3, accepted(own, 1, 1)).choices(), [(1, value("x"))]);
}

/// A vote of an earlier reign says nothing in a later one (what Raft's §5.4.2 warns of).
#[test]
fn votes_of_an_earlier_reign_are_not_counted_in_the_next() {
    let mut stage = Stage::new(5);
    let first = stage.lead();
    stage.propose("x");
    stage.sync();
    stage.hear(2, accepted(first, 1, 1));
    stage.hear(2, refused(first, ballot(first.round() + 1, 4)));
    let second = stage.campaign();
    stage.sync();
    for node in [2, 3, 4] {
        stage.hear(node, promise(second, 0, vec![(1, voted(ballot(9, 4), "y"))]));
    }
    stage.sync();
    assert!(stage.hear(4, accepted(first, 1, 1)).chosen.is_empty());
    assert!(stage.hear(5, accepted(first, 1, 1)).chosen.is_empty());
    stage.hear(4, accepted(second, 1, 1));
    assert_eq!(stage.hear(5, accepted(second, 1, 1)).choices(), [(1, value("y"))]);
}

/// PMMC: an acceptor that accepts at a ballot adopts that ballot; otherwise it could still
/// promise, and accept, below it.
#[test]
fn to_accept_is_to_promise() {
    let mut stage = Stage::new(3);
    let spoken = stage.hear(2, accept(ballot(5, 2), 1, "x", 0));
    let vote = Write::Accepted { slot: slot(1), ballot: ballot(5, 2), decree: value("x") };
    assert_eq!(spoken.writes, [Write::Promised { ballot: ballot(5, 2) }, vote]);
    assert_eq!(stage.peer.promised(), ballot(5, 2));
    stage.sync();
    stage.hear(3, accept(ballot(4, 3), 2, "y", 0));
    assert_eq!(stage.sync().to(3), [&refused(ballot(4, 3), ballot(5, 2))]);
}

/// One decree per slot and ballot: a second one at the same ballot is not voted for, and a repeated
/// first one is answered again without another write.
#[test]
fn an_acceptor_votes_once_per_slot_and_ballot() {
    let mut stage = Stage::new(3);
    stage.hear(2, accept(ballot(1, 2), 1, "x", 0));
    stage.sync();
    let again = stage.hear(2, accept(ballot(1, 2), 1, "x", 0));
    assert_eq!(again.writes, []);
    assert_eq!(stage.sync().to(2), [&accepted(ballot(1, 2), 1, 1)]);
    let other = stage.hear(2, accept(ballot(1, 2), 1, "y", 0));
    assert_eq!(other.writes, []);
    assert!(stage.sync().to(2).is_empty());
}

// Progress (PMS §2.4).

/// An acceptor that ignores a request because of a higher one informs the proposer, who then
/// abandons its proposal; but it does not outbid: that is for the election.
#[test]
fn a_refused_leader_stops_at_once_and_does_not_outbid() {
    let mut stage = Stage::new(3);
    let own = stage.lead();
    let higher = ballot(own.round() + 7, 3);
    let spoken = stage.hear(3, refused(own, higher));
    assert_eq!(stage.peer.role(), Role::Following { leader: None });
    assert!(!stage.peer.may_propose());
    assert_eq!(spoken.writes, []);
    assert!(stage.campaign() > higher, "the next campaign goes above what it heard");
}

/// Ballots that are only heard of start no campaign, for nodes would outbid each other for ever:
/// that is the livelock of three in a line. Only the absence of a leader does.
#[test]
fn a_ballot_that_is_only_heard_of_starts_no_campaign() {
    let mut stage = Stage::new(3);
    let reign = ballot(1, 2);
    let leading = Standing { reign: Some(reign), ..following(reign) };
    for beat in 2..50 {
        stage.wait(20);
        stage.step(Input::Wake);
        stage.hear(2, Message::Heartbeat { round: beat, standing: leading });
        stage.answer(2, leading);
        let rumour = Standing { sees_leader: true, ..following(ballot(beat, 3)) };
        let spoken = stage.answer(3, rumour);
        assert_eq!(stage.peer.role(), Role::Following { leader: Some(NodeId::new(2)) }, "{beat}");
        assert_eq!(spoken.writes, []);
    }
    assert_eq!(stage.peer.promised(), Ballot::ZERO);
}

/// A leader that promises a higher ballot, by a prepare or by a vote, has promised to stop; and it
/// will not confirm a read at the lower one.
#[test]
fn a_leader_that_promises_higher_stops_at_once() {
    for by_vote in [false, true] {
        let mut stage = Stage::new(3);
        let own = stage.lead();
        let higher = ballot(own.round() + 1, 3);
        let word = if by_vote { accept(higher, 1, "x", 0) } else { prepare(higher, 1) };
        stage.hear(3, word);
        assert_eq!(stage.peer.role(), Role::Following { leader: None }, "by vote: {by_vote}");
        stage.hear(2, Message::Confirm { ballot: ballot(1, 2), round: 1 });
        assert_eq!(stage.sync().to(2), [&refused(ballot(1, 2), higher)]);
    }
}

// Implementing a state machine (PMS §3).

/// Phase 1 once for all slots: a single prepare, and a reply no longer than the votes above the
/// first open slot.
#[test]
fn phase_1_runs_once_for_the_whole_open_suffix() {
    let records = vec![(slot(4), Record::Accepted { ballot: ballot(1, 2), decree: value("d") })];
    let durable = Durable {
        promised: Some(ballot(1, 2)),
        chosen_upto: slot(3),
        records,
        ..Durable::default()
    };
    let mut stage = Stage::recovered(3, durable);
    let own = stage.campaign();
    let spoken = stage.sync();
    let held = Held { slots: Span { first: slot(4), last: slot(4) }, ballot: ballot(1, 2) };
    let expected = Message::Prepare { ballot: own, first: slot(4), holds: vec![held] };
    assert_eq!(spoken.to(2), [&expected]);
    stage.hear(2, promise(own, 3, vec![(4, Report::Held { ballot: ballot(1, 2) })]));
    stage.propose("e");
    stage.propose("f");
    assert!(stage.sync().to(2).is_empty(), "no second phase 1");
}

/// "Fill the gap by proposing, as commands, a special no-op command that leaves the state
/// unchanged": only below the highest reported slot, and only where a full quorum reports nothing.
#[test]
fn gaps_below_the_last_reported_slot_are_filled_with_no_ops() {
    let mut stage = Stage::new(5);
    let own = stage.campaign();
    stage.sync();
    stage.hear(2, promise(own, 0, vec![(3, voted(ballot(1, 2), "c"))]));
    let spoken = stage.hear(3, promise(own, 0, vec![(1, voted(ballot(1, 2), "a"))]));
    let expected = [(1, value("a")), (2, Decree::Noop), (3, value("c"))];
    assert_eq!(spoken.accepts(), expected);
}

/// No slot is filled because *one* acceptor reports it empty: whoever voted may not have spoken
/// yet.
#[test]
fn one_empty_report_fills_no_gap() {
    let mut stage = Stage::new(5);
    let own = stage.campaign();
    stage.sync();
    let spoken = stage.hear(2, promise(own, 0, vec![(2, voted(ballot(1, 2), "b"))]));
    assert_eq!(spoken.accepts(), []);
    let spoken = stage.hear(3, promise(own, 0, vec![(1, voted(ballot(1, 2), "a"))]));
    assert_eq!(spoken.accepts(), [(1, value("a")), (2, value("b"))]);
}

/// A promise counts when every page of it is there; a page that leaves a gap is asked for again.
#[test]
fn a_promise_counts_when_all_its_pages_are_there() {
    let page = |first, upto: Option<u64>, reports: Vec<(u64, Report)>| Page {
        first: slot(first),
        upto: upto.map(slot),
        chosen_upto: Slot::ZERO,
        lost_upto: Slot::ZERO,
        reports: reports.into_iter().map(|(place, report)| (slot(place), report)).collect(),
    };
    let mut stage = Stage::new(3);
    let own = stage.campaign();
    stage.sync();
    let last = page(4, None, vec![(4, voted(ballot(1, 2), "d"))]);
    stage.hear(2, Message::Promise { ballot: own, page: last.clone() });
    assert!(!stage.leads(), "pages before it are missing");
    let first = page(1, Some(3), vec![(3, voted(ballot(1, 2), "c"))]);
    stage.hear(2, Message::Promise { ballot: own, page: first });
    assert!(!stage.leads(), "the last page was of no use before the first");
    assert_eq!(stage.sync().to(2), [&prepare(own, 4)], "the next page is asked for");
    let spoken = stage.hear(2, Message::Promise { ballot: own, page: last });
    assert!(stage.leads());
    let noop = Decree::Noop;
    let expected = [(1, noop.clone()), (2, noop), (3, value("c")), (4, value("d"))];
    assert_eq!(spoken.accepts(), expected);
}

/// What a peer reports as chosen below its watermark is learned from it, never proposed.
#[test]
fn a_leader_fetches_what_a_promise_reports_as_chosen() {
    let mut stage = Stage::new(3);
    let own = stage.campaign();
    stage.sync();
    let spoken = stage.hear(2, promise(own, 2, vec![(3, voted(ballot(1, 2), "c"))]));
    assert_eq!(spoken.accepts(), [(3, value("c"))], "nothing is proposed in slots 1 and 2");
    assert!(spoken.to(2).contains(&&Message::Ask { first: slot(1), upto: slot(2) }));
    let Role::Leading { inherited, .. } = stage.peer.role() else { panic!("not leading") };
    assert_eq!(inherited, slot(3), "reads wait for all of it");
    let decrees = vec![(slot(1), value("a")), (slot(2), value("b"))];
    let spoken = stage.hear(2, Message::Learned { decrees, chosen_upto: slot(2) });
    assert_eq!(spoken.choices(), [(1, value("a")), (2, value("b"))]);
}

// Damaged records (PAR; the rule for ballots is ours).

/// *Faulty* is answered as faulty, never as empty.
#[test]
fn a_faulty_record_is_reported_as_faulty() {
    let durable = Durable {
        promised: Some(ballot(1, 2)),
        chosen_upto: Slot::ZERO,
        records: vec![(slot(1), Record::Faulty)],
        ..Durable::default()
    };
    let mut stage = Stage::recovered(3, durable);
    stage.hear(2, prepare(ballot(2, 2), 1));
    let expected = promise(ballot(2, 2), 0, vec![(1, Report::Faulty)]);
    assert_eq!(stage.sync().to(2), [&expected]);
}

/// What stands whole above damage is known to be chosen, and reported so, however far above: what
/// a node had forgotten there would pass for empty. (It forgot what lay more than 16 384 slots
/// above the damaged record, and a no-op took the place of what clients had been told.)
#[test]
fn what_is_known_far_above_damage_is_reported() {
    let last = 20_000;
    let known = |at| (slot(at), Record::Chosen { decree: value("x") });
    let records = std::iter::once((slot(1), Record::Faulty)).chain((2..=last).map(known));
    let durable = Durable { records: records.collect(), ..Durable::default() };
    let mut stage = Stage::recovered(3, durable);
    let (mut first, mut reported) = (1, Vec::new());
    while first <= last {
        stage.hear(2, prepare(ballot(2, 2), first));
        let spoken = stage.sync();
        let pages = spoken.to(2).into_iter().filter_map(|message| match message {
            Message::Promise { page, .. } => Some(page.clone()),
            _ => None,
        });
        let page = pages.last().unwrap();
        reported.extend(page.reports.iter().map(|(at, _)| at.get()));
        first = page.upto.map_or(u64::MAX, |upto| upto.get() + 1);
    }
    assert_eq!(reported, (1..=last).collect::<Vec<_>>());
}

/// A faulty answer is no clean *empty*: the gap waits for a quorum of clean answers.
#[test]
fn a_faulty_answer_does_not_help_to_fill_a_gap() {
    let mut stage = Stage::new(5);
    let own = stage.campaign();
    stage.sync();
    stage.hear(2, promise(own, 0, vec![(1, Report::Faulty)]));
    stage.hear(3, promise(own, 0, vec![]));
    assert!(!stage.leads(), "two clean answers of five");
    let spoken = stage.hear(4, promise(own, 0, vec![]));
    assert_eq!(spoken.accepts(), [(1, Decree::Noop)]);
}

/// A faulty answer may hide the vote at the highest ballot: what the others report is adopted only
/// with a quorum of clean answers.
#[test]
fn a_faulty_answer_does_not_help_to_adopt() {
    let mut stage = Stage::new(5);
    let own = stage.campaign();
    stage.sync();
    stage.hear(2, promise(own, 0, vec![(1, Report::Faulty)]));
    stage.hear(3, promise(own, 0, vec![(1, voted(ballot(1, 2), "low"))]));
    assert!(!stage.leads(), "two clean answers of five");
    let spoken = stage.hear(4, promise(own, 0, vec![(1, voted(ballot(2, 3), "high"))]));
    assert_eq!(spoken.accepts(), [(1, value("high"))]);
}

/// One report of *chosen* settles a slot, whatever the others can or cannot read.
#[test]
fn a_report_of_chosen_settles_a_slot_alone() {
    let mut stage = Stage::new(5);
    let own = stage.campaign();
    stage.sync();
    stage.hear(2, promise(own, 0, vec![(1, Report::Faulty)]));
    let report = Report::Chosen { decree: value("x") };
    let spoken = stage.hear(3, promise(own, 0, vec![(1, report)]));
    assert!(stage.leads());
    assert_eq!(spoken.accepts(), []);
    assert_eq!(spoken.choices(), [(1, value("x"))]);
}

// The five rules of durability (PMS §2.5: an acceptor records its intended response in stable
// storage before actually sending it; and two different proposals never have one number).

/// Rule 1: a node's own ballot is durable before a `Prepare` of it leaves.
#[test]
fn a_ballot_is_durable_before_its_prepare_leaves() {
    let mut stage = Stage::new(3);
    let own = stage.campaign();
    assert!(stage.unsynced.writes().contains(&Write::Promised { ballot: own }));
    for _ in 0..20 {
        stage.wait(20);
        let spoken = stage.step(Input::Wake);
        stage.answer_heartbeat(Ballot::ZERO);
        assert!(spoken.to(2).is_empty(), "before the sync: {:?}", spoken.to(2));
    }
    assert!(stage.sync().to(2).contains(&&prepare(own, 1)));
}

/// Rule 2: a promise is durable before it is spoken.
#[test]
fn a_promise_is_not_spoken_before_it_is_durable() {
    let mut stage = Stage::new(3);
    let spoken = stage.hear(2, prepare(ballot(1, 2), 1));
    assert_eq!(spoken.writes, [Write::Promised { ballot: ballot(1, 2) }]);
    assert!(spoken.to(2).is_empty());
    assert_eq!(stage.sync().to(2), [&promise(ballot(1, 2), 0, vec![])]);
}

/// Rule 2: so is a vote.
#[test]
fn a_vote_is_not_spoken_before_it_is_durable() {
    let mut stage = Stage::new(3);
    let spoken = stage.hear(2, accept(ballot(1, 2), 1, "x", 0));
    assert!(spoken.to(2).is_empty());
    assert_eq!(stage.sync().to(2), [&accepted(ballot(1, 2), 1, 1)]);
}

/// Rule 2: a refusal waits too, for it names a promise.
#[test]
fn a_refusal_is_not_spoken_before_its_promise_is_durable() {
    let mut stage = Stage::new(3);
    stage.hear(2, prepare(ballot(2, 2), 1));
    let spoken = stage.hear(3, prepare(ballot(1, 3), 1));
    assert!(spoken.to(3).is_empty());
    assert_eq!(stage.sync().to(3), [&refused(ballot(1, 3), ballot(2, 2))]);
}

/// Rule 3: an accept leaves at once, in parallel with the leader's own disk; the leader's own vote
/// counts only after its sync.
#[test]
fn an_accept_leaves_at_once_and_the_own_vote_waits() {
    let mut stage = Stage::new(3);
    let own = stage.lead();
    stage.sync();
    assert_eq!(stage.propose("x").accepts(), [(1, value("x"))]);
    assert!(stage.hear(2, accepted(own, 1, 1)).chosen.is_empty(), "one durable vote of three");
    assert_eq!(stage.sync().choices(), [(1, value("x"))]);
}

/// Rule 4: a proposer that comes back starts above every round that is durable.
#[test]
fn a_recovered_proposer_campaigns_above_every_durable_round() {
    for (promised, voted_at) in [(7, 3), (3, 3)] {
        let vote = Record::Accepted { ballot: ballot(voted_at, 1), decree: value("x") };
        let durable = Durable {
            promised: Some(ballot(promised, 1)),
            chosen_upto: Slot::ZERO,
            records: vec![(slot(1), vote)],
            ..Durable::default()
        };
        let mut stage = Stage::recovered(3, durable);
        assert!(stage.campaign().round() > promised);
    }
}

/// Rule 5: an error of the disk ends the node, so all the core must do is to say nothing on the
/// strength of a sync that never ends, and to leave the lead to another.
#[test]
fn nothing_relies_on_a_sync_that_never_ends() {
    let mut stage = Stage::new(3);
    stage.lead();
    stage.sync();
    stage.propose("x");
    for _ in 0..60 {
        stage.wait(20);
        let spoken = stage.step(Input::Wake);
        stage.answer_heartbeat(Ballot::ZERO);
        assert!(spoken.chosen.is_empty());
    }
    assert_eq!(stage.peer.role(), Role::Following { leader: None });
}
