//! `synod sim`: the deterministic simulator from the command line.

use std::io::IsTerminal;

use serde::Serialize;
use synod_sim::{Progress, Run, Script, Sight, Told};

use crate::{
    cli::{Common, Output, SimRunArgs, SimVerb},
    exit::Failure,
    print,
};

/// Runs the verb. Exit 1 when a property did not hold.
pub(crate) fn run(common: &Common, verb: &SimVerb) -> Result<(), Failure> {
    match verb {
        SimVerb::Run(args) => many(common.output, args),
        SimVerb::Replay { script, verbose, shrink } => {
            let smallest = if *shrink { synod_sim::shrink(script, None) } else { None };
            let told = if *verbose { Told::Everything } else { Told::End };
            one(common.output, &smallest.unwrap_or_else(|| script.clone()), told)
        }
    }
}

fn many(output: Output, args: &SimRunArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Document {
        schema: &'static str,
        seeds: u64,
        events: u64,
        digest: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        digests: Vec<String>,
        violations: Vec<String>,
        unseen: Vec<&'static str>,
    }
    let (first, store, shrink) = (args.seed, args.store, args.shrink);
    let run = Run { first, store, shrink, ..Run::default() }.bounded(args.seeds, args.minutes);
    let progress = Progress::new(&run, std::io::stderr().is_terminal());
    let mut digests = Vec::new();
    let summary = synod_sim::run(&run, |so_far| {
        anstream::eprint!("{}", progress.after(so_far));
        digests.extend(args.digests.then(|| so_far.last_digest(&run)));
    });
    anstream::eprint!("{}", progress.end());
    let violations: Vec<_> = summary.failures.iter().map(ToString::to_string).collect();
    let clean = violations.is_empty();
    let unseen: Vec<&str> = summary.sights.unseen().into_iter().map(Sight::name).collect();
    let seen_enough = unseen.is_empty() || !args.require_all_rare;
    match output {
        Output::Json | Output::Jsonl => print::json(&Document {
            schema: "synod.sim/1",
            seeds: summary.seeds,
            events: summary.events,
            digest: format!("{:016x}", summary.digest),
            digests,
            violations,
            unseen,
        })?,
        Output::Text => {
            let rare = if args.rare { summary.rare_states() } else { Vec::new() };
            for line in digests.iter().chain(&violations).chain(&rare) {
                print::lines(line)?;
            }
            for sight in unseen.iter().filter(|_| args.require_all_rare) {
                print::lines(&format!("never seen: {sight}"))?;
            }
            print::lines(&summary.to_string())?;
        }
    }
    verdict(clean && seen_enough)
}

fn one(output: Output, script: &Script, told: Told) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Document {
        schema: &'static str,
        script: String,
        events: u64,
        digest: String,
        violation: Option<String>,
        story: Vec<String>,
    }
    let replay = synod_sim::replay(script, None, told);
    let (clean, digest) = (replay.failure.is_none(), format!("{:016x}", replay.digest));
    let violation = replay.failure.map(|failure| failure.to_string());
    match output {
        Output::Json | Output::Jsonl => print::json(&Document {
            schema: "synod.sim.replay/1",
            script: script.to_string(),
            events: replay.events,
            digest,
            violation,
            story: replay.story,
        })?,
        Output::Text => {
            print::lines(&violation.unwrap_or_else(|| replay.story.join("\n")))?;
            print::lines(&format!("{} events, digest {digest}", replay.events))?;
        }
    }
    verdict(clean)
}

fn verdict(clean: bool) -> Result<(), Failure> {
    if clean { Ok(()) } else { Err(Failure::no("a property did not hold")) }
}
