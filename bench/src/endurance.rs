//! A long load at a steady rate while other threads want every core: does anybody miss a leader
//! that is there, and does memory stay what it was?

use std::{collections::BTreeMap, io::Write, time::Duration};

use serde::Serialize;
use synod_client::{Client, Config};

use crate::{
    BenchError,
    callers::{Service, Synod},
    hogs::Hogs,
    load,
    stage::Stage,
    trial::{Errors, Latency, Mix, Op, Pace, Plan, Work, trial},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Before the first minute counts: what a cluster keeps of its latest history is full then.
const WARMUP: Duration = Duration::from_secs(60);
const CLIENTS: usize = 64;
const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 128;

/// What is to be endured.
#[derive(Clone, Copy, Debug)]
pub struct Ordeal {
    /// How long, after a minute that does not count.
    pub minutes: u32,
    /// Puts a second, in an open loop.
    pub rate_per_s: u32,
    /// How much nicer the hogs are than the nodes and the load: 0 wants as much as each of them.
    /// There are none without it: whoever measures has something else that wants every core.
    pub nice: Option<u8>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Endured {
    /// `synod.bench.endurance/1`.
    pub schema: &'static str,
    /// Puts a second that were due.
    pub rate_per_s: u32,
    /// How much nicer the hogs were, if there were any.
    pub nice: Option<u8>,
    /// Who led before the first minute that counts.
    pub first: Reign,
    /// Who led after the last.
    pub last: Reign,
    /// Minutes after which another ballot led than before them.
    pub takeovers: usize,
    /// Resident memory of the largest node in the second quarter of the time and in the last, the
    /// mean of minutes, in KiB.
    pub resident_kib: (u64, u64),
    /// Each minute that could be measured.
    pub minutes: Vec<Minute>,
    /// Minutes in which no node could be reached at all, and why.
    pub lost: Vec<String>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reign {
    /// Its ballot, whose round grows whenever anybody campaigns.
    pub ballot: String,
    /// The node.
    pub leader: String,
}

/// One minute.
#[derive(Clone, Debug, Serialize)]
pub struct Minute {
    /// Who led at its end.
    #[serde(flatten)]
    pub reign: Reign,
    /// Puts that were done, a second.
    pub ops_per_s: f64,
    /// How long they took, from when they were due.
    pub latency_us: Latency,
    /// Those that were not done.
    pub errors: Errors,
    /// Resident memory of each node at its end.
    pub rss_kib: BTreeMap<String, u64>,
}

/// Loads the cluster minute by minute; each is told to `told` when it is over, so that a run which
/// is cut short has said what it saw.
pub async fn endure(
    stage: &Stage,
    ordeal: &Ordeal,
    mut told: impl Write,
) -> Result<Endured, BenchError> {
    let client = load::connect(&stage.client()).await?;
    let _hogs = ordeal.nice.map(Hogs::start).transpose()?;
    let _warm = loaded(stage, ordeal.rate_per_s, WARMUP).await?;
    let first = reign(&client).await?;
    let (mut minutes, mut lost): (Vec<Minute>, Vec<String>) = (Vec::new(), Vec::new());
    for number in 1..=ordeal.minutes {
        // A reader that has gone away does not want the rest.
        let mut tell = |line: &str| drop(writeln!(told, "minute {number}: {line}"));
        match minute(stage, &client, ordeal.rate_per_s).await {
            Ok(minute) => {
                tell(&minute.line());
                minutes.push(minute);
            }
            Err(error) => {
                tell(&error.to_string());
                lost.push(error.to_string());
            }
        }
    }
    client.close().await;
    let last = minutes.last().map_or_else(|| first.clone(), |minute| minute.reign.clone());
    let quarter = minutes.len().div_ceil(4);
    let quarters: Vec<_> = minutes.chunks(quarter.max(1)).map(mean_largest_kib).collect();
    let second = quarters.get(1).or(quarters.first()).copied().unwrap_or_default();
    Ok(Endured {
        schema: "synod.bench.endurance/1",
        rate_per_s: ordeal.rate_per_s,
        nice: ordeal.nice,
        takeovers: takeovers(&first, &minutes),
        first,
        last,
        resident_kib: (second, quarters.last().copied().unwrap_or_default()),
        minutes,
        lost,
    })
}

async fn minute(stage: &Stage, client: &Client, per_s: u32) -> Result<Minute, BenchError> {
    let outcome = loaded(stage, per_s, MINUTE).await?;
    Ok(Minute {
        reign: reign(client).await?,
        ops_per_s: outcome.ops_per_s,
        latency_us: outcome.latency_us,
        errors: outcome.errors,
        rss_kib: stage.rss_kib(),
    })
}

async fn loaded(
    stage: &Stage,
    per_s: u32,
    span: Duration,
) -> Result<crate::trial::Outcome, BenchError> {
    let config = Config::load(&stage.client());
    let config = config.map_err(|error| BenchError::Cluster(error.to_string()))?;
    let service = Service::Synod(Synod::open(config, None).await?);
    let plan = Plan {
        work: Work::of(Mix::only(Op::Put), KEYS, VALUE_BYTES),
        clients: CLIENTS,
        pace: Pace::Open { per_s },
        warmup: Duration::ZERO,
        span,
    };
    let outcome = trial(&plan, vec![service], |_| {}).await?.pop();
    outcome.ok_or_else(|| BenchError::Cluster("a trial without an outcome".to_owned()))
}

async fn reign(client: &Client) -> Result<Reign, BenchError> {
    let leader = client.leader().await?;
    let ballot = client.status(&leader).await?.ballot;
    Ok(Reign { ballot, leader })
}

/// How often the ballot at the end of a minute was another than at its beginning.
fn takeovers(first: &Reign, minutes: &[Minute]) -> usize {
    let ends = minutes.iter().map(|minute| &minute.reign);
    let begins = std::iter::once(first).chain(ends.clone());
    begins.zip(ends).filter(|(before, after)| before != after).count()
}

fn mean_largest_kib(minutes: &[Minute]) -> u64 {
    let largest = minutes.iter().filter_map(|minute| minute.rss_kib.values().max());
    largest.sum::<u64>() / (minutes.len().max(1) as u64)
}

impl Minute {
    fn line(&self) -> String {
        let Latency { p50, p99, max, .. } = self.latency_us;
        format!(
            "ballot {}, {:.0}/s, p50 {p50} us, p99 {p99}, max {max}, {} errors, {} KiB",
            self.reign.ballot,
            self.ops_per_s,
            self.errors.sum(),
            self.rss_kib.values().max().copied().unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(ballot: &str, kib: u64) -> Minute {
        Minute {
            reign: Reign { ballot: ballot.to_owned(), leader: "n1".to_owned() },
            ops_per_s: 1.0,
            latency_us: Latency::default(),
            errors: Errors::default(),
            rss_kib: [("n1".to_owned(), kib), ("n2".to_owned(), 1)].into(),
        }
    }

    /// A ballot that comes and goes is two takeovers, and one that stays is none.
    #[test]
    fn takeovers_are_changes_of_the_ballot() {
        let ballots = ["1.1", "3.1", "3.1", "7.2"];
        let minutes: Vec<_> = ballots.iter().map(|ballot| minute(ballot, 9)).collect();
        assert_eq!(takeovers(&minutes[0].reign, &minutes), 2);
        assert_eq!(takeovers(&minutes[0].reign, &minutes[..1]), 0);
        assert_eq!(mean_largest_kib(&[minute("1.1", 10), minute("1.1", 20)]), 15);
    }
}
