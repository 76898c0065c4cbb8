//! How much a snapshot, or a peer that catches up, lengthens the puts of others.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::Client;
use tokio::{sync::mpsc, task::JoinSet, time::interval};

use crate::{BenchError, Quantiles, load, quantiles::Spans, stage::Stage};

/// A snapshot for so much of the log: under the load below, every few seconds at each node.
pub const EVERY_BYTES: u64 = 8 << 20;
/// Keys of the state that is written down, each with a value of [`VALUE_BYTES`].
const KEYS: u64 = 200_000;
const VALUE_BYTES: usize = 128;
/// Keys of one batch while the state is made.
const KEYS_AT_ONCE: u64 = 100;
/// Clients that put in a closed loop.
const CLIENTS: u64 = 16;
/// How often it is looked at what the nodes do.
const LOOK: Duration = Duration::from_millis(2);
/// How long puts are measured with snapshots coming and going.
const SPAN: Duration = Duration::from_secs(40);
/// How long one node is away.
const AWAY: Duration = Duration::from_secs(15);

/// Puts of sixteen clients by what the nodes were at, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Lengthened {
    /// Bytes of one snapshot.
    pub snapshot_bytes: u64,
    /// Puts while no node wrote a snapshot.
    pub calm_us: Quantiles,
    /// Puts during which some node did.
    pub snapshot_us: Quantiles,
    /// How many snapshots were begun meanwhile.
    pub snapshots: u64,
    /// Puts while one of three nodes was away.
    pub away_us: Quantiles,
    /// Puts while it fetched what it had missed, a snapshot among it.
    pub catching_up_us: Quantiles,
    /// How long that took.
    pub caught_up_after_ms: u64,
    /// The same where the node that catches up takes no processor from the others.
    pub catching_up_aside_us: Quantiles,
    /// How long that took.
    pub caught_up_aside_after_ms: u64,
}

/// A node that has not caught up by then does not.
const PATIENCE: Duration = Duration::from_secs(120);

/// One put: when it began and how long it took.
type Put = (Instant, Duration);

/// Makes a state worth writing down, and measures.
pub async fn lengthened(stage: &mut Stage) -> Result<Lengthened, BenchError> {
    let client = load::connect(&stage.client()).await?;
    fill(&client).await?;
    let mut load = Load::start(&client);
    let writing = watch_snapshots(stage.dir()).await?;
    let (mut calm, mut during) = (Spans::new(), Spans::new());
    for put in load.puts() {
        let hit = writing.spans.iter().any(|(from, upto)| put.0 < *upto && *from < put.0 + put.1);
        if hit { &mut during } else { &mut calm }.add(put.1);
    }
    let sleeper = a_follower(&client).await?;
    let mut away = Spans::new();
    let (catching_up, after) =
        return_of(&sleeper, false, &mut away, stage, &client, &mut load).await?;
    let (aside, aside_after) =
        return_of(&sleeper, true, &mut away, stage, &client, &mut load).await?;
    load.stop().await?;
    client.close().await;
    Ok(Lengthened {
        snapshot_bytes: writing.bytes,
        calm_us: calm.quantiles(),
        snapshot_us: during.quantiles(),
        snapshots: writing.spans.len() as u64,
        away_us: away.quantiles(),
        catching_up_us: catching_up.quantiles(),
        caught_up_after_ms: millis(after),
        catching_up_aside_us: aside.quantiles(),
        caught_up_aside_after_ms: millis(aside_after),
    })
}

