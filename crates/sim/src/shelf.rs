//! A node's snapshots: the real shelf, in a directory in memory.

mod memory;

use fastrand::Rng;
use synod_machine::Machine;
use synod_paxos::Slot;
use synod_replica::{Restored, ShelfJob, ShelfNews};
use synod_store::{Chunk, Chunks, Received, Shelf as Real, StoreError};

use self::memory::Memory;

/// Bytes of a state in one chunk: so few that every transfer takes many.
const CHUNK_BYTES: usize = 60;

/// What stands there outlives the node's process.
#[derive(Debug)]
pub(crate) struct Shelf {
    memory: Memory,
    real: Real<Memory>,
}

impl Shelf {
    /// An empty one.
    pub(crate) fn new() -> Shelf {
        let memory = Memory::default();
        let real = Real::in_dir(memory.clone(), Chunks::of_bytes(1, CHUNK_BYTES));
        Shelf { memory, real }
    }

    /// What a starting node finds.
    pub(crate) fn open(&self) -> Restored {
        let (slots, part) = (done(self.real.slots()), done(self.real.part()));
        Restored::newest(slots, part, |slot| self.real.load(slot))
            .expect("memory gives everything, and one build wrote it")
    }

    /// Does what is asked, all of it at this moment.
    pub(crate) fn run(&mut self, job: ShelfJob) -> Option<ShelfNews> {
        match job {
            ShelfJob::Write { slot, state } => {
                let mut draft = done(self.real.draft(slot));
                done(draft.write(&state.to_bytes()));
                done(draft.finish());
                Some(ShelfNews::Written { slot, stands: true })
            }
            ShelfJob::Read { to, slot, number } => {
                let chunk = done(self.real.read(slot, number));
                if chunk.is_none() && done(self.real.load(slot)).is_none() {
                    return Some(ShelfNews::Lost { slot });
                }
                let chunk = chunk.map(|chunk| (chunk.count, chunk.sealed));
                Some(ShelfNews::Read { to, slot, number, chunk })
            }
            ShelfJob::Receive { slot, number, count, sealed } => {
                match done(self.real.receive(slot, &Chunk { number, count, sealed })) {
                    Received::Next(next) => Some(ShelfNews::Received { slot, next }),
                    Received::Whole => Some(self.restore(slot)),
                }
            }
            ShelfJob::Remove { slot } => {
                done(self.real.remove(slot));
                None
            }
        }
    }

    /// The power goes in the middle of a job: a file has its name or has it not, and what was
    /// received and not synced is there in part.
    pub(crate) fn crash(&mut self, job: Option<ShelfJob>, rng: &mut Rng) -> Option<ShelfNews> {
        let news = job.filter(|_| rng.bool()).and_then(|job| self.run(job));
        self.memory.change_part(|bytes| bytes.truncate(rng.usize(0..=bytes.len())));
        news
    }

    /// Something happens to snapshots at rest, to one or to all; which ones.
    pub(crate) fn rot(&mut self, rng: &mut Rng) -> Vec<Slot> {
        let all = done(self.real.slots());
        let some = if rng.bool() { rng.choice(all).into_iter().collect() } else { all };
        for slot in &some {
            self.memory.change_standing(*slot, |bytes| damage(bytes, rng));
        }
        some
    }

    fn restore(&self, slot: Slot) -> ShelfNews {
        match done(self.real.load(slot)).map(|state| Machine::restore(&state)) {
            Some(Ok(machine)) => ShelfNews::Whole { slot, machine: Box::new(machine) },
            Some(Err(_)) | None => {
                done(self.real.remove(slot));
                ShelfNews::Unusable
            }
        }
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

fn done<T>(result: Result<T, StoreError>) -> T {
    result.expect("memory takes and gives everything")
}
