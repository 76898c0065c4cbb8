//! One situation each: who is answered what, and when.

use synod_machine::{
    Answer, Batch, Command, FenceCause, ParticipantName, Query, Reign, Reply, Request, Seq,
    Timestamp,
    door::{Call, Freshness, NotApplied, Refusal, Said},
};
use synod_paxos::{Decree, Envelope, Message, Role, Tick, Write};
use synod_replica::{BATCH_VERSION, ClientId, Input, Passed, Response};

use crate::world::{World, applied, id, put, read, submit, written};

fn said(said: Said) -> Option<Response> {
    Some(Response::Said(said))
}

fn answered(world: &World, client: ClientId) -> Option<Response> {
    world.responses.get(&client).cloned()
}

/// A request is chosen, applied and answered, and a read that follows sees it on the spot.
#[test]
fn a_write_is_answered_and_a_read_sees_it() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let revision = written(&world.answer(leader, submit(session, 1))).expect("it is written");
    let Response::Said(Said::Answer(Answer::Key { entry, .. })) =
        world.answer(leader, read(&id(session, 1).to_string()))
    else {
        panic!("no answer to a read")
    };
    assert_eq!(entry.expect("the key is there").modified, revision);
}

/// The stages of a batch add up to what its caller waited; the own sync is one of the votes.
#[test]
fn the_stages_of_a_batch_add_up_to_the_wait_of_its_first_caller() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    world.run_ms(100);
    world.passed.clear();
    // The second comes while the disk is busy with the first, and waits for it.
    world.ask(leader, submit(session, 1));
    world.run_until(100, |world| world.passed.iter().any(|one| matches!(one, Passed::Queue(_))));
    world.passed.clear();
    let asked_us = world.now_us;
    let second = world.ask(leader, submit(session, 2));
    world.run_until(1_000, |world| world.responses.contains_key(&second));
    let waited_us = u128::from(world.now_us - asked_us);
    world.run_ms(100);
    let queued = world.passed.iter().find_map(|one| match one {
        Passed::Queue(after) => Some(after.as_micros()),
        Passed::Sync(_) | Passed::Quorum { .. } => None,
    });
    let mut chosen = world.passed.iter().filter_map(|one| match one {
        Passed::Quorum { after, .. } => Some(after.as_micros()),
        Passed::Sync(_) | Passed::Queue(_) => None,
    });
    let queued = queued.expect("it was proposed");
    assert!(queued > 0);
    assert_eq!(queued + chosen.next_back().expect("it was chosen"), waited_us);
    let synced = world.passed.iter().filter(|one| matches!(one, Passed::Sync(_))).count();
    assert_eq!(synced, 2, "{:?}", world.passed);
}

/// A node alone is a quorum of one.
#[test]
fn a_cluster_of_one_serves() {
    let (mut world, leader) = World::serving(1);
    let session = world.open_session(leader, 10_000);
    assert!(written(&world.answer(leader, submit(session, 1))).is_some());
}

/// What gathers while the disk is busy goes into one slot.
#[test]
fn requests_that_gather_share_a_slot() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let clients: Vec<_> = (1..=50).map(|seq| world.ask(leader, submit(session, seq))).collect();
    world.run_until(1_000, |world| clients.iter().all(|one| written_by(world, *one)));
    world.run_ms(100);
    let batches = applied(&world, leader);
    assert!(batches.iter().any(|(_, batch)| batch.requests.len() == 50), "{batches:?}");
}

fn written_by(world: &World, client: ClientId) -> bool {
    answered(world, client).is_some_and(|response| written(&response).is_some())
}

/// Item 15: a leader that has not applied its `LeaderStart` may lack what others were told is done.
/// It takes requests in, and answers nothing.
#[test]
fn nothing_is_served_before_the_leader_start_is_applied() {
    let mut world = World::new(3, 11);
    world.run_until(5_000, |world| leading(world).is_some());
    let leader = leading(&world).expect("somebody leads");
    assert!(!world.replica(leader).status().serving);
    let read = world.ask(leader, read("k"));
    let open = Command::OpenSession { owner: "early".to_owned(), ttl_ms: 1_000 };
    let request = Request { id: None, acked: Seq::ZERO, command: open };
    let submitted = world.ask(leader, Call::Submit(request));
    assert!(!world.replica(leader).gathered(), "nothing is proposed before the LeaderStart");
    world.isolate(leader);
    world.run_ms(20);
    assert_eq!((answered(&world, read), answered(&world, submitted)), (None, None));
    world.heal();
    world.run_until(2_000, |world| world.responses.len() == 2);
    world.run_ms(100);
    let firsts = applied(&world, leader);
    let (_, first) = firsts.first().expect("something is chosen");
    assert!(matches!(first.requests[..], [Request { command: Command::LeaderStart { .. }, .. }]));
}

