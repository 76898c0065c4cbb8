//! How long clients wait when the leader is told to stop, as an operator restarts nodes in turn, or
//! to hand the lead to another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::Client;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    BenchError, Quantiles,
    callers::Answered,
    floor::{Floor, FloorUs},
    load,
    quantiles::Spans,
    stage::Stage,
};

/// A put that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Measurements of the floor, and puts in peace, around each transfer.
const FLOORS: usize = 20;
const PEACE: Duration = Duration::from_millis(300);

/// Transfers of the lead, the shortest outage first.
#[derive(Clone, Debug, Serialize)]
pub struct Transfers {
    /// `synod.bench.transfer/1`.
    pub schema: &'static str,
    /// For each of them the longest put that was under way at any time from when the leader was
    /// told until a put after that was done, in microseconds.
    pub outages_us: Vec<u64>,
    /// How long the next leaders had seen no leader when a quorum had promised.
    pub phase_1_us: Quantiles,
    /// From there until they served.
    pub first_commit_us: Quantiles,
    /// Puts that were not done, of all that were asked in the whole time.
    pub failed: u64,
    /// Puts while nobody was told anything.
    pub calm_us: Quantiles,
    /// Measured before each transfer.
    #[serde(flatten)]
    pub floor: FloorUs,
    /// Five round trips to a quorum and two syncs.
    pub bound_us: u64,
}

/// One put of the client that puts without pause.
struct Put {
    begun: Instant,
    ended: Instant,
    done: bool,
}

struct Putter {
    stop: Arc<AtomicBool>,
    puts: mpsc::UnboundedReceiver<Put>,
    task: JoinHandle<Result<(), BenchError>>,
}

/// What the leader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// To stop: it is started again each time.
    Stop,
    /// To hand the lead to the next node in turn.
    Move,
}

/// Tells the leader to hand over `times` times, under a client that puts without pause.
pub async fn transfers(
    stage: &mut Stage,
    times: usize,
    what: Told,
) -> Result<Transfers, BenchError> {
    let client = load::connect(&stage.client()).await?.within(PATIENCE);
    let nodes: Vec<String> = client.status_all().await.into_iter().map(|(name, _)| name).collect();
    let mut floor = Floor::new(stage.dir())?;
    let mut putter = Putter::start(&load::connect(&stage.client()).await?.within(PATIENCE));
    let (mut calm, mut outages_us, mut failed) = (Spans::new(), Vec::new(), 0);
    let (mut phase_1, mut first_commit) = (Spans::new(), Spans::new());
    for _ in 0..times {
        for _ in 0..FLOORS {
            floor.measure(&client).await?;
        }
        putter.told(&mut failed);
        tokio::time::sleep(PEACE).await;
        for put in putter.told(&mut failed) {
            calm.add(put.ended - put.begun);
        }
        let leader = client.leader().await?;
        let told = match what {
            Told::Stop => stage.stop(&leader).await?,
            Told::Move => {
                let told = Instant::now();
                client.move_lead(next(&nodes, &leader)).await?;
                told
            }
        };
        let served = Answered::of(client.kv().put("bench/served", vec![7; 128]).await)?.0;
        failed += u64::from(served != Answered::Done);
        let served = Instant::now();
        // Whatever was under way by then ends meanwhile.
        tokio::time::sleep(PEACE).await;
        let puts = putter.told(&mut failed);
        let meets = |put: &&Put| put.ended >= told && put.begun <= served;
        let longest = puts.iter().filter(meets).map(|put| put.ended - put.begun).max();
        let longest = longest.ok_or_else(|| {
            BenchError::Cluster("nothing was put after a transfer of the lead".to_owned())
        })?;
        outages_us.push(u64::try_from(longest.as_micros()).unwrap_or(u64::MAX));
        let status = client.status(&client.leader().await?).await?;
        phase_1.add(Duration::from_micros(status.phase_1_us));
        let first_commit_us = status.takeover_us.saturating_sub(status.phase_1_us);
        first_commit.add(Duration::from_micros(first_commit_us));
        if what == Told::Stop {
            stage.start(&leader)?;
            load::level(&client, &leader, PATIENCE).await?;
        }
    }
    putter.end(&mut failed).await?;
    client.close().await;
    outages_us.sort_unstable();
    let (calm_us, floor) = (calm.quantiles(), floor.us());
    let (phase_1_us, first_commit_us) = (phase_1.quantiles(), first_commit.quantiles());
    let bound_us = 5 * floor.quorum_rtt_us.p50 + 2 * floor.sync_us.p50;
    let schema = "synod.bench.transfer/1";
    Ok(Transfers {
        schema,
        outages_us,
        phase_1_us,
        first_commit_us,
        failed,
        calm_us,
        floor,
        bound_us,
    })
}

/// The node after this one.
fn next<'a>(nodes: &'a [String], leader: &str) -> &'a str {
    let place = nodes.iter().position(|node| node == leader).unwrap_or(0);
    &nodes[(place + 1) % nodes.len()]
}

impl Transfers {
    /// The outage in the middle.
    pub fn median_us(&self) -> u64 {
        self.outages_us.get(self.outages_us.len() / 2).copied().unwrap_or_default()
    }
}

impl Putter {
    fn start(client: &Client) -> Putter {
        let (stop, (say, puts)) = (Arc::new(AtomicBool::new(false)), mpsc::unbounded_channel());
        let (client, stopped) = (client.clone(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let put = client.kv().put("bench/transfer", vec![7; 128]).await;
                let done = Answered::of(put)?.0 == Answered::Done;
                // Nobody listens any more when the measurement is over.
                let _ = say.send(Put { begun, ended: Instant::now(), done });
            }
            client.close().await;
            Ok(())
        });
        Putter { stop, puts, task }
    }

    /// What has ended since the last time; those that were not done are counted.
    fn told(&mut self, failed: &mut u64) -> Vec<Put> {
        let mut puts = Vec::new();
        while let Ok(put) = self.puts.try_recv() {
            *failed += u64::from(!put.done);
            puts.push(put);
        }
        puts
    }

    async fn end(mut self, failed: &mut u64) -> Result<(), BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = (&mut self.task).await;
        self.told(failed);
        ended.map_err(|error| BenchError::Cluster(error.to_string()))?
    }
}
