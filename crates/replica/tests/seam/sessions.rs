//! Sessions end by silence, in the log, and by nothing else.

use synod_machine::{
    Command, FenceCause, Rejection, Reply, Request, Seq, SessionId,
    door::{Call, Said},
};
use synod_paxos::Slot;
use synod_replica::Response;

use crate::world::{World, applied, id, submit, written};

const TTL_MS: u64 = 1_000;
const GRACE_MS: u64 = 500;

fn kept() -> Response {
    Response::Said(Said::Kept)
}

fn ended() -> Response {
    Response::Said(Said::Reply(Reply::Rejected(Rejection::SessionEnded)))
}

fn lives(world: &World, node: usize, session: SessionId) -> bool {
    world.replica(node).machine().live_sessions().any(|(live, _, _)| live == session)
}

fn fences(world: &World, node: usize) -> Vec<(Slot, SessionId)> {
    let requests = applied(world, node)
        .into_iter()
        .flat_map(|(slot, batch)| batch.requests.into_iter().map(move |request| (slot, request)));
    requests
        .filter_map(|(slot, request)| match request.command {
            Command::Fence { session, cause: FenceCause::Expired, guard: Some(_) } => {
                Some((slot, session))
            }
            _ => None,
        })
        .collect()
}

/// Silence for the time to live and the grace ends a session, and nothing shorter does.
#[test]
fn a_session_ends_by_silence_and_not_sooner() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, TTL_MS);
    let opened_at_us = world.now_us;
    world.run_ms(TTL_MS + GRACE_MS - 50);
    assert!(lives(&world, leader, session));
    world.run_until(200, |world| !lives(world, leader, session));
    let silent_ms = (world.now_us - opened_at_us) / 1_000;
    assert!(silent_ms >= TTL_MS + GRACE_MS - 5, "ended after {silent_ms} ms");
    world.run_until_level(1_000);
    for node in 0..3 {
        assert!(!lives(&world, node, session));
    }
    assert_eq!(world.answer(leader, Call::KeepAlive { session }), ended());
}

/// Whose a session is, is known when its opening is applied. Whoever guesses the number of one
/// whose opening is under way is refused, and nothing it asked for follows the opening into the
/// log.
#[test]
fn nobody_speaks_in_a_session_before_its_opening_is_applied() {
    let (mut world, leader) = World::serving(3);
    let last = world.open_session(leader, TTL_MS);
    let guessed = SessionId::new(last.get() + 1);
    let open = Command::OpenSession { owner: "app".to_owned(), ttl_ms: TTL_MS };
    let request = Request { id: None, acked: Seq::ZERO, command: open };
    world.ask(leader, Call::Submit(request));
    assert!(!lives(&world, leader, guessed));
    let answer = world.answer(leader, submit(guessed, 1));
    let refused = matches!(
        answer,
        Response::Said(
            Said::NotApplied(_) | Said::Reply(Reply::Rejected(Rejection::UnknownSession))
        )
    );
    assert!(refused, "{answer:?}");
    world.run_until(200, |world| lives(world, leader, guessed));
    let requests = applied(&world, leader).into_iter().flat_map(|(_, batch)| batch.requests);
    assert_eq!(requests.filter(|request| request.id == Some(id(guessed, 1))).count(), 0);
    assert!(written(&world.answer(leader, submit(guessed, 1))).is_some());
}

/// Keep-alives keep a session without an entry of the log; so does any request of it.
#[test]
fn keep_alives_and_requests_keep_a_session() {
    let (mut world, leader) = World::serving(3);
    let sessions = [world.open_session(leader, TTL_MS), world.open_session(leader, TTL_MS)];
    let before = world.replica(leader).status().applied;
    for _ in 0..4 {
        world.run_ms(TTL_MS);
        assert_eq!(world.answer(leader, Call::KeepAlive { session: sessions[0] }), kept());
        assert_eq!(world.answer(leader, Call::KeepAlive { session: sessions[1] }), kept());
    }
    assert_eq!(world.replica(leader).status().applied, before);
    for seq in 1..=4 {
        world.run_ms(TTL_MS);
        assert!(written(&world.answer(leader, submit(sessions[0], seq))).is_some());
    }
    assert!(lives(&world, leader, sessions[0]));
    assert!(!lives(&world, leader, sessions[1]), "nothing was heard of it");
}