fn leading(world: &World) -> Option<usize> {
    let leads = |node: &usize| matches!(world.replica(*node).status().role, Role::Leading { .. });
    (0..world.nodes.len()).find(leads)
}

/// The machine's reigns are in the order of ballots, so that a fence of an earlier one is told.
#[test]
fn every_reign_is_named_in_the_log_in_the_order_of_ballots() {
    let (mut world, first) = World::serving(3);
    world.crash(first);
    let second = world.run_until_served(5_000);
    assert_ne!(first, second);
    world.run_ms(200);
    let reigns: Vec<Reign> = applied(&world, second)
        .into_iter()
        .flat_map(|(_, batch)| batch.requests)
        .filter_map(|request| match request.command {
            Command::LeaderStart { reign } => Some(reign),
            _ => None,
        })
        .collect();
    assert_eq!(reigns.len(), 2, "{reigns:?}");
    assert!(reigns[0] < reigns[1], "{reigns:?}");
    let status = world.replica(second).status();
    assert!(
        status.takeover.is_some_and(|takeover| takeover.whole().as_millis() < 2_000),
        "{status:?}"
    );
}

/// A follower names the leader and does nothing.
#[test]
fn a_follower_points_to_the_leader() {
    let (mut world, leader) = World::serving(3);
    world.run_ms(100);
    let follower = (leader + 1) % 3;
    let hint = Response::NotLeader(world.replica(leader).peer().leader());
    let session = world.open_session(leader, 10_000);
    assert_eq!(world.answer(follower, submit(session, 1)), hint);
    assert_eq!(world.answer(follower, read("k")), hint);
    assert_eq!(world.answer(follower, Call::KeepAlive { session }), hint);
    let query = Query::Get { key: "k".into() };
    let stale = Call::Read { query, freshness: Freshness::Stale };
    assert!(matches!(world.answer(follower, stale), Response::Said(Said::Stale { .. })));
}

/// Item 16: what was proposed when the lead was lost is unknown, for another may choose it.
#[test]
fn what_was_proposed_by_a_leader_that_lost_its_quorum_is_unknown() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let client = world.ask(leader, submit(session, 1));
    world.isolate(leader);
    world.run_until(3_000, |world| answered(world, client).is_some());
    assert_eq!(answered(&world, client), said(Said::Unknown));
    // And rightly so: its own disk has the vote, and after the heal it may well be chosen.
    world.heal();
    world.run_until_level(5_000);
}

/// The reply at my place in a decree that is not mine is somebody else's.
#[test]
fn the_replies_of_a_foreign_decree_are_nobodys_here() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let client = world.ask(leader, submit(session, 1));
    world.step(leader, Input::DiskFree);
    let slot = world.replica(leader).status().applied.next();
    let open = Command::OpenSession { owner: "other".to_owned(), ttl_ms: 1_000 };
    let requests = vec![Request { id: None, acked: Seq::ZERO, command: open }];
    let batch = Batch { stamp: Timestamp(1), requests };
    let bytes = [vec![BATCH_VERSION], postcard::to_allocvec(&batch).unwrap()].concat();
    let decrees = vec![(slot, Decree::Value(bytes.into()))];
    let message = Message::Learned { decrees, chosen_upto: slot };
    let (from, to) = (world.life((leader + 1) % 3), world.life(leader).node);
    world.isolate(leader);
    world.step(leader, Input::Peer(Envelope::of(from, to, message)));
    assert_eq!(world.replica(leader).status().applied, slot, "it was learned");
    assert_eq!(answered(&world, client), said(Said::Unknown));
}

/// Whatever bytes are chosen, they are skipped alike everywhere, and the log goes on.
#[test]
fn a_decree_that_is_no_batch_is_skipped() {
    let (mut world, leader) = World::serving(1);
    world.run_ms(50);
    let slot = world.replica(leader).status().applied.next();
    world.crash(leader);
    let decree = Decree::Value("no batch".into());
    world.nodes[leader].disk.write(&[Write::Chosen { slot, decree }]);
    world.start(leader);
    let leader = world.run_until_served(5_000);
    let status = world.replica(leader).status();
    assert_eq!(status.malformed, 1);
    assert!(status.applied > slot);
    let session = world.open_session(leader, 10_000);
    assert!(written(&world.answer(leader, submit(session, 1))).is_some());
}

