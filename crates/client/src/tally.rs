//! How many transactions this client has under way, and how long they take: what nobody else can
//! tell, for a node hears of one when it is decided and a participant knows its own branch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use synod_machine::TxnId;
use tokio::time::Instant;

/// The end of the first bucket; each ends at twice the one before. Nodes have the same.
const FIRST: Duration = Duration::from_micros(50);
const BUCKETS: usize = 19;

/// How this client's transactions fare: see [`Client::transactions`](crate::Client::transactions).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnTally {
    /// Begun, and without a verdict that is known here.
    pub in_flight: u64,
    /// Since the oldest of them began; zero when there is none.
    pub oldest: Duration,
    /// From before the first prepare to knowing that it is committed.
    pub committed: Spans,
    /// From before the first prepare to knowing that it is aborted, or to giving it up.
    pub aborted: Spans,
    /// From before the first prepare to where this client no longer asked how it ended.
    pub unknown: Spans,
}

/// How long things took, in buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    counts: [u64; BUCKETS],
    count: u64,
    sum: Duration,
}

impl Spans {
    /// How many things.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took no longer than each of these; longer ones are in [`Spans::count`] only.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut upto = 0;
        (0..BUCKETS).map(move |place| {
            upto += self.counts[place];
            (FIRST * (1 << place), upto)
        })
    }

    fn record(&mut self, took: Duration) {
        if let Some(place) = (0..BUCKETS).find(|place| took <= FIRST * (1 << place)) {
            self.counts[place] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

/// The tally while it is kept. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    began: BTreeMap<TxnId, Instant>,
    ended: TxnTally,
}

/// How one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    Aborted,
}

/// One transaction under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    tally: Tally,
    txn: TxnId,
}

impl Tally {
    /// Participants are about to be asked.
    pub(crate) fn begin(&self, txn: TxnId) -> UnderWay {
        self.lock().began.insert(txn, Instant::now());
        UnderWay { tally: self.clone(), txn }
    }

    pub(crate) fn read(&self) -> TxnTally {
        let kept = self.lock();
        let oldest = kept.began.values().min().map_or(Duration::ZERO, Instant::elapsed);
        TxnTally { in_flight: kept.began.len() as u64, oldest, ..kept.ended.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, txn: TxnId, end: Option<End>) {
        let mut kept = self.lock();
        let Some(began) = kept.began.remove(&txn) else { return };
        let spans = match end {
            Some(End::Committed) => &mut kept.ended.committed,
            Some(End::Aborted) => &mut kept.ended.aborted,
            None => &mut kept.ended.unknown,
        };
        spans.record(began.elapsed());
    }
}

impl UnderWay {
    /// Its verdict is known. What follows is no part of it.
    pub(crate) fn over(&self, end: End) {
        self.tally.end(self.txn, Some(end));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.tally.end(self.txn, None);
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::SessionId;

    use super::*;

    fn txn(n: u64) -> TxnId {
        TxnId { session: SessionId::new(1), n }
    }

    #[tokio::test(start_paused = true)]
    async fn a_transaction_is_in_flight_until_its_verdict_and_counted_once() {
        let tally = Tally::default();
        let (first, second) = (tally.begin(txn(1)), tally.begin(txn(2)));
        tokio::time::advance(Duration::from_micros(60)).await;
        assert_eq!((tally.read().in_flight, tally.read().oldest), (2, Duration::from_micros(60)));
        first.over(End::Committed);
        tokio::time::advance(Duration::from_secs(60)).await;
        drop((first, second));
        let TxnTally { in_flight, committed, aborted, unknown, .. } = tally.read();
        assert_eq!((in_flight, committed.count(), aborted.count(), unknown.count()), (0, 1, 0, 1));
        assert_eq!(committed.sum(), Duration::from_micros(60));
        let buckets: Vec<_> = committed.buckets().take(2).collect();
        assert_eq!(buckets, [(FIRST, 0), (2 * FIRST, 1)]);
        // A minute is in no bucket, and in the count.
        assert_eq!(unknown.buckets().last(), Some((FIRST * (1 << 18), 0)));
    }
}