/// A new leader does not know what the last one heard: every session starts at its full time.
#[test]
fn a_new_leader_gives_every_session_its_full_time() {
    let (mut world, first) = World::serving(3);
    let session = world.open_session(first, TTL_MS);
    world.run_ms(TTL_MS + GRACE_MS - 100);
    world.crash(first);
    let second = world.run_until_served(5_000);
    let serves_at_us = world.now_us;
    world.run_ms(TTL_MS);
    assert!(lives(&world, second, session), "fenced too soon after the takeover");
    world.run_until(1_000, |world| !lives(world, second, session));
    assert!(world.now_us - serves_at_us >= (TTL_MS + GRACE_MS) * 1_000);
}

/// Once its fence is in the log, nobody knows whether a session lives until the fence is applied.
#[test]
fn a_session_that_is_being_fenced_is_not_kept() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, TTL_MS);
    world.run_until(3_000, |world| world.replica(leader).status().requests_proposed > 0);
    let late = world.ask(leader, Call::KeepAlive { session });
    world.run_until(1_000, |world| world.responses.contains_key(&late));
    assert_eq!(world.responses[&late], ended());
}

/// A request that reaches the log before the fence overrules it, and the session goes on living.
#[test]
fn a_sign_of_life_in_the_log_overrules_the_fence() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, TTL_MS);
    // The request is in the log, unanswered, when the time is up: the fence is guarded by what the
    // leader has seen applied.
    world.run_ms(TTL_MS + GRACE_MS - 20);
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    world.nodes[followers[0]].paused = true;
    world.nodes[followers[1]].paused = true;
    let written_late = world.ask_within(leader, 5_000, submit(session, 1));
    world.run_until(100, |world| world.replica(leader).status().requests_proposed == 2);
    let kept_late = world.ask_within(leader, 5_000, Call::KeepAlive { session });
    world.nodes[followers[0]].paused = false;
    world.nodes[followers[1]].paused = false;
    world.run_until(1_000, |world| world.responses.contains_key(&kept_late));
    assert_eq!(world.responses[&kept_late], kept());
    assert!(written(&world.responses[&written_late]).is_some());
    world.run_ms(100);
    assert_eq!(fences(&world, leader).len(), 1, "one was proposed, and did nothing");
    assert!(lives(&world, leader, session));
    world.run_until(3_000, |world| !lives(world, leader, session));
}

/// A leader that slept has not heard what its clients said: the silence was its own.
#[test]
fn a_leader_that_slept_fences_nobody_on_waking() {
    let (mut world, leader) = World::serving(1);
    let session = world.open_session(leader, TTL_MS);
    world.nodes[leader].paused = true;
    world.run_ms(10_000);
    world.nodes[leader].paused = false;
    world.run_ms(GRACE_MS - 10);
    assert!(lives(&world, leader, session));
    assert_eq!(world.answer(leader, Call::KeepAlive { session }), kept());
    world.run_ms(TTL_MS);
    assert!(lives(&world, leader, session));
}

/// When many go at once, they are ended a few hundred a slot.
#[test]
fn many_sessions_end_in_several_slots() {
    let (mut world, leader) = World::serving(1);
    let open = || {
        let command = Command::OpenSession { owner: "many".to_owned(), ttl_ms: 100 };
        Call::Submit(Request { id: None, acked: Seq::ZERO, command })
    };
    for _ in 0..600 {
        world.ask(leader, open());
    }
    world.run_until(1_000, |world| world.replica(leader).machine().census().sessions == 600);
    world.run_until(1_000, |world| world.replica(leader).machine().census().sessions == 0);
    world.run_ms(100);
    let mut per_slot = std::collections::BTreeMap::<Slot, usize>::new();
    for (slot, _) in fences(&world, leader) {
        *per_slot.entry(slot).or_default() += 1;
    }
    assert_eq!(per_slot.into_values().collect::<Vec<_>>(), [256, 256, 88]);
}
