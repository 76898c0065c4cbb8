//! Puts by many clients at once: a closed loop, each client waits for its answer.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::{Client, Config};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    BenchError, Quantiles,
    floor::{Floor, FloorUs},
    quantiles::Spans,
};

/// Bytes of a value.
const VALUE_BYTES: usize = 128;
/// Different keys that the load writes.
const KEYS: u64 = 1_000;

/// What one client saw, beside the floor of the same seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Lone {
    /// Puts, one after the other.
    pub put_us: Quantiles,
    /// Measured between the puts.
    #[serde(flatten)]
    pub floor: FloorUs,
    /// Median put over floor.
    pub ratio: f64,
}

/// One client, put by put, the floor measured between puts.
pub async fn lone(config: &Path, floor_dir: &Path, span: Duration) -> Result<Lone, BenchError> {
    let client = connect(config).await?;
    let (mut floor, mut puts) = (Floor::new(floor_dir)?, Spans::new());
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < span {
        number += 1;
        let put = Instant::now();
        client.kv().put(key(number), vec![7; VALUE_BYTES]).await?;
        puts.add(put.elapsed());
        floor.measure(&client).await?;
    }
    client.close().await;
    let (put_us, floor) = (puts.quantiles(), floor.us());
    let ratio = floor.ratio(put_us.p50);
    Ok(Lone { put_us, floor, ratio })
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
    let (put_us, longest) = joined(tasks).await?;
    let puts_per_s = put_us.count as f64 / longest.as_secs_f64();
    Ok(Crowd { clients, puts_per_s, put_us })
}

/// What each client of a crowd measured, and how long it took.
pub(crate) type Crowded = JoinSet<Result<(Spans, Duration), BenchError>>;

/// All of a crowd together, and the longest of them.
pub(crate) async fn joined(mut tasks: Crowded) -> Result<(Quantiles, Duration), BenchError> {
    let (mut all, mut longest) = (Spans::new(), Duration::ZERO);
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.map_err(|error| BenchError::Cluster(error.to_string()))?;
        let (spans, took) = ended?;
        all.merge(&spans);
        longest = longest.max(took);
    }
    Ok((all.quantiles(), longest))
}

/// A client of the cluster that `config` names.
pub(crate) async fn connect(config: &Path) -> Result<Client, BenchError> {
    let config = Config::load(config).map_err(|error| BenchError::Cluster(error.to_string()))?;
    Ok(Client::connect(config).await?)
}

/// How long nodes and clients are left alone before something befalls a leader. A client connects
/// ahead of need within two seconds, and a node's rhythm is known after a fifth of one.
pub(crate) const SETTLES_WITHIN: Duration = Duration::from_secs(3);

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
