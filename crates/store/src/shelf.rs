//! Where a node's snapshots stand: files beside its log, each whole or not there.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use synod_paxos::Slot;

use crate::{
    StoreError,
    chunks::Chunks,
    dir::{Dir, DirFile, PlainDir},
};

/// A file is synced after so many bytes of it: what a sync of the log may have to wait for.
const SYNC_BYTES: usize = 4 << 20;

/// A snapshot has this name, and its slot in twenty digits.
const NAME: &str = "snapshot-";
/// One that is being written.
const NEW: &str = ".new";
/// One that is being received.
const PART: &str = ".part";

/// The snapshots in a data directory, which the caller holds the store of.
#[derive(Clone, Debug)]
pub struct Shelf<D = PlainDir> {
    dir: D,
    chunks: Chunks,
}

/// One chunk of a snapshot, as it stands in the file and as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which, from 0 on.
    pub number: u32,
    /// Of how many.
    pub count: u32,
    /// Sealed.
    pub sealed: Bytes,
}

/// What a received chunk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This one is wanted next: the one after it, or the same again if it was damaged.
    Next(u32),
    /// It was the last, and the snapshot stands.
    Whole,
}

impl Shelf {
    /// The shelf of the data directory `dir`.
    pub fn new(dir: &Path, cluster_id: u64) -> Shelf {
        Shelf::in_dir(PlainDir::new(dir), Chunks::new(cluster_id))
    }
}

impl<D: Dir> Shelf<D> {
    /// A shelf anywhere, with chunks of any size.
    pub fn in_dir(dir: D, chunks: Chunks) -> Shelf<D> {
        Shelf { dir, chunks }
    }

    /// Where the snapshot of this slot stands, or would, for people to read.
    pub fn place(&self, slot: Slot) -> PathBuf {
        self.dir.path().join(named(slot, ""))
    }

    /// What stands here, durably, oldest first. What an interrupted writer left is removed.
    pub fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        // A process that ended before it had synced a name leaves one that a power cut takes back,
        // and the log is trimmed below what stands here.
        self.dir.sync().map_err(|error| self.fail(error))?;
        let mut slots = Vec::new();
        for name in self.names()? {
            if name.ends_with(NEW) {
                self.remove_file(&name)?;
            } else if let Some(slot) = slot_of(&name) {
                slots.push(slot);
            }
        }
        slots.sort_unstable();
        Ok(slots)
    }

    /// The snapshot that was being received, and how many of its chunks are there, whole.
    pub fn part(&self) -> Result<Option<(Slot, u32)>, StoreError> {
        let parts = self.names()?;
        let newest = parts.iter().filter_map(|name| slot_of(name.strip_suffix(PART)?)).max();
        let Some(slot) = newest else { return Ok(None) };
        let bytes = self.read_file(&named(slot, PART))?.unwrap_or_default();
        let sealed = bytes.chunks_exact(self.chunks.sealed_bytes());
        let whole = (0..)
            .zip(sealed)
            .take_while(|(n, sealed)| self.chunks.is_whole(slot, *n, false, sealed));
        Ok(Some((slot, whole.count() as u32)))
    }

    /// The state that a snapshot holds; `None` when it is damaged or not there.
    pub fn load(&self, slot: Slot) -> Result<Option<Vec<u8>>, StoreError> {
        let snapshot = self.read_file(&named(slot, ""))?;
        Ok(snapshot.and_then(|snapshot| self.chunks.state(slot, &snapshot)))
    }

    /// Begins to write a snapshot of the state after `slot`.
    pub fn draft(&self, slot: Slot) -> Result<Draft<D>, StoreError> {
        let name = named(slot, NEW);
        self.remove_file(&name)?;
        let file = self.dir.create(&name)?;
        let (shelf, gathered) = (self.clone(), Vec::new());
        let (number, written_bytes, synced_bytes) = (0, 0, 0);
        let stands = false;
        Ok(Draft { shelf, slot, file, number, gathered, written_bytes, synced_bytes, stands })
    }

    /// One chunk; `None` when it is damaged, or not there.
    pub fn read(&self, slot: Slot, number: u32) -> Result<Option<Chunk>, StoreError> {
        let Some(file) = self.dir.open(&named(slot, ""))? else { return Ok(None) };
        let bytes = file.length().map_err(|error| self.fail(error))?;
        let count = self.chunks.count(bytes);
        let begin = u64::from(number) * self.chunks.sealed_bytes() as u64;
        let length = bytes.saturating_sub(begin).min(self.chunks.sealed_bytes() as u64);
        let mut sealed = vec![0; length as usize];
        file.read(begin, &mut sealed).map_err(|error| self.fail(error))?;
        let whole = self.chunks.is_whole(slot, number, number + 1 == count, &sealed);
        Ok(whole.then(|| Chunk { number, count, sealed: Bytes::from(sealed) }))
    }

    /// Takes in a chunk of a snapshot that is being received. A part of another one is removed.
    pub fn receive(&self, slot: Slot, chunk: &Chunk) -> Result<Received, StoreError> {
        let name = named(slot, PART);
        let file = match self.dir.open(&name)? {
            Some(file) => file,
            None => {
                self.remove_parts()?;
                self.dir.create(&name)?
            }
        };
        let sealed_bytes = self.chunks.sealed_bytes() as u64;
        let there = file.length().map_err(|error| self.fail(error))? / sealed_bytes;
        let next = u32::try_from(there).unwrap_or(u32::MAX);
        let last = chunk.number + 1 == chunk.count;
        if chunk.number > next || !self.chunks.is_whole(slot, chunk.number, last, &chunk.sealed) {
            return Ok(Received::Next(next));
        }
        let begin = u64::from(chunk.number) * sealed_bytes;
        file.cut(begin).map_err(|error| self.fail(error))?;
        file.write(begin, &chunk.sealed).map_err(|error| self.fail(error))?;
        if begin % (SYNC_BYTES as u64) < sealed_bytes || last {
            file.sync().map_err(|error| self.fail(error))?;
        }
        if !last {
            return Ok(Received::Next(chunk.number + 1));
        }
        // Chunks that an earlier life received may have been torn since.
        let snapshot = self.read_file(&name)?.unwrap_or_default();
        if self.chunks.state(slot, &snapshot).is_none() {
            self.remove_file(&name)?;
            return Ok(Received::Next(0));
        }
        self.put_up(slot, PART)?;
        Ok(Received::Whole)
    }

    /// Removes a snapshot, if it is there.
    pub fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        self.remove_file(&named(slot, ""))
    }

    /// Gives a whole and synced file its name.
    fn put_up(&self, slot: Slot, from: &str) -> Result<(), StoreError> {
        let renamed = self.dir.rename(&named(slot, from), &named(slot, ""));
        let synced = renamed.and_then(|()| self.dir.sync());
        synced.map_err(|error| self.fail(error))
    }

    fn remove_parts(&self) -> Result<(), StoreError> {
        let parts = self.names()?;
        let mut parts = parts.iter().filter(|name| name.ends_with(PART));
        parts.try_for_each(|name| self.remove_file(name))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let names = self.dir.names().map_err(|error| self.fail(error))?;
        Ok(names.into_iter().filter(|name| name.starts_with(NAME)).collect())
    }

    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.dir.open(name)? else { return Ok(None) };
        let length = file.length().map_err(|error| self.fail(error))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read(0, &mut bytes).map_err(|error| self.fail(error))?;
        Ok(Some(bytes))
    }

    fn remove_file(&self, name: &str) -> Result<(), StoreError> {
        self.dir.remove(name).map_err(|error| self.fail(error))
    }

    fn fail(&self, source: io::Error) -> StoreError {
        StoreError::of_dir(self.dir.path(), source)
    }
}

