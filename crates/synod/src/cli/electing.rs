//! Verbs of elections.

use std::{ffi::OsString, time::Duration};

use clap::{Args, Subcommand};

use super::{holding::run_ttl, span};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  synod election show catalog/primary\n  \
                        synod election switchover catalog/primary --to pg-2 --reason upgrade")]
pub(crate) enum ElectionVerb {
    /// Run a command while elected, or one that is told when it is
    ///
    /// Without --promote the command runs only while this candidate is the incumbent. It finds
    /// SYNOD_ELECTION, SYNOD_CANDIDATE and SYNOD_FENCING_TOKEN in its environment, and whatever it
    /// writes to must refuse a smaller token after a larger.
    ///
    /// With --promote it runs from the start, as a follower (SYNOD_ROLE=follower). When this
    /// candidate is granted, the --promote command is run with the token in its environment, and
    /// must succeed; then --proclaim is proclaimed.
    ///
    /// When the office is lost or a switchover is asked for, the command and all that it started
    /// are ended: SIGTERM, and SIGKILL before the lease can have ended. Then the office is
    /// resigned, and the candidate stands again; with --promote its command is started again.
    ///
    /// Ends when the command ends by itself, with its code (128 and the signal, if one ended it);
    /// 125: synod itself failed; 130: interrupted while no command ran.
    #[command(verbatim_doc_comment)]
    Run(ElectionRunArgs),
    /// Stand for election, print the token when elected, and hold the office until interrupted
    ///
    /// Exits with 0 when it was interrupted or told to leave, and has resigned; 123: the office was
    /// lost; 124: it was not granted for as long as --wait.
    #[command(verbatim_doc_comment)]
    Campaign(CampaignArgs),
    /// A line at every change, the present state first
    Watch(ElectionWatchArgs),
    /// One election and who stands in it; exit 1 when nobody is the incumbent
    #[command(after_help = "Examples:\n  synod election show catalog/primary\n  \
                            synod election show catalog/primary -o json | jq .incumbent.token")]
    Show {
        /// Which
        name: String,
    },
    /// List elections in the order of names
    #[command(after_help = "Examples:\n  synod election ls\n  \
                            synod election ls catalog/ --limit 20 -o jsonl")]
    Ls {
        /// That begin with this
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        /// At most so many
        #[arg(long, default_value_t = 1_000, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Have this client's incumbent leave at once; exit 1 when there is none
    ///
    /// It does not wait for what the incumbent does: `switchover` does.
    #[command(after_help = "Examples:\n  synod election resign catalog/primary\n  \
                            synod election resign catalog/primary -o json")]
    Resign {
        /// Which
        name: String,
    },
    /// Ask the incumbent to leave for another, and wait until that one is granted
    ///
    /// Exit 1: nothing was changed, or it came to nothing.
    Switchover(SwitchoverArgs),
    /// Grant nobody until it is resumed; the incumbent stays
    #[command(
        after_help = "Examples:\n  synod election pause catalog/primary --reason upgrade\n  \
                            synod election pause catalog/primary --reason upgrade -o json"
    )]
    Pause(OrderArgs),
    /// Grant again
    #[command(after_help = "Examples:\n  synod election resume catalog/primary --reason done\n  \
                            synod election resume catalog/primary --reason done -o json")]
    Resume(OrderArgs),
    /// Say who may be granted; what is not named is not asked for
    Rules(RulesArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        synod election run batch/planner --id host-1 -- ./planner\n  \
                        synod election run catalog/primary --id pg-1 --promote ./promote.sh \
                        --proclaim 10.0.2.21:5432 -- ./postgres.sh")]
pub(crate) struct ElectionRunArgs {
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,
    /// Run from the start, and this with `sh -c` when elected; it must succeed
    #[arg(long, value_name = "COMMAND")]
    pub(crate) promote: Option<String>,
    /// Run this with `sh -c` whenever there is another incumbent, or it proclaims something else
    ///
    /// It finds SYNOD_INCUMBENT, SYNOD_INCUMBENT_ADDRESS and SYNOD_INCUMBENT_TOKEN in its
    /// environment, and is run again until it succeeds.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) follow: Option<String>,
    /// Report what this prints, run with `sh -c`: a position as one number, or `no`
    ///
    /// `no`: this candidate must not be granted as it is. So does a command that fails.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) report: Option<String>,
    /// How often
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = pace)]
    pub(crate) report_every: Duration,
    /// End as by SIGTERM when standard input closes: for a parent that must not be outlived
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Who stands, and where.
#[derive(Debug, Args)]
pub(crate) struct CandidateArgs {
    /// In which election
    pub(crate) name: String,
    /// What people call this candidate
    #[arg(long, value_name = "ID")]
    pub(crate) id: String,
    /// Of those who may, the one with the highest is granted
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i32,
    /// So long after this machine died another may be granted; from 1s to a day
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = run_ttl)]
    pub(crate) ttl: Duration,
    /// What all who watch are told of it once it is elected: an address, say
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) proclaim: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod election campaign batch/planner --id host-1\n  \
                        synod election campaign batch/planner --id host-1 --wait 30s -o json")]
pub(crate) struct CampaignArgs {
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,
    /// Wait so long for the grant; without this, as long as it takes
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) wait: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod election watch catalog/primary\n  \
                        synod election watch catalog/primary --exec ./reload.sh")]
pub(crate) struct ElectionWatchArgs {
    /// Which
    pub(crate) name: String,
    /// Run this with `sh -c` after every change; it finds SYNOD_INCUMBENT and the like in its
    /// environment
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
    /// Stop after so many changes
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  synod election switchover catalog/primary --reason upgrade\n  \
                        synod election switchover catalog/primary --cancel --reason later"
)]
pub(crate) struct SwitchoverArgs {
    /// Which
    pub(crate) name: String,
    /// To this candidate; else to the best of those who may
    #[arg(long, value_name = "ID", conflicts_with = "cancel")]
    pub(crate) to: Option<String>,
    /// One that was asked for is off; exit 1 when there is none
    #[arg(long)]
    pub(crate) cancel: bool,
    /// Do not wait for the grant
    #[arg(long, conflicts_with = "cancel")]
    pub(crate) no_wait: bool,
    /// Why; it stays on record with who did it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// Which
    pub(crate) name: String,
    /// Why; it stays on record with who did it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  synod election rules catalog/primary --lag-max 16777216 \
                        --fresh 10s --reason no-loss\n  \
                        synod election rules catalog/primary --reason anybody")]
pub(crate) struct RulesArgs {
    /// Of which
    pub(crate) name: String,
    /// No further behind the furthest that was reported
    #[arg(long, value_name = "N")]
    pub(crate) lag_max: Option<u64>,
    /// Having come so far
    #[arg(long, value_name = "POSITION")]
    pub(crate) position_min: Option<u64>,
    /// Having reported in the last so long
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) fresh: Option<Duration>,
    /// Why; it stays on record with who did it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

fn pace(text: &str) -> Result<Duration, String> {
    let every = span(text)?;
    if every < Duration::from_millis(100) {
        return Err(format!("{text} is too often; each report is an entry in the log"));
    }
    Ok(every)
}
