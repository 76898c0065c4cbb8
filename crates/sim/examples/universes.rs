//! Runs universes: `universes FIRST COUNT`; or until one fails: `universes first COUNT`; or replays
//! one with its story: `universes SEED`.

#![allow(clippy::print_stdout, reason = "a program whose output is its purpose")]

use synod_sim::{Run, replay, run};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let until_first = words.first().is_some_and(|word| word == "first");
    let numbers: Vec<u64> = words.iter().filter_map(|text| text.parse().ok()).collect();
    match numbers[..] {
        [seeds] if until_first => go(1, seeds, false),
        [seed] => {
            let replay = replay(seed);
            replay.story.iter().for_each(|line| println!("{line}"));
            println!("{} events, digest {:016x}", replay.events, replay.digest);
            if let Some(failure) = replay.failure {
                println!("{}", failure.violation);
            }
        }
        [first, seeds] => go(first, seeds, true),
        _ => println!("universes FIRST COUNT | universes first COUNT | universes SEED"),
    }
}

fn go(first: u64, seeds: u64, go_on: bool) {
    let summary = run(&Run { first, seeds, go_on, ..Run::default() }, |_| {});
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
