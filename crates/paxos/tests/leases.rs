//! The leader's lease of reads: what each who takes part in it owes, and that no two ever hold one.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;
mod world;

use stage::{Spoken, Stage, ballot, prepare};
use synod_paxos::*;
use world::{VOW, Weather, World, leasing, ms};

/// A member whose silence after its start is over.
fn member() -> Stage {
    let mut stage = Stage::with(3, Durable::default(), leasing);
    stage.step(Input::Wake);
    stage.wait(90);
    stage
}

fn vow(round: u64) -> Message {
    Message::Vow { ballot: ballot(1, 2), round }
}

fn says(spoken: &Spoken, what: &Message) -> bool {
    spoken.at_once.iter().any(|envelope| envelope.message == *what)
}

fn promises(stage: &mut Stage) -> bool {
    let spoken = stage.sync();
    spoken.at_once.iter().any(|envelope| matches!(envelope.message, Message::Promise { .. }))
}

/// A member that answers the leader's round promises nobody else for a vow from when it heard it;
/// whoever had to wait is answered the moment it ends.
#[test]
fn whoever_answered_a_round_promises_nobody_else_meanwhile() {
    let mut stage = member();
    let spoken = stage.hear(2, vow(1));
    assert!(says(&spoken, &Message::Vowed { ballot: ballot(1, 2), round: 1 }), "{spoken:?}");
    stage.hear(3, prepare(ballot(2, 3), 1));
    stage.wait(89);
    stage.step(Input::Wake);
    assert!(!promises(&mut stage));
    stage.wait(1);
    assert!(stage.peer.wake_at().unwrap() <= stage.now);
    stage.step(Input::Wake);
    assert!(promises(&mut stage));
}

/// The vow is not on disk: whoever has just started keeps the one that it may have given.
#[test]
fn whoever_has_just_started_promises_nobody_for_a_vow() {
    let mut stage = Stage::with(3, Durable::default(), leasing);
    stage.hear(3, prepare(ballot(2, 3), 1));
    assert!(!promises(&mut stage));
    stage.wait(90);
    stage.step(Input::Wake);
    assert!(promises(&mut stage));
}

/// A member whose turn to campaign was near when it vowed is not woken again and again for it: so
/// it was once, and did nothing else any more.
#[test]
fn whoever_vows_has_no_turn_to_wait_for() {
    let mut stage = member();
    for _ in 0..40 {
        stage.answer_heartbeat(Ballot::ZERO);
        stage.hear(2, vow(1));
        let woken = (0..60).find(|_| {
            stage.step(Input::Wake);
            stage.peer.wake_at() > Some(stage.now)
        });
        assert!(woken.is_some(), "woken for ever at {}", stage.now);
        stage.now = stage.peer.wake_at().unwrap();
    }
}

/// Who has promised a higher ballot is part of another leader's quorum.
#[test]
fn whoever_promised_a_higher_ballot_answers_no_round() {
    let mut stage = member();
    stage.hear(3, prepare(ballot(2, 3), 1));
    assert!(promises(&mut stage));
    let spoken = stage.hear(2, vow(1));
    assert!(!says(&spoken, &Message::Vowed { ballot: ballot(1, 2), round: 1 }), "{spoken:?}");
}

/// The leader's own word frees at once; a round of it that comes later binds nobody.
#[test]
fn the_leaders_word_that_its_reign_is_over_frees_whoever_vowed() {
    let mut stage = member();
    stage.hear(2, vow(1));
    stage.hear(3, prepare(ballot(2, 3), 1));
    stage.hear(2, Message::Release { ballot: ballot(1, 2) });
    assert!(promises(&mut stage));
    let mut stage = member();
    stage.hear(2, Message::Release { ballot: ballot(1, 2) });
    let spoken = stage.hear(2, vow(1));
    assert!(!says(&spoken, &Message::Vowed { ballot: ballot(1, 2), round: 1 }), "{spoken:?}");
}

/// A steady leader always holds a lease, serves reads without asking, and what it costs is one word
/// and its answer for each member and beat.
#[test]
fn a_steady_leader_reads_without_asking() {
    let mut world = World::with(3, 1, leasing);
    let leader = world.elect();
    world.run_for(ms(200));
    let asked = world.told("confirm");
    for id in 0..100 {
        world.run_for(ms(7));
        world.read(leader, id);
        assert_eq!(world.barriers(leader).len() as u64, id + 1);
    }
    assert_eq!(world.told("confirm"), asked);
    assert!(world.barriers(leader).iter().all(|barrier| barrier.leased_until > Some(Tick::ZERO)));
    let before = world.told("vow");
    world.run_for(ms(1_000));
    assert!((96..=104).contains(&(world.told("vow") - before)), "two members, fifty beats");
}

/// A dead leader is replaced no later with a lease than without: what its vows hold up, missing it
/// takes anyway.
#[test]
fn vows_do_not_lengthen_a_takeover() {
    let took = |asks| {
        let mut all = ms(0);
        for seed in 0..40 {
            let mut world = World::with(3, seed, |config| {
                config.leasing = Leasing { asks, vow: VOW };
            });
            let leader = world.elect();
            world.run_for(ms(500 + 3 * seed));
            world.crash(leader);
            let died = world.now;
            assert!(world.within(ms(1_000), |world| world.leader().is_some()), "seed {seed}");
            all += world.now.since(died);
        }
        all / 40
    };
    let (without, with) = (took(false), took(true));
    assert!(with <= without + ms(3), "{with:?} with, {without:?} without");
}

/// Whatever the network does and whoever dies, stops or steps down: no two hold a lease at once.
#[test]
fn no_two_nodes_hold_a_lease_at_once() {
    let (mut held, mut changed) = (0, 0);
    for seed in 0..24 {
        let nodes = [3, 5][seed as usize % 2];
        let mut world = World::with(nodes, seed, leasing);
        world.weather = if seed % 3 == 0 { Weather::FAIR } else { Weather::FOUL };
        let mut last = None;
        for turn in 0..1_500 {
            world.run_for(ms(2));
            let node = 1 + world.random(nodes.into()) as u16;
            match world.random(60) {
                0 if world.is_up(node) => world.crash(node),
                1 => world.isolate(node),
                2 if world.is_up(node) => world.step_down(node),
                3 if world.is_up(node) => world.sleep(node, ms(turn % 300)),
                4..=6 => world.mend_all(),
                _ => {}
            }
            if turn % 40 == 0 {
                let down = world.nodes().into_iter().find(|node| !world.is_up(*node));
                down.into_iter().for_each(|node| world.restart(node));
            }
            let up = world.nodes().into_iter().filter(|node| world.is_up(*node));
            let holders: Vec<u16> =
                up.filter(|node| world.peer(*node).lease(world.now).is_some()).collect();
            assert!(holders.len() <= 1, "seed {seed}: {holders:?}");
            held += holders.len();
            changed += usize::from(last != holders.first().copied() && !holders.is_empty());
            last = holders.first().copied().or(last);
        }
    }
    assert!(held > 5_000 && changed > 60, "held {held} times, by {changed} after one another");
}
