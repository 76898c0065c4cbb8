//! The tree of verbs. One definition gives parsing, help and completions; each help ends with
//! examples, and a test parses them.

mod asking;
mod benching;
mod checking;
mod counting;
mod electing;
mod holding;
mod running;
mod tables;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    asking::{
        CasArgs, FreshArgs, GetArgs, KvVerb, LeaderVerb, ListArgs, PutArgs, RequestVerb, TxnVerb,
        WatchArgs,
    },
    benching::{BenchVerb, KvBenchArgs, LoadArgs, TxnBenchArgs, TxnVariant},
    checking::{
        CertRole, CertVerb, CheckConfigArgs, IssueArgs, RenewArgs, SignArgs, SimRunArgs, SimVerb,
    },
    counting::{BarrierVerb, CounterVerb},
    electing::{
        CampaignArgs, ElectionRunArgs, ElectionVerb, ElectionWatchArgs, OrderArgs, RulesArgs,
        SwitchoverArgs,
    },
    holding::{LeaseVerb, LockRunArgs, LockVerb},
    running::{DemoArgs, DemoChild, DemoOwnerArgs, InitArgs, ShardArgs, StartArgs},
    tables::{ClaimVerb, JournalVerb, NamesArgs, RegisterVerb, TailArgs},
};

/// Synod: a coordination service that commits across catalogs and does not mind being killed.
#[derive(Debug, Parser)]
#[command(name = "synod", version)]
#[command(after_help = "Examples:\n  synod demo\n  synod init eu --name catalog-eu")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Common {
    /// Whom to ask: a client's configuration; for `start`, the node's own
    #[arg(short = 'c', long = "config", global = true, value_name = "FILE")]
    #[arg(env = "SYNOD_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// One deadline for the whole command, such as 500ms or 5s
    #[arg(long, global = true, value_name = "SPAN", value_parser = span)]
    #[arg(env = "SYNOD_TIMEOUT", hide_env_values = true)]
    pub(crate) timeout: Option<Duration>,
    /// How data is printed: for people, or as JSON documents with a `schema`, one a line
    #[arg(short = 'o', long = "output", global = true, value_name = "FORM")]
    #[arg(env = "SYNOD_OUTPUT", hide_env_values = true, default_value = "text")]
    pub(crate) output: Output,
    /// When text is coloured; `auto`: on a terminal, unless NO_COLOR or TERM=dumb forbid it
    #[arg(long = "color", global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) colour: Colour,
    /// Signs such as ★ and ▲ in ASCII; what keys hold is shown as it is
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

/// How data is printed. Within one schema number fields are only added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One document
    Json,
    /// The same; but a list is a document an item, each as soon as it is there
    Jsonl,
}

