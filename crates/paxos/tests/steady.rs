//! The steady state: what a command costs, what a lagging node learns, what a lost word does, and
//! when a read is served.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod world;

use std::time::Duration;

use synod_paxos::{BarrierId, Durable, Role, Slot};
use world::{Node, Weather, World, ms};

fn led(count: Node, seed: u64) -> (World, Node, Vec<Node>) {
    let mut world = World::new(count, seed);
    let leader = world.elect();
    world.run_for(ms(300));
    let others = world.nodes().into_iter().filter(|node| *node != leader).collect();
    (world, leader, others)
}

fn everybody_learns(world: &mut World, slot: Slot, span: Duration) -> bool {
    world.within(span, |world| world.nodes().iter().all(|node| world.chosen_upto(*node) >= slot))
}

/// A value proposed at the leader is chosen everywhere within a few delays, not a heartbeat later.
#[test]
fn a_value_is_chosen_everywhere_within_three_delays_and_a_sync() {
    for count in [1, 3, 5, 7] {
        let (mut world, leader, _) = led(count, 1);
        let slot = world.propose(leader).unwrap();
        let span = Weather::FAIR.delay * 3 + Weather::FAIR.sync * 2;
        assert!(everybody_learns(&mut world, slot, span), "{count} voters");
    }
}

/// A cluster of one needs nobody's word: it leads and chooses as fast as its disk.
#[test]
fn a_single_voter_leads_at_once() {
    let mut world = World::new(1, 1);
    assert!(world.within(ms(1), |world| world.leader().is_some()));
    let slot = world.propose(1).unwrap();
    assert!(everybody_learns(&mut world, slot, ms(1)));
    world.read(1, 7);
    assert_eq!(world.barriers(1).last().map(|barrier| barrier.upto), Some(slot));
}

/// Under load a command costs 2(n-1) words and no watermark of its own; phase 1 is over.
#[test]
fn under_load_a_slot_costs_two_words_a_follower() {
    let (mut world, leader, _) = led(3, 1);
    let before = world.words.clone();
    for _ in 0..200 {
        world.propose(leader).unwrap();
        world.run_for(Duration::from_micros(50));
    }
    world.run_for(ms(10));
    let cost = |kind: &str| world.told(kind) - before.get(kind).copied().unwrap_or(0);
    assert_eq!(cost("accept"), 400);
    assert!(cost("accepted") <= 600, "{}: one ack may cover many slots", cost("accepted"));
    assert!(cost("watermark") <= 4, "{}: it rides on the accepts", cost("watermark"));
    assert_eq!((cost("prepare"), cost("ask"), cost("learned")), (0, 0, 0));
}

/// A follower that was away learns all it missed, from memory or out of a store, and from peers
/// other than the leader too.
#[test]
fn a_node_that_was_away_learns_what_it_missed() {
    for missed in [10, 1_500] {
        let (mut world, leader, others) = led(3, 2);
        world.crash(others[0]);
        let mut last = Slot::ZERO;
        for _ in 0..missed {
            last = world.propose(leader).unwrap();
            world.run_for(ms(1));
        }
        // It can be reached by the other follower alone.
        world.cut(leader, others[0]);
        world.restart(others[0]);
        assert!(everybody_learns(&mut world, last, ms(1_000)), "{missed} slots");
    }
}

/// A node that knows nothing of a long log votes all the same, so that the cluster does not wait
/// for its catching up; then it catches up.
#[test]
fn a_lagging_node_votes_while_it_catches_up() {
    let (mut world, leader, others) = led(3, 3);
    world.crash(others[0]);
    for _ in 0..1_200 {
        world.propose(leader).unwrap();
        world.run_for(ms(1));
    }
    world.restart(others[0]);
    // Both others have spoken to it, so it listens no longer before it votes.
    world.run_for(ms(3));
    world.crash(others[1]);
    let slot = world.propose(leader).unwrap();
    assert!(world.within(ms(30), |world| world.chosen_upto(leader) >= slot));
    assert!(world.within(ms(1_000), |world| world.chosen_upto(others[0]) >= slot));
}

/// A lost accept, vote, or watermark is made good: soon, and without a storm.
#[test]
fn lost_words_are_said_again() {
    let (mut world, leader, others) = led(3, 4);
    for node in &others {
        world.cut(leader, *node);
    }
    let slot = world.propose(leader).unwrap();
    world.run_for(ms(5));
    world.mend_all();
    assert!(everybody_learns(&mut world, slot, ms(300)), "both accepts were lost");

    let slot = world.propose(leader).unwrap();
    world.run_for(Duration::from_micros(300));
    for node in &others {
        world.cut_one_way(*node, leader);
    }
    world.run_for(ms(5));
    world.mend_all();
    assert!(everybody_learns(&mut world, slot, ms(300)), "both votes were lost");

    world.run_for(ms(300));
    let before = world.told("accept");
    world.run_for(ms(1_000));
    assert_eq!(world.told("accept"), before, "nothing is said again that was heard");
}

