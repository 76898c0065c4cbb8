use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use synod_client::machine::door::Stages;

use super::{Mix, Op, Pace, Plan, Round};
use crate::{callers::Used, floor::FloorUs, quantiles::Spans};

/// A load generator that uses more of the one thread that it has is what was measured.
const SATURATED: f64 = 0.9;
/// Student's t for a two-sided interval of 95 %, by degrees of freedom from 1; beyond the table the
/// normal distribution is near enough.
const T_95: [f64; 30] = [
    12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13,
    2.12, 2.11, 2.10, 2.09, 2.09, 2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04,
];

/// What came of a load on one system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Which.
    pub target: String,
    /// How many clients asked.
    pub clients: usize,
    /// How often all together, if they were told.
    pub rate_per_s: Option<u32>,
    /// Requests that were done, a second.
    pub ops_per_s: f64,
    /// How long they took; of an open loop from when they were due.
    pub latency_us: Latency,
    /// The same of each kind.
    pub by_op: BTreeMap<String, Latency>,
    /// What no request can be faster than, measured between the rounds.
    pub floor_us: Option<FloorSum>,
    /// Median over the sum of the floor.
    pub over_floor: Option<f64>,
    /// Where the median request was.
    pub stages_us: Option<StagesUs>,
    /// Requests that were not done.
    pub errors: Errors,
    /// Processor time of the servers, all together, for 10 000 requests.
    pub server_cpu_s_per_10k: Option<f64>,
    /// Memory of the servers.
    pub rss_bytes: Option<Resident>,
    /// How far the rounds lay apart.
    pub spread: Spread,
    /// Each of them.
    pub rounds: Vec<RoundOutcome>,
    /// Of what made the load.
    pub generator: Generator,
    /// Requests by how long they took: up to so many microseconds, and how many.
    pub histogram_us: Vec<(u64, u64)>,
}

/// How long requests took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// Half took at most this.
    pub p50: u64,
    /// Nine in ten did.
    pub p90: u64,
    /// 99 in 100.
    pub p99: u64,
    /// 999 in 1 000.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// The floor, of medians, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorSum {
    /// A client's round trip to the leader.
    pub client_rtt: u64,
    /// The leader's to the nearest quorum.
    pub quorum_rtt: u64,
    /// A sync of a zero-filled file.
    pub sync: u64,
    /// The three together; of an atomic commit, which is two rounds, with a client's round trip and
    /// a sync more; of gets alone, which a leader with a lease answers by itself, the client's
    /// round trip.
    pub sum: u64,
}

/// Where the median request was, in microseconds. They add up to its latency, unless what is taken
/// for the network and the disk is more than that already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagesUs {
    /// Between client and leader: the floor's round trip.
    pub client_net: u64,
    /// Between the leader and a quorum: the floor's round trip.
    pub quorum_net: u64,
    /// The leader's own write, the mean of its batches.
    pub sync: u64,
    /// Waiting to be proposed, the mean of its batches.
    pub queue: u64,
    /// The rest: what this program takes for itself.
    pub synod: u64,
}

/// Requests that were not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Nothing was done.
    pub not_applied: u64,
    /// Nobody said.
    pub unknown: u64,
    /// They will never be.
    pub refused: u64,
}

/// Memory of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// Of the largest, at its largest.
    pub max: u64,
}

/// A figure over the rounds: their mean, and how far from it the true one may lie, 19 times in 20.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// So far to both sides.
    pub within: f64,
}

/// How far the rounds lay apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Requests a second.
    pub ops_per_s: Mean,
    /// Medians.
    pub p50_us: Mean,
}

/// One round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundOutcome {
    /// Requests a second.
    pub ops_per_s: f64,
    /// Their median.
    pub p50_us: u64,
    /// Their 99th percentile.
    pub p99_us: u64,
}

/// What made the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// The part of its one thread's time that it used.
    pub cpu_share: f64,
    /// How late it sent what it could have sent when it was due, of an open loop: 99th percentile.
    pub late_us_p99: Option<u64>,
    /// Whether it was at its own limit, so that the system may be better than this.
    pub saturated: bool,
}

