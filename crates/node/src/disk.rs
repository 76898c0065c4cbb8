//! The thread that owns the store, and the driver's end of it.
//!
//! Besides the simulated disk this is the only place that opens sealed words
//! ([`Durably::synced`]): after [`Store::write`] has returned.

use std::{
    collections::VecDeque,
    mem,
    sync::mpsc as std_mpsc,
    thread,
    time::{Duration, Instant},
};

use synod_paxos::{Durably, Envelope, Fetch, Fetched, Write};
use synod_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::{trace_span, warn};

use crate::syncs::Syncs;

/// Bytes read for one fetch: a frame of the bulk lane, and short enough that a sync behind it waits
/// no longer than one sync.
const FETCH_BYTES_MAX: usize = 1 << 20;

/// How long a full disk is left alone before the same facts are offered again.
const FULL_RETRY: Duration = Duration::from_millis(500);

/// Facts that may wait for a disk that does not keep up, and bytes that they may carry. Above
/// either, words that would add to them are dropped: a lost word is asked for again, memory is not.
const WAITING_WRITES_MAX: usize = 65_536;
const WAITING_BYTES_MAX: usize = 64 << 20;

/// What the thread is asked to do, one write and one read at a time.
enum Job {
    Write(Durably),
    Read(Fetch),
}

/// What it has done.
#[derive(Debug)]
pub(crate) enum Done {
    /// The facts are durable, and these words may be spoken.
    Written { words: Vec<Envelope>, synced_in: Option<Duration>, store_bytes: u64 },
    /// The disk is full: none of the facts is durable, and the words stay sealed.
    Full { batch: Durably },
    /// What a fetch found.
    Read(Fetched),
    /// What the disk holds is unknown: the node must end.
    Failed(StoreError),
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Disk {
    jobs: std_mpsc::Sender<Job>,
    /// Facts that the next write takes along, with the words that rely on them.
    waiting: Durably,
    /// Bytes that those facts carry.
    waiting_bytes: usize,
    writing_since: Option<Instant>,
    fetches: VecDeque<Fetch>,
    reading_since: Option<Instant>,
    /// Whether the last write found no room.
    full: bool,
    /// While the disk is full: when to offer `waiting` again.
    retry_at: Option<Instant>,
    syncs: Syncs,
    store_bytes: u64,
}

impl Disk {
    /// Starts the thread that owns `store` from here on; it ends when the `Disk` is dropped. The
    /// last receiver resolves when the store is closed.
    pub(crate) fn start(
        store: Store,
    ) -> std::io::Result<(Disk, mpsc::UnboundedReceiver<Done>, oneshot::Receiver<()>)> {
        let (jobs, to_do) = std_mpsc::channel();
        // Not bounded by the channel but by the driver, which has one write and one read under way.
        let (done, results) = mpsc::unbounded_channel();
        let store_bytes = store.bytes();
        let (closing, closed) = oneshot::channel();
        thread::Builder::new().name("disk".into()).spawn(move || {
            serve(store, to_do, &done);
            // The store is closed by now, and its directory free.
            drop((done, closing));
        })?;
        let disk = Disk {
            jobs,
            waiting: Durably::default(),
            waiting_bytes: 0,
            writing_since: None,
            fetches: VecDeque::new(),
            reading_since: None,
            full: false,
            retry_at: None,
            syncs: Syncs::default(),
            store_bytes,
        };
        Ok((disk, results, closed))
    }

    /// Takes facts and sealed words in, behind those that wait already: one sync covers them all.
    pub(crate) fn give(&mut self, batch: Durably) {
        if !batch.is_empty() {
            self.waiting_bytes += bytes_of(&batch);
            self.waiting.merge(batch);
        }
    }

    /// Takes a fetch in.
    pub(crate) fn fetch(&mut self, fetch: Fetch) {
        self.fetches.push_back(fetch);
    }

    /// Hands the thread what waits, as far as it is free.
    pub(crate) fn run(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        if self.writing_since.is_none() && self.retry_at.is_none() && !self.waiting.is_empty() {
            self.writing_since = Some(now);
            let batch = mem::take(&mut self.waiting);
            self.waiting_bytes = 0;
            self.hand(Job::Write(batch));
        }
        if self.reading_since.is_none()
            && let Some(fetch) = self.fetches.pop_front()
        {
            self.reading_since = Some(now);
            self.hand(Job::Read(fetch));
        }
    }

