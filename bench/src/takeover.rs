//! How long clients wait when the leader is killed.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{BenchError, load, stage::Stage};

/// A put that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Outages as a client saw them, the shortest first.
#[derive(Clone, Debug, Serialize)]
pub struct Takeovers {
    /// `synod.bench.failover/1`.
    pub schema: &'static str,
    /// Each of them.
    pub outages: Vec<Outage>,
    /// The one in the middle, in milliseconds.
    pub median_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// One outage, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Outage {
    /// From SIGKILL to the next acknowledged put.
    pub outage_us: u64,
    /// The part until the next leader had missed the last one, with the client's own search.
    pub noticed_us: u64,
    /// From there until a quorum had promised.
    pub phase_1_us: u64,
    /// From there until the next leader served.
    pub first_commit_us: u64,
}

/// Kills the leader `kills` times under a client that puts without pause.
pub async fn takeovers(stage: &mut Stage, kills: usize) -> Result<Takeovers, BenchError> {
    let client = load::connect(&stage.client()).await?.within(PATIENCE);
    let mut outages = Vec::new();
    for round in 0..kills {
        let leader = client.leader().await?;
        client.kv().put("bench/takeover", format!("before {round}").into_bytes()).await?;
        stage.kill(&leader);
        let killed = Instant::now();
        client.kv().put("bench/takeover", format!("after {round}").into_bytes()).await?;
        let outage_us = u64::try_from(killed.elapsed().as_micros()).unwrap_or(u64::MAX);
        let next = client.leader().await?;
        let status = client.status(&next).await?;
        outages.push(Outage {
            outage_us,
            noticed_us: outage_us.saturating_sub(status.takeover_us),
            phase_1_us: status.phase_1_us,
            first_commit_us: status.takeover_us.saturating_sub(status.phase_1_us),
        });
        stage.start(&leader)?;
        load::level(&client, &leader, PATIENCE).await?;
    }
    client.close().await;
    outages.sort_unstable();
    let ms = |outage: Option<&Outage>| outage.map_or(0, |outage| outage.outage_us / 1_000);
    let (median_ms, max_ms) = (ms(outages.get(outages.len() / 2)), ms(outages.last()));
    Ok(Takeovers { schema: "synod.bench.failover/1", outages, median_ms, max_ms })
}
