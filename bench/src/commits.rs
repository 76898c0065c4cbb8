//! Where one client's commits over two shards spend their time: phase by phase, beside the floor of
//! the same seconds; and how often shards and nodes sync for one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use synod_client::{
    Client, Outcome,
    machine::{Mutation, branch::Work},
};

use crate::{
    BenchError, Quantiles,
    floor::{Floor, FloorUs},
    held::{Held, Holding, Synced, Syncs},
    load::connect,
    quantiles::Spans,
    stage::Stage,
};

/// Commits one right after the other, between two measurements of the floor.
const IN_A_ROW: u64 = 50;
const KEYS: u64 = 10_000;
const VALUE_BYTES: usize = 128;

/// What they took.
#[derive(Clone, Debug, Serialize)]
pub struct Commits {
    /// How many.
    pub commits: u64,
    /// Measured in every turn.
    #[serde(flatten)]
    pub floor: FloorUs,
    /// A question that a shard answers from memory, on the same way as a prepare.
    pub shard_rtt_us: Quantiles,
    /// From asking to having both votes.
    pub prepare_us: Quantiles,
    /// From there to the verdict.
    pub decide_us: Quantiles,
    /// Both.
    pub commit_us: Quantiles,
    /// The median over a client's round trip and a sync more than the floor.
    pub over_floor: f64,
    /// Of each shard, for one commit.
    pub shard: Synced,
    /// Of each node, for one commit.
    pub node: Synced,
    /// From the durable yes to the durable end.
    pub held: Held,
}

/// Commits at all of these shards, again and again, for so long.
pub async fn commits(
    stage: &Stage,
    shards: &[String],
    nodes: &[String],
    span: Duration,
) -> Result<Commits, BenchError> {
    let client = connect(&stage.client()).await?;
    let mut floor = Floor::new(stage.dir())?;
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut shard_rtt, mut spans) = (Spans::new(), [(); 3].map(|()| Spans::new()));
    let before = (Holding::of(stage, shards)?, Syncs::of(stage, shards)?, Syncs::of(stage, nodes)?);
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < span {
        floor.measure(&client).await?;
        for shard in shards {
            // The end of the last commit may be synced for whoever asks first.
            client.shard(shard).in_doubt().await?;
            let asked = Instant::now();
            client.shard(shard).in_doubt().await?;
            shard_rtt.add(asked.elapsed());
        }
        for _ in 0..IN_A_ROW {
            commit_once(&client, shards, &mut rng, &mut spans).await?;
            count += 1;
        }
    }
    client.close().await;
    let held = Holding::of(stage, shards)?.since(before.0);
    let shard = Syncs::of(stage, shards)?.since(before.1).of_each(shards.len(), count);
    let node = Syncs::of(stage, nodes)?.since(before.2).of_each(nodes.len(), count);
    let [prepare, decide, commit] = spans;
    let (floor, commit_us) = (floor.us(), commit.quantiles());
    let bound = floor.floor_us + floor.client_rtt_us.p50 + floor.sync_us.p50;
    Ok(Commits {
        commits: count,
        shard_rtt_us: shard_rtt.quantiles(),
        prepare_us: prepare.quantiles(),
        decide_us: decide.quantiles(),
        commit_us,
        over_floor: commit_us.p50 as f64 / bound.max(1) as f64,
        floor,
        shard,
        node,
        held,
    })
}

async fn commit_once(
    client: &Client,
    shards: &[String],
    rng: &mut fastrand::Rng,
    [prepare, decide, commit]: &mut [Spans; 3],
) -> Result<(), BenchError> {
    let key = Bytes::from(format!("bench/{:08}", rng.u64(..KEYS)));
    let put = Mutation::Put { key, value: vec![7; VALUE_BYTES].into() };
    let work = Work { guards: Vec::new(), mutations: vec![put] };
    let txn = shards.iter().fold(client.txn(), |txn, shard| txn.ask(shard, work.clone()));
    let begun = Instant::now();
    let prepared = txn.prepare().await?;
    let voted = Instant::now();
    match prepared.decide().await? {
        Outcome::Committed { .. } => {
            prepare.add(voted - begun);
            decide.add(voted.elapsed());
            commit.add(begun.elapsed());
            Ok(())
        }
        // The end of the one before has not come yet, and it had the same key.
        Outcome::Aborted { .. } => Ok(()),
    }
}
