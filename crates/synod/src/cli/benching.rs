//! The measuring verbs.

use std::{path::PathBuf, time::Duration};

use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use synod_bench::{assertion::Assertion, callers::Target, trial::Mix, wan::Ways};
use synod_client::net::{Conditions, Congestion};

use super::span;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod bench kv --clients 64 --for 10s\n  \
                        synod bench kv -c eu/client.toml --rate 5000 --assert errors=0")]
pub(crate) enum BenchVerb {
    /// Puts and gets
    Kv(KvBenchArgs),
    /// Locks: taken and let go of in turn, each client its own
    #[command(after_help = "Examples:\n  synod bench lock --clients 16\n  \
                            synod bench lock -c eu/client.toml -o json")]
    Lock(LoadArgs),
    /// Appends to one journal
    #[command(after_help = "Examples:\n  synod bench journal --clients 16\n  \
                            synod bench journal -c eu/client.toml --rate 1000")]
    Journal(LoadArgs),
    /// Atomic commits: a key is set at each of several shards, all or none
    Txn(TxnBenchArgs),
    /// Round trips alone: of this client to each node, and of the leader to the others
    #[command(after_help = "Examples:\n  synod bench rtt\n  \
                            synod bench rtt -c eu/client.toml --for 10s")]
    Rtt {
        /// How long
        #[arg(long = "for", value_name = "SPAN", default_value = "3s", value_parser = span)]
        span: Duration,
    },
    /// Durable writes alone, in a directory on the disk that matters
    #[command(after_help = "Examples:\n  synod bench disk /var/lib/synod\n  \
                            synod bench disk . --for 10s -o json")]
    Disk {
        /// Where; the files in it are removed again
        dir: PathBuf,
        /// How long
        #[arg(long = "for", value_name = "SPAN", default_value = "3s", value_parser = span)]
        span: Duration,
    },
    /// Outages as a client sees them when leaders die, stop or hand over, of a cluster made for it
    #[command(after_help = "Examples:\n  synod bench failover --kills 30 -o json\n  \
                            synod bench failover --moved --kills 20")]
    Failover {
        /// Leaders are told to stop, by SIGTERM, and start again; else they are killed
        #[arg(long)]
        planned: bool,
        /// Leaders hand over to the next node, as `synod leader move` has them do, and nobody stops
        #[arg(long, conflicts_with = "planned")]
        moved: bool,
        /// How many leaders die, stop or hand over
        #[arg(long, default_value_t = 10, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1_000))]
        kills: u16,
    },
    /// One measurement over another, both written with `-o json` or `--report`
    #[command(after_help = "Examples:\n  synod bench compare before.json after.json\n  \
                            synod bench compare before.json after.json -o json")]
    Compare {
        /// Over this
        a: PathBuf,
        /// This
        b: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod bench kv --mix put=1,get=9 --clients 64 --for 10s\n  \
                        synod bench kv --clients 64 --target zookeeper=127.0.0.1:2181")]
pub(crate) struct KvBenchArgs {
    /// Which requests, and how often each
    #[arg(long, default_value = "put=1", value_name = "MIX")]
    pub(crate) mix: Mix,
    /// Different keys, each as likely as the others
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) keys: u64,
    /// Drive another system too, in turn with Synod: etcd=https://HOST:PORT,tls=DIR or
    /// etcd=http://HOST:PORT or zookeeper=HOST:PORT, each with ,pids=P+P+P to count what it uses
    #[arg(long = "target", value_name = "SYSTEM")]
    pub(crate) targets: Vec<Target>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod bench txn --participants 2 --variant multi\n  \
                        synod bench txn -c eu/client.toml --over east --over west")]
pub(crate) struct TxnBenchArgs {
    /// How each commits
    #[arg(long, value_enum, default_value = "two-phase", value_name = "HOW")]
    pub(crate) variant: TxnVariant,
    /// How many shards are started for it and spanned by each transaction, or how many keys of the
    /// log each sets
    #[arg(long, default_value_t = 2, value_name = "N", conflicts_with = "over")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) participants: u16,
    /// With `-c`: a participant that each transaction spans; given once for each
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) over: Vec<String>,
    /// Different keys at each, one by chance each time: transactions that meet are refused
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) keys: u64,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// The ways to commit at several places that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TxnVariant {
    /// Shards prepare, and the log decides
    TwoPhase,
    /// All of it lies in the log itself, and is one request: what a commit costs without shards
    Multi,
}

/// What every load understands. Without `-c` three nodes are started for it, on this machine and in
/// a directory that vanishes.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// How many clients ask, each waiting for its answer; 64 share a connection
    #[arg(long, default_value_t = 1, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) clients: u16,
    /// Bytes of a value
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub(crate) value: u32,
    /// How long is measured
    #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = span)]
    pub(crate) span: Duration,
    /// Work before anything is measured
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = span)]
    pub(crate) warmup: Duration,
    /// So many requests a second, each at its time (an open loop); else each client asks as soon as
    /// it has its answer
    #[arg(long, value_name = "PER_S")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rate: Option<u32>,
    /// What must hold, or the exit code is 6: p99<5ms, ops>=10000, floor<2, errors=0
    #[arg(long = "assert", value_name = "CLAIM")]
    pub(crate) assertions: Vec<Assertion>,
    /// Write the measurement there: JSON, and a page with its pictures that needs no network
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) apart: ApartArgs,
    /// With `-c`: a directory on the nodes' disk for the floor's syncs; else no floor is told
    #[arg(long, value_name = "DIR", requires = "config")]
    pub(crate) dir: Option<PathBuf>,
}

/// How far the nodes of a cluster that is made for a measurement lie apart, by relays.
#[derive(Debug, Args)]
pub(crate) struct ApartArgs {
    /// Without `-c`: a round trip between any two nodes takes so long
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "config")]
    pub(crate) rtt: Option<Duration>,
    /// And up to this more, by chance, each way
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "rtt")]
    pub(crate) jitter: Option<Duration>,
    /// So many of 100 datagrams between nodes are lost
    #[arg(long, value_name = "PERCENT", requires = "rtt")]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=50))]
    pub(crate) loss: Option<u8>,
    /// A round trip from the clients to any node; else they are beside all of them
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "rtt")]
    pub(crate) client_rtt: Option<Duration>,
    /// Without `-c`: the nodes' `[network] congestion`
    #[arg(long, value_name = "NAME", conflicts_with = "config", value_parser = congestion())]
    pub(crate) congestion: Option<Congestion>,
}

fn congestion() -> impl TypedValueParser<Value = Congestion> {
    PossibleValuesParser::new(["cubic", "bbr"]).map(|name| match name.as_str() {
        "bbr" => Congestion::Bbr,
        _ => Congestion::Cubic,
    })
}

impl ApartArgs {
    /// How the ways are, if they are not what this machine gives.
    pub(crate) fn ways(&self) -> Option<Ways> {
        let delay = self.rtt? / 2;
        let jitter = self.jitter.unwrap_or_default();
        let loss = f64::from(self.loss.unwrap_or_default()) / 100.0;
        let to_clients = self.client_rtt.unwrap_or_default() / 2;
        Some(Ways {
            between_nodes: Conditions { delay, jitter, loss, ..Conditions::default() },
            to_clients: Conditions { delay: to_clients, ..Conditions::default() },
        })
    }
}