/// A node is away for a while and comes back: puts until it has caught up, and how long that took.
async fn return_of(
    sleeper: &str,
    aside: bool,
    away: &mut Spans,
    stage: &mut Stage,
    client: &Client,
    load: &mut Load,
) -> Result<(Spans, Duration), BenchError> {
    load.puts();
    stage.kill(sleeper);
    tokio::time::sleep(AWAY).await;
    load.puts().iter().for_each(|put| away.add(put.1));
    if aside {
        stage.start_aside(sleeper)?
    } else {
        stage.start(sleeper)?
    }
    let back = Instant::now();
    load::level(client, sleeper, PATIENCE).await?;
    let after = back.elapsed();
    let mut catching_up = Spans::new();
    load.puts().iter().filter(|put| put.0 >= back).for_each(|put| catching_up.add(put.1));
    Ok((catching_up, after))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

async fn fill(client: &Client) -> Result<(), BenchError> {
    for first in (0..KEYS).step_by(KEYS_AT_ONCE as usize) {
        let mut multi = client.kv().multi();
        for number in first..first + KEYS_AT_ONCE {
            multi = multi.put(key(number), vec![7; VALUE_BYTES]);
        }
        multi.await?;
    }
    Ok(())
}

fn key(number: u64) -> String {
    format!("bench/{:06}", number % KEYS)
}

async fn a_follower(client: &Client) -> Result<String, BenchError> {
    let leader = client.leader().await?;
    let status = client.status(&leader).await?;
    let follower = status.peers.first().map(|peer| peer.node.clone());
    follower.ok_or_else(|| BenchError::Cluster("the leader has no peers".to_owned()))
}

/// Clients that put until they are told to stop.
struct Load {
    tasks: JoinSet<Result<(), BenchError>>,
    stop: Arc<AtomicBool>,
    done: mpsc::UnboundedReceiver<Put>,
}

impl Load {
    fn start(client: &Client) -> Load {
        let (stop, (say, done)) = (Arc::new(AtomicBool::new(false)), mpsc::unbounded_channel());
        let mut tasks = JoinSet::new();
        for first in 0..CLIENTS {
            let (client, stop, say) = (client.clone(), Arc::clone(&stop), say.clone());
            tasks.spawn(async move {
                let mut number = first;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    client.kv().put(key(number), vec![8; VALUE_BYTES]).await?;
                    // Nobody listens any more when the measurement is over.
                    let _ = say.send((begun, begun.elapsed()));
                    // All over the state: each put changes another leaf of it.
                    number = number.wrapping_add(7_919);
                }
                Ok(())
            });
        }
        Load { tasks, stop, done }
    }

    /// What has ended since the last time.
    fn puts(&mut self) -> Vec<Put> {
        let mut puts = Vec::new();
        while let Ok(put) = self.done.try_recv() {
            puts.push(put);
        }
        puts
    }

    async fn stop(mut self) -> Result<(), BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| BenchError::Cluster(error.to_string()))??;
        }
        Ok(())
    }
}

/// When snapshots were being written.
struct Writing {
    spans: Vec<(Instant, Instant)>,
    bytes: u64,
}

/// Looks for a while at the names of the nodes' files: a snapshot that is being written has one of
/// its own.
async fn watch_snapshots(cluster: &Path) -> Result<Writing, BenchError> {
    let mut writing = Writing { spans: Vec::new(), bytes: 0 };
    let (mut since, begun, mut clock) = (None, Instant::now(), interval(LOOK));
    while begun.elapsed() < SPAN {
        clock.tick().await;
        let (under_way, largest) = snapshots(cluster)?;
        writing.bytes = writing.bytes.max(largest);
        match (under_way, since) {
            (true, None) => since = Some(Instant::now()),
            (false, Some(from)) => {
                writing.spans.push((from, Instant::now()));
                since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    writing.spans.extend(since.map(|from| (from, Instant::now())));
    Ok(writing)
}

/// Whether one is being written, and the bytes of the largest that stands.
fn snapshots(cluster: &Path) -> Result<(bool, u64), BenchError> {
    let (mut under_way, mut largest) = (false, 0);
    let mut places = vec![cluster.to_path_buf()];
    while let Some(place) = places.pop() {
        for entry in place.read_dir().map_err(BenchError::io("the nodes' directories"))? {
            let entry = entry.map_err(BenchError::io("the nodes' directories"))?;
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                places.push(path);
            } else if name.to_string_lossy().starts_with("snapshot-") {
                under_way |= path.extension().is_some_and(|end| end == "new");
                // It may have been removed meanwhile.
                largest = largest.max(entry.metadata().map_or(0, |meta| meta.len()));
            }
        }
    }
    Ok((under_way, largest))
}
