//! What grows with use: commits after millions of commands, the opening of a large state, and
//! commits of many shards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::{Client, Config};
use tokio::task::JoinSet;

use crate::{
    BenchError,
    callers::{Service, Synod},
    load::{self, Lone},
    stage::{Setting, Stage},
    trial::{Mix, Op, Outcome, Pace, Plan, Work, trial},
};

/// How long each load is measured.
const SPAN: Duration = Duration::from_secs(10);
const WARMUP: Duration = Duration::from_secs(2);
const CLIENTS: u64 = 256;
/// Clients that share a connection.
const PER_CONNECTION: u64 = 64;
const VALUE_BYTES: usize = 128;
const KEYS: u64 = 100_000;
/// A large state is made of such values.
const LARGE_BYTES: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(600);
const NODES: u16 = 3;
const CLIENTS_PER_SHARD: usize = 8;

/// A lone client's puts before and after many commands.
#[derive(Clone, Debug, Serialize)]
pub struct Aged {
    /// `synod.bench.aged/1`.
    pub schema: &'static str,
    /// Commands between the two.
    pub commands: u64,
    /// How long those took.
    pub after_s: f64,
    /// Before.
    pub young: Lone,
    /// After.
    pub old: Lone,
    /// Median over floor after, over the same before: the disk and the network may have changed
    /// meanwhile.
    pub ratio: f64,
}

/// Measures, has so many commands done, and measures again.
pub async fn aged(stage: &Stage, commands: u64) -> Result<Aged, BenchError> {
    let (config, dir) = (stage.client(), stage.dir());
    let young = load::lone(&config, dir, SPAN).await?;
    let begun = Instant::now();
    let number = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let mut shared: Option<Client> = None;
    for client in 0..CLIENTS {
        let client = match shared.clone().filter(|_| client % PER_CONNECTION != 0) {
            Some(client) => client,
            None => load::connect(&config).await?,
        };
        shared = Some(client.clone());
        let number = Arc::clone(&number);
        tasks.spawn(async move {
            loop {
                let next = number.fetch_add(1, Ordering::Relaxed);
                if next >= commands {
                    return Ok::<_, BenchError>(());
                }
                let key = format!("bench/{:08}", next.wrapping_mul(7_919) % KEYS);
                client.kv().put(key, vec![7; VALUE_BYTES]).await?;
            }
        });
    }
    joined(tasks).await?;
    let after_s = begun.elapsed().as_secs_f64();
    let old = load::lone(&config, dir, SPAN).await?;
    let ratio = old.ratio / young.ratio.max(f64::EPSILON);
    Ok(Aged { schema: "synod.bench.aged/1", commands, after_s, young, old, ratio })
}

/// A node that was killed opens its state.
#[derive(Clone, Debug, Serialize)]
pub struct Reopened {
    /// `synod.bench.reopened/1`.
    pub schema: &'static str,
    /// MiB of values in the state.
    pub mib: u64,
    /// How long they took to be put, in seconds.
    pub filled_s: f64,
    /// Milliseconds from the start of the process until it listened, which it does when its state
    /// is whole again as far as its own disk goes.
    pub opened_ms: u64,
    /// And until it had caught up with the others.
    pub level_ms: u64,
    /// Resident memory of the largest node then.
    pub rss_kib: u64,
}

/// Fills the state with so many MiB, kills a follower, and starts it again.
pub async fn reopened(stage: &mut Stage, mib: u64) -> Result<Reopened, BenchError> {
    let client = load::connect(&stage.client()).await?.within(PATIENCE);
    let begun = Instant::now();
    let count = (mib << 20) / LARGE_BYTES as u64;
    let number = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS_PER_SHARD {
        let (client, number) = (client.clone(), Arc::clone(&number));
        tasks.spawn(async move {
            loop {
                let next = number.fetch_add(1, Ordering::Relaxed);
                if next >= count {
                    return Ok::<_, BenchError>(());
                }
                let value = vec![next as u8; LARGE_BYTES];
                client.kv().put(format!("bench/{next:08}"), value).await?;
            }
        });
    }
    joined(tasks).await?;
    let filled_s = begun.elapsed().as_secs_f64();
    let leader = client.leader().await?;
    let status = client.status(&leader).await?;
    let follower = status.peers.first().map(|peer| peer.node.clone());
    let follower =
        follower.ok_or_else(|| BenchError::Cluster("the leader has no peers".to_owned()))?;
    load::level(&client, &follower, PATIENCE).await?;
    stage.kill(&follower);
    let started = Instant::now();
    stage.start(&follower)?;
    let opened_ms = millis(started.elapsed());
    load::level(&client, &follower, PATIENCE).await?;
    let level_ms = millis(started.elapsed());
    client.close().await;
    let rss_kib = stage.rss_kib().into_values().max().unwrap_or_default();
    let schema = "synod.bench.reopened/1";
    Ok(Reopened { schema, mib, filled_s, opened_ms, level_ms, rss_kib })
}

/// Commits of so many shards at once.
#[derive(Clone, Debug, Serialize)]
pub struct Shards {
    /// How many.
    pub shards: u16,
    /// Commits a second of each.
    pub per_shard_per_s: f64,
    /// What came of the load on all of them.
    pub outcome: Outcome,
}

/// Eight clients at each of so many shards, each transaction at one of them.
pub async fn shards(stage: &Stage, names: &[String]) -> Result<Shards, BenchError> {
    let config = Config::load(&stage.client());
    let config = config.map_err(|error| BenchError::Cluster(error.to_string()))?;
    let service = Service::Synod(Synod::open(config, None).await?);
    let mut work = Work::of(Mix::only(Op::Commit), KEYS, VALUE_BYTES);
    work.participants = names.to_vec();
    work.one_of_them = true;
    let clients = CLIENTS_PER_SHARD * names.len();
    let plan = Plan { work, clients, pace: Pace::Closed, warmup: WARMUP, span: SPAN };
    let outcome = trial(&plan, vec![service], |_| {}).await?.pop();
    let outcome =
        outcome.ok_or_else(|| BenchError::Cluster("a trial without an outcome".to_owned()))?;
    let count = u16::try_from(names.len()).unwrap_or(u16::MAX);
    let per_shard_per_s = outcome.ops_per_s / f64::from(count.max(1));
    Ok(Shards { shards: count, per_shard_per_s, outcome })
}

/// A cluster with so many shards, and their names.
pub fn with_shards(
    synod: &std::path::Path,
    count: u16,
) -> Result<(Stage, Vec<String>), BenchError> {
    let participants: Vec<String> = (1..=count).map(|number| format!("p{number}")).collect();
    let setting = Setting { participants: participants.clone(), ..Setting::default() };
    Ok((Stage::open_with(synod, NODES, "", &setting)?, participants))
}

async fn joined(mut tasks: JoinSet<Result<(), BenchError>>) -> Result<(), BenchError> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| BenchError::Cluster(error.to_string()))??;
    }
    Ok(())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
