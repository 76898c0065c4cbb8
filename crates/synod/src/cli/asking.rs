//! Verbs that ask a cluster.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod kv put epoch 7\n  synod kv cas epoch 7 8")]
pub(crate) enum KvVerb {
    /// Set a key
    Put(PutArgs),
    /// Read a key; exit 1 when it is absent
    Get(GetArgs),
    /// Set a key if it is as expected; exit 1 when it is not
    Cas(CasArgs),
    /// Remove a key; exit 1 when it was absent
    #[command(after_help = "Examples:\n  synod kv del epoch\n  synod kv del epoch --timeout 2s")]
    Del {
        /// Which
        key: String,
    },
    /// List keys in byte order
    Ls(ListArgs),
    /// Tell what changes, as it changes, from the present on or from a revision
    Watch(WatchArgs),
    /// Do what standard input says, all of it at one revision or none; exit 1 when refused
    ///
    /// One step a line:
    ///   require KEY absent | present | @REVISION | =VALUE
    ///   held lock | election NAME TOKEN
    ///   held claim NAME OWNER
    ///   lease LEASE      keys that are put end with it
    ///   put KEY VALUE
    ///   del KEY
    ///   get KEY
    /// A value is the rest of the line. What `get` reads is the state after all of it; when a
    /// requirement did not hold, the state as it is.
    #[command(verbatim_doc_comment)]
    #[command(after_help = "Examples:\n  \
                            printf 'require epoch =7\\nput epoch 8\\nput by me\\n' | synod kv multi\
                            \n  synod kv multi -o json < steps.txt")]
    Multi,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod kv put epoch 7\n  synod kv put photo - < photo.jpg")]
pub(crate) struct PutArgs {
    /// Which
    pub(crate) key: String,
    /// To what; `-` reads standard input
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,
    /// The key ends with this lease
    #[arg(long)]
    pub(crate) lease: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod kv get epoch --at-least 118\n  \
                        synod kv get epoch --stale -o json")]
pub(crate) struct GetArgs {
    /// Which
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) fresh: FreshArgs,
    /// Show the value in base 64
    #[arg(long)]
    pub(crate) base64: bool,
}

/// How fresh a read is to be. Without any of these: it sees every write that was answered before,
/// and the leader answers it.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct FreshArgs {
    /// As fresh, from whatever node: it asks the leader how far it has to have come
    #[arg(long)]
    pub(crate) nearby: bool,
    /// The state of this revision or a later one, from whatever node
    #[arg(long, value_name = "REV")]
    pub(crate) at_least: Option<u64>,
    /// Whatever some node knows, with how old that may be
    #[arg(long)]
    pub(crate) stale: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "synod kv cas [OPTIONS] <KEY> <OLD> <NEW>\n       \
                            synod kv cas [OPTIONS] <KEY> <NEW> --absent\n       \
                            synod kv cas [OPTIONS] <KEY> <NEW> --revision <R>")]
#[command(after_help = "Examples:\n  synod kv cas epoch 7 8\n  synod kv cas leader me --absent")]
pub(crate) struct CasArgs {
    /// Which
    pub(crate) key: String,
    /// The value expected, unless a flag says what is, and then the one to set; for the latter `-`
    /// reads standard input
    #[arg(required = true, num_args = 1..=2, value_name = "VALUE")]
    #[arg(allow_negative_numbers = true)]
    pub(crate) values: Vec<String>,
    /// Expect that it does not exist
    #[arg(long, conflicts_with = "revision")]
    pub(crate) absent: bool,
    /// Expect that it was last set at this revision
    #[arg(long, value_name = "R")]
    pub(crate) revision: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod kv ls\n  synod kv ls config/ --limit 20 -o json")]
pub(crate) struct ListArgs {
    /// That begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) fresh: FreshArgs,
    /// Show values in base 64
    #[arg(long)]
    pub(crate) base64: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod kv watch config/\n  \
                        synod kv watch config/ --from 118 --limit 20 -o jsonl")]
pub(crate) struct WatchArgs {
    /// Of keys that begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// All that changed after this revision
    #[arg(long, value_name = "REV")]
    pub(crate) from: Option<u64>,
    /// Stop after so many changes, with the revision that they end in
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod leader show\n  synod leader move n2")]
pub(crate) enum LeaderVerb {
    /// Who leads; exit 1 when nobody does
    #[command(after_help = "Examples:\n  synod leader show\n  \
                            synod leader show -o json | jq -r .node")]
    Show,
    /// A line at every change, the present state first
    #[command(after_help = "Examples:\n  synod leader watch\n  \
                            synod leader watch -o json --limit 10")]
    Watch {
        /// Stop after so many lines
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Have another node lead; exit 1 when it does not come to that in time
    #[command(after_help = "Examples:\n  synod leader move n2\n  \
                            synod leader move n2 --timeout 20s -o json | jq -r .node")]
    Move {
        /// The node that is to lead
        node: String,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod txn ls\n  synod txn show 17.4")]
pub(crate) enum TxnVerb {
    /// Committed transactions that some participant has not acknowledged
    #[command(after_help = "Examples:\n  synod txn ls\n  synod txn ls --limit 10 -o json")]
    Ls {
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One transaction, as the log has it
    #[command(after_help = "Examples:\n  synod txn show 17.4\n  synod txn show 17.4 -o json")]
    Show {
        /// Which: `SESSION.N`
        txn: String,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod request settle 17-42\n  \
                        synod request settle 17-42 --timeout 30s")]
pub(crate) enum RequestVerb {
    /// Was it applied? Answers for good; exit 1: it was not and never will be
    #[command(after_help = "Examples:\n  synod request settle 17-42\n  \
                            synod request settle 17-42 -o json")]
    Settle {
        /// Which: `SESSION-SEQ`, as the error that said `unknown` printed it
        request: String,
    },
}
