//! One load against one cluster, or against several in turn.
//!
//! A trial is cut into rounds of about a second. In a round every client works; between two rounds
//! nobody does, and the floor is measured; and where several systems are compared they take turns,
//! round by round. So what a shared machine does to one of them in a minute it does to the others
//! and to the floor as well, and a figure is a ratio of medians of rounds that were neighbours.

mod alarm;
mod hand;
mod outcome;
mod pace;
mod round;
mod work;

use std::time::{Duration, Instant};

pub use outcome::{
    Errors, FloorSum, Generator, Latency, Mean, Outcome, Resident, RoundOutcome, Spread, StagesUs,
};
pub use pace::Pace;
pub use work::{Mix, Op, Work};

use crate::{
    BenchError,
    callers::{Caller, Service},
    floor::Floor,
    processors,
};
use hand::Hand;
use outcome::Sums;
use round::{Round, round};

/// Rounds are a second long, or shorter: fewer tell nothing of how they differ.
const ROUNDS_MIN: u32 = 3;
/// Measurements of the floor between two rounds; fewer if they would take longer than a round.
const FLOORS_PER_ROUND: usize = 40;
const FLOORS_MIN: usize = 3;

/// What a trial is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What each client asks.
    pub work: Work,
    /// How many clients there are.
    pub clients: usize,
    /// When they ask.
    pub pace: Pace,
    /// Work before anything is measured.
    pub warmup: Duration,
    /// Work that is measured, of each system.
    pub span: Duration,
}

/// One system in a trial: who serves, and who asks it.
#[derive(Debug)]
struct Side {
    service: Service,
    hands: Vec<Hand>,
    floor: Option<Floor>,
    sums: Sums,
}

/// What is under way, for whoever waits.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Rounds that have ended, of all systems together, warm-up included.
    pub rounds: u32,
    /// And how many there will be.
    pub of: u32,
    /// Requests a second in the last one.
    pub ops_per_s: f64,
    /// Of which system.
    pub target: String,
}

impl Plan {
    /// How long each round is, and how many there are of warm-up and of measurement.
    fn rounds(&self) -> (Duration, u32, u32) {
        let whole = u32::try_from(self.span.as_secs()).unwrap_or(u32::MAX);
        let count = whole.max(ROUNDS_MIN);
        let length = self.span / count;
        let warm = self.warmup.as_nanos().div_ceil(length.as_nanos().max(1));
        (length, u32::try_from(warm).unwrap_or(u32::MAX), count)
    }
}

/// Runs the load of `plan` against each service in turn, and tells of each what came of it.
pub async fn trial(
    plan: &Plan,
    services: Vec<Service>,
    mut progress: impl FnMut(&Progress),
) -> Result<Vec<Outcome>, BenchError> {
    let mut sides = Vec::new();
    for service in services {
        sides.push(Side::open(plan, service).await?);
    }
    let (length, warm, count) = plan.rounds();
    let of = (warm + count).saturating_mul(u32::try_from(sides.len()).unwrap_or(u32::MAX));
    let mut rounds = 0;
    for number in 0..warm + count {
        for side in &mut sides {
            let ended = side.round(plan, length, number >= warm).await?;
            rounds += 1;
            let target = side.service.name().to_owned();
            progress(&Progress { rounds, of, ops_per_s: ended, target });
        }
    }
    let mut outcomes = Vec::new();
    for side in sides {
        outcomes.push(side.close(plan).await?);
    }
    Ok(outcomes)
}

impl Side {
    async fn open(plan: &Plan, service: Service) -> Result<Side, BenchError> {
        let floor = service.floor_dir().map(Floor::new).transpose()?;
        let mut hands = Vec::new();
        let mut caller: Option<Caller> = None;
        for number in 0..plan.clients {
            let shares = number % service.per_connection() != 0;
            let next = match caller.filter(|_| shares) {
                Some(caller) => caller,
                None => service.connect().await?,
            };
            caller = Some(next.clone());
            hands.push(Hand::new(number, next, &plan.work).await?);
        }
        Ok(Side { service, hands, floor, sums: Sums::default() })
    }

    /// One round, and the floor before it; requests a second.
    async fn round(
        &mut self,
        plan: &Plan,
        length: Duration,
        counts: bool,
    ) -> Result<f64, BenchError> {
        if let (Some(floor), Some(client)) = (&mut self.floor, self.service.client()) {
            let begun = Instant::now();
            for number in 0..FLOORS_PER_ROUND {
                if number >= FLOORS_MIN && begun.elapsed() > length {
                    break;
                }
                floor.measure(client).await?;
            }
        }
        let (before, own) = (self.service.spent().await, processors::own_cpu());
        let (hands, ended) = round(std::mem::take(&mut self.hands), plan.pace, length).await?;
        let (after, own) = (self.service.spent().await, processors::own_cpu() - own);
        self.hands = hands;
        let ops_per_s = ended.ops_per_s();
        if counts {
            self.sums.add(ended, (before, after), own);
        }
        Ok(ops_per_s)
    }

    async fn close(mut self, plan: &Plan) -> Result<Outcome, BenchError> {
        for hand in &mut self.hands {
            hand.give_back().await?;
        }
        for hand in self.hands {
            hand.close().await;
        }
        let floor = self.floor.as_ref().map(Floor::us);
        let outcome = self.sums.outcome(plan, self.service.name(), floor);
        self.service.close().await;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However short a trial, it has rounds to compare, and its warm-up is not cut off.
    #[test]
    fn a_trial_is_cut_into_rounds() {
        let plan = |span_ms, warmup_ms| Plan {
            work: Work::of("put=1".parse().unwrap(), 10, 1),
            clients: 1,
            pace: Pace::Closed,
            warmup: Duration::from_millis(warmup_ms),
            span: Duration::from_millis(span_ms),
        };
        assert_eq!(plan(30_000, 3_000).rounds(), (Duration::from_secs(1), 3, 30));
        assert_eq!(plan(300, 0).rounds(), (Duration::from_millis(100), 0, 3));
        assert_eq!(plan(4_500, 1_200).rounds(), (Duration::from_millis(1_125), 2, 4));
    }
}
