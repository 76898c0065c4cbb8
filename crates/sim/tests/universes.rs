//! What every universe keeps, and that the checks would see it if one did not.

use synod_sim::{Plant, Run, Script, Sight, Told, replay, run};

/// Seeds of this run, which is of a build without optimizations; CI makes a longer one of a
/// release, in which every rare state must occur.
const SEEDS: u64 = 48;

/// Seeds within which a planted bug must be caught.
const CAUGHT_WITHIN: u64 = 40;

/// Every property, after every step.
#[test]
fn some_universes_keep_every_property() {
    let summary = run(&Run { seeds: SEEDS, ..Run::default() }, |_| {});
    if let Some(failure) = summary.failures.first() {
        panic!("{failure}");
    }
    assert!(summary.sights.times(Sight::Committed) > SEEDS, "nothing happens in these universes");
}

/// One seed is one universe, event for event, on the model and on the real store (seed 8).
#[test]
fn the_same_seed_is_the_same_universe() {
    for seed in [1, 2, 8] {
        let (once, again) = (digest(seed), digest(seed));
        assert_eq!(once, again, "seed {seed}");
    }
    assert_ne!(digest(1), digest(2));
}

fn digest(seed: u64) -> (u64, u64) {
    let replay = replay(&Script::of(seed), None, Told::Nothing);
    (replay.events, replay.digest)
}

/// Seed, events and digest of the first universes, of which every eighth has the real store. A
/// change of what nodes say, write or wait for is another universe: then this is renewed, with what
/// the test says. A universe that differs with nothing changed depends on the machine.
const ON_RECORD: &str = include_str!("digests");

#[test]
fn a_seed_is_the_universe_that_it_was_on_another_machine() {
    let line = |seed| {
        let (events, digest) = digest(seed);
        format!("{seed} {events} {digest:016x}\n")
    };
    let here: String = (1..=16).map(line).collect();
    assert!(here == ON_RECORD, "crates/sim/tests/digests has other universes than these:\n{here}");
}

/// A bug in the driver or the disk is seen, and by the property that it breaks.
#[test]
fn every_planted_bug_of_the_devices_is_caught() {
    for (plant, invariant) in [
        (Plant::PromiseBeforeSync, "B3"),
        (Plant::AcceptedBeforeSync, "B3"),
        (Plant::BallotBeforeSync, "B3"),
        (Plant::VoteBeforeSync, "H2"),
        (Plant::ReadBeforeSync, "H7"),
        (Plant::ReleaseBeforeReaped, "L8"),
        (Plant::StaleHistory, "P2"),
    ] {
        let planted = Run { seeds: CAUGHT_WITHIN, plant: Some(plant), ..Run::default() };
        let summary = run(&planted, |_| {});
        let failure = summary.failures.first().unwrap_or_else(|| panic!("{plant:?} went unseen"));
        assert_eq!(failure.violation.invariant, invariant, "{plant:?}: {failure}");
    }
}
