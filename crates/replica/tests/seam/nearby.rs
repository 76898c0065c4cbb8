//! Reads at whichever node they arrive: as fresh as they have to be, or not answered.

use synod_machine::{
    Answer, Query, Revision,
    door::{Call, Freshness, NotApplied, Said},
};
use synod_replica::{ClientId, Response};

use crate::world::{World, id, submit, written};

fn read(freshness: Freshness) -> Call {
    Call::Read { query: Query::List { prefix: "".into(), after: None, limit: 9 }, freshness }
}

fn revision(response: &Response) -> Option<Revision> {
    match response {
        Response::Said(Said::Answer(Answer::Keys { revision, .. })) => Some(*revision),
        _ => None,
    }
}

fn age_ms(response: &Response) -> Option<u32> {
    match response {
        Response::Said(Said::Stale { age_ms, .. }) => *age_ms,
        other => panic!("{other:?} instead of a stale answer"),
    }
}

fn not_applied(world: &World, client: ClientId) -> Option<NotApplied> {
    match world.responses.get(&client) {
        Some(Response::Said(Said::NotApplied(why))) => Some(*why),
        _ => None,
    }
}

/// Every write that was answered is seen at every node, at once, though the node that is asked has
/// not heard of it yet.
#[test]
fn a_read_nearby_sees_every_write_that_was_answered() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    for seq in 1..20 {
        let at = written(&world.answer(leader, submit(session, seq))).expect("it is written");
        for node in 0..3 {
            let answer = world.answer(node, read(Freshness::Nearby));
            assert!(revision(&answer) >= Some(at), "node {node} answers {answer:?} after {at}");
        }
    }
}

/// A node that is cut off answers nothing that has to be fresh; it says so when the time is up, and
/// keeps nothing of it.
#[test]
fn a_node_that_is_cut_off_answers_no_read_nearby() {
    let (mut world, leader) = World::serving(3);
    world.run_ms(200);
    let follower = (leader + 1) % 3;
    world.isolate(follower);
    let client = world.ask(follower, read(Freshness::Nearby));
    world.run_ms(1_100);
    assert_eq!(not_applied(&world, client), Some(NotApplied::NoQuorum));
    assert_eq!(world.replica(follower).status().calls, 0);
    world.heal();
    world.run_ms(1_000);
    let answer = world.answer(follower, read(Freshness::Nearby));
    assert!(revision(&answer).is_some(), "{answer:?}");
}

/// A leader that is cut off believes for a while that it leads; what it tells nearby readers needs
/// a quorum all the same.
#[test]
fn a_read_nearby_waits_for_a_leader_that_is_one() {
    let (mut world, old) = World::serving(3);
    world.run_ms(200);
    let (near, far) = ((old + 1) % 3, (old + 2) % 3);
    // It still reaches one other, who reaches no one else.
    world.cut(old, far);
    world.cut(near, far);
    let client = world.ask_within(near, 5_000, read(Freshness::Nearby));
    world.run_ms(50);
    assert!(revision(&world.responses[&client]).is_some(), "two of three are a quorum");
    world.isolate(near);
    let client = world.ask_within(near, 5_000, read(Freshness::Nearby));
    world.run_ms(300);
    assert!(!world.responses.contains_key(&client), "nobody confirms the leader");
    world.heal();
    world.run_ms(2_000);
    assert!(revision(&world.responses[&client]).is_some(), "whoever leads by now has told it");
}

/// A read of at least a revision waits until the node has come so far, whoever leads, and says
/// where the node is when the time is up.
#[test]
fn a_read_of_at_least_a_revision_waits_for_it() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let at = written(&world.answer(leader, submit(session, 1))).expect("it is written");
    world.run_until_level(1_000);
    let follower = (leader + 1) % 3;
    let answer = world.answer(follower, read(Freshness::AtLeast(at)));
    assert_eq!(revision(&answer), Some(at));
    let later = world.ask(follower, read(Freshness::AtLeast(at.next())));
    let never = world.ask(follower, read(Freshness::AtLeast(at.next().next())));
    world.run_ms(100);
    assert!(!world.responses.contains_key(&later), "it is not there yet");
    let next = written(&world.answer(leader, submit(session, 2))).expect("it is written");
    world.run_ms(1_000);
    assert_eq!(revision(&world.responses[&later]), Some(next));
    assert_eq!(not_applied(&world, never), Some(NotApplied::Behind { revision: next }));
    assert!(world.has(follower, &id(session, 2).to_string()));
}

/// Whoever leaves is not answered.
#[test]
fn whoever_leaves_reads_nothing() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let at = written(&world.answer(leader, submit(session, 1))).expect("it is written");
    let follower = (leader + 1) % 3;
    for freshness in [Freshness::AtLeast(at.next()), Freshness::Nearby] {
        let client = world.ask(follower, read(freshness));
        world.gone(client);
        let _ = world.answer(leader, submit(session, 2));
        world.run_ms(100);
        assert!(!world.responses.contains_key(&client));
    }
}

/// The age of a stale read counts from a moment before which nothing is missing: it stays small
/// while all is well, and grows from the cut on where a node is cut off.
#[test]
fn the_age_of_a_stale_read_grows_where_nobody_leads() {
    let (mut world, leader) = World::serving(3);
    assert!((0..3).any(|node| age_ms(&world.answer(node, read(Freshness::Stale))).is_none()));
    world.run_ms(1_000);
    for node in 0..3 {
        let age = age_ms(&world.answer(node, read(Freshness::Stale)));
        assert!(age.is_some_and(|age| age <= 150), "node {node}: {age:?}");
    }
    let follower = (leader + 1) % 3;
    world.isolate(follower);
    world.run_ms(2_000);
    let age = age_ms(&world.answer(follower, read(Freshness::Stale))).expect("it has known once");
    assert!((2_000..2_200).contains(&age), "{age}");
}
