//! A disk in memory that fails at a given operation, and keeps what it likes of what was not
//! synced.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;

/// A disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    seen: Vec<u8>,
    synced: Vec<u8>,
    /// Writes since the last sync, in order.
    unsynced: Vec<(usize, Vec<u8>)>,
    operations: u64,
    syncs: u64,
    fails_at: Option<(u64, io::ErrorKind)>,
}

impl Disk {
    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    /// From the given operation on (a write, a change of length or a sync) everything fails.
    pub(super) fn fails_at(&self, operation: u64, with: io::ErrorKind) {
        self.platter().fails_at = Some((operation, with));
    }

    pub(super) fn operations(&self) -> u64 {
        self.platter().operations
    }

    pub(super) fn syncs(&self) -> u64 {
        self.platter().syncs
    }

    /// The power goes: of the writes that were not synced, those remain whose bit is set.
    pub(super) fn crash(&self, remains: u64) -> Disk {
        let platter = self.platter();
        let mut seen = platter.synced.clone();
        for (place, (offset, bytes)) in platter.unsynced.iter().enumerate() {
            if remains >> (place % 64) & 1 == 1 {
                let end = offset + bytes.len();
                if seen.len() < end {
                    seen.resize(end, 0);
                }
                seen[*offset..end].copy_from_slice(bytes);
            }
        }
        let platter = Platter { synced: seen.clone(), seen, ..Platter::default() };
        Disk(Arc::new(Mutex::new(platter)))
    }

    /// Flips one bit.
    pub(super) fn flip(&self, bit: usize) {
        let mut platter = self.platter();
        platter.seen[bit / 8] ^= 1 << (bit % 8);
        platter.synced[bit / 8] ^= 1 << (bit % 8);
    }

    /// Where two disks differ.
    pub(super) fn differences(&self, other: &Disk) -> Vec<usize> {
        let (one, other) = (self.platter(), other.platter());
        let pairs = one.seen.iter().zip(&other.seen).enumerate();
        pairs.filter(|(_, (one, other))| one != other).map(|(place, _)| place).collect()
    }

    pub(super) fn find(&self, bytes: &[u8]) -> Vec<usize> {
        let platter = self.platter();
        let windows = platter.seen.windows(bytes.len()).enumerate();
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
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.platter().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let platter = self.platter();
        let start = usize::try_from(offset).expect("a small disk");
        let bytes = platter.seen.get(start..start + out.len());
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut platter = self.platter();
        platter.operate()?;
        platter.seen.resize(usize::try_from(len).expect("a small disk"), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut platter = self.platter();
        platter.operate()?;
        platter.syncs += 1;
        platter.synced = platter.seen.clone();
        platter.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut platter = self.platter();
        platter.operate()?;
        let start = usize::try_from(offset).expect("a small disk");
        let end = start + data.len();
        if platter.seen.len() < end {
            platter.seen.resize(end, 0);
        }
        platter.seen[start..end].copy_from_slice(data);
        platter.unsynced.push((start, data.to_vec()));
        Ok(())
    }
}
