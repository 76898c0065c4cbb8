//! Random small clusters under loss, duplication, reordering, cut links, stalled disks, crashes
//! that lose what was not synced, and damaged records: the ghost checks agreement after each event;
//! at the end everything is mended, and the cluster must choose again and agree in full.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod world;

use std::time::Duration;

use proptest::prelude::*;
use synod_paxos::{Envelope, Message, NodeId, Role, Slot};
use world::{Node, Weather, World};

#[derive(Clone, Debug)]
enum Act {
    Propose(u8),
    Crash(Node),
    Restart(Node),
    Cut(Node, Node),
    CutOneWay(Node, Node),
    Mend(Node, Node),
    Stall(Node),
    Unstall(Node),
    StepDown(Node),
    Read(u64),
    /// The leader proposes while only this node hears it, so that decrees of several reigns meet in
    /// one slot.
    Strand(Node),
    MendAll,
    /// Damage the record this far below the end of the first node's log.
    Damage(u8),
}

fn act(count: Node) -> impl Strategy<Value = Act> {
    let node = || 1..=count;
    prop_oneof![
        12 => (1..6u8).prop_map(Act::Propose),
        3 => node().prop_map(Act::Crash),
        4 => node().prop_map(Act::Restart),
        3 => (node(), node()).prop_map(|(one, two)| Act::Cut(one, two)),
        2 => (node(), node()).prop_map(|(one, two)| Act::CutOneWay(one, two)),
        4 => (node(), node()).prop_map(|(one, two)| Act::Mend(one, two)),
        1 => node().prop_map(Act::Stall),
        2 => node().prop_map(Act::Unstall),
        1 => node().prop_map(Act::StepDown),
        2 => (0..1_000u64).prop_map(Act::Read),
        6 => node().prop_map(Act::Strand),
        6 => Just(Act::MendAll),
        1 => (0..8u8).prop_map(Act::Damage),
    ]
}

fn history(count: Node) -> impl Strategy<Value = Vec<(u64, Act)>> {
    proptest::collection::vec((0..200u64, act(count)), 10..60)
}

fn perform(world: &mut World, act: Act) {
    match act {
        Act::Propose(count) => {
            for node in world.nodes() {
                for _ in 0..count {
                    world.propose(node);
                }
            }
        }
        Act::Crash(node) => world.crash(node),
        Act::Restart(node) => {
            if !world.is_up(node) {
                world.restart(node);
            }
        }
        Act::Cut(one, two) => world.cut(one, two),
        Act::CutOneWay(one, two) => world.cut_one_way(one, two),
        Act::Mend(one, two) => world.mend(one, two),
        Act::Stall(node) => world.stall_disk(node, true),
        Act::Unstall(node) => world.stall_disk(node, false),
        Act::StepDown(node) => {
            if world.is_up(node) {
                world.step_down(node);
            }
        }
        Act::Read(id) => {
            if let Some(leader) = world.leader() {
                world.read(leader, id);
            }
        }
        Act::Strand(hearer) => {
            let Some(leader) = world.leader() else { return };
            world.isolate(leader);
            world.mend(leader, hearer);
            for _ in 0..3 {
                world.propose(leader);
            }
            world.run_for(Duration::from_millis(10));
            world.isolate(leader);
        }
        Act::MendAll => world.mend_all(),
        Act::Damage(below) => {
            if !world.is_up(1) {
                let last = world.disk(1).records.keys().next_back().copied();
                if let Some(slot) = last.and_then(|last| last.get().checked_sub(below.into())) {
                    world.disk(1).damage(Slot::new(slot));
                }
            }
        }
    }
}

fn live_through(count: Node, seed: u64, history: Vec<(u64, Act)>) {
    let mut world = World::new(count, seed);
    world.weather = Weather::FOUL;
    world.run_for(Duration::from_millis(200));
    for (millis, act) in history {
        world.run_for(Duration::from_millis(millis));
        perform(&mut world, act);
    }
    world.weather = Weather::FAIR;
    world.mend_all();
    for node in world.nodes() {
        world.stall_disk(node, false);
        if !world.is_up(node) {
            world.restart(node);
        }
    }
    // L1: a new command is chosen. L2: everybody learns it.
    assert!(world.chooses_within(Duration::from_secs(8)), "nothing is chosen after all healed");
    let slot = *world.ghost.chosen.keys().next_back().unwrap();
    let learned = |world: &World| world.nodes().iter().all(|n| world.chosen_upto(*n) >= slot);
    assert!(world.within(Duration::from_secs(4), learned), "not everybody learned slot {slot}");
    // L4: no duels.
    world.run_for(Duration::from_secs(1));
    let promised = |world: &World| world.nodes().iter().map(|n| world.peer(*n).promised()).max();
    let before = promised(&world);
    world.run_for(Duration::from_secs(1));
    assert_eq!(promised(&world), before, "ballots grow after everything healed");
}

/// As many histories as `SYNOD_CASES` says, or few enough for every day.
fn config() -> ProptestConfig {
    let cases = std::env::var_os("SYNOD_CASES").and_then(|cases| cases.to_str()?.parse().ok());
    let cases = cases.unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Agreement and recovery with three voters.
    #[test]
    fn three_voters_agree_whatever_happens(seed: u64, history in history(3)) {
        live_through(3, seed, history);
    }

    /// With five, where a watermark can meet an old vote at the very ballot of its sender.
    #[test]
    fn five_voters_agree_whatever_happens(seed: u64, history in history(5)) {
        live_through(5, seed, history);
    }
}

/// The story that needs five voters. A leader and one follower hold `x` in a slot, cut off from the
/// other three, who choose `y` there. The old leader still leads when word of `y` reaches it. If it
/// went on, its next watermark would cover the slot, and the follower, whose vote is at that very
/// ballot, would take `x` for chosen.
#[test]
fn a_watermark_never_covers_a_slot_chosen_with_another_decree() {
    for seed in 0..8 {
        let mut world = World::new(5, seed);
        let old = world.elect();
        world.run_for(Duration::from_millis(500));
        let mut others = world.nodes();
        others.retain(|node| *node != old);
        world.isolate(old);
        world.isolate(others[0]);
        world.mend(old, others[0]);
        let slot = world.propose(old).unwrap();
        let chosen = |world: &World| world.ghost.chosen.contains_key(&slot);
        assert!(world.chooses_within(Duration::from_millis(190)), "seed {seed}");
        assert!(chosen(&world), "seed {seed}: the same slot");
        let reigns = matches!(world.peer(old).role(), Role::Leading { .. });
        assert!(reigns, "seed {seed}: the old leader has not noticed");
        let decree = world.ghost.chosen[&slot].clone();
        let learned = Message::Learned { decrees: vec![(slot, decree)], chosen_upto: slot };
        let (from, to) = (world::life(others[1]), NodeId::new(old));
        world.forge(Envelope::of(from, to, learned));
        // The ghost (A1) speaks up if the follower learns the wrong decree.
        world.run_for(Duration::from_millis(50));
        world.mend_all();
        world.run_for(Duration::from_millis(500));
        assert!(world.chosen_upto(others[0]) >= slot, "seed {seed}: it has learned");
    }
}
