//! `synod sim`: the deterministic simulator from the command line.

use std::io::IsTerminal;

use synod_sim::{Run, Summary};

use crate::{
    cli::{Common, SimVerb},
    exit::{Code, Failure},
    print,
};

/// Without a terminal there is a line for each so many seeds.
const LINE_EVERY_SEEDS: u64 = 1_000;

/// Runs the verb. Exit 1 when a property did not hold.
pub(crate) fn run(_common: &Common, verb: &SimVerb) -> Result<(), Failure> {
    match verb {
        SimVerb::Run { seed, seeds } => many(*seed, *seeds),
        SimVerb::Replay { seed } => one(*seed),
    }
}

fn many(first: u64, seeds: u64) -> Result<(), Failure> {
    let terminal = std::io::stderr().is_terminal();
    let summary = synod_sim::run(Run { first, seeds, plant: None, go_on: false }, |so_far| {
        if terminal {
            anstream::eprint!("\r{} of {seeds} seeds", so_far.seeds);
        } else if so_far.seeds % LINE_EVERY_SEEDS == 0 {
            anstream::eprintln!("{}", line(so_far));
        }
    });
    if terminal {
        anstream::eprintln!();
    }
    for failure in &summary.failures {
        print::lines(&failure.to_string())?;
    }
    print::lines(&line(&summary))?;
    verdict(summary.failures.is_empty())
}

fn line(summary: &Summary) -> String {
    format!(
        "{} seeds, {} events, {:.0} events/s, {} violations",
        summary.seeds,
        summary.events,
        summary.events_per_second(),
        summary.failures.len()
    )
}

fn one(seed: u64) -> Result<(), Failure> {
    let replay = synod_sim::replay(seed);
    match &replay.failure {
        Some(failure) => print::lines(&failure.to_string())?,
        None => print::lines(&replay.story.join("\n"))?,
    }
    print::lines(&format!("{} events, digest {:016x}", replay.events, replay.digest))?;
    verdict(replay.failure.is_none())
}

fn verdict(clean: bool) -> Result<(), Failure> {
    if clean {
        Ok(())
    } else {
        Err(Failure::new(Code::No, "SYN-SIM-001", "a property did not hold"))
    }
}
