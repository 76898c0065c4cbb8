//! Who leads when links and disks fail in part: the scenarios of *OmniPaxos* (EuroSys'23) and
//! their relatives. In each the cluster must choose again within four detection periods, and the
//! ballots must come to rest.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod world;

use std::time::Duration;

use synod_paxos::{Ballot, NodeId, Role, Timing};
use world::{Node, World, ms};

/// Four times the silence after which a peer of steady rhythm is suspected.
fn four_periods() -> Duration {
    Timing::default().suspect_min * 4
}

/// A world at rest, its leader, and the others.
fn at_rest(count: Node, seed: u64) -> (World, Node, Vec<Node>) {
    let mut world = World::new(count, seed);
    let leader = world.elect();
    for _ in 0..5 {
        world.propose(leader).unwrap();
    }
    world.run_for(ms(1_000));
    assert_eq!(world.leader(), Some(leader), "an idle cluster keeps its leader");
    let others = world.nodes().into_iter().filter(|node| *node != leader).collect();
    (world, leader, others)
}

fn highest_promise(world: &World) -> Ballot {
    world.nodes().iter().map(|node| world.peer(*node).promised()).max().unwrap()
}

/// Ballots stop growing (no duels, no livelock).
fn comes_to_rest(world: &mut World) {
    world.run_for(ms(500));
    let before = highest_promise(world);
    world.run_for(ms(3_000));
    assert_eq!(highest_promise(world), before, "ballots still grow");
}

const SEEDS: std::ops::Range<u64> = 0..12;

/// A dead leader is replaced within two periods, however busy it was.
#[test]
fn a_crashed_leader_is_replaced() {
    for seed in SEEDS {
        for count in [3, 5, 7] {
            let (mut world, leader, _) = at_rest(count, seed);
            // Busy to the end: its last words must not buy it time.
            world.propose(leader).unwrap();
            world.run_for(Duration::from_micros(300));
            world.crash(leader);
            assert!(world.chooses_within(four_periods() / 2), "seed {seed}, {count} voters");
        }
    }
}

/// Where everybody is new and heartbeats have just told their rhythm, a leader's answers have not:
/// its last one said that there is a leader, and was believed for three times as long as its
/// heartbeats.
#[test]
fn a_dead_leader_does_not_vouch_for_itself() {
    for seed in SEEDS {
        for known in 40..260 {
            let mut world = World::new(3, seed);
            let leader = world.elect();
            world.run_for(ms(known));
            world.crash(leader);
            let chosen = world.chooses_within(four_periods() * 3 / 8);
            assert!(chosen, "seed {seed}, known for {known} ms");
        }
    }
}

/// A leader that was killed and came back within a second was away, not slow: killed again and
/// again, every leader is missed as soon as the first.
#[test]
fn leaders_killed_and_back_within_a_second_are_missed_no_later_each_time() {
    for seed in SEEDS {
        for away in [50, 300, 800] {
            let (mut world, mut leader, _) = at_rest(3, seed);
            for kill in 0..6 {
                world.crash(leader);
                let chosen = world.chooses_within(four_periods() / 2);
                assert!(chosen, "seed {seed}, away for {away} ms, kill {kill}");
                world.run_for(ms(away));
                world.restart(leader);
                world.run_for(ms(1_000));
                leader = world.leader().unwrap();
            }
        }
    }
}

/// A node that has just come back knows nobody's rhythm, and must not hold the others back for long
/// when the leader dies just then.
#[test]
fn a_newcomer_holds_nobody_back_from_replacing_the_leader() {
    for seed in SEEDS {
        for known in [5, 20, 45, 90, 150, 250] {
            let (mut world, leader, others) = at_rest(3, seed);
            world.crash(others[0]);
            world.run_for(ms(500));
            world.restart(others[0]);
            world.run_for(ms(known));
            world.crash(leader);
            let chosen = world.chooses_within(four_periods() / 2);
            assert!(chosen, "seed {seed}, known for {known} ms");
        }
    }
}

/// Quorum loss: the leader keeps one link, to a hub that everyone else still reaches. The others
/// have no quorum; the hub hears its leader, so it must see that the leader has none either.
#[test]
fn a_hub_takes_over_from_a_leader_that_lost_its_quorum() {
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(5, seed);
        let hub = others[0];
        for one in world.nodes() {
            for two in world.nodes() {
                if one < two && one != hub && two != hub {
                    world.cut(one, two);
                }
            }
        }
        // The leader says so within one period, and the hub need not wait for it to abdicate.
        assert!(world.chooses_within(four_periods() / 2), "seed {seed}");
        assert_eq!(world.leader(), Some(hub), "seed {seed}: only the hub sees a quorum");
        world.run_for(four_periods() / 2);
        assert!(!matches!(world.peer(leader).role(), Role::Leading { .. }), "seed {seed}");
        comes_to_rest(&mut world);
    }
}

