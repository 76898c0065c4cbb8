//! A node's snapshots: the real shelf, in a directory in memory.

mod device;
mod memory;

use fastrand::Rng;
use synod_machine::Machine;
use synod_paxos::Slot;
use synod_replica::{Restored, ShelfJob, ShelfNews, Unread};
use synod_store::{Chunk, Chunks, Received, Shelf as Real, StoreError};

use self::{device::Goes, memory::Memory};
use crate::disk::Stop;

/// Bytes of a state in one chunk: so few that every transfer takes many.
const CHUNK_BYTES: usize = 60;

/// How many calls of the device a job makes at most, or nearly.
const CALLS_OF_A_JOB: u64 = 24;

/// What stands there outlives the node's process.
#[derive(Debug)]
pub(crate) struct Shelf {
    memory: Memory,
    real: Real<Memory>,
}

/// What came of a job.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// What the node is told.
    pub(crate) news: Option<ShelfNews>,
    /// What was wrong, if something was.
    pub(crate) failed: Option<StoreError>,
}

/// What a stop left of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// The snapshot that it has made durable, and whether that was received.
    pub(crate) stands: Option<(Slot, bool)>,
    /// Whether a snapshot that had its name already has it no longer.
    pub(crate) unnamed: bool,
}

impl Shelf {
    /// An empty one.
    pub(crate) fn new() -> Shelf {
        let memory = Memory::default();
        let real = Real::in_dir(memory.clone(), Chunks::of_bytes(1, CHUNK_BYTES));
        Shelf { memory, real }
    }

    /// Another one, with what a loss of power would surely leave of this one.
    pub(crate) fn image(&self) -> Shelf {
        let memory = self.memory.image();
        let real = Real::in_dir(memory.clone(), Chunks::of_bytes(1, CHUNK_BYTES));
        Shelf { memory, real }
    }

    /// What a starting node finds, if its device lets it look.
    pub(crate) fn open(&self) -> Result<Restored, StoreError> {
        let (slots, part) = (self.real.slots()?, self.real.part()?);
        Restored::newest(slots, part, |slot| self.real.load(slot)).map_err(|unread| match unread {
            Unread::Load { error, .. } => error,
            Unread::Version { .. } => unreachable!("one build wrote everything"),
        })
    }

    /// Whether the name of a snapshot that stands is durable.
    pub(crate) fn keeps(&self, slot: Slot) -> bool {
        self.memory.keeps_name(slot)
    }

    /// Does what is asked, all of it at this moment, and says what the node's own threads would.
    pub(crate) fn run(&mut self, job: ShelfJob) -> Done {
        match job {
            ShelfJob::Write { slot, state } => {
                let failed = self.write(slot, &state.to_bytes()).err();
                let news = ShelfNews::Written { slot, stands: failed.is_none() };
                Done { news: Some(news), failed }
            }
            ShelfJob::Read { to, slot, number } => match self.chunk(slot, number) {
                Ok(None) => ShelfNews::Lost { slot }.into(),
                Ok(Some(chunk)) => {
                    let chunk = chunk.map(|chunk| (chunk.count, chunk.sealed));
                    ShelfNews::Read { to, slot, number, chunk }.into()
                }
                Err(error) => {
                    let news = ShelfNews::Read { to, slot, number, chunk: None };
                    Done { news: Some(news), failed: Some(error) }
                }
            },
            ShelfJob::Receive { slot, number, count, sealed } => {
                match self.real.receive(slot, &Chunk { number, count, sealed }) {
                    Ok(Received::Next(next)) => ShelfNews::Received { slot, next }.into(),
                    Ok(Received::Whole) => self.restore(slot),
                    Err(error) => Done { news: Some(ShelfNews::Unusable), failed: Some(error) },
                }
            }
            ShelfJob::Remove { slot } => Done { news: None, failed: self.real.remove(slot).err() },
        }
    }

