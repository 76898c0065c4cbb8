//! The one binary: the node is `synod start`, the tools are the other verbs.

mod cli;
mod colour;
mod demo;
mod exit;
mod log;
mod print;
mod shard;
mod signs;
mod units;
mod verbs;
mod ward;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Colour, DemoOwner, Verb},
    exit::{Failure, contained},
};

fn main() -> ExitCode {
    // For what the parser itself has to say.
    colour::decide(Colour::Auto);
    let first = std::env::args_os().nth(1);
    let ended = if first.as_ref().is_some_and(|word| word == ward::warden::WORD) {
        ward::warden::run()
    } else if first.as_ref().is_some_and(|word| word == demo::WRITER) {
        demo::write_rows()
    } else if first.is_some_and(|word| word == DemoOwner::WORD) {
        let owner = DemoOwner::parse_from(std::env::args_os().skip(1));
        log::listen("warn", false);
        demo::owner::run(&owner.common, &owner.args)
    } else {
        let cli = Cli::parse();
        let ended = contained(|| run(&cli));
        if cli.verb.has_a_command() { ended.map_err(Failure::of_run) } else { ended }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.code().into()
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    colour::decide(cli.common.colour);
    signs::decide(cli.common.ascii);
    if !matches!(cli.verb, Verb::Start(_)) {
        // A node's own configuration says how much it says.
        log::listen("warn", false);
    }
    let common = &cli.common;
    match &cli.verb {
        Verb::Demo(args) => demo::run(common, args),
        Verb::Init(args) => verbs::init::run(common, args),
        Verb::Start(args) => verbs::start::run(common, args),
        Verb::Shard(args) => verbs::shard::run(common, args),
        Verb::Kv(verb) => verbs::kv::run(common, verb),
        Verb::Lease(verb) => verbs::lease::run(common, verb),
        Verb::Lock(verb) => verbs::lock::run(common, verb),
        Verb::Election(verb) => verbs::election::run(common, verb),
        Verb::Status => verbs::status::run(common),
        Verb::Leader(verb) => verbs::leader::run(common, verb),
        Verb::Txn(verb) => verbs::txn::run(common, verb),
        Verb::Claim(verb) => verbs::claim::run(common, verb),
        Verb::Register(verb) => verbs::register::run(common, verb),
        Verb::Counter(verb) => verbs::counter::run(common, verb),
        Verb::Barrier(verb) => verbs::barrier::run(common, verb),
        Verb::Journal(verb) => verbs::journal::run(common, verb),
        Verb::Request(verb) => verbs::request::run(common, verb),
        Verb::CheckConfig(args) => verbs::check_config::run(common, args),
        Verb::Cert(verb) => verbs::cert::run(common, verb),
        Verb::Bench(verb) => verbs::bench::run(common, verb),
        Verb::Sim(verb) => verbs::sim::run(common, verb),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "synod", &mut script);
            print::lines(&String::from_utf8_lossy(&script))
        }
    }
}