    fn hand(&self, job: Job) {
        // A thread that is gone has said why, or dropped its end: the driver ends on either.
        let _thread_is_gone = self.jobs.send(job);
    }

    /// Notes what the thread has done, and returns the words that may be spoken now.
    pub(crate) fn written(
        &mut self,
        words: Vec<Envelope>,
        synced_in: Option<Duration>,
        store_bytes: u64,
    ) -> Vec<Envelope> {
        self.writing_since = None;
        self.full &= synced_in.is_none();
        self.store_bytes = store_bytes;
        if let Some(took) = synced_in {
            self.syncs.record(took);
        }
        words
    }

    /// Keeps a batch that found no room, before everything later.
    pub(crate) fn full(&mut self, mut batch: Durably, now: Instant) {
        self.writing_since = None;
        self.full = true;
        self.retry_at = Some(now + FULL_RETRY);
        self.waiting_bytes += bytes_of(&batch);
        batch.merge(mem::take(&mut self.waiting));
        self.waiting = batch;
    }

    /// Notes that a read has ended.
    pub(crate) fn read(&mut self) {
        self.reading_since = None;
    }

    /// Whether a write would start at once and none waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.writing_since.is_none() && !self.full && self.waiting.is_empty()
    }

    /// Whether the last write found no room.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// When [`Disk::run`] must be called for a full disk's sake.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether so much waits for the write under way, or for room, that no more is to be taken in.
    pub(crate) fn is_swamped(&self) -> bool {
        let writes = self.waiting.writes().len();
        writes > WAITING_WRITES_MAX || self.waiting_bytes > WAITING_BYTES_MAX
    }

    /// How long the thread has been at what it does now.
    pub(crate) fn busy_for(&self, now: Instant) -> Duration {
        let since = self.writing_since.into_iter().chain(self.reading_since).min();
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(crate) fn syncs(&self) -> &Syncs {
        &self.syncs
    }

    pub(crate) fn store_bytes(&self) -> u64 {
        self.store_bytes
    }
}

fn bytes_of(batch: &Durably) -> usize {
    batch.writes().iter().map(Write::bytes).sum()
}

/// The thread: jobs in order, until nobody can give more. It takes the store with it when it ends.
fn serve(mut store: Store, to_do: std_mpsc::Receiver<Job>, done: &mpsc::UnboundedSender<Done>) {
    for job in to_do {
        let result = match job {
            Job::Write(batch) => write(&mut store, batch),
            Job::Read(fetch) => Done::Read(read(&store, fetch)),
        };
        let last = matches!(result, Done::Failed(_));
        if done.send(result).is_err() || last {
            return;
        }
    }
}

fn write(store: &mut Store, batch: Durably) -> Done {
    let _span = trace_span!("store.sync", writes = batch.writes().len()).entered();
    // Words without facts of their own rely on those before them, which are durable by now.
    if batch.writes().is_empty() {
        let words = batch.synced();
        return Done::Written { words, synced_in: None, store_bytes: store.bytes() };
    }
    let began = Instant::now();
    match store.write(batch.writes()) {
        Ok(()) => Done::Written {
            words: batch.synced(),
            synced_in: Some(began.elapsed()),
            store_bytes: store.bytes(),
        },
        Err(StoreError::DiskFull { .. }) => Done::Full { batch },
        Err(error) => Done::Failed(error),
    }
}

fn read(store: &Store, fetch: Fetch) -> Fetched {
    let (decrees, damaged) = match store.chosen(fetch.first, fetch.upto, FETCH_BYTES_MAX) {
        Ok(decrees) => (decrees, None),
        Err(StoreError::Faulty { slot, .. }) => {
            warn!(%slot, "a damaged record was asked for; the peer is offered a snapshot");
            (Vec::new(), Some(slot))
        }
        Err(error) => {
            warn!(%error, "nothing can be read for a peer");
            (Vec::new(), None)
        }
    };
    Fetched { to: fetch.to, decrees, damaged }
}

#[cfg(test)]
mod tests;
