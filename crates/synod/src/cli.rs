//! The tree of verbs. One definition gives parsing, help and completions.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Synod: a coordination service that commits across catalogs and does not mind being killed.
#[derive(Debug, Parser)]
#[command(name = "synod", version, disable_help_subcommand = true, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Configuration file: a client's for the tools, a node's for `start`.
    #[arg(short = 'c', long = "config", global = true, env = "SYNOD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One deadline for the whole command.
    #[arg(long, global = true, env = "SYNOD_TIMEOUT", value_name = "SPAN", value_parser = span)]
    pub(crate) timeout: Option<Duration>,
    /// How to print what is asked for. Talk always goes to standard error.
    #[arg(short = 'o', long = "output", global = true, default_value = "text")]
    pub(crate) output: Output,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON document with a `schema`; within one schema number fields are only added.
    Json,
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
    /// How the cluster is: the verdict first
    Status,
    /// The leader of the log
    #[command(subcommand)]
    Leader(LeaderVerb),
    /// Atomic commit: what the log says
    #[command(subcommand)]
    Txn(TxnVerb),
    /// Requests whose answer was lost
    #[command(subcommand)]
    Request(RequestVerb),
    /// Parse and cross-check configuration files; touches nothing
    CheckConfig(CheckConfigArgs),
    /// Certificates
    #[command(subcommand)]
    Cert(CertVerb),
    /// The deterministic simulator
    #[command(subcommand)]
    Sim(SimVerb),
    /// Print a completion script
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
    /// The demo's transaction owner: moves satellites, told by its standard input.
    #[command(name = "demo-owner", hide = true)]
    DemoOwner(DemoOwnerArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod demo --for 20s\n  synod demo --nodes 1 --for 10s")]
pub(crate) struct DemoArgs {
    /// Nodes of the cluster: 1, 3, 5 or 7.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) nodes: u16,
    /// How long satellites are moved and processes killed.
    #[arg(long = "for", default_value = "20s", value_name = "SPAN", value_parser = span)]
    pub(crate) span: Duration,
    /// Round trip put between the nodes.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) rtt: Option<Duration>,
    /// Decides which satellites move when.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Kills to play instead of the usual ones: lines `AT WHAT`, such as `3s leader`.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Where to write the report (`synod.demo/1`).
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
    /// Keep the cluster's files here; otherwise nothing is left behind.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod init eu --nodes 3 --name catalog-eu\n  \
                        synod start -c eu/n1.toml")]
pub(crate) struct InitArgs {
    /// Where; made when absent, refused when it holds a cluster already.
    pub(crate) dir: PathBuf,
    /// Voters: 1, 3, 5 or 7.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) nodes: u16,
    /// The cluster's name; part of every certificate.
    #[arg(long, default_value = "synod", value_name = "NAME")]
    pub(crate) name: String,
    /// First port: node i listens on BASE + i - 1, its health page on BASE + 100 + i - 1.
    #[arg(long, default_value_t = 7411, value_name = "BASE")]
    pub(crate) port: u16,
    /// Participants to make certificates and configuration for.
    #[arg(long = "participant", value_name = "NAME")]
    pub(crate) participants: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Stop when standard input closes: a child that must not outlive its parent.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod shard --name east --data eu/east -c eu/east.toml")]
pub(crate) struct ShardArgs {
    /// The participant's name; its certificate must say the same.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// The shard's own directory; made at its first start.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where owners reach it; port 0 takes any free one, and the cluster is told which.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// A prepared branch that heard nothing for this long asks the log to abort.
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    pub(crate) in_doubt_grace: Duration,
    /// Stop when standard input closes: a child that must not outlive its parent.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod kv put epoch 7 -c client.toml\n  \
                        synod kv cas epoch 7 8 -c client.toml")]
pub(crate) enum KvVerb {
    /// Set a key
    Put {
        /// Which.
        key: String,
        /// To what; `-` reads standard input.
        value: String,
    },
    /// Read a key; exit 1 when it is absent
    Get {
        /// Which.
        key: String,
        /// From whatever node answers first, however old.
        #[arg(long)]
        stale: bool,
    },
    /// Set a key if it is as expected; exit 1 when it is not
    Cas {
        /// Which.
        key: String,
        /// The value expected; or use --absent or --revision.
        #[arg(required_unless_present_any = ["absent", "revision"])]
        values: Vec<String>,
        /// Expect that it does not exist.
        #[arg(long, conflicts_with = "revision")]
        absent: bool,
        /// Expect that it was last set at this revision.
        #[arg(long, value_name = "R")]
        revision: Option<u64>,
    },
    /// Remove a key; exit 1 when it was absent
    Del {
        /// Which.
        key: String,
    },
    /// List keys in byte order
    Ls {
        /// That begin with this.
        #[arg(default_value = "")]
        prefix: String,
        /// At most so many.
        #[arg(long, default_value_t = 1_000)]
        limit: u32,
    },
    /// Do all or nothing, at one revision: `require KEY absent|present|=VALUE|@REVISION`,
    /// `put KEY VALUE`, `del KEY`, `get KEY`, one a line on standard input
    Multi,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaderVerb {
    /// Who leads
    Show,
    /// A line at every change
    Watch {
        /// Stop after so many lines.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TxnVerb {
    /// Decided transactions that some participant has not acknowledged
    Ls {
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One transaction, as the log has it
    Show {
        /// Which: `SESSION.N`.
        txn: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequestVerb {
    /// Was it applied? Answers for good: if not by now, then never
    Settle {
        /// Which: `SESSION-SEQ`, as the error that said `unknown` printed it.
        request: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// Nodes' configuration files; several are checked against each other.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print every key with its value and where it comes from.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertVerb {
    /// Check every certificate and key of a directory; exit 1 when one is bad
    Check {
        /// The directory that `synod init` wrote certificates to.
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimVerb {
    /// Run seeds, each a universe with its own faults
    Run(SimRunArgs),
    /// Run one seed again and tell its story
    Replay {
        /// Which.
        seed: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SimRunArgs {
    /// The first seed.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// How many.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) seeds: u64,
    /// Begin no more seeds after this time.
    #[arg(long, value_name = "M")]
    pub(crate) minutes: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOwnerArgs {
    /// Decides which satellites move when.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Moves in flight at once.
    #[arg(long, default_value_t = 8)]
    pub(crate) parallel: usize,
}

/// A span of time with its unit: `5s`, `20ms`, `1m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no span of time; write 5s, 20ms or 1m"))?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))
}