impl Output {
    /// Whether a program reads it.
    pub(crate) fn is_json(self) -> bool {
        self != Output::Text
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// A cluster, two catalogs and several murders, all on this machine
    Demo(DemoArgs),
    /// Write configuration, certificates and empty stores for a new cluster
    Init(InitArgs),
    /// Run a node
    Start(StartArgs),
    /// Run a catalog shard: a participant of atomic commit
    Shard(ShardArgs),
    /// Linearizable keys
    #[command(subcommand)]
    Kv(KvVerb),
    /// What ends unless it is renewed
    #[command(subcommand)]
    Lease(LeaseVerb),
    /// One holder at a time
    #[command(subcommand)]
    Lock(LockVerb),
    /// Who is the primary now
    #[command(subcommand)]
    Election(ElectionVerb),
    /// How the cluster is, the verdict first; exit 1 when nobody leads
    #[command(after_help = "Examples:\n  synod status -c eu/client.toml\n  \
                            synod status -c eu/client.toml -o json | jq -r .leader.node")]
    Status,
    /// The leader of the log
    #[command(subcommand)]
    Leader(LeaderVerb),
    /// Atomic commit: what the log says
    #[command(subcommand)]
    Txn(TxnVerb),
    /// Names that one owner may have at a time
    #[command(subcommand)]
    Claim(ClaimVerb),
    /// Registers that are written once
    #[command(subcommand)]
    Register(RegisterVerb),
    /// Whole numbers that anybody who writes may count
    #[command(subcommand)]
    Counter(CounterVerb),
    /// Nobody passes before everybody has come
    #[command(subcommand)]
    Barrier(BarrierVerb),
    /// Entries in one order that all readers see alike
    #[command(subcommand)]
    Journal(JournalVerb),
    /// Requests whose answer was lost
    #[command(subcommand)]
    Request(RequestVerb),
    /// Parse and cross-check configuration files; touches nothing
    CheckConfig(CheckConfigArgs),
    /// Certificates
    #[command(subcommand)]
    Cert(CertVerb),
    /// How fast, beside what no system can be faster than
    #[command(subcommand)]
    Bench(BenchVerb),
    /// The deterministic simulator
    #[command(subcommand)]
    Sim(SimVerb),
    /// Print a completion script
    #[command(after_help = "Examples:\n  \
                            synod completions bash > /etc/bash_completion.d/synod\n  \
                            synod completions fish > ~/.config/fish/completions/synod.fish")]
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
}

impl Verb {
    /// Whether it ends as a command ends that it runs, whose codes are not ours.
    pub(crate) fn has_a_command(&self) -> bool {
        matches!(self, Verb::Lock(LockVerb::Run(..)) | Verb::Election(ElectionVerb::Run(..)))
    }
}

/// The demo's transaction owner: a process of the demo's own, and no verb for anybody to type.
#[derive(Debug, Parser)]
pub(crate) struct DemoOwner {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) args: DemoOwnerArgs,
}

impl DemoOwner {
    /// The first argument of such a process.
    pub(crate) const WORD: &str = "demo-owner";
}

/// A span of time with its unit: `20ms`, `5s`, `1m`, `12h`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is no span of time; write 20ms, 5s, 1m or 12h"))?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    /// Everything that somebody can type, with the words that lead to it.
    fn verbs(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        found.push((path.to_owned(), command.clone()));
        for verb in command.get_subcommands() {
            verbs(verb, &format!("{path} {}", verb.get_name()), found);
        }
    }

    /// Interfaces §2.2: `--help` ends with two examples. Each is parsed as a shell would hand it
    /// over, so none can grow old.
    #[test]
    fn every_help_ends_with_two_examples_that_parse() {
        let mut found = Vec::new();
        verbs(&Cli::command(), "synod", &mut found);
        assert!(found.len() > 20, "{found:?}");
        for (path, verb) in found {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = text.strip_prefix("Examples:\n").unwrap_or("").lines().collect();
            assert_eq!(examples.len(), 2, "{path}: {text:?}");
            for example in examples {
                let typed = example.split(['|', '<', '>']).find(|part| part.contains("synod "));
                let typed = typed.and_then(|part| Some(&part[part.find("synod ")?..])).unwrap();
                assert!(typed.starts_with(&path), "{example:?} is no example of {path:?}");
                let words = typed.split_whitespace().map(|word| word.trim_matches('\''));
                Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
            }
        }
    }

    /// The names, types and conflicts of arguments are consistent.
    #[test]
    fn the_tree_of_verbs_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("12h"), Ok(Duration::from_secs(43_200)));
        assert!(span("5").is_err_and(|why| why.contains("write 20ms, 5s, 1m or 12h")));
        assert!(span("-5s").is_err_and(|why| why.contains("negative")));
    }

    /// A number below zero is a value like any other.
    #[test]
    fn a_negative_number_is_a_value_and_no_flag() {
        for words in ["synod kv put temp -5", "synod kv cas temp -5 -6"] {
            Cli::try_parse_from(words.split(' ')).unwrap();
        }
    }
}