/// Constrained: the only node that sees a quorum has an old log. It must lead all the same, and
/// learn what it lacks.
#[test]
fn a_hub_with_an_old_log_takes_over() {
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(5, seed);
        let hub = others[3];
        world.isolate(hub);
        world.run_for(ms(30));
        for _ in 0..20 {
            world.propose(leader).unwrap();
        }
        world.run_for(ms(20));
        let behind = world.chosen_upto(hub);
        world.mend_all();
        for one in world.nodes() {
            for two in world.nodes() {
                if one < two && (one != hub && two != hub || one == leader || two == leader) {
                    world.cut(one, two);
                }
            }
        }
        assert!(world.chosen_upto(leader) > behind, "seed {seed}: the hub is not behind");
        assert!(world.chooses_within(four_periods()), "seed {seed}");
        assert_eq!(world.leader(), Some(hub), "seed {seed}: only the hub sees a quorum");
        comes_to_rest(&mut world);
    }
}

/// Chained: three nodes in a line, the leader at one end. The other end must not depose it, or the
/// two would depose each other for ever; it learns from the middle.
#[test]
fn the_ends_of_a_chain_do_not_depose_each_other() {
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(3, seed);
        let before = highest_promise(&world);
        let far_end = others[1];
        world.cut(leader, far_end);
        assert!(world.chooses_within(four_periods()), "seed {seed}");
        world.run_for(ms(3_000));
        assert_eq!(highest_promise(&world), before, "seed {seed}: the leader was deposed");
        let slot = world.propose(leader).unwrap();
        let learned = |world: &World| world.chosen_upto(far_end) >= slot;
        assert!(world.within(four_periods(), learned), "seed {seed}: the far end learns");
    }
}

/// Five in a line: whoever leads, somebody with two neighbours does, and then it is quiet.
#[test]
fn a_chain_of_five_comes_to_rest() {
    for seed in SEEDS {
        let (mut world, _, _) = at_rest(5, seed);
        for one in 1..=5 {
            for two in one + 2..=5 {
                world.cut(one, two);
            }
        }
        assert!(world.chooses_within(four_periods()), "seed {seed}");
        comes_to_rest(&mut world);
        assert!(world.chooses_within(four_periods()), "seed {seed}: still chooses");
    }
}

/// A one-way link, each way: the leader hears a follower that does not hear it, or the reverse.
#[test]
fn a_one_way_link_stops_nothing() {
    for seed in SEEDS {
        for leader_is_mute in [false, true] {
            for count in [3, 5] {
                let (mut world, leader, others) = at_rest(count, seed);
                let (from, to) =
                    if leader_is_mute { (leader, others[0]) } else { (others[0], leader) };
                world.cut_one_way(from, to);
                assert!(world.chooses_within(four_periods()), "seed {seed}");
                comes_to_rest(&mut world);
                assert!(world.chooses_within(four_periods()), "seed {seed}: still chooses");
            }
        }
    }
}

/// A leader that everyone hears and that hears nobody, and the reverse, is replaced.
#[test]
fn a_deaf_or_mute_leader_is_replaced() {
    for seed in SEEDS {
        for mute in [false, true] {
            let (mut world, leader, others) = at_rest(5, seed);
            for other in others {
                let (from, to) = if mute { (leader, other) } else { (other, leader) };
                world.cut_one_way(from, to);
            }
            world.run_for(four_periods());
            assert_ne!(world.leader(), Some(leader), "seed {seed}, mute {mute}");
            assert!(world.chooses_within(ms(5)), "seed {seed}, mute {mute}");
            comes_to_rest(&mut world);
        }
    }
}

/// A flapping link between leader and follower: nobody is deposed while a third sees them both.
#[test]
fn a_flapping_link_deposes_nobody() {
    for seed in SEEDS {
        for period in [30, 150, 400] {
            let (mut world, leader, others) = at_rest(3, seed);
            let before = highest_promise(&world);
            for _ in 0..8 {
                world.cut(leader, others[0]);
                world.run_for(ms(period));
                assert!(world.chooses_within(four_periods()), "seed {seed}, {period} ms: cut");
                world.mend(leader, others[0]);
                world.run_for(ms(period));
                assert!(world.chooses_within(four_periods()), "seed {seed}, {period} ms: mended");
            }
            assert_eq!(highest_promise(&world), before, "seed {seed}, {period} ms");
        }
    }
}

