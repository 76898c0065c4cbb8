//! The leader's lease: reads without a round, and what must keep it from ever being wrong.

use synod_machine::{
    Query,
    door::{Call, Freshness, Said},
    limits::CLOCK_RATES_DIFFER_BY,
};
use synod_paxos::{CLOCKS_OFF_BY_ONE_IN, Tick};
use synod_replica::{ClientId, Input, Response};

use crate::world::{World, id, read, submit, written};

fn is_answered(world: &World, client: ClientId) -> bool {
    matches!(world.responses.get(&client), Some(Response::Said(Said::Answer(_))))
}

fn holds_a_lease(world: &World, node: usize) -> bool {
    world.replica(node).peer().lease(Tick::from_micros(world.now_us)).is_some()
}

fn leader_with_a_lease() -> (World, usize) {
    let (mut world, leader) = World::leasing(3);
    world.run_until(1_000, |world| holds_a_lease(world, leader));
    (world, leader)
}

/// What clients' leases and what the leader's lease allow the rates of clocks is one bound.
#[test]
fn clocks_are_trusted_alike_above_and_below() {
    assert_eq!(u64::from(CLOCKS_OFF_BY_ONE_IN), CLOCK_RATES_DIFFER_BY);
}

/// A leader with a lease answers in the step that asks; without, it asks a quorum first.
#[test]
fn a_lease_saves_the_round() {
    let (mut world, leader) = leader_with_a_lease();
    let session = world.open_session(leader, 10_000);
    let at = written(&world.answer(leader, submit(session, 1))).expect("it is written");
    let client = world.ask(leader, read(&id(session, 1).to_string()));
    assert!(is_answered(&world, client), "at {at}: {:?}", world.responses.get(&client));
    let (mut world, leader) = World::serving(3);
    let client = world.ask(leader, read("k"));
    assert!(!is_answered(&world, client));
    world.run_ms(10);
    assert!(is_answered(&world, client));
    assert_eq!(world.leased, 0);
}

/// Item 32: a process that stood still between the look at the clock with which its step began and
/// the answer finds that its lease has run out, and asks a quorum after all.
#[test]
fn an_answer_that_comes_too_late_for_its_lease_is_asked_again() {
    let (mut world, leader) = leader_with_a_lease();
    world.late_us = 200_000;
    let client = world.ask(leader, read("k"));
    assert!(!is_answered(&world, client));
    assert_eq!((world.leased, world.lapsed), (0, 1));
    world.late_us = 0;
    world.run_ms(10);
    assert!(is_answered(&world, client));
    assert_eq!(world.replica(leader).status().calls, 0);
}

/// One whose caller's time is up meanwhile is told so.
#[test]
fn an_answer_that_comes_too_late_for_its_caller_is_none() {
    let (mut world, leader) = leader_with_a_lease();
    world.late_us = 200_000;
    let client = world.ask_within(leader, 5, read("k"));
    assert_eq!(world.lapsed, 1);
    world.late_us = 0;
    world.now_us += 200_000;
    world.run_ms(50);
    let response = world.responses.get(&client);
    assert!(matches!(response, Some(Response::Said(Said::NotApplied(_)))), "{response:?}");
}

/// A leader that is cut off stops answering before another acknowledges anything.
#[test]
fn a_leader_that_is_cut_off_has_no_lease_when_the_next_serves() {
    let (mut world, old) = leader_with_a_lease();
    world.isolate(old);
    let mut left = 0;
    for _ in 0..2_000 {
        world.run_ms(1);
        let others = (0..3).filter(|node| *node != old);
        let served = others.clone().any(|node| world.replica(node).status().serving);
        assert!(!(served && holds_a_lease(&world, old)), "after {left} ms");
        left += 1;
        if served {
            break;
        }
    }
    assert!((90..400).contains(&left), "another serves after {left} ms");
}

/// Item 30: a leader that steps down has no lease any more, and its word frees the others from
/// their vows, so that another leads long before they would have run out.
#[test]
fn whoever_hands_over_gives_up_its_lease_first() {
    let hands_over = |(mut world, old): (World, usize)| {
        world.run_ms(1_000);
        world.step(old, Input::StepDown);
        assert!(!holds_a_lease(&world, old));
        let before = world.now_us;
        world.run_until(1_000, |world| world.server().is_some_and(|node| node != old));
        assert!(!holds_a_lease(&world, old));
        (world.now_us - before) / 1_000
    };
    let (without, with) = (hands_over(World::serving(3)), hands_over(leader_with_a_lease()));
    assert!(with < without + 40, "{with} ms with a lease, {without} ms without");
}

/// A new reign reads nothing before it has applied what it inherited, lease or not.
#[test]
fn a_lease_serves_nothing_before_the_reign_does() {
    let (mut world, old) = leader_with_a_lease();
    world.crash(old);
    world.run_until(2_000, |world| {
        (0..3).any(|node| node != old && world.replica(node).peer().has_quorum())
    });
    let new = (0..3).find(|node| *node != old && world.replica(*node).peer().has_quorum());
    let new = new.expect("somebody leads");
    if !world.replica(new).status().serving {
        let query = Query::Get { key: "k".into() };
        let call = Call::Read { query, freshness: Freshness::Linearizable };
        let client = world.ask(new, call);
        assert!(!is_answered(&world, client));
    }
}
