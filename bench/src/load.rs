//! Puts by many clients at once: a closed loop, each client waits for its answer.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::{Client, Config, machine::door::NodeStatus};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{BenchError, Quantiles, floor::SyncFloor, quantiles::Spans};

/// Bytes of a value.
const VALUE_BYTES: usize = 128;
/// Different keys that the load writes.
const KEYS: u64 = 1_000;

/// What one client saw, beside the floor of the same seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Lone {
    /// Puts, one after the other.
    pub put_us: Quantiles,
    /// Syncs of a zero-filled file in the nodes' directory, taken between the puts.
    pub sync_us: Quantiles,
    /// Asking the leader something that it answers at once.
    pub client_rtt_us: Quantiles,
    /// The leader's round trip to the nearest that make a quorum with it, looked at as often.
    pub quorum_rtt_us: Quantiles,
    /// Client's round trip, quorum's round trip and sync, of their medians.
    pub floor_us: u64,
    /// Median put over floor.
    pub ratio: f64,
}

/// One client, put by put, the floor measured between puts.
pub async fn lone(config: &Path, floor_dir: &Path, span: Duration) -> Result<Lone, BenchError> {
    let client = connect(config).await?;
    let mut floor = SyncFloor::new(floor_dir)?;
    let (mut puts, mut rtts, mut quorum) = (Spans::new(), Spans::new(), Spans::new());
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < span {
        number += 1;
        let put = Instant::now();
        client.kv().put(key(number), vec![7; VALUE_BYTES]).await?;
        puts.add(put.elapsed());
        let leader = client.leader().await?;
        let asked = Instant::now();
        let status = client.status(&leader).await?;
        rtts.add(asked.elapsed());
        quorum.add(quorum_rtt(&status));
        floor.sync()?;
    }
    client.close().await;
    let (put_us, sync_us, client_rtt_us) = (puts.quantiles(), floor.quantiles(), rtts.quantiles());
    let quorum_rtt_us = quorum.quantiles();
    let floor_us = client_rtt_us.p50 + quorum_rtt_us.p50 + sync_us.p50;
    let ratio = put_us.p50 as f64 / floor_us.max(1) as f64;
    Ok(Lone { put_us, sync_us, client_rtt_us, quorum_rtt_us, floor_us, ratio })
}

/// QUIC's own, smoothed.
fn quorum_rtt(status: &NodeStatus) -> Duration {
    let mut peers: Vec<_> = status.peers.iter().filter_map(|peer| peer.rtt_us).collect();
    peers.sort_unstable();
    // The leader is one of the quorum, so it waits for half of the others, the nearest ones.
    let waits_for = status.peers.len().div_ceil(2);
    let slowest = waits_for.checked_sub(1).and_then(|place| peers.get(place));
    Duration::from_micros(slowest.copied().unwrap_or_default())
}

/// What many clients got done.
#[derive(Clone, Debug, Serialize)]
pub struct Crowd {
    /// How many clients.
    pub clients: usize,
    /// Puts a second.
    pub puts_per_s: f64,
    /// How long each took.
    pub put_us: Quantiles,
}

/// `clients` sessions on a few connections, each putting in a closed loop.
pub async fn crowd(config: &Path, clients: usize, span: Duration) -> Result<Crowd, BenchError> {
    /// Clients that share one session and connection, as tasks of one application do.
    const PER_SESSION: usize = 64;
    let start = Arc::new(Barrier::new(clients));
    let mut tasks = JoinSet::new();
    let mut shared = None;
    for number in 0..clients {
        if number % PER_SESSION == 0 {
            shared = Some(connect(config).await?);
        }
        let Some(client) = shared.clone() else { continue };
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            let mut spans = Spans::new();
            start.wait().await;
            let begun = Instant::now();
            let mut count = number as u64;
            while begun.elapsed() < span {
                let put = Instant::now();
                client.kv().put(key(count), vec![7; VALUE_BYTES]).await?;
                spans.add(put.elapsed());
                count += 7;
            }
            Ok::<_, BenchError>((spans, begun.elapsed()))
        });
    }
    let (mut all, mut longest) = (Spans::new(), Duration::ZERO);
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.map_err(|error| BenchError::Cluster(error.to_string()))?;
        let (spans, took) = ended?;
        all.merge(&spans);
        longest = longest.max(took);
    }
    let put_us = all.quantiles();
    let puts_per_s = put_us.count as f64 / longest.as_secs_f64();
    Ok(Crowd { clients, puts_per_s, put_us })
}

/// A client of the cluster that `config` names.
pub(crate) async fn connect(config: &Path) -> Result<Client, BenchError> {
    let config = Config::load(config).map_err(|error| BenchError::Cluster(error.to_string()))?;
    Ok(Client::connect(config).await?)
}

/// Waits until `node` knows all that is chosen.
pub(crate) async fn level(
    client: &Client,
    node: &str,
    patience: Duration,
) -> Result<(), BenchError> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        let leader = client.leader().await?;
        let chosen = client.status(&leader).await?.chosen_slot;
        if client.status(node).await.is_ok_and(|status| status.applied_slot >= chosen) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(BenchError::Cluster(format!("{node} does not catch up")))
}

fn key(number: u64) -> String {
    format!("bench/{:04}", number % KEYS)
}
