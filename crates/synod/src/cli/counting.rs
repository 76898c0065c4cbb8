//! Verbs of counters and barriers.

use clap::Subcommand;

use super::NamesArgs;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod counter add invoices\n  synod counter show invoices")]
pub(crate) enum CounterVerb {
    /// Count up, or down; print what it is since; exit 1 when that is no number of 64 bits
    #[command(after_help = "Examples:\n  synod counter add invoices\n  \
                            synod counter add stock -3 -o json")]
    Add {
        /// Which
        name: String,
        /// By so much
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        by: i64,
    },
    /// Set it if it is as expected; exit 1 when it is not
    #[command(after_help = "Examples:\n  synod counter set stock 10 --absent\n  \
                            synod counter set stock 20 --expect 10")]
    Set {
        /// Which
        name: String,
        /// To what
        #[arg(allow_negative_numbers = true)]
        to: i64,
        /// Expect this value
        #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
        #[arg(required_unless_present = "absent")]
        expect: Option<i64>,
        /// Expect that there is no such counter
        #[arg(long, conflicts_with = "expect")]
        absent: bool,
    },
    /// What it is; exit 1 when there is none
    #[command(after_help = "Examples:\n  synod counter show invoices\n  \
                            synod counter show invoices -o json | jq .value")]
    Show {
        /// Which
        name: String,
    },
    /// List counters in the order of names
    #[command(after_help = "Examples:\n  synod counter ls\n  synod counter ls stock/ -o jsonl")]
    Ls(NamesArgs),
    /// Remove it; exit 1 when there was none
    #[command(after_help = "Examples:\n  synod counter del invoices\n  \
                            synod counter del invoices -o json")]
    Del {
        /// Which
        name: String,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod barrier enter load/7 --lease 42 --parties 3\n  \
                        synod barrier show load/7")]
pub(crate) enum BarrierVerb {
    /// Come, and wait until all have; exit 1 when they have not before the deadline
    #[command(after_help = "Examples:\n  synod barrier enter load/7 --lease 42 --parties 3\n  \
                            synod barrier enter load/7 --lease 42 --parties 3 --timeout 1m")]
    Enter {
        /// Which
        name: String,
        /// The party: a lease of this client
        #[arg(long, value_name = "LEASE")]
        lease: u64,
        /// How many must come
        #[arg(long, value_name = "N")]
        parties: u32,
    },
    /// Go, before it opens or after; exit 1 when the party was not there
    #[command(after_help = "Examples:\n  synod barrier leave load/7 --lease 42\n  \
                            synod barrier leave load/7 --lease 42 -o json")]
    Leave {
        /// Which
        name: String,
        /// The party
        #[arg(long, value_name = "LEASE")]
        lease: u64,
    },
    /// How many are there; exit 1 when it is not open
    #[command(after_help = "Examples:\n  synod barrier show load/7\n  \
                            synod barrier show load/7 -o json | jq .here")]
    Show {
        /// Which
        name: String,
    },
    /// List barriers in the order of names
    #[command(after_help = "Examples:\n  synod barrier ls\n  synod barrier ls load/ -o jsonl")]
    Ls(NamesArgs),
    /// Remove one that is open; exit 1 when somebody waits at it
    #[command(after_help = "Examples:\n  synod barrier rm load/7\n  \
                            synod barrier rm load/7 -o json")]
    Rm {
        /// Which
        name: String,
    },
}
