//! Reads that see every write that was answered before, one after the other and by many at once.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{BenchError, Quantiles, load, quantiles::Spans};

/// What is read.
const KEY: &str = "bench/read";
const VALUE_BYTES: usize = 128;

/// Clients that read at once.
const CROWD: usize = 64;

/// What reads took.
#[derive(Clone, Debug, Serialize)]
pub struct Reads {
    /// One client's, one after the other.
    pub lone_get_us: Quantiles,
    /// How many others read at once then.
    pub clients: usize,
    /// Their reads a second, all together.
    pub gets_per_s: f64,
    /// How long each of them took.
    pub get_us: Quantiles,
}

/// Reads a key in a closed loop, first one client alone, then many.
pub async fn reads(config: &Path, span: Duration) -> Result<Reads, BenchError> {
    let client = load::connect(config).await?;
    client.kv().put(KEY, vec![7; VALUE_BYTES]).await?;
    client.close().await;
    let (lone_get_us, _) = crowd(config, 1, span).await?;
    let (get_us, took) = crowd(config, CROWD, span).await?;
    let gets_per_s = get_us.count as f64 / took.as_secs_f64();
    Ok(Reads { lone_get_us, clients: CROWD, gets_per_s, get_us })
}

async fn crowd(
    config: &Path,
    clients: usize,
    span: Duration,
) -> Result<(Quantiles, Duration), BenchError> {
    let (client, start) = (load::connect(config).await?, Arc::new(Barrier::new(clients)));
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (client, start) = (client.clone(), Arc::clone(&start));
        tasks.spawn(async move {
            let mut spans = Spans::new();
            start.wait().await;
            let begun = Instant::now();
            while begun.elapsed() < span {
                let get = Instant::now();
                client.kv().get(KEY).await?;
                spans.add(get.elapsed());
            }
            Ok::<_, BenchError>((spans, begun.elapsed()))
        });
    }
    let joined = load::joined(tasks).await;
    client.close().await;
    joined
}