/// The name of a file of the snapshot of this slot.
fn named(slot: Slot, end: &str) -> String {
    format!("{NAME}{:020}{end}", slot.get())
}

fn slot_of(name: &str) -> Option<Slot> {
    let digits = name.strip_prefix(NAME).filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Slot::new)
}

/// A snapshot that is being written. Dropped before [`Draft::finish`] it never was.
#[derive(Debug)]
pub struct Draft<D: Dir = PlainDir> {
    shelf: Shelf<D>,
    slot: Slot,
    file: D::File,
    number: u32,
    gathered: Vec<u8>,
    written_bytes: u64,
    synced_bytes: u64,
    /// Whether it has its name.
    stands: bool,
}

/// What found no room would keep the rest of it, and another for each slot that is tried after it.
impl<D: Dir> Drop for Draft<D> {
    fn drop(&mut self) {
        if !self.stands {
            // The next start removes what cannot be removed now.
            let _ = self.shelf.remove_file(&named(self.slot, NEW));
        }
    }
}

impl<D: Dir> Draft<D> {
    /// Adds bytes of the state.
    pub fn write(&mut self, state: &[u8]) -> Result<(), StoreError> {
        self.gathered.extend_from_slice(state);
        let bytes = self.shelf.chunks.bytes();
        // The last chunk is known only at the end, so something stays.
        while self.gathered.len() > bytes {
            let rest = self.gathered.split_off(bytes);
            let body = std::mem::replace(&mut self.gathered, rest);
            self.put(&body, false)?;
        }
        Ok(())
    }

    /// Makes it durable, and then lets it stand.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let body = std::mem::take(&mut self.gathered);
        self.put(&body, true)?;
        self.file.sync().map_err(|error| self.shelf.fail(error))?;
        self.shelf.put_up(self.slot, NEW)?;
        self.stands = true;
        Ok(())
    }

    fn put(&mut self, body: &[u8], last: bool) -> Result<(), StoreError> {
        let sealed = self.shelf.chunks.seal_one(self.slot, self.number, last, body);
        let put = self.file.write(self.written_bytes, &sealed);
        put.map_err(|error| self.shelf.fail(error))?;
        self.number += 1;
        self.written_bytes += sealed.len() as u64;
        if self.written_bytes - self.synced_bytes >= SYNC_BYTES as u64 {
            // In small parts: on some file systems a sync of the log waits for all of this.
            self.file.sync().map_err(|error| self.shelf.fail(error))?;
            self.synced_bytes = self.written_bytes;
        }
        Ok(())
    }
}
