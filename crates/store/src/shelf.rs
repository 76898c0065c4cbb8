//! Where a node's snapshots stand: files beside its log, each whole or not there.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write as _},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use synod_paxos::Slot;

use crate::{StoreError, chunks::Chunks, directory};

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
pub struct Shelf {
    dir: PathBuf,
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
        Shelf { dir: dir.to_owned(), chunks: Chunks::new(cluster_id) }
    }

    /// What stands here, oldest first. What an interrupted writer left is removed.
    pub fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        let mut slots = Vec::new();
        for name in self.names()? {
            if name.ends_with(NEW) {
                self.remove_file(&self.dir.join(&name))?;
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
        let bytes = self.read_file(&self.path(slot, PART))?.unwrap_or_default();
        let sealed = bytes.chunks_exact(self.chunks.sealed_bytes());
        let whole = (0..)
            .zip(sealed)
            .take_while(|(n, sealed)| self.chunks.is_whole(slot, *n, false, sealed));
        Ok(Some((slot, whole.count() as u32)))
    }

    /// The state that a snapshot holds; `None` when it is damaged or not there.
    pub fn load(&self, slot: Slot) -> Result<Option<Vec<u8>>, StoreError> {
        let snapshot = self.read_file(&self.path(slot, ""))?;
        Ok(snapshot.and_then(|snapshot| self.chunks.state(slot, &snapshot)))
    }

    /// Begins to write a snapshot of the state after `slot`.
    pub fn draft(&self, slot: Slot) -> Result<Draft, StoreError> {
        let path = self.path(slot, NEW);
        self.remove_file(&path)?;
        let file = directory::create_plain(&self.dir, &path)?;
        let shelf = self.clone();
        Ok(Draft { shelf, slot, file, number: 0, gathered: Vec::new(), unsynced_bytes: 0 })
    }

    /// One chunk; `None` when it is damaged, or not there.
    pub fn read(&self, slot: Slot, number: u32) -> Result<Option<Chunk>, StoreError> {
        let path = self.path(slot, "");
        let Some(file) = self.open(&path)? else { return Ok(None) };
        let bytes = file.metadata().map_err(|error| self.fail(error))?.len();
        let count = self.chunks.count(bytes);
        let begin = u64::from(number) * self.chunks.sealed_bytes() as u64;
        let length = bytes.saturating_sub(begin).min(self.chunks.sealed_bytes() as u64);
        let mut sealed = vec![0; length as usize];
        file.read_exact_at(&mut sealed, begin).map_err(|error| self.fail(error))?;
        let whole = self.chunks.is_whole(slot, number, number + 1 == count, &sealed);
        Ok(whole.then(|| Chunk { number, count, sealed: Bytes::from(sealed) }))
    }

    /// Takes in a chunk of a snapshot that is being received. A part of another one is removed.
    pub fn receive(&self, slot: Slot, chunk: &Chunk) -> Result<Received, StoreError> {
        let path = self.path(slot, PART);
        let file = match self.open(&path)? {
            Some(file) => file,
            None => {
                self.remove_parts()?;
                directory::create_plain(&self.dir, &path)?
            }
        };
        let sealed_bytes = self.chunks.sealed_bytes() as u64;
        let there = file.metadata().map_err(|error| self.fail(error))?.len() / sealed_bytes;
        let next = u32::try_from(there).unwrap_or(u32::MAX);
        let last = chunk.number + 1 == chunk.count;
        if chunk.number > next || !self.chunks.is_whole(slot, chunk.number, last, &chunk.sealed) {
            return Ok(Received::Next(next));
        }
        let begin = u64::from(chunk.number) * sealed_bytes;
        file.set_len(begin).map_err(|error| self.fail(error))?;
        file.write_all_at(&chunk.sealed, begin).map_err(|error| self.fail(error))?;
        if begin % (SYNC_BYTES as u64) < sealed_bytes || last {
            file.sync_all().map_err(|error| self.fail(error))?;
        }
        if !last {
            return Ok(Received::Next(chunk.number + 1));
        }
        // Chunks that an earlier life received may have been torn since.
        let snapshot = self.read_file(&path)?.unwrap_or_default();
        if self.chunks.state(slot, &snapshot).is_none() {
            self.remove_file(&path)?;
            return Ok(Received::Next(0));
        }
        self.put_up(slot, PART)?;
        Ok(Received::Whole)
    }

    /// Removes a snapshot, if it is there.
    pub fn remove(&self, slot: Slot) -> Result<(), StoreError> {
        self.remove_file(&self.path(slot, ""))
    }

    /// Gives a whole and synced file its name.
    fn put_up(&self, slot: Slot, from: &str) -> Result<(), StoreError> {
        let named = fs::rename(self.path(slot, from), self.path(slot, ""));
        let synced = named.and_then(|()| File::open(&self.dir)?.sync_all());
        synced.map_err(|error| self.fail(error))
    }

    fn remove_parts(&self) -> Result<(), StoreError> {
        let parts = self.names()?;
        let mut parts = parts.iter().filter(|name| name.ends_with(PART));
        parts.try_for_each(|name| self.remove_file(&self.dir.join(name)))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(&self.dir).map_err(|error| self.fail(error))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: io::Result<Vec<String>> = names.collect();
        let names = names.map_err(|error| self.fail(error))?;
        Ok(names.into_iter().filter(|name| name.starts_with(NAME)).collect())
    }

    fn open(&self, path: &Path) -> Result<Option<File>, StoreError> {
        directory::open_if_there(&self.dir, path)
    }

    fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut file) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| self.fail(error))?;
        Ok(Some(bytes))
    }

    fn remove_file(&self, path: &Path) -> Result<(), StoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.fail(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, slot: Slot, end: &str) -> PathBuf {
        self.dir.join(format!("{NAME}{:020}{end}", slot.get()))
    }

    fn fail(&self, source: io::Error) -> StoreError {
        StoreError::of_dir(&self.dir, source)
    }
}

fn slot_of(name: &str) -> Option<Slot> {
    let digits = name.strip_prefix(NAME).filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Slot::new)
}

/// A snapshot that is being written. Dropped before [`Draft::finish`] it never was.
#[derive(Debug)]
pub struct Draft {
    shelf: Shelf,
    slot: Slot,
    file: File,
    number: u32,
    gathered: Vec<u8>,
    unsynced_bytes: usize,
}

impl Draft {
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
        self.file.sync_all().map_err(|error| self.shelf.fail(error))?;
        self.shelf.put_up(self.slot, NEW)
    }

    fn put(&mut self, body: &[u8], last: bool) -> Result<(), StoreError> {
        let sealed = self.shelf.chunks.seal_one(self.slot, self.number, last, body);
        self.file.write_all(&sealed).map_err(|error| self.shelf.fail(error))?;
        self.number += 1;
        self.unsynced_bytes += sealed.len();
        if self.unsynced_bytes >= SYNC_BYTES {
            // In small parts: on some file systems a sync of the log waits for all of this.
            self.file.sync_data().map_err(|error| self.shelf.fail(error))?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }
}
