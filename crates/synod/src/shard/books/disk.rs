//! A disk in memory, with three files, that fails at a given operation, and keeps what it likes of
//! what was not synced.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;

use crate::shard::store::Files;

/// A disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

/// One of its files.
#[derive(Debug)]
pub(super) struct Part {
    disk: Disk,
    place: usize,
}

#[derive(Debug, Default)]
struct Platter {
    files: [Contents; 3],
    operations: u64,
    syncs: u64,
    fails_at: Option<(u64, io::ErrorKind)>,
    /// A file that finds no room to grow.
    full: Option<usize>,
}

#[derive(Debug, Default)]
struct Contents {
    seen: Vec<u8>,
    synced: Vec<u8>,
    /// Writes since the last sync, in order.
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    /// The files of a shard.
    pub(super) fn files(&self) -> Files<Part> {
        let part = |place| Part { disk: self.clone(), place };
        Files { shard: part(0), wal: part(1), count: part(2) }
    }

    /// From the given operation on (a write, a change of length or a sync) everything fails.
    pub(super) fn fails_at(&self, operation: u64, with: io::ErrorKind) {
        self.platter().fails_at = Some((operation, with));
    }

    /// What would make this file longer finds no room.
    pub(super) fn full_from_now_on(&self, file: usize) {
        self.platter().full = Some(file);
    }

    pub(super) fn operations(&self) -> u64 {
        self.platter().operations
    }

    pub(super) fn syncs(&self) -> u64 {
        self.platter().syncs
    }

    /// The power goes: of the writes that were not synced, those remain whose bit is set.
    pub(super) fn crash(&self, remains: u64) -> Disk {
        let files = self.platter().files.each_ref().map(|file| {
            let mut seen = file.synced.clone();
            for (place, (offset, bytes)) in file.unsynced.iter().enumerate() {
                if remains >> (place % 64) & 1 == 1 {
                    let end = offset + bytes.len();
                    if seen.len() < end {
                        seen.resize(end, 0);
                    }
                    seen[*offset..end].copy_from_slice(bytes);
                }
            }
            Contents { synced: seen.clone(), seen, unsynced: Vec::new() }
        });
        Disk(Arc::new(Mutex::new(Platter { files, ..Platter::default() })))
    }

    /// Flips one bit of a file.
    pub(super) fn flip(&self, file: usize, bit: usize) {
        let file = &mut self.platter().files[file];
        file.seen[bit / 8] ^= 1 << (bit % 8);
        file.synced[bit / 8] ^= 1 << (bit % 8);
    }

    /// Where a file of two disks differs.
    pub(super) fn differences(&self, other: &Disk, file: usize) -> Vec<usize> {
        let (one, other) = (self.platter(), other.platter());
        let pairs = one.files[file].seen.iter().zip(&other.files[file].seen).enumerate();
        pairs.filter(|(_, (one, other))| one != other).map(|(place, _)| place).collect()
    }

    /// Where these bytes stand in a file.
    pub(super) fn find(&self, file: usize, bytes: &[u8]) -> Vec<usize> {
        let platter = self.platter();
        let windows = platter.files[file].seen.windows(bytes.len()).enumerate();
        windows.filter(|(_, window)| *window == bytes).map(|(offset, _)| offset).collect()
    }
}

impl Platter {
    fn operate(&mut self) -> Result<(), io::Error> {
        self.operations += 1;
        match self.fails_at {
            Some((at, kind)) if self.operations >= at => Err(io::Error::from(kind)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a file may have this length.
    fn room(&self, file: usize, length: usize) -> Result<(), io::Error> {
        if self.full == Some(file) && length > self.files[file].seen.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Part {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.disk.platter().files[self.place].seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let platter = self.disk.platter();
        let start = usize::try_from(offset).expect("a small disk");
        let bytes = platter.files[self.place].seen.get(start..start + out.len());
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut platter = self.disk.platter();
        platter.operate()?;
        let len = usize::try_from(len).expect("a small disk");
        platter.room(self.place, len)?;
        platter.files[self.place].seen.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut platter = self.disk.platter();
        platter.operate()?;
        platter.syncs += 1;
        let file = &mut platter.files[self.place];
        file.synced.clone_from(&file.seen);
        file.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut platter = self.disk.platter();
        platter.operate()?;
        let start = usize::try_from(offset).expect("a small disk");
        let end = start + data.len();
        platter.room(self.place, end)?;
        let file = &mut platter.files[self.place];
        if file.seen.len() < end {
            file.seen.resize(end, 0);
        }
        file.seen[start..end].copy_from_slice(data);
        file.unsynced.push((start, data.to_vec()));
        Ok(())
    }
}
