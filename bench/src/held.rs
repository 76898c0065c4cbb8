//! How long shards held locks for transactions, as they tell it on their pages of metrics.

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
}
