//! The two threads at the shelf of snapshots: one writes, the other reads and receives. Neither is
//! the disk's, and no commit waits for them.

use std::{
    sync::mpsc as std_mpsc,
    thread,
    time::{Duration, Instant},
};

use synod_machine::Machine;
use synod_paxos::Slot;
use synod_replica::{Restored, ShelfJob, ShelfNews};
use synod_store::{Chunk, Received, Shelf, StoreError};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Shelves {
    writer: std_mpsc::Sender<ShelfJob>,
    carrier: std_mpsc::Sender<ShelfJob>,
}

impl Shelves {
    /// Starts the threads; they end when this is dropped. Snapshots are written at no more than so
    /// many bytes a second: the log's syncs share the medium with them.
    pub(crate) fn start(
        shelf: Shelf,
        bytes_per_s: u64,
    ) -> std::io::Result<(Shelves, mpsc::UnboundedReceiver<ShelfNews>)> {
        // Not bounded by the channels but by the replica: one snapshot is being written and one
        // received at a time, and each peer asks for one chunk at a time.
        let (writer, to_write) = std_mpsc::channel();
        let (carrier, to_carry) = std_mpsc::channel();
        let (news, heard) = mpsc::unbounded_channel();
        let (writing, told) = (shelf.clone(), news.clone());
        thread::Builder::new().name("snapshots".into()).spawn(move || {
            serve(to_write, &told, |job| run(&writing, job, bytes_per_s));
        })?;
        thread::Builder::new().name("chunks".into()).spawn(move || {
            serve(to_carry, &news, |job| run(&shelf, job, bytes_per_s));
        })?;
        Ok((Shelves { writer, carrier }, heard))
    }

    /// Hands over a job.
    pub(crate) fn give(&self, job: ShelfJob) {
        let thread = match job {
            ShelfJob::Write { .. } => &self.writer,
            ShelfJob::Read { .. } | ShelfJob::Receive { .. } | ShelfJob::Remove { .. } => {
                &self.carrier
            }
        };
        // A thread ends before the driver only by a panic, and then nothing is written any more:
        // the log is trimmed no further, and the node goes on.
        let _thread_is_gone = thread.send(job);
    }
}

fn serve(
    jobs: std_mpsc::Receiver<ShelfJob>,
    news: &mpsc::UnboundedSender<ShelfNews>,
    run: impl Fn(ShelfJob) -> Option<ShelfNews>,
) {
    for job in jobs {
        if let Some(done) = run(job)
            && news.send(done).is_err()
        {
            return;
        }
    }
}

fn run(shelf: &Shelf, job: ShelfJob, bytes_per_s: u64) -> Option<ShelfNews> {
    match job {
        ShelfJob::Write { slot, state } => {
            let began = Instant::now();
            let written = write(shelf, slot, &state, bytes_per_s);
            match &written {
                Ok(bytes) => {
                    let elapsed_us = began.elapsed().as_micros() as u64;
                    info!(%slot, bytes, elapsed_us, "a snapshot stands");
                }
                Err(error) => warn!(%slot, %error, "no snapshot could be written"),
            }
            Some(ShelfNews::Written { slot, stands: written.is_ok() })
        }
        ShelfJob::Read { to, slot, number } => {
            let chunk = shelf.read(slot, number);
            if !matches!(chunk, Ok(Some(_))) && !matches!(shelf.load(slot), Ok(Some(_))) {
                warn!(%slot, "a snapshot is damaged; it is used no more");
                return Some(ShelfNews::Lost { slot });
            }
            let chunk = chunk.ok().flatten().map(|chunk| (chunk.count, chunk.sealed));
            Some(ShelfNews::Read { to, slot, number, chunk })
        }
        ShelfJob::Receive { slot, number, count, sealed } => {
            Some(receive(shelf, slot, &Chunk { number, count, sealed }))
        }
        ShelfJob::Remove { slot } => {
            if let Err(error) = shelf.remove(slot) {
                warn!(%slot, %error, "an old snapshot could not be removed");
            }
            None
        }
    }
}

/// Writes a snapshot, unhurried: it competes for the medium and the processor with every commit.
fn write(
    shelf: &Shelf,
    slot: Slot,
    state: &synod_machine::Snapshot,
    bytes_per_s: u64,
) -> Result<u64, StoreError> {
    let mut draft = shelf.draft(slot)?;
    let (began, mut bytes) = (Instant::now(), 0_u64);
    state.encode(|piece| {
        draft.write(piece)?;
        bytes += piece.len() as u64;
        let due = Duration::from_secs_f64(bytes as f64 / bytes_per_s.max(1) as f64);
        thread::sleep(due.saturating_sub(began.elapsed()));
        Ok::<(), StoreError>(())
    })?;
    draft.finish()?;
    Ok(bytes)
}

fn receive(shelf: &Shelf, slot: Slot, chunk: &Chunk) -> ShelfNews {
    match shelf.receive(slot, chunk) {
        Ok(Received::Next(next)) => ShelfNews::Received { slot, next },
        Ok(Received::Whole) => restore(shelf, slot),
        Err(error) => {
            warn!(%slot, %error, "a snapshot of another node cannot be kept");
            ShelfNews::Unusable
        }
    }
}

fn restore(shelf: &Shelf, slot: Slot) -> ShelfNews {
    let state = shelf.load(slot).ok().flatten();
    match state.map(|state| Machine::restore(&state)) {
        Some(Ok(machine)) => {
            info!(%slot, "a snapshot of another node stands here");
            ShelfNews::Whole { slot, machine: Box::new(machine) }
        }
        refused => {
            warn!(%slot, ?refused, "a snapshot of another node is no state that this build reads");
            let _gone_at_the_next_start = shelf.remove(slot);
            ShelfNews::Unusable
        }
    }
}

/// The state to start from: the newest snapshot that can be read. What cannot is told and removed.
pub(crate) fn restored(shelf: &Shelf) -> Result<Restored, StoreError> {
    let restored = Restored::newest(shelf.slots()?, shelf.part()?, |slot| {
        shelf.load(slot).unwrap_or_else(|error| {
            warn!(%slot, %error, "a snapshot cannot be read");
            None
        })
    });
    for slot in &restored.lost {
        warn!(%slot, "a snapshot is damaged; the one before and the log make up for it");
        shelf.remove(*slot)?;
    }
    Ok(restored)
}
