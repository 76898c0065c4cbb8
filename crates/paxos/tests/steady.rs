//! The steady state: a leader, its followers, and what a command costs.

mod world;

use std::time::Duration;

use world::World;

/// A value proposed at the leader is chosen everywhere within a few delays, not a heartbeat later.
#[test]
fn a_value_is_chosen_everywhere_within_four_delays_and_a_sync() {
    for count in [1, 3, 5, 7] {
        let mut world = World::new(count, 1);
        let leader = world.elect();
        let slot = world.propose(leader).unwrap();
        let learned = |world: &World| world.nodes().iter().all(|n| world.chosen_upto(*n) >= slot);
        assert!(world.within(Duration::from_millis(3), learned), "{count} voters");
    }
}

/// A cluster of one needs nobody's word: it leads and chooses as fast as its disk.
#[test]
fn a_single_voter_leads_at_once() {
    let mut world = World::new(1, 1);
    assert!(world.within(Duration::from_millis(2), |world| world.leader().is_some()));
}
