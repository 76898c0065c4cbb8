//! What leases, locks and watches take, beside the floor of the same seconds.

use std::{
    future::IntoFuture,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::{Client, Kv, LockGuard, Locked, Watched};
use tokio::sync::oneshot;

use crate::{
    BenchError, Quantiles,
    floor::{Floor, FloorUs},
    load::connect,
    quantiles::Spans,
};

/// No lease runs out while it is measured.
const TTL: Duration = Duration::from_secs(60);
/// How long one waits for a lock that is about to be free.
const WAIT: Duration = Duration::from_secs(30);

/// One kind of request.
#[derive(Clone, Debug, Serialize)]
pub struct Took {
    /// How long.
    pub us: Quantiles,
    /// Its median over the floor.
    pub ratio: f64,
}

/// All of them, one after the other in turn.
#[derive(Clone, Debug, Serialize)]
pub struct Services {
    /// Measured in every turn.
    #[serde(flatten)]
    pub floor: FloorUs,
    /// A put, to compare with.
    pub put: Took,
    /// A lease is renewed: a round trip to a quorum, and nothing in the log.
    pub renewal: Took,
    /// A free lock is taken on a lease that is there.
    pub lock: Took,
    /// It is let go of.
    pub release: Took,
    /// A lock that is let go of comes to another client that waits: from the first's asking to the
    /// second's having it.
    pub handover: Took,
    /// An incumbent resigns and the next candidate, another client, knows that it is granted.
    pub succession: Took,
    /// A put is seen by a watch of another client: from the asking to the seeing.
    pub watch: Took,
}

#[derive(Debug)]
struct Measured {
    put: Spans,
    renewal: Spans,
    lock: Spans,
    release: Spans,
    handover: Spans,
    succession: Spans,
    watch: Spans,
}

/// Measures for so long.
pub async fn services(
    config: &Path,
    floor_dir: &Path,
    span: Duration,
) -> Result<Services, BenchError> {
    let (client, other) = (connect(config).await?, connect(config).await?);
    let lease = client.lease(TTL).await?;
    let mut floor = Floor::new(floor_dir)?;
    let mut measured = Measured {
        put: Spans::new(),
        renewal: Spans::new(),
        lock: Spans::new(),
        release: Spans::new(),
        handover: Spans::new(),
        succession: Spans::new(),
        watch: Spans::new(),
    };
    let begun = Instant::now();
    while begun.elapsed() < span {
        measured.put.time(put(&client.kv(), "bench/put")).await?;
        measured.renewal.time(client.renew_lease(lease.id())).await?;
        let locked = measured.lock.time(client.lock("bench").on(&lease).into_future()).await?;
        let guard = held(locked)?;
        measured.release.time(guard.release()).await?;
        measured.handover.add(handover(&client, &other).await?);
        measured.succession.add(succession(&client, &other).await?);
        measured.watch.add(watched(&client, &other).await?);
        floor.measure(&client).await?;
    }
    lease.revoke().await?;
    client.close().await;
    other.close().await;
    Ok(measured.over(floor.us()))
}

impl Measured {
    fn over(self, floor: FloorUs) -> Services {
        let took = |spans: &Spans| {
            let us = spans.quantiles();
            Took { us, ratio: floor.ratio(us.p50) }
        };
        Services {
            put: took(&self.put),
            renewal: took(&self.renewal),
            lock: took(&self.lock),
            release: took(&self.release),
            handover: took(&self.handover),
            succession: took(&self.succession),
            watch: took(&self.watch),
            floor,
        }
    }
}

async fn put(kv: &Kv, key: &'static str) -> Result<(), BenchError> {
    kv.put(key, vec![7; 128]).await?;
    Ok(())
}

fn held(locked: Locked) -> Result<LockGuard, BenchError> {
    let other = || BenchError::Cluster("a lock of this measurement is another's".to_owned());
    locked.guard().ok_or_else(other)
}

async fn handover(first: &Client, second: &Client) -> Result<Duration, BenchError> {
    let guard = held(first.lock("bench/handover").ttl(TTL).await?)?;
    let second = second.clone();
    let waits = tokio::spawn(async move {
        let locked = second.lock("bench/handover").ttl(TTL).wait(WAIT).await?;
        Ok::<_, BenchError>((held(locked)?, Instant::now()))
    });
    // The second is in the queue before the first lets go, or the queue would not be measured.
    while first.lock_view("bench/handover").await?.is_none_or(|view| view.waiting == 0) {
        tokio::task::yield_now().await;
    }
    let asked = Instant::now();
    guard.release().await?;
    let waited = waits.await.map_err(|error| BenchError::Cluster(error.to_string()))?;
    let (guard, had) = waited?;
    guard.release().await?;
    Ok(had - asked)
}

async fn succession(first: &Client, second: &Client) -> Result<Duration, BenchError> {
    let stands = |client: &Client, id: &'static str| {
        let campaign = client.election("bench").campaign(id).ttl(TTL);
        async move { campaign.stand().await }
    };
    let office = stands(first, "first").await?.granted().await?;
    let next = stands(second, "second").await?;
    let waits = tokio::spawn(async move {
        let office = next.granted().await?;
        Ok::<_, BenchError>((office, Instant::now()))
    });
    let asked = Instant::now();
    office.resign().await?;
    let waited = waits.await.map_err(|error| BenchError::Cluster(error.to_string()))?;
    let (office, granted) = waited?;
    office.resign().await?;
    Ok(granted - asked)
}

async fn watched(writer: &Client, watcher: &Client) -> Result<Duration, BenchError> {
    let mut watch = watcher.kv().watch("bench/watch");
    let (ready, begun) = oneshot::channel();
    let sees = tokio::spawn(async move {
        let mut ready = Some(ready);
        while let Some(item) = watch.next().await {
            match item? {
                Watched::Changed { .. } => return Ok(Instant::now()),
                // From here on it waits for what is new.
                _ => drop(ready.take().map(|ready| ready.send(()))),
            }
        }
        Err(BenchError::Cluster("a watch has ended".to_owned()))
    });
    begun.await.map_err(|_| BenchError::Cluster("a watch never began".to_owned()))?;
    let asked = Instant::now();
    put(&writer.kv(), "bench/watch").await?;
    let seen = sees.await.map_err(|error| BenchError::Cluster(error.to_string()))??;
    Ok(seen - asked)
}
