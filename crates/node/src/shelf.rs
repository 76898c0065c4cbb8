//! The two threads at the shelf of snapshots: one writes, the other reads and receives. Neither is
//! the disk's, and no commit waits for them.

use std::{
    sync::mpsc as std_mpsc,
    thread,
    time::{Duration, Instant},
};

use synod_machine::Machine;
use synod_paxos::Slot;
use synod_replica::{Restored, ShelfJob, ShelfNews, Unread};
use synod_store::{Chunk, Received, Shelf, StoreError};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::NodeError;

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
        let (writing, told) = (Hands::new(shelf.clone(), bytes_per_s), news.clone());
        thread::Builder::new().name("snapshots".into()).spawn(move || {
            writing.serve(to_write, &told);
        })?;
        let carrying = Hands::new(shelf, bytes_per_s);
        thread::Builder::new().name("chunks".into()).spawn(move || {
            carrying.serve(to_carry, &news);
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

/// One thread's hands at the shelf.
struct Hands {
    shelf: Shelf,
    bytes_per_s: u64,
}

impl Hands {
    fn new(shelf: Shelf, bytes_per_s: u64) -> Hands {
        Hands { shelf, bytes_per_s }
    }

    fn serve(self, jobs: std_mpsc::Receiver<ShelfJob>, news: &mpsc::UnboundedSender<ShelfNews>) {
        for job in jobs {
            if let Some(done) = self.run(job)
                && news.send(done).is_err()
            {
                return;
            }
        }
    }

    fn run(&self, job: ShelfJob) -> Option<ShelfNews> {
        match job {
            ShelfJob::Write { slot, state } => {
                let began = Instant::now();
                let written = write(&self.shelf, slot, &state, self.bytes_per_s);
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
                let chunk = match self.chunk(slot, number) {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => {
                        warn!(%slot, "a snapshot is damaged; it is used no more");
                        return Some(ShelfNews::Lost { slot });
                    }
                    Err(error) => {
                        warn!(%slot, %error, "a snapshot cannot be read for a peer");
                        None
                    }
                };
                let chunk = chunk.map(|chunk| (chunk.count, chunk.sealed));
                Some(ShelfNews::Read { to, slot, number, chunk })
            }
            ShelfJob::Receive { slot, number, count, sealed } => {
                Some(self.receive(slot, &Chunk { number, count, sealed }))
            }
            ShelfJob::Remove { slot } => {
                self.remove(slot);
                None
            }
        }
    }

    /// One chunk of a snapshot, or none where it has none of that number; `Ok(None)` when what was
    /// read does not verify. A read that fails says nothing of what stands there.
    fn chunk(&self, slot: Slot, number: u32) -> Result<Option<Option<Chunk>>, StoreError> {
        if let Some(chunk) = self.shelf.read(slot, number)? {
            return Ok(Some(Some(chunk)));
        }
        Ok(self.shelf.load(slot)?.map(|_whole| None))
    }

    fn receive(&self, slot: Slot, chunk: &Chunk) -> ShelfNews {
        match self.shelf.receive(slot, chunk) {
            Ok(Received::Next(next)) => ShelfNews::Received { slot, next },
            Ok(Received::Whole) => self.restore(slot),
            Err(error) => {
                warn!(%slot, %error, "a snapshot of another node cannot be kept");
                ShelfNews::Unusable
            }
        }
    }

    /// Takes what was fetched for the state. What is none for this build goes: whom it was fetched
    /// of has it, and here it would refuse the next start, while a peer may yet have one of this
    /// build.
    fn restore(&self, slot: Slot) -> ShelfNews {
        let state = self.shelf.load(slot);
        match state.map(|state| state.map(|state| Machine::restore(&state))) {
            Ok(Some(Ok(machine))) => {
                info!(%slot, "a snapshot of another node stands here");
                ShelfNews::Whole { slot, machine: Box::new(machine) }
            }
            refused => {
                warn!(%slot, ?refused, "a snapshot of another node is no state for this build");
                self.remove(slot);
                ShelfNews::Unusable
            }
        }
    }

    fn remove(&self, slot: Slot) {
        if let Err(error) = self.shelf.remove(slot) {
            warn!(%slot, %error, "an old snapshot could not be removed");
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

/// The state to start from: the newest snapshot that is whole. One that is not can be told from one
/// that this start cannot read, which ends it: that one may be all that there is of the state.
pub(crate) fn restored(shelf: &Shelf) -> Result<Restored, NodeError> {
    let restored = Restored::newest(shelf.slots()?, shelf.part()?, |slot| shelf.load(slot))
        .map_err(|unread| match unread {
            Unread::Load { slot, error } => {
                NodeError::Snapshot { path: shelf.place(slot), source: error }
            }
            Unread::Version { slot, found, known } => {
                NodeError::OtherVersion { path: shelf.place(slot), found, known }
            }
        })?;
    for slot in &restored.strange {
        warn!(%slot, "a snapshot is whole and no state; it stays, and is not used");
    }
    Ok(restored)
}

/// Removes what does not verify, once the start needs it no more to say what is wrong.
pub(crate) fn clear(shelf: &Shelf, lost: &[Slot]) -> Result<(), StoreError> {
    for slot in lost {
        warn!(%slot, "a snapshot is damaged; the one before and the log make up for it");
        shelf.remove(*slot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
