//! Verbs that make or run something.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::span;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod demo --for 20s\n  synod demo --failover --child file")]
pub(crate) struct DemoArgs {
    /// Lose the primary of a pair instead, and hand its office over once
    ///
    /// Two PostgreSQL servers with streaming replication where those are installed, otherwise two
    /// programs that write rows into one file. Exit 0: no row that was acknowledged is lost, and
    /// none was taken under a token after one under a later.
    #[arg(long, verbatim_doc_comment)]
    #[arg(conflicts_with_all = ["span", "rtt", "seed", "script"])]
    pub(crate) failover: bool,
    /// What the pair of --failover runs
    #[arg(long, value_name = "KIND", requires = "failover", default_value = "auto")]
    pub(crate) child: DemoChild,
    /// Nodes of the cluster: 1, 3, 5 or 7
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) nodes: u16,
    /// How long satellites are moved and processes killed
    #[arg(long = "for", default_value = "20s", value_name = "SPAN", value_parser = span)]
    pub(crate) span: Duration,
    /// Round trip put between the nodes, such as 20ms
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) rtt: Option<Duration>,
    /// Decides which satellites move when [default: drawn, and printed]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Kills to play instead of the usual ones: lines such as `3s leader`
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Where to write the report (`synod.demo/1`, `synod.demo.failover/1`)
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
    /// Keep the cluster's files here; otherwise nothing is left behind
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What the two supervisors of `demo --failover` supervise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoChild {
    /// PostgreSQL where it is installed, else a program that writes rows into a file
    Auto,
    /// Two PostgreSQL servers, of which one follows the other
    Postgres,
    /// A program that writes rows into a file
    File,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod init eu --nodes 3 --name catalog-eu\n  \
                        synod init eu --participant east --participant west")]
pub(crate) struct InitArgs {
    /// Where; made when absent, refused when anything is in it
    pub(crate) dir: PathBuf,
    /// Voters: 1, 3, 5 or 7
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) nodes: u16,
    /// The cluster's name; part of every certificate
    #[arg(long, default_value = "synod", value_name = "NAME")]
    pub(crate) name: String,
    /// First port: node i listens on BASE + i - 1, its health page on BASE + 100 + i - 1
    #[arg(long, default_value_t = 7411, value_name = "BASE")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// Participant to make a certificate and configuration for; may be given several times
    #[arg(long = "participant", value_name = "NAME")]
    pub(crate) participants: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod start -c eu/n1.toml\n  \
                        SYNOD_LOG=debug synod start -c eu/n1.toml")]
pub(crate) struct StartArgs {
    /// Stop when standard input closes too: for a parent that must not be outlived
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        synod shard --name east --data eu/east -c eu/east.toml\n  \
                        synod shard --name east --data eu/east --listen 10.0.2.21:7421 -c e.toml")]
pub(crate) struct ShardArgs {
    /// The participant's name; its certificate must say the same
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// The shard's own directory; made at its first start
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where owners reach it; port 0 takes any free one, and the cluster is told which
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// A prepared branch that heard nothing for this long asks the log to abort
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = span)]
    pub(crate) in_doubt_grace: Duration,
    /// Stop when standard input closes too: for a parent that must not be outlived
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
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