/// What the rounds of one system add up to.
#[derive(Debug, Default)]
pub(super) struct Sums {
    rounds: Vec<RoundOutcome>,
    by_op: BTreeMap<&'static str, Spans>,
    late: Spans,
    errors: Errors,
    took: Duration,
    /// Processor time of the servers; unknown once it was unknown in a round.
    server_cpu_us: Option<u64>,
    resident: u64,
    stages: Stages,
    own_cpu: Duration,
}

impl FloorSum {
    /// A commit over participants is two rounds: they prepare and sync, then the log decides.
    /// Within the log it is one, as a put is.
    fn of(floor: &FloorUs, mix: &Mix) -> FloorSum {
        let (client_rtt, sync) = (floor.client_rtt_us.p50, floor.sync_us.p50);
        let sum = if mix.has(Op::Commit) {
            floor.floor_us + client_rtt + sync
        } else if mix.is_only(Op::Get) {
            client_rtt
        } else {
            floor.floor_us
        };
        FloorSum { client_rtt, quorum_rtt: floor.quorum_rtt_us.p50, sync, sum }
    }
}

impl Errors {
    pub(super) fn add(&mut self, other: Errors) {
        self.not_applied += other.not_applied;
        self.unknown += other.unknown;
        self.refused += other.refused;
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.not_applied + self.unknown + self.refused
    }
}

impl Latency {
    fn of(spans: &Spans) -> Latency {
        let quantiles = spans.quantiles();
        Latency {
            count: quantiles.count,
            p50: quantiles.p50,
            p90: quantiles.p90,
            p99: quantiles.p99,
            p999: spans.at(0.999),
            max: quantiles.max,
        }
    }
}

impl Mean {
    fn of(figures: &[f64]) -> Mean {
        let count = figures.len() as f64;
        let mean = figures.iter().sum::<f64>() / count.max(1.0);
        let Some(freedom) = figures.len().checked_sub(2) else { return Mean { mean, within: 0.0 } };
        let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
        let t = T_95.get(freedom).copied().unwrap_or(1.96);
        Mean { mean, within: t * (squares / (count - 1.0) / count).sqrt() }
    }
}

impl Sums {
    pub(super) fn add(
        &mut self,
        round: Round,
        (before, after): (Option<Used>, Option<Used>),
        own_cpu: Duration,
    ) {
        let all = round.all().quantiles();
        self.rounds.push(RoundOutcome {
            ops_per_s: round.ops_per_s(),
            p50_us: all.p50,
            p99_us: all.p99,
        });
        for (op, spans) in &round.spans {
            self.by_op.entry(op.word()).or_default().merge(spans);
        }
        self.late.merge(&round.late);
        self.errors.add(round.errors);
        self.took += round.took;
        self.own_cpu += own_cpu;
        let used = before.zip(after).map(|(before, after)| {
            self.resident = self.resident.max(after.resident_bytes);
            self.stages = summed(self.stages, before.stages, after.stages);
            after.cpu_us.saturating_sub(before.cpu_us)
        });
        let first = self.rounds.len() == 1;
        let so_far = if first { Some(0) } else { self.server_cpu_us };
        self.server_cpu_us = so_far.zip(used).map(|(sum, used)| sum + used);
    }

    pub(super) fn outcome(self, plan: &Plan, target: &str, floor: Option<FloorUs>) -> Outcome {
        let mut all = Spans::default();
        self.by_op.values().for_each(|spans| all.merge(spans));
        let latency_us = Latency::of(&all);
        let commits = plan.work.mix.has(Op::Commit);
        let floor_us = floor.map(|floor| FloorSum::of(&floor, &plan.work.mix));
        let figures = |of: fn(&RoundOutcome) -> f64| self.rounds.iter().map(of).collect::<Vec<_>>();
        let seconds = self.took.as_secs_f64().max(f64::EPSILON);
        let cpu_share = self.own_cpu.as_secs_f64() / seconds;
        let late = (self.late.count() > 0).then(|| self.late.at(0.99));
        let rate_per_s = match plan.pace {
            Pace::Closed => None,
            Pace::Open { per_s } => Some(per_s),
        };
        let per_10k = |cpu_us: u64| cpu_us as f64 / 100.0 / latency_us.count.max(1) as f64;
        Outcome {
            target: target.to_owned(),
            clients: plan.clients,
            rate_per_s,
            ops_per_s: latency_us.count as f64 / seconds,
            latency_us,
            by_op: self.by_op.iter().map(|(op, of)| ((*op).to_owned(), Latency::of(of))).collect(),
            floor_us,
            over_floor: floor_us.map(|floor| latency_us.p50 as f64 / floor.sum.max(1) as f64),
            stages_us: floor_us
                .filter(|_| !commits)
                .and_then(|floor| stages(latency_us.p50, floor, self.stages)),
            errors: self.errors,
            server_cpu_s_per_10k: self.server_cpu_us.map(per_10k),
            rss_bytes: (self.resident > 0).then_some(Resident { max: self.resident }),
            spread: Spread {
                ops_per_s: Mean::of(&figures(|round| round.ops_per_s)),
                p50_us: Mean::of(&figures(|round| round.p50_us as f64)),
            },
            rounds: self.rounds,
            generator: Generator { cpu_share, late_us_p99: late, saturated: cpu_share > SATURATED },
            histogram_us: all.buckets(),
        }
    }
}