    /// The node stops in the middle of a job. What was not synced is there in part when the power
    /// goes, and a file that was just given its name has it or has it not.
    pub(crate) fn stop(&mut self, how: Stop, job: Option<ShelfJob>, rng: &mut Rng) -> Left {
        let making = match &job {
            Some(ShelfJob::Write { slot, .. }) => Some((*slot, false)),
            Some(ShelfJob::Receive { slot, .. }) => Some((*slot, true)),
            Some(ShelfJob::Read { .. } | ShelfJob::Remove { .. }) | None => None,
        };
        let before = self.memory.standing();
        if let Some(job) = job {
            self.memory.device().cut(match rng.u8(0..4) {
                0 => Goes::BeforeNamesAreDurable,
                1 => Goes::After(u64::MAX),
                _ => Goes::After(rng.u64(0..CALLS_OF_A_JOB)),
            });
            // Nobody hears what comes of it.
            self.run(job);
        }
        let named = self.memory.standing();
        if how == Stop::Power {
            self.memory.lose_power(rng);
        }
        self.memory.device().restore_power();
        let left = self.memory.standing();
        let is_new = |(slot, _): &(Slot, bool)| !before.contains(slot) && self.keeps(*slot);
        Left {
            stands: making.filter(is_new),
            unnamed: named.iter().any(|slot| !left.contains(slot)),
        }
    }

    /// Whether there is room for more.
    pub(crate) fn set_full(&self, full: bool) {
        self.memory.device().set_full(full);
    }

    /// One of the next calls fails, once.
    pub(crate) fn fail_next(&self, rng: &mut Rng) {
        self.memory.device().fail_after(rng.u64(0..CALLS_OF_A_JOB));
    }

    /// Whatever was to go wrong does not any more.
    pub(crate) fn heal(&self) {
        self.memory.device().heal();
    }

    /// Something happens to snapshots at rest, to one or to all; which ones.
    pub(crate) fn rot(&mut self, rng: &mut Rng) -> Vec<Slot> {
        let all = self.memory.standing();
        let some = if rng.bool() { rng.choice(all).into_iter().collect() } else { all };
        for slot in &some {
            self.memory.change_standing(*slot, |bytes| damage(bytes, rng));
        }
        some
    }

    fn write(&self, slot: Slot, state: &[u8]) -> Result<(), StoreError> {
        let mut draft = self.real.draft(slot)?;
        draft.write(state)?;
        draft.finish()
    }

    /// One chunk, or none where there is none of that number; `Ok(None)` when what was read does
    /// not verify.
    fn chunk(&self, slot: Slot, number: u32) -> Result<Option<Option<Chunk>>, StoreError> {
        if let Some(chunk) = self.real.read(slot, number)? {
            return Ok(Some(Some(chunk)));
        }
        Ok(self.real.load(slot)?.map(|_whole| None))
    }

    fn restore(&self, slot: Slot) -> Done {
        let state = self.real.load(slot);
        match state.map(|state| state.map(|state| Machine::restore(&state))) {
            Ok(Some(Ok(machine))) => ShelfNews::Whole { slot, machine: Box::new(machine) }.into(),
            refused => {
                let failed = refused.err().or(self.real.remove(slot).err());
                Done { news: Some(ShelfNews::Unusable), failed }
            }
        }
    }
}

impl From<ShelfNews> for Done {
    fn from(news: ShelfNews) -> Done {
        Done { news: Some(news), failed: None }
    }
}

/// A bit flips, the end is gone, or a write was never made, or made in another place.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.usize(0..bytes.len().max(1));
    let span = at..(at + CHUNK_BYTES).min(bytes.len());
    match rng.u8(0..4) {
        0 => bytes.truncate(at),
        1 => bytes[span].fill(0),
        2 => {
            let elsewhere = rng.usize(0..=bytes.len() - span.len());
            bytes.copy_within(span, elsewhere);
        }
        _ => bytes[span].iter_mut().take(1).for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
    }
}