/// What was not proposed when the lead was lost is not done, and never will be.
#[test]
fn what_only_waited_when_the_lead_was_lost_is_not_done() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    world.isolate(leader);
    world.run_until(3_000, |world| !world.replica(leader).peer().may_propose());
    let waits = world.ask_within(leader, 10_000, submit(session, 1));
    let hurried = world.ask_within(leader, 1, submit(session, 2));
    world.run_until(3_000, |world| world.server() != Some(leader));
    world.run_ms(1);
    assert!(matches!(answered(&world, waits), Some(Response::NotLeader(_))));
    let not_applied = [NotApplied::NoQuorum].map(|why| said(Said::NotApplied(why)));
    let or_not_leader = matches!(answered(&world, hurried), Some(Response::NotLeader(_)));
    assert!(or_not_leader || not_applied.contains(&answered(&world, hurried)));
    world.heal();
    world.run_until_level(5_000);
    assert!(!world.has(leader, &id(session, 1).to_string()));
    assert!(!world.has(leader, &id(session, 2).to_string()));
}

/// P5: without a quorum every call ends by its deadline, with a reason.
#[test]
fn without_a_quorum_every_call_ends_by_its_deadline() {
    let mut world = World::new(3, 5);
    world.run_until(5_000, |world| leading(world).is_some());
    let leader = leading(&world).expect("somebody leads");
    world.isolate(leader);
    let open = Command::OpenSession { owner: "early".to_owned(), ttl_ms: 1_000 };
    let request = Request { id: None, acked: Seq::ZERO, command: open };
    let clients = [
        world.ask_within(leader, 5, Call::Submit(request)),
        world.ask_within(leader, 5, read("k")),
    ];
    world.run_ms(5);
    for client in clients {
        assert_eq!(answered(&world, client), said(Said::NotApplied(NotApplied::NoQuorum)));
    }
    // And it meant what it said: the reign goes on, and does not make up for it.
    world.heal();
    world.run_until(2_000, |world| world.replica(leader).status().serving);
    world.run_until_level(2_000);
    assert_eq!(world.replica(leader).machine().census().sessions, 0);
}

/// A retry while the first copy is under way waits with it: one slot, two answers, both the same.
#[test]
fn a_retry_of_a_request_under_way_gets_no_second_slot() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let queued = [world.ask(leader, submit(session, 1)), world.ask(leader, submit(session, 1))];
    world.step(leader, Input::DiskFree);
    let proposed = world.ask(leader, submit(session, 1));
    world.run_until(1_000, |world| written_by(world, proposed));
    let answers = queued.map(|client| answered(&world, client));
    assert_eq!(answers, [answered(&world, proposed), answered(&world, proposed)]);
    world.run_ms(100);
    let copies = applied(&world, leader).into_iter().flat_map(|(_, batch)| batch.requests);
    assert_eq!(copies.filter(|request| request.id == Some(id(session, 1))).count(), 1);
}

/// Item 25: a retry that did get a second slot is answered with the first reply, and done once.
#[test]
fn a_retry_after_the_answer_is_answered_alike() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let first = world.answer(leader, submit(session, 1));
    assert_eq!(world.answer(leader, submit(session, 1)), first);
    world.crash(leader);
    let next = world.run_until_served(5_000);
    assert_eq!(world.answer(next, submit(session, 1)), first);
}

/// Decision 9: nobody waits for it any more, so it is not done.
#[test]
fn a_request_whose_caller_has_gone_is_not_proposed() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let gone = world.ask(leader, submit(session, 1));
    world.step(leader, Input::Gone(gone));
    world.run_ms(100);
    assert!(!world.has(leader, &id(session, 1).to_string()));
    assert_eq!(answered(&world, gone), None);
}

/// Limits are checked before anything is queued, and what only a leader says is refused.
#[test]
fn a_request_that_breaks_a_limit_is_refused_and_not_queued() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let mut long = put(session, 1);
    long.command = Command::Put { key: vec![0; 5_000].into(), value: "v".into() };
    let response = world.answer(leader, Call::Submit(long));
    assert!(
        matches!(response, Response::Said(Said::Refused(Refusal::Limit { .. }))),
        "{response:?}"
    );
    let usurper = Command::LeaderStart { reign: Reign(u64::MAX, 0, 0) };
    let request = Request { id: None, acked: Seq::ZERO, command: usurper };
    let response = world.answer(leader, Call::Submit(request));
    assert!(matches!(response, Response::Said(Said::Refused(Refusal::Misuse(_)))), "{response:?}");
}

/// Past its budget of bytes the queue refuses at once.
#[test]
fn a_full_queue_refuses_at_once() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let large = |seq| {
        let command = Command::Put { key: "k".into(), value: vec![0; 1 << 20].into() };
        Call::Submit(Request { id: Some(id(session, seq)), acked: Seq::ZERO, command })
    };
    let clients: Vec<_> = (1..=20).map(|seq| world.ask(leader, large(seq))).collect();
    let full = |client: &&ClientId| {
        matches!(
            answered(&world, **client),
            Some(Response::Said(Said::NotApplied(NotApplied::Overloaded { .. })))
        )
    };
    assert_eq!(clients.iter().filter(full).count(), 5, "16 MiB hold 15 of them");
}