/// A leader whose disk stalls is no leader: it abdicates, and another leads within four periods of
/// the stall being noticed, which for an idle disk takes a probe. Until then the others' disks
/// suffice.
#[test]
fn a_leader_with_a_stalled_disk_abdicates() {
    let disk_stall = Timing::default().disk_stall;
    for seed in SEEDS {
        for busy in [false, true] {
            let (mut world, leader, _) = at_rest(3, seed);
            world.stall_disk(leader, true);
            if busy {
                assert!(world.chooses_within(ms(10)), "seed {seed}: two disks are a quorum");
            }
            let noticed = if busy { disk_stall } else { disk_stall + disk_stall / 2 };
            let replaced = |world: &World| world.leader().is_some_and(|node| node != leader);
            let bound = noticed + four_periods();
            assert!(world.within(bound, replaced), "seed {seed}, busy {busy}");
            assert!(world.chooses_within(four_periods()), "seed {seed}");
            comes_to_rest(&mut world);
            assert_ne!(world.leader(), Some(leader), "seed {seed}: its disk is still stalled");
        }
    }
}

/// Nodes whose disks stall are no part of a quorum, however well they answer: nobody leads until
/// they are back.
#[test]
fn a_quorum_is_made_of_living_disks() {
    let disk_stall = Timing::default().disk_stall;
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(3, seed);
        for node in &others {
            world.stall_disk(*node, true);
        }
        world.run_for(disk_stall * 2);
        assert_eq!(world.leader(), None, "seed {seed}");
        assert!(!world.peer(leader).is_connected_to_quorum(world.now), "seed {seed}");
        world.stall_disk(others[0], false);
        assert!(world.chooses_within(four_periods()), "seed {seed}: two disks are back");
    }
}

/// A leader cut off from everyone refuses proposals within a period and abdicates within two, give
/// or take the round in which it notices.
#[test]
fn a_leader_without_a_quorum_refuses_at_once_and_abdicates_after_two_periods() {
    let timing = Timing::default();
    for seed in SEEDS {
        let (mut world, leader, _) = at_rest(3, seed);
        world.isolate(leader);
        world.run_for(timing.suspect_min + timing.heartbeat * 2);
        assert!(!world.peer(leader).may_propose(), "seed {seed}");
        assert!(!world.peer(leader).has_quorum(), "seed {seed}");
        world.run_for(timing.suspect_min);
        assert_eq!(world.peer(leader).role(), Role::Following { leader: None }, "seed {seed}");
    }
}

/// After a partition heals there is one leader and no duel, and nobody was deposed for coming back.
#[test]
fn a_follower_that_comes_back_deposes_nobody() {
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(5, seed);
        let before = highest_promise(&world);
        world.isolate(others[0]);
        world.cut(others[1], others[2]);
        world.run_for(ms(2_000));
        world.mend_all();
        world.run_for(ms(2_000));
        assert_eq!(world.leader(), Some(leader), "seed {seed}");
        assert_eq!(highest_promise(&world), before, "seed {seed}");
    }
}

/// A leader that steps down is replaced long before anyone would have suspected it.
#[test]
fn a_leader_that_steps_down_is_replaced_at_once() {
    for seed in SEEDS {
        let (mut world, leader, _) = at_rest(3, seed);
        world.step_down(leader);
        assert!(world.chooses_within(Timing::default().heartbeat * 2), "seed {seed}");
        assert_ne!(world.leader(), Some(leader), "seed {seed}");
        comes_to_rest(&mut world);
    }
}

/// A node whose own clock ran late (it slept, say) suspects nobody for it: the silence was its own.
#[test]
fn a_node_that_overslept_suspects_nobody() {
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(5, seed);
        let before = highest_promise(&world);
        world.sleep(others[0], ms(300));
        world.run_for(ms(300));
        assert_eq!(world.peer(others[0]).leader(), Some(NodeId::new(leader)), "seed {seed}");
        assert!(world.peer(others[0]).is_connected_to_quorum(world.now), "seed {seed}");
        world.run_for(ms(500));
        assert_eq!(highest_promise(&world), before, "seed {seed}");
    }
}

/// Two of three gone: nobody leads, nobody raises ballots for nothing; one returns: service
/// resumes.
#[test]
fn service_resumes_by_itself_when_the_quorum_is_back() {
    for seed in SEEDS {
        let (mut world, leader, others) = at_rest(3, seed);
        world.crash(others[0]);
        world.crash(leader);
        world.run_for(ms(1_000));
        let before = world.peer(others[1]).promised();
        world.run_for(ms(3_000));
        assert_eq!(world.leader(), None, "seed {seed}");
        assert_eq!(world.peer(others[1]).promised(), before, "seed {seed}");
        world.restart(leader);
        assert!(world.chooses_within(four_periods()), "seed {seed}");
    }
}
