//! What the owner has reported so far, and when.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::sync::{mpsc, watch};

use super::{report::Quantiles, says::OwnerSays};

/// A minute: no move that is answered takes longer.
const US_MAX: u64 = 60_000_000;

/// Counts of one run, fed by every owner that came on stage.
#[derive(Clone)]
pub(crate) struct Ledger {
    counts: Arc<Mutex<Counts>>,
    /// Set anew at every report, so that whoever waits looks again.
    changed: Arc<watch::Sender<u64>>,
}

struct Counts {
    committed: u64,
    aborted: u64,
    unknown: u64,
    last_commit: Option<Instant>,
    ready: Option<usize>,
    held: Option<usize>,
    stopped: bool,
    commit_us: Histogram<u64>,
}

/// What the ledger says at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
    pub(crate) unknown: u64,
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new() -> Ledger {
        let mut commit_us = Histogram::new(3).expect("3 significant digits are within 0..=5");
        commit_us.auto(true);
        let counts = Counts {
            committed: 0,
            aborted: 0,
            unknown: 0,
            last_commit: None,
            ready: None,
            held: None,
            stopped: false,
            commit_us,
        };
        let (changed, _) = watch::channel(0);
        Ledger { counts: Arc::new(Mutex::new(counts)), changed: Arc::new(changed) }
    }

    /// Takes down what a new owner says, until it says nothing more.
    pub(crate) fn follow(&self, mut lines: mpsc::UnboundedReceiver<String>) {
        {
            let mut counts = self.counts();
            (counts.ready, counts.held, counts.stopped) = (None, None, false);
        }
        let ledger = self.clone();
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if let Ok(said) = serde_json::from_str(&line) {
                    ledger.enter(said);
                }
            }
        });
    }

    fn enter(&self, said: OwnerSays) {
        {
            let mut counts = self.counts();
            match said {
                OwnerSays::Ready { satellites } => counts.ready = Some(satellites),
                OwnerSays::Committed { us, held } => {
                    counts.committed += 1;
                    counts.last_commit = Some(Instant::now());
                    if !held {
                        // It fails only beyond a histogram's range, which is far beyond a minute.
                        let _ = counts.commit_us.record(us.min(US_MAX));
                    }
                }
                OwnerSays::Aborted => counts.aborted += 1,
                OwnerSays::Unknown => counts.unknown += 1,
                OwnerSays::Held { moves } => counts.held = Some(moves),
                OwnerSays::Stopped => counts.stopped = true,
            }
        }
        self.changed.send_modify(|version| *version += 1);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The totals so far.
    pub(crate) fn totals(&self) -> Totals {
        let counts = self.counts();
        Totals { committed: counts.committed, aborted: counts.aborted, unknown: counts.unknown }
    }

    /// Moves that were in flight when their owner died: nobody will ever be told.
    pub(crate) fn add_unknown(&self, moves: u64) {
        self.counts().unknown += moves;
    }

    /// Latency of the moves that were not held.
    pub(crate) fn commit_us(&self) -> Quantiles {
        let counts = self.counts();
        Quantiles {
            p50: counts.commit_us.value_at_quantile(0.50),
            p99: counts.commit_us.value_at_quantile(0.99),
        }
    }

    /// Waits until the owner is ready; how many satellites it found.
    pub(crate) async fn ready(&self, patience: Duration) -> Option<usize> {
        self.wait(patience, |counts| counts.ready).await
    }

    /// Waits until every move is held; how many.
    pub(crate) async fn held(&self, patience: Duration) -> Option<usize> {
        self.wait(patience, |counts| counts.held.take()).await
    }

    /// Waits until the owner has ended.
    pub(crate) async fn stopped(&self, patience: Duration) -> bool {
        self.wait(patience, |counts| counts.stopped.then_some(())).await.is_some()
    }

    /// Waits for the first commit after `since`; how long after.
    pub(crate) async fn commit_after(
        &self,
        since: Instant,
        patience: Duration,
    ) -> Option<Duration> {
        let after = |counts: &mut Counts| {
            let last = counts.last_commit?;
            (last > since).then(|| last.duration_since(since))
        };
        self.wait(patience, after).await
    }

    async fn wait<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut(&mut Counts) -> Option<T>,
    ) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let look = async {
            loop {
                changed.mark_unchanged();
                if let Some(value) = found(&mut self.counts()) {
                    return Some(value);
                }
                changed.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, look).await.ok().flatten()
    }
}
