//! What shards and nodes tell of themselves on their pages of metrics: how long locks were held for
//! transactions, and syncs.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{BenchError, stage::Stage};

const PATIENCE: Duration = Duration::from_secs(5);
/// From a durable yes to a durable commit (docs/metrics.md).
const METRIC: &str = "synod_participant_branch_duration_seconds";

/// Locks of branches that were committed: from the durable yes to the durable commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// How many branches.
    pub branches: u64,
    /// Microseconds of each, the mean.
    pub mean_us: f64,
}

/// What all shards of these names have told of themselves so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holding {
    branches: u64,
    seconds: f64,
}

impl Holding {
    /// Asks each of them.
    pub fn of(stage: &Stage, shards: &[String]) -> Result<Holding, BenchError> {
        let mut all = Holding::default();
        for shard in shards {
            let told = Holding::read(&page(stage.page(shard)?)?);
            all.branches += told.branches;
            all.seconds += told.seconds;
        }
        Ok(all)
    }

    /// What came since an earlier look.
    pub fn since(self, earlier: Holding) -> Held {
        let branches = self.branches.saturating_sub(earlier.branches);
        let mean_us = 1e6 * (self.seconds - earlier.seconds) / branches.max(1) as f64;
        Held { branches, mean_us }
    }

    fn read(page: &str) -> Holding {
        let figure = |kind: &str| {
            let name = format!("{METRIC}_{kind}{{");
            let mut lines = page.lines().filter(|line| line.starts_with(&name));
            let line = lines.find(|line| line.contains("outcome=\"committed\""))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        let branches = figure("count").unwrap_or_default() as u64;
        Holding { branches, seconds: figure("sum").unwrap_or_default() }
    }
}

/// Durable writes of stores.
const SYNCS: &str = "synod_store_sync_duration_seconds";

/// Durable writes for one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Synced {
    /// How many.
    pub per_commit: f64,
    /// Microseconds of each, the mean.
    pub mean_us: f64,
}

/// Durable writes so far of all that were asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Syncs {
    count: f64,
    seconds: f64,
}

impl Syncs {
    /// Asks each of them.
    pub(crate) fn of(stage: &Stage, names: &[String]) -> Result<Syncs, BenchError> {
        let mut all = Syncs::default();
        for name in names {
            let page = page(stage.page(name)?)?;
            all.count += figure(&page, &format!("{SYNCS}_count"));
            all.seconds += figure(&page, &format!("{SYNCS}_sum"));
        }
        Ok(all)
    }

    /// What came since an earlier look.
    pub(crate) fn since(self, earlier: Syncs) -> Syncs {
        Syncs { count: self.count - earlier.count, seconds: self.seconds - earlier.seconds }
    }

    /// Of each of so many, for each of so many commits.
    pub(crate) fn of_each(self, asked: usize, commits: u64) -> Synced {
        let per_commit = self.count / asked.max(1) as f64 / commits.max(1) as f64;
        Synced { per_commit, mean_us: 1e6 * self.seconds / self.count.max(1.0) }
    }
}

/// The figure of a page that stands under a name, whatever its labels.
fn figure(page: &str, name: &str) -> f64 {
    let line = page
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

/// The page of metrics at an address: plain HTTP, and the connection ends with it.
fn page(address: &str) -> Result<String, BenchError> {
    let io = || BenchError::io(format!("the page of metrics on {address}"));
    let mut tcp = TcpStream::connect(address).map_err(io())?;
    tcp.set_read_timeout(Some(PATIENCE)).map_err(io())?;
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tcp.write_all(ask.as_bytes()).map_err(io())?;
    let mut said = String::new();
    tcp.read_to_string(&mut said).map_err(io())?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what was committed counts, and only since the look before.
    #[test]
    fn locks_are_read_from_a_page_of_metrics() {
        let page = |count: u32, sum: &str| {
            format!(
                "# TYPE {METRIC} histogram\n\
                 {METRIC}_sum{{participant=\"p1\",outcome=\"aborted\"}} 9.0\n\
                 {METRIC}_sum{{participant=\"p1\",outcome=\"committed\"}} {sum}\n\
                 {METRIC}_count{{participant=\"p1\",outcome=\"committed\"}} {count}\n"
            )
        };
        let (before, after) =
            (Holding::read(&page(10, "0.010")), Holding::read(&page(30, "0.050")));
        let held = after.since(before);
        assert_eq!(held.branches, 20);
        assert!((held.mean_us - 2_000.0).abs() < 1e-6, "{held:?}");
        assert_eq!(Holding::read("").since(Holding::default()), Held::default());
    }

    #[test]
    fn syncs_are_read_with_labels_and_without() {
        let page = "x_sum 3\nx_total 9\nx_count{participant=\"p1\"} 40\n";
        assert!((figure(page, "x_count") - 40.0).abs() < f64::EPSILON);
        assert!((figure(page, "x_sum") - 3.0).abs() < f64::EPSILON);
        let synced = Syncs { count: 40.0, seconds: 0.02 }.of_each(2, 10);
        assert!((synced.per_commit - 2.0).abs() < 1e-9, "{synced:?}");
        assert!((synced.mean_us - 500.0).abs() < 1e-9, "{synced:?}");
    }
}
