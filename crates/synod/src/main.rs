//! The one binary: the node is `synod start`, the tools are the other verbs.

mod cli;
mod demo;
mod exit;
mod log;
mod print;
mod shard;
mod verbs;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Verb},
    exit::Failure,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if !matches!(cli.verb, Verb::Start(_)) {
        // A node's own configuration says how much it says.
        log::listen("warn", false);
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.speaks() {
                anstream::eprintln!("{failure}");
            }
            failure.code().into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let common = &cli.common;
    match &cli.verb {
        Verb::Demo(args) => demo::run(args),
        Verb::Init(args) => verbs::init::run(args),
        Verb::Start(args) => verbs::start::run(common, args),
        Verb::Shard(args) => verbs::shard::run(common, args),
        Verb::Kv(verb) => verbs::kv::run(common, verb),
        Verb::Status => verbs::status::run(common),
        Verb::Leader(verb) => verbs::leader::run(common, verb),
        Verb::Txn(verb) => verbs::txn::run(common, verb),
        Verb::Request(verb) => verbs::request::run(common, verb),
        Verb::CheckConfig(args) => verbs::check_config::run(common, args),
        Verb::Cert(verb) => verbs::cert::run(common, verb),
        Verb::Sim(verb) => verbs::sim::run(common, verb),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "synod", &mut script);
            print::lines(&String::from_utf8_lossy(&script))
        }
        Verb::DemoOwner(args) => demo::owner::run(common, args),
    }
}