fn stages(p50: u64, floor: FloorSum, spent: Stages) -> Option<StagesUs> {
    let mean = |sum: u64| sum.checked_div(spent.batches);
    let (sync, queue) = (mean(spent.sync_us)?, mean(spent.queue_us)?);
    let (client_net, quorum_net) = (floor.client_rtt, floor.quorum_rtt);
    let synod = p50.saturating_sub(client_net + quorum_net + sync + queue);
    Some(StagesUs { client_net, quorum_net, sync, queue, synod })
}

/// Adds what was spent between two moments.
fn summed(sum: Stages, before: Stages, after: Stages) -> Stages {
    let add = |sum: u64, before: u64, after: u64| sum + after.saturating_sub(before);
    Stages {
        batches: add(sum.batches, before.batches, after.batches),
        queue_us: add(sum.queue_us, before.queue_us, after.queue_us),
        sync_us: add(sum.sync_us, before.sync_us, after.sync_us),
        quorum_us: add(sum.quorum_us, before.quorum_us, after.quorum_us),
        apply_us: add(sum.apply_us, before.apply_us, after.apply_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantiles;

    /// The interval of three figures is wide, of many alike it is none.
    #[test]
    fn a_mean_says_how_sure_it_is() {
        let mean = Mean::of(&[1.0, 2.0, 3.0]);
        assert!((mean.mean - 2.0).abs() < 1e-9, "{mean:?}");
        // t(2) = 4.30 times the standard error 1/sqrt(3).
        assert!((mean.within - 4.30 / 3f64.sqrt()).abs() < 1e-9, "{mean:?}");
        assert_eq!(Mean::of(&[5.0; 40]), Mean { mean: 5.0, within: 0.0 });
        assert_eq!(Mean::of(&[7.0]), Mean { mean: 7.0, within: 0.0 });
        assert_eq!(Mean::of(&[]), Mean { mean: 0.0, within: 0.0 });
    }

    /// A put waits for a quorum that syncs, a commit for participants before that, a get for
    /// nobody.
    #[test]
    fn each_load_has_its_floor() {
        let of = |us| Quantiles { p50: us, ..Quantiles::default() };
        let (client_rtt_us, quorum_rtt_us, sync_us) = (of(100), of(80), of(150));
        let floor = FloorUs { sync_us, client_rtt_us, quorum_rtt_us, floor_us: 330 };
        let sum = |mix: &Mix| FloorSum::of(&floor, mix).sum;
        assert_eq!(sum(&Mix::only(Op::Put)), 330);
        assert_eq!(sum(&"put=1,get=9".parse().unwrap()), 330);
        assert_eq!(sum(&Mix::only(Op::Commit)), 580);
        assert_eq!(sum(&Mix::only(Op::Multi)), 330);
        assert_eq!(sum(&Mix::only(Op::Get)), 100);
    }

    /// The stages of a request add up to what it took.
    #[test]
    fn stages_add_up() {
        let floor = FloorSum { client_rtt: 100, quorum_rtt: 80, sync: 150, sum: 330 };
        let spent = Stages { batches: 10, queue_us: 500, sync_us: 2_000, ..Stages::default() };
        let all = stages(700, floor, spent).unwrap();
        assert_eq!((all.sync, all.queue, all.synod), (200, 50, 270));
        assert_eq!(stages(700, floor, Stages::default()), None, "nothing was committed");
    }
}
