//! How long clients wait when the leader is killed.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{BenchError, load, stage::Stage};

/// A put that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Outages as a client saw them, in milliseconds, in the order of size.
#[derive(Clone, Debug, Serialize)]
pub struct Takeovers {
    /// From SIGKILL to the next acknowledged put.
    pub outage_ms: Vec<u64>,
    /// The part of each in which the next leader was at work, from missing the last to serving: the
    /// rest is detection, and the client's search.
    pub election_ms: Vec<u64>,
    /// The one in the middle.
    pub median_ms: u64,
}

/// Kills the leader `kills` times under a client that puts without pause.
pub async fn takeovers(stage: &mut Stage, kills: usize) -> Result<Takeovers, BenchError> {
    let client = load::connect(&stage.client()).await?.within(PATIENCE);
    let mut spans = Vec::new();
    for round in 0..kills {
        let leader = client.leader().await?;
        client.kv().put("bench/takeover", format!("before {round}").into_bytes()).await?;
        stage.kill(&leader);
        let killed = Instant::now();
        client.kv().put("bench/takeover", format!("after {round}").into_bytes()).await?;
        let outage_ms = u64::try_from(killed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = client.leader().await?;
        spans.push((outage_ms, client.status(&next).await?.takeover_us / 1_000));
        stage.start(&leader)?;
        load::level(&client, &leader, PATIENCE).await?;
    }
    client.close().await;
    spans.sort_unstable();
    let (outage_ms, election_ms): (Vec<u64>, Vec<u64>) = spans.into_iter().unzip();
    let median_ms = outage_ms.get(outage_ms.len() / 2).copied().unwrap_or_default();
    Ok(Takeovers { outage_ms, election_ms, median_ms })
}
