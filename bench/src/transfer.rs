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
    quantiles::{Spans, micros},
    stage::Stage,
    takeover::Beginning,
};

/// A put that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Measurements of the floor, and puts in peace, around each transfer.
const FLOORS: usize = 20;
const PEACE: Duration = Duration::from_millis(300);

/// Transfers of the lead.
#[derive(Clone, Debug, Serialize)]
pub struct Transfers {
    /// `synod.bench.transfer/1`.
    pub schema: &'static str,
    /// For each of them the longest put that was under way at any time from when the leader was
    /// told until the next one served, in microseconds; the shortest first.
    pub outages_us: Vec<u64>,
    /// Each of them with its parts, in the order in which they were made.
    pub transfers: Vec<Transfer>,
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

/// One transfer of the lead, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Which of them it was; the first is 1.
    pub number: usize,
    /// As in [`Transfers::outages_us`].
    pub outage_us: u64,
    /// How long the next leader had seen no leader when a quorum had promised.
    pub phase_1_us: u64,
    /// From there until it served.
    pub first_commit_us: u64,
    /// From there until the client had found it and that put was done there.
    pub search_us: u64,
    /// The longest put that began after that, until the last leader had stopped: a process that
    /// ends writes what it has in memory to the disk that all share here.
    pub after_us: u64,
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
    let (mut calm, mut transfers, mut failed) = (Spans::new(), Vec::new(), 0);
    for number in 1..=times {
        for _ in 0..FLOORS {
            floor.measure(&client).await?;
        }
        putter.told(&mut failed);
        let new = number == 1 || what == Told::Stop;
        tokio::time::sleep(if new { load::SETTLES_WITHIN } else { PEACE }).await;
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
        let beginning = Beginning::of(&client, &client.leader().await?).await?;
        let began = beginning.served();
        let met = longest(&puts, told, began).ok_or_else(|| {
            BenchError::Cluster("nothing was put while the lead was handed over".to_owned())
        })?;
        let after = puts.iter().filter(|put| put.begun > began && put.begun <= served);
        let after_us = after.map(|put| micros(put.ended - put.begun)).max().unwrap_or_default();
        transfers.push(met.transfer(number, &beginning, after_us));
        if what == Told::Stop {
            stage.start(&leader)?;
            load::level(&client, &leader, PATIENCE).await?;
        }
    }
    putter.end(&mut failed).await?;
    client.close().await;
    Ok(Transfers::of(transfers, failed, calm.quantiles(), floor.us()))
}

/// Of the puts that were under way at any time from when the leader was told until the next one
/// served.
fn longest(puts: &[Put], told: Instant, served: Instant) -> Option<&Put> {
    let meets = |put: &&Put| put.ended >= told && put.begun <= served;
    puts.iter().filter(meets).max_by_key(|put| put.ended - put.begun)
}

impl Put {
    fn transfer(&self, number: usize, beginning: &Beginning, after_us: u64) -> Transfer {
        Transfer {
            number,
            outage_us: micros(self.ended - self.begun),
            phase_1_us: beginning.phase_1_us,
            first_commit_us: beginning.first_commit_us,
            search_us: beginning.search_us(self.begun, self.ended),
            after_us,
        }
    }
}

/// The node after this one.
fn next<'a>(nodes: &'a [String], leader: &str) -> &'a str {
    let place = nodes.iter().position(|node| node == leader).unwrap_or(0);
    &nodes[(place + 1) % nodes.len()]
}

impl Transfers {
    fn of(transfers: Vec<Transfer>, failed: u64, calm_us: Quantiles, floor: FloorUs) -> Transfers {
        let mut outages_us: Vec<_> = transfers.iter().map(|each| each.outage_us).collect();
        outages_us.sort_unstable();
        let quantiles = |of: fn(&Transfer) -> u64| {
            let mut spans = Spans::new();
            transfers.iter().for_each(|each| spans.add(Duration::from_micros(of(each))));
            spans.quantiles()
        };
        Transfers {
            schema: "synod.bench.transfer/1",
            outages_us,
            phase_1_us: quantiles(|each| each.phase_1_us),
            first_commit_us: quantiles(|each| each.first_commit_us),
            transfers,
            failed,
            calm_us,
            bound_us: 5 * floor.quorum_rtt_us.p50 + 2 * floor.sync_us.p50,
            floor,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles and the list of outages lose which transfer was which; the rows do not.
    #[test]
    fn transfers_stay_in_their_order_and_outages_are_sorted() {
        let row = |(number, outage_us)| Transfer {
            number,
            outage_us,
            phase_1_us: 10 * number as u64,
            first_commit_us: 1,
            search_us: 2,
            after_us: 3,
        };
        let rows = [(1, 50), (2, 400), (3, 60)].map(row).to_vec();
        let told = Transfers::of(rows, 0, Quantiles::default(), FloorUs::default());
        let numbers: Vec<_> = told.transfers.iter().map(|each| each.number).collect();
        assert_eq!((numbers, told.outages_us.clone()), (vec![1, 2, 3], vec![50, 60, 400]));
        assert_eq!((told.median_us(), told.phase_1_us.p50, told.phase_1_us.max), (60, 20, 30));
    }

    /// A put that ended before the leader was told, and one that began when another was done, say
    /// nothing of the transfer, however long they took.
    #[test]
    fn the_longest_put_is_one_that_met_the_transfer() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let put = |(begun, ended)| Put { begun: at(begun), ended: at(ended), done: true };
        let puts = [(0, 90), (99, 101), (101, 108), (109, 200)].map(put);
        let longest = longest(&puts, at(100), at(108)).unwrap();
        assert_eq!((longest.begun, longest.ended), (at(101), at(108)));
    }

    /// Of a put that is long for reasons of its own, a second after the transfer, nothing was
    /// search before it was begun.
    #[test]
    fn no_put_is_searched_for_longer_than_it_took() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let beginning = Beginning { promised: at(10), phase_1_us: 3_000, first_commit_us: 2_000 };
        for (begun, ended, search_us) in [(5, 19, 7_000), (1_000, 1_048, 48_000), (5, 11, 0)] {
            let put = Put { begun: at(begun), ended: at(ended), done: true };
            let transfer = put.transfer(1, &beginning, 0);
            assert_eq!((transfer.search_us, transfer.phase_1_us), (search_us, 3_000));
        }
    }
}
