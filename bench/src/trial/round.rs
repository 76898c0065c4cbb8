use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    Op, Pace,
    alarm::Alarm,
    hand::{Done, Hand},
    outcome::Errors,
};
use crate::{BenchError, quantiles::Spans};

/// What all clients did in one round.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) spans: BTreeMap<Op, Spans>,
    pub(super) late: Spans,
    pub(super) errors: Errors,
    /// From its beginning until the last answer had come.
    pub(super) took: Duration,
}

/// Lets every client work for `length`; they come back for the next round.
pub(super) async fn round(
    hands: Vec<Hand>,
    pace: Pace,
    length: Duration,
) -> Result<(Vec<Hand>, Round), BenchError> {
    let clients = hands.len();
    let mut tasks = JoinSet::new();
    let (alarm, begun) = (Alarm::new()?, Instant::now());
    for mut hand in hands {
        let alarm = alarm.clone();
        tasks.spawn(async move {
            let done = hand.work(clients, pace, (begun, length), &alarm).await?;
            Ok::<_, BenchError>((hand, done))
        });
    }
    let (mut hands, mut round) = (Vec::new(), Round::default());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.map_err(|error| BenchError::Cluster(error.to_string()))?;
        let (hand, done) = ended?;
        round.add(&done);
        hands.push(hand);
    }
    Ok((hands, round))
}

impl Round {
    fn add(&mut self, done: &Done) {
        for (op, spans) in &done.spans {
            self.spans.entry(*op).or_default().merge(spans);
        }
        done.late.iter().for_each(|late| self.late.merge(late));
        self.errors.add(done.errors);
        self.took = self.took.max(done.took);
    }

    pub(super) fn count(&self) -> u64 {
        self.spans.values().map(Spans::count).sum()
    }

    pub(super) fn ops_per_s(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// Of all kinds of requests.
    pub(super) fn all(&self) -> Spans {
        let mut all = Spans::default();
        self.spans.values().for_each(|spans| all.merge(spans));
        all
    }
}
