//! Verbs that ask for claims, registers and journals.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod claim take user/alice --owner 17\n  \
                        synod claim show user/alice")]
pub(crate) enum ClaimVerb {
    /// Take a name, to stand until it is released; exit 1 when another has it
    #[command(after_help = "Examples:\n  synod claim take user/alice --owner 17\n  \
                            synod claim take shard/7 --owner n1 --lease 42")]
    Take {
        /// Which
        name: String,
        /// For whom
        #[arg(long)]
        owner: String,
        /// End with this lease, which must be this client's
        #[arg(long, value_name = "LEASE")]
        lease: Option<u64>,
    },
    /// Who has a name; exit 1 when nobody does
    #[command(after_help = "Examples:\n  synod claim show user/alice\n  \
                            synod claim show user/alice -o json | jq -r .claim.owner")]
    Show {
        /// Which
        name: String,
    },
    /// List claims in the order of names
    #[command(
        after_help = "Examples:\n  synod claim ls\n  synod claim ls user/ --limit 20 -o json"
    )]
    Ls(NamesArgs),
    /// Give a name back, which only the client may that took it; exit 1 when it was not held
    #[command(after_help = "Examples:\n  synod claim release user/alice --owner 17\n  \
                            synod claim release user/alice --owner 17 -o json")]
    Release {
        /// Which
        name: String,
        /// For whom it was taken
        #[arg(long)]
        owner: String,
    },
    /// Take a name away from whoever has it; exit 1 when nobody does
    #[command(after_help = "Examples:\n  synod claim break user/alice --reason moved\n  \
                            synod claim break user/alice --reason moved -o json")]
    Break {
        /// Which
        name: String,
        /// Why; it stays on record with who did it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NamesArgs {
    /// That begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod register propose schema/7 a\n  \
                        synod register get schema/7")]
pub(crate) enum RegisterVerb {
    /// Propose a value; print what stands; exit 1 when it is another's
    #[command(after_help = "Examples:\n  synod register propose schema/7 a\n  \
                            synod register propose key - < key.pem")]
    Propose {
        /// To which
        name: String,
        /// What; `-` reads standard input
        #[arg(allow_negative_numbers = true)]
        value: String,
    },
    /// What stands in a register; exit 1 when nothing was chosen
    #[command(after_help = "Examples:\n  synod register get schema/7\n  \
                            synod register get schema/7 -o json")]
    Get {
        /// Which
        name: String,
        /// Show the value in base 64
        #[arg(long)]
        base64: bool,
    },
    /// List registers in the order of names
    #[command(after_help = "Examples:\n  synod register ls\n  \
                            synod register ls schema/ -o jsonl")]
    Ls(NamesArgs),
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod journal append moves first\n  \
                        synod journal tail moves --after 17")]
pub(crate) enum JournalVerb {
    /// Add an entry at the end; print its position
    #[command(after_help = "Examples:\n  synod journal append moves first\n  \
                            synod journal append moves - < entry.json")]
    Append {
        /// To which
        name: String,
        /// What; `-` reads standard input
        #[arg(allow_negative_numbers = true)]
        value: String,
    },
    /// Read entries, the oldest first; exit 1 when there is no such journal
    Tail(TailArgs),
    /// List journals in the order of names
    #[command(after_help = "Examples:\n  synod journal ls\n  \
                            synod journal ls orders/ -o jsonl")]
    Ls {
        /// That begin with this
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        /// At most so many
        #[arg(long, default_value_t = 1_000, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Say how far a group of readers has done; exit 1: it is further, or the journal ends before
    #[command(after_help = "Examples:\n  synod journal commit moves indexer 17\n  \
                            synod journal commit moves indexer 17 -o json")]
    Commit {
        /// Of which
        name: String,
        /// Which group
        group: String,
        /// The position of the last that it has done
        position: u64,
    },
    /// How far each group of readers has done
    #[command(after_help = "Examples:\n  synod journal offsets moves\n  \
                            synod journal offsets moves -o json")]
    Offsets {
        /// Of which
        name: String,
    },
    /// Take the oldest entries away; exit 1 when there is no such journal
    #[command(after_help = "Examples:\n  synod journal trim moves 1000\n  \
                            synod journal trim moves 1000 --timeout 1m")]
    Trim {
        /// Of which
        name: String,
        /// The position of the last that goes
        upto: u64,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod journal tail moves\n  \
                        synod journal tail moves --after 17 --follow -o jsonl")]
pub(crate) struct TailArgs {
    /// Of which
    pub(crate) name: String,
    /// Those behind this position
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    pub(crate) after: u64,
    /// At most so many: 1000, if it does not wait for more
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Wait for more, and show each as it comes
    #[arg(long)]
    pub(crate) follow: bool,
    /// Show values in base 64
    #[arg(long)]
    pub(crate) base64: bool,
}
