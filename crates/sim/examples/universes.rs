//! Runs universes: `universes FIRST COUNT`, or replays one with its story: `universes SEED`.

#![allow(clippy::print_stdout, reason = "a program whose output is its purpose")]

use synod_sim::{Run, replay, run};

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    match numbers[..] {
        [seed] => {
            let replay = replay(seed);
            replay.story.iter().for_each(|line| println!("{line}"));
            println!("{} events, digest {:016x}", replay.events, replay.digest);
            if let Some(failure) = replay.failure {
                println!("{}", failure.violation);
            }
        }
        [first, seeds] => {
            let summary = run(Run { first, seeds, plant: None, go_on: true }, |_| {});
            for failure in &summary.failures {
                println!("seed {}: {}", failure.seed, failure.violation);
            }
            println!(
                "{} seeds, {} events, {:.0} events/s, {} failures",
                summary.seeds,
                summary.events,
                summary.events_per_second(),
                summary.failures.len()
            );
            println!("{:?}", summary.sights);
        }
        _ => println!("universes FIRST COUNT | universes SEED"),
    }
}
