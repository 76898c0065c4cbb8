//! Verbs of what is held for a while: leases and locks.

use std::{ffi::OsString, time::Duration};

use clap::{Args, Subcommand};

use super::span;

/// A shorter lease could not be renewed and its command not be ended in time on a busy machine.
const RUN_TTL_MIN: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod lease grant --ttl 1m\n  synod lease ls")]
pub(crate) enum LeaseVerb {
    /// A new lease, left to itself: it ends unless it is renewed. Prints its id
    #[command(after_help = "Examples:\n  synod lease grant\n  \
                            synod lease grant --ttl 1m -o json")]
    Grant {
        /// Silence that ends it
        #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
        ttl: Duration,
    },
    /// Renew a lease once; exit 1 when it has ended
    #[command(after_help = "Examples:\n  synod lease renew 7\n  \
                            synod lease renew 7 --timeout 2s")]
    Renew {
        /// Which
        lease: u64,
    },
    /// One lease; exit 1 when it has ended
    #[command(after_help = "Examples:\n  synod lease show 7\n  synod lease show 7 -o json")]
    Show {
        /// Which
        lease: u64,
    },
    /// Leases that have not ended
    #[command(after_help = "Examples:\n  synod lease ls\n  synod lease ls --limit 10 -o jsonl")]
    Ls {
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// End a lease and all that hangs on it; exit 1 when there never was one of this id
    #[command(after_help = "Examples:\n  synod lease revoke 7\n  \
                            synod lease revoke 7 -o json")]
    Revoke {
        /// Which
        lease: u64,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod lock run nightly -- ./backup.sh\n  synod lock ls")]
pub(crate) enum LockVerb {
    /// Hold a lock while a command runs
    ///
    /// The command finds SYNOD_LOCK, SYNOD_LEASE and SYNOD_FENCING_TOKEN in its environment, and
    /// whatever it writes to must refuse a smaller token after a larger. It runs in a process group
    /// of its own. It is sent SIGTERM, and then SIGKILL, before the lease can have ended. The lock
    /// is let go of when the whole group is gone.
    ///
    /// Exits with the command's code (128 and the signal, if one ended it); 123: the lock was lost
    /// while it ran; 124: another held it for as long as was waited; 125: synod itself failed.
    #[command(verbatim_doc_comment)]
    Run(LockRunArgs),
    /// One lock, its holder and those who wait; exit 1 when nobody holds it
    #[command(after_help = "Examples:\n  synod lock show nightly\n  \
                            synod lock show nightly -o json | jq .holder.token")]
    Show {
        /// Which
        name: String,
    },
    /// Locks that somebody holds
    #[command(after_help = "Examples:\n  synod lock ls\n  synod lock ls batch/ -o jsonl")]
    Ls {
        /// That begin with this
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Take a lock away from its holder, who may not notice at once; exit 1 when nobody holds it
    #[command(after_help = "Examples:\n  synod lock break nightly --reason lost\n  \
                            synod lock break nightly --reason stuck --yes")]
    Break {
        /// Which
        name: String,
        /// Why; it stays on record with who did it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Without asking
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod lock run nightly -- ./backup.sh --full\n  \
                        synod lock run nightly --ttl 30s --wait 0s -- ./backup.sh")]
pub(crate) struct LockRunArgs {
    /// Which lock
    pub(crate) name: String,
    /// So long after this machine died another may have it; from 1s to a day
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = run_ttl)]
    pub(crate) ttl: Duration,
    /// Wait so long for another to let go of it; without this, as long as it takes
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) wait: Option<Duration>,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

pub(super) fn run_ttl(text: &str) -> Result<Duration, String> {
    let ttl = span(text)?;
    if ttl < RUN_TTL_MIN {
        return Err(format!("{text} is too short for a command; at least 1s is needed"));
    }
    Ok(ttl)
}
