//! Verbs that check something and need no cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        synod check-config eu/n1.toml eu/n2.toml eu/n3.toml eu/client.toml\n  \
                        synod check-config eu/n1.toml --print")]
pub(crate) struct CheckConfigArgs {
    /// Files of nodes, clients and participants; several are held against each other
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print every key with its value and where it comes from
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod cert check eu/certs\n  \
                        synod cert renew n1 eu/certs")]
pub(crate) enum CertVerb {
    /// Check every certificate and key of a directory; exit 1 when one is bad
    #[command(after_help = "Examples:\n  synod cert check eu/certs\n  \
                            synod cert check eu/certs -o json")]
    Check {
        /// The directory that `synod init` wrote certificates to
        dir: PathBuf,
    },
    /// Sign a new client's or node's certificate, with a new key
    Issue(IssueArgs),
    /// Sign another certificate for who has one and for the same key, in the place of the old one
    Renew(RenewArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod cert issue app eu/certs --role write\n  \
                        synod cert issue ops eu/certs --role admin --authority-key /safe/ca.key")]
pub(crate) struct IssueArgs {
    /// Its name: the files are NAME.crt and NAME.key
    pub(crate) name: String,
    /// What it may do
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: CertRole,
    /// Of a door: how programs call its machine besides localhost; may be given several times
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Of which cluster, where the certificates in DIR do not say it
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    #[command(flatten)]
    pub(crate) sign: SignArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod cert renew n1 eu/certs\n  \
                        synod cert renew client eu/certs --days 30")]
pub(crate) struct RenewArgs {
    /// Whose: NAME.crt and NAME.key are there, and may have ended
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) sign: SignArgs,
}

/// Who signs, and for how long.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The directory with ca.crt, where the certificate goes
    pub(crate) dir: PathBuf,
    /// The authority's key; else DIR/../authority/ca.key, where `synod init` wrote it
    #[arg(long, value_name = "FILE")]
    pub(crate) authority_key: Option<PathBuf>,
    /// Days until it ends
    #[arg(long, default_value_t = 90, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
}

/// What a certificate lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CertRole {
    /// A client that reads
    Read,
    /// And writes
    Write,
    /// And forces
    Admin,
    /// A participant of atomic commit: a shard
    Participant,
    /// A voter of the cluster
    Node,
    /// The HTTP door of a node: it may do what any of its callers may
    Door,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod sim run --seeds 200\n  synod sim replay 7")]
pub(crate) enum SimVerb {
    /// Run seeds, each a universe with its own faults
    Run(SimRunArgs),
    /// Run one seed again and tell its story
    #[command(after_help = "Examples:\n  synod sim replay 7 --verbose | less\n  \
                            synod sim replay 7:voters=3,no=cut+rot,fair --shrink")]
    Replay {
        /// Which seed, and what is left out of it: as a failing run or `--shrink` prints it
        script: synod_sim::Script,
        /// Tell all of the story, and not only the end of it as far as it matters
        #[arg(long)]
        verbose: bool,
        /// Look for the smallest script that breaks the same property, and run that
        #[arg(long)]
        shrink: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod sim run --seed 1 --seeds 200\n  \
                        synod sim run --minutes 600")]
pub(crate) struct SimRunArgs {
    /// The first seed
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// How many; 200 unless a time is said
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u64>,
    /// Begin no more seeds after this time
    #[arg(long, value_name = "M")]
    pub(crate) minutes: Option<u16>,
    /// What the nodes' disks carry: model or redb; else one seed in eight has redb
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<synod_sim::Store>,
    /// Look for the smallest universe that breaks the same property as one that fails
    #[arg(long)]
    pub(crate) shrink: bool,
    /// Print the digest of each universe: equal for equal seeds, in every build
    #[arg(long)]
    pub(crate) digests: bool,
    /// Print of each rare state in how many universes it occurred, and how often
    #[arg(long)]
    pub(crate) rare: bool,
    /// Fail when a rare state never occurs
    #[arg(long)]
    pub(crate) require_all_rare: bool,
}
