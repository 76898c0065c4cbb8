//! Verbs that check something and need no cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
                        synod cert check /etc/synod/certs")]
pub(crate) enum CertVerb {
    /// Check every certificate and key of a directory; exit 1 when one is bad
    #[command(after_help = "Examples:\n  synod cert check eu/certs\n  \
                            synod cert check eu/certs -o json")]
    Check {
        /// The directory that `synod init` wrote certificates to
        dir: PathBuf,
    },
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
                        synod sim run --seeds 1000000 --minutes 10")]
pub(crate) struct SimRunArgs {
    /// The first seed
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// How many
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) seeds: u64,
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
