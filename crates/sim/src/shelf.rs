use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::Machine;
use synod_paxos::Slot;
use synod_replica::{Restored, ShelfJob, ShelfNews};
use synod_store::Chunks;

/// Bytes of a state in one chunk: so few that every transfer takes many.
const CHUNK_BYTES: usize = 60;

/// A node's snapshots: what `synod_store::Shelf` does, in memory, with its seals.
#[derive(Debug)]
pub(crate) struct Shelf {
    chunks: Chunks,
    standing: BTreeMap<Slot, Vec<u8>>,
    /// One that is being received.
    part: Option<(Slot, Vec<u8>)>,
}

impl Shelf {
    /// An empty one.
    pub(crate) fn new() -> Shelf {
        let chunks = Chunks::of_bytes(1, CHUNK_BYTES);
        Shelf { chunks, standing: BTreeMap::new(), part: None }
    }

    /// What a starting node finds.
    pub(crate) fn open(&self) -> Restored {
        let slots = self.standing.keys().copied().collect();
        let part = self.part.as_ref().map(|(slot, bytes)| (*slot, self.whole_chunks(*slot, bytes)));
        Restored::newest(slots, part, |slot| self.chunks.state(slot, self.standing.get(&slot)?))
    }

    /// Does what is asked, all of it at this moment.
    pub(crate) fn run(&mut self, job: ShelfJob) -> Option<ShelfNews> {
        match job {
            ShelfJob::Write { slot, state } => {
                self.standing.insert(slot, self.chunks.seal(slot, &state.to_bytes()));
                Some(ShelfNews::Written { slot, stands: true })
            }
            ShelfJob::Read { to, slot, number } => {
                let chunk = self.read(slot, number);
                let snapshot = self.standing.get(&slot);
                let damaged = |bytes: &Vec<u8>| self.chunks.state(slot, bytes).is_none();
                if chunk.is_none() && snapshot.is_none_or(damaged) {
                    return Some(ShelfNews::Lost { slot });
                }
                Some(ShelfNews::Read { to, slot, number, chunk })
            }
            ShelfJob::Receive { slot, number, count, sealed } => {
                Some(self.receive(slot, number, number + 1 == count, &sealed))
            }
            ShelfJob::Remove { slot } => {
                self.standing.remove(&slot);
                None
            }
        }
    }

    /// The power goes in the middle of a job: a file has its name or has it not, and what was
    /// received and not synced is there in part.
    pub(crate) fn crash(&mut self, job: Option<ShelfJob>, rng: &mut Rng) -> Option<ShelfNews> {
        let news = job.filter(|_| rng.bool()).and_then(|job| self.run(job));
        if let Some((_, bytes)) = &mut self.part {
            bytes.truncate(rng.usize(0..=bytes.len()));
        }
        news
    }

    /// Something happens to snapshots at rest, to one or to all; which ones.
    pub(crate) fn rot(&mut self, rng: &mut Rng) -> Vec<Slot> {
        let all: Vec<Slot> = self.standing.keys().copied().collect();
        let some = if rng.bool() { rng.choice(all).into_iter().collect() } else { all };
        some.iter().for_each(|slot| self.rot_one(*slot, rng));
        some
    }

    fn rot_one(&mut self, slot: Slot, rng: &mut Rng) {
        let Some(bytes) = self.standing.get_mut(&slot) else { return };
        let at = rng.usize(0..bytes.len().max(1));
        match bytes.get_mut(at) {
            Some(byte) if rng.bool() => *byte ^= 1 << rng.u8(0..8),
            Some(_) => bytes.truncate(at),
            None => {}
        }
    }

    fn read(&self, slot: Slot, number: u32) -> Option<(u32, Bytes)> {
        let snapshot = self.standing.get(&slot)?;
        let count = self.chunks.count(snapshot.len() as u64);
        let sealed = self.chunks.chunk(snapshot, number)?;
        let whole = self.chunks.is_whole(slot, number, number + 1 == count, sealed);
        whole.then(|| (count, Bytes::copy_from_slice(sealed)))
    }

    fn receive(&mut self, slot: Slot, number: u32, last: bool, sealed: &[u8]) -> ShelfNews {
        if self.part.as_ref().is_none_or(|(of, _)| *of != slot) {
            self.part = Some((slot, Vec::new()));
        }
        let Some((_, bytes)) = &mut self.part else { return ShelfNews::Unusable };
        let next = self.chunks.count(bytes.len() as u64);
        let gap = number > next;
        if gap || !self.chunks.is_whole(slot, number, last, sealed) {
            return ShelfNews::Received { slot, next };
        }
        let stride = self.chunks.chunk(bytes, 0).map_or(0, <[u8]>::len);
        bytes.truncate(number as usize * stride);
        bytes.extend_from_slice(sealed);
        if !last {
            return ShelfNews::Received { slot, next: number + 1 };
        }
        let snapshot = std::mem::take(bytes);
        self.part = None;
        let Some(state) = self.chunks.state(slot, &snapshot) else {
            return ShelfNews::Received { slot, next: 0 };
        };
        match Machine::restore(&state) {
            Ok(machine) => {
                self.standing.insert(slot, snapshot);
                ShelfNews::Whole { slot, machine: Box::new(machine) }
            }
            Err(_) => ShelfNews::Unusable,
        }
    }

    fn whole_chunks(&self, slot: Slot, part: &[u8]) -> u32 {
        let whole = (0..).take_while(|number| {
            let sealed = self.chunks.chunk(part, *number);
            sealed.is_some_and(|sealed| self.chunks.is_whole(slot, *number, false, sealed))
        });
        whole.count() as u32
    }
}