/// A read on a leader that was replaced without knowing is not answered from what it has.
#[test]
fn a_leader_that_was_replaced_serves_no_read() {
    let (mut world, old) = World::serving(3);
    let session = world.open_session(old, 60_000);
    world.run_ms(100);
    world.nodes[old].paused = true;
    world.run_until(5_000, |world| others_serve(world, old));
    let new = (0..3).find(|node| *node != old && world.replica(*node).status().serving);
    let new = new.expect("another serves");
    assert!(written(&world.answer(new, submit(session, 1))).is_some());
    world.nodes[old].paused = false;
    let before = world.ask(old, read(&id(session, 1).to_string()));
    assert_eq!(answered(&world, before), None, "it believes to lead, and asks");
    world.run_until(3_000, |world| answered(world, before).is_some());
    let response = answered(&world, before);
    assert!(!matches!(response, Some(Response::Said(Said::Answer(_)))), "{response:?}");
}

fn others_serve(world: &World, old: usize) -> bool {
    (0..3).any(|node| node != old && world.replica(node).status().serving)
}

/// A keep-alive says that the session lives: only a leader that *is* the leader knows.
#[test]
fn a_leader_that_was_replaced_keeps_no_session() {
    let (mut world, old) = World::serving(3);
    let session = world.open_session(old, 60_000);
    world.run_ms(100);
    world.nodes[old].paused = true;
    world.run_until(5_000, |world| others_serve(world, old));
    let new = (0..3).find(|node| *node != old && world.replica(*node).status().serving);
    let fence = Command::Fence { session, cause: FenceCause::Operator, guard: None };
    let request = Request { id: None, acked: Seq::ZERO, command: fence };
    let done = world.reply(new.expect("another serves"), request);
    assert!(matches!(done, Reply::Done(_)), "{done:?}");
    world.nodes[old].paused = false;
    let kept = world.ask(old, Call::KeepAlive { session });
    world.run_until(3_000, |world| answered(world, kept).is_some());
    assert_ne!(answered(&world, kept), said(Said::Kept));
}

/// An attendant is answered at once when there is news, when news comes, or when its time is up.
#[test]
fn an_attendant_on_any_node_hears_of_a_verdict_when_it_is_applied() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let txn = synod_machine::TxnId { session, n: 1 };
    let attend = || Call::Attend {
        participant: ParticipantName::new("east"),
        in_doubt: vec![txn],
        finished: Vec::new(),
    };
    let nodes = [leader, (leader + 1) % 3];
    let hasty = world.ask_within(nodes[1], 50, attend());
    let waiting = nodes.map(|node| world.ask_within(node, 10_000, attend()));
    world.run_ms(60);
    assert_eq!(answered(&world, hasty), said(Said::Verdicts(Vec::new())));
    assert_eq!(waiting.map(|client| answered(&world, client)), [None, None]);
    let close =
        Request { id: Some(id(session, 1)), acked: Seq::ZERO, command: Command::CloseSession };
    world.reply(leader, close);
    world.run_ms(100);
    let aborted = said(Said::Verdicts(vec![(txn, synod_machine::Verdict::Aborted)]));
    assert_eq!(waiting.map(|client| answered(&world, client)), [aborted.clone(), aborted.clone()]);
    let at_once = world.ask_within(nodes[1], 10_000, attend());
    assert_eq!(answered(&world, at_once), aborted);
}

/// Decision 8: nodes tell each other what their states come to.
#[test]
fn nodes_compare_their_states() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    for seq in 1..=20 {
        world.answer(leader, submit(session, seq));
    }
    world.run_ms(200);
    for node in 0..3 {
        let hashes = world.replica(node).status().hashes;
        assert!(hashes.agreed >= 6, "n{}: {hashes:?}", node + 1);
        assert_eq!(hashes.differed, 0);
        assert!(world.replica(node).checkpoints().count() >= 3);
    }
}

/// A moment in the past never becomes due again and again: the driver would spin.
#[test]
fn a_wake_up_lies_ahead_once_it_was_stepped() {
    let (mut world, leader) = World::serving(3);
    world.open_session(leader, 100);
    world.isolate(leader);
    for _ in 0..2_000 {
        let now = Tick::from_micros(world.now_us);
        let at = world.replica(leader).wake_at().expect("a peer always has a next beat");
        assert!(at >= now || at.micros() + 1_000 > now.micros(), "{at} was due before {now}");
        world.run_ms(1);
    }
}