/// A follower that missed an accept asks for it within two heartbeats.
#[test]
fn a_follower_with_a_gap_asks_for_it() {
    let (mut world, leader, others) = led(3, 5);
    world.cut(leader, others[0]);
    world.propose(leader).unwrap();
    world.run_for(ms(3));
    world.mend_all();
    let slot = world.propose(leader).unwrap();
    assert!(everybody_learns(&mut world, slot, ms(45)));
}

/// Everything is in flight when the leader dies: the next one adopts it, and nobody's vote is lost.
#[test]
fn a_new_leader_adopts_what_was_in_flight() {
    for seed in 0..8 {
        let (mut world, leader, _) = led(5, seed);
        for _ in 0..50 {
            world.propose_bytes(leader, 100_000).unwrap();
        }
        world.run_for(Duration::from_micros(1_300));
        let voted = world.ghost.by_quorum();
        world.crash(leader);
        world.elect();
        assert!(world.chooses_within(ms(500)), "seed {seed}");
        assert!(voted.len() >= 50, "seed {seed}: a quorum voted for all: {}", voted.len());
        for slot in voted {
            assert!(world.ghost.chosen.contains_key(&slot), "seed {seed}: slot {slot} is lost");
        }
    }
}

/// A suffix larger than a page arrives in pages.
#[test]
fn a_large_open_suffix_is_promised_in_pages() {
    let (mut world, leader, others) = led(3, 6);
    // One follower votes for everything, and nobody hears of it.
    world.cut(leader, others[0]);
    world.cut_one_way(others[1], leader);
    for _ in 0..12 {
        world.propose_bytes(leader, 300_000).unwrap();
    }
    world.run_for(ms(5));
    let before = world.told("promise");
    world.crash(leader);
    world.mend_all();
    let elected = world.elect();
    assert!(world.chooses_within(ms(500)));
    assert!(world.chosen_upto(elected) >= Slot::new(13));
    assert_eq!(elected, others[0], "the one without votes, for its number is lower");
    assert!(world.told("promise") - before >= 4, "twelve decrees, three to a page");
}

/// PMS §3 and Ongaro §6.4: a barrier names at least what the reign inherited and what was chosen
/// when the read arrived, and costs one round.
#[test]
fn a_read_barrier_takes_one_round_and_covers_what_was_chosen() {
    let (mut world, leader, _) = led(3, 7);
    let slot = world.propose(leader).unwrap();
    world.run_for(ms(3));
    let before = world.told("confirm");
    for id in 0..10 {
        world.read(leader, id);
    }
    assert!(world.barriers(leader).is_empty());
    world.run_for(Weather::FAIR.delay * 4);
    let served = world.barriers(leader);
    assert_eq!(served.len(), 10);
    assert!(served.iter().all(|barrier| barrier.upto == slot));
    assert_eq!(world.told("confirm") - before, 4, "one question for the first, one for the rest");
}

/// A leader that was deposed without knowing it finishes no read.
#[test]
fn a_deposed_leader_finishes_no_barrier() {
    for seed in 0..8 {
        let (mut world, old, _) = led(3, seed);
        world.isolate(old);
        world.read(old, 1);
        let replaced = |world: &World| world.leader().is_some_and(|node| node != old);
        assert!(world.within(ms(1_000), replaced), "seed {seed}");
        world.mend_all();
        world.run_for(ms(1_000));
        assert!(world.barriers(old).is_empty(), "seed {seed}");
    }
}

/// A new leader's barrier covers everything an earlier one may have answered for.
#[test]
fn a_new_leader_inherits_what_was_acknowledged() {
    for seed in 0..8 {
        let (mut world, old, _) = led(5, seed);
        let mut acknowledged = Slot::ZERO;
        for _ in 0..30 {
            world.propose(old).unwrap();
            world.run_for(Duration::from_micros(300));
            acknowledged = world.chosen_upto(old);
        }
        world.crash(old);
        let new = world.elect();
        let Role::Leading { inherited, .. } = world.peer(new).role() else { panic!("not leading") };
        assert!(inherited >= acknowledged, "seed {seed}");
        world.read(new, 1);
        assert!(world.within(ms(300), |world| !world.barriers(new).is_empty()), "seed {seed}");
        assert!(world.barriers(new)[0].upto >= acknowledged, "seed {seed}");
        assert_eq!(world.barriers(new)[0].id, BarrierId(1));
    }
}

/// The watermark is written along with what is written anyway, and an idle node writes it with a
/// probe: what a restarted node must learn again is little.
#[test]
fn the_watermark_becomes_durable_without_writes_of_its_own() {
    let (mut world, leader, others) = led(3, 8);
    for _ in 0..10 {
        world.propose(leader).unwrap();
    }
    world.run_for(ms(1_500));
    let Durable { chosen_upto, records, .. } = world.disk(others[0]).durable();
    assert!(chosen_upto >= Slot::new(10));
    assert_eq!(records, []);
}
