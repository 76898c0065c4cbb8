//! `synod sim`: the deterministic simulator from the command line.

use std::{io::IsTerminal, time::Duration};

use synod_sim::{Progress, Run};

use crate::{
    cli::{Common, SimRunArgs, SimVerb},
    exit::Failure,
    print,
};

/// Runs the verb. Exit 1 when a property did not hold.
pub(crate) fn run(_common: &Common, verb: &SimVerb) -> Result<(), Failure> {
    match verb {
        SimVerb::Run(args) => many(args),
        SimVerb::Replay { seed } => one(*seed),
    }
}

fn many(args: &SimRunArgs) -> Result<(), Failure> {
    let within = args.minutes.map(|minutes| Duration::from_secs(60 * u64::from(minutes)));
    let run = Run { first: args.seed, seeds: args.seeds, within, ..Run::default() };
    let progress = Progress::new(&run, std::io::stderr().is_terminal());
    let summary = synod_sim::run(&run, |so_far| anstream::eprint!("{}", progress.after(so_far)));
    anstream::eprint!("{}", progress.end());
    for failure in &summary.failures {
        print::lines(&failure.to_string())?;
    }
    print::lines(&summary.to_string())?;
    verdict(summary.failures.is_empty())
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
    if clean { Ok(()) } else { Err(Failure::no("a property did not hold")) }
}
