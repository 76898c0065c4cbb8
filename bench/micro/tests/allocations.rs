//! What a command allocates. Time on a shared machine says little, and a slow build says no more
//! when its tests run; how often memory is asked for is the same everywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use synod_micro::{Kind, Part, Trio};

/// Commands that are done before anything is counted: tables have their room and heartbeats their
/// rhythm by then.
const WARM: u64 = 1_000;
/// And while it is.
const COUNTED: u64 = 3_000;

/// Allocations of one command, at most: what a build did, and a tenth more. A build that needs
/// fewer lowers its line; one that needs more says why.
const AT_MOST: [(Kind, f64); 9] = [
    (Kind::Core1, 67.5),
    (Kind::Core100, 18.9),
    (Kind::Round, 99.5),
    (Kind::Apply1, 6.7),
    (Kind::Apply100, 3.5),
    (Kind::Encode, 0.05),
    (Kind::Decode, 0.014),
    (Kind::Store1, 6.6),
    (Kind::Store64, 0.175),
];

fn per_command(kind: Kind) -> f64 {
    let mut part = Part::new(kind).unwrap();
    (0..WARM / kind.commands()).for_each(|_| part.act().unwrap());
    let acts = COUNTED / kind.commands();
    let counted = allocation_counter::measure(|| {
        (0..acts).for_each(|_| part.act().unwrap());
    });
    counted.count_total as f64 / (acts * kind.commands()) as f64
}

/// No part asks for memory more often than it did; and none has left its line so far behind that it
/// could come back unseen.
#[test]
fn a_command_allocates_no_more_than_it_did() {
    let counted = AT_MOST.map(|(kind, most)| (kind.word(), per_command(kind), most));
    let wrong = |count: f64, most: f64| count > most || count * 1.5 < most;
    let wrong: Vec<_> = counted.iter().filter(|(_, count, most)| wrong(*count, *most)).collect();
    assert!(wrong.is_empty(), "allocations of a command, and how many may be: {wrong:#?}");
}

/// What is measured is what it is taken for: three nodes that come to one state.
#[test]
fn the_three_nodes_that_are_measured_agree() {
    for mut trio in [Trio::serving().unwrap(), Trio::serving().unwrap().encoding()] {
        let puts = |trio: &mut Trio, from: u64| {
            let put = |number: u64| synod_machine::Command::Put {
                key: format!("k{number}").into(),
                value: "v".into(),
            };
            trio.round((from..from + 50).map(put)).unwrap()
        };
        assert_eq!((puts(&mut trio, 0), puts(&mut trio, 25)), (50, 50));
        assert!(trio.agrees().unwrap());
    }
}
