use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;
use redb::StorageBackend;

/// What a disk writes as one.
const SECTOR_BYTES: usize = 512;

/// A disk in memory, below the real store: what was not synced survives a crash by the toss of a
/// coin, sector by sector. Clones are handles to one platter, which outlives the store on it.
#[derive(Clone, Default)]
pub(crate) struct Platter(Arc<Mutex<Surface>>);

#[derive(Default)]
struct Surface {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What has been synced.
    durable: Vec<u8>,
    /// Sectors of `seen` that may differ from `durable`.
    dirty: BTreeSet<usize>,
    /// How many more calls succeed before the power goes; `None` while it stays.
    calls_left: Option<u64>,
}

impl Platter {
    /// Lets the power go after `calls` more calls that write or sync.
    pub(crate) fn cut_after(&self, calls: u64) {
        self.surface().calls_left = Some(calls);
    }

    /// What the machine finds when the power is back.
    pub(crate) fn crash(&self, rng: &mut Rng) {
        let surface = &mut *self.surface();
        surface.calls_left = None;
        if rng.bool() {
            surface.durable.resize(surface.seen.len(), 0);
        }
        for sector in std::mem::take(&mut surface.dirty) {
            if rng.bool() {
                surface.keep(sector);
            }
        }
        surface.seen = surface.durable.clone();
    }

    fn surface(&self) -> MutexGuard<'_, Surface> {
        // One thread runs a universe; a panic in it ends the universe, not the disk.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Surface {
    /// Makes one sector durable, as far as the durable file reaches.
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.seen.len()).min(self.durable.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }

    /// Counts one call that changes something, and fails it when the power is gone.
    fn powered(&mut self) -> Result<(), io::Error> {
        match &mut self.calls_left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Platter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platter").field("bytes", &self.surface().seen.len()).finish()
    }
}

/// An offset as an index: a platter is smaller than memory.
fn place(offset: u64) -> Result<usize, io::Error> {
    usize::try_from(offset).map_err(|_| io::Error::other("beyond the platter"))
}

impl StorageBackend for Platter {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.surface().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let start = place(offset)?;
        let surface = self.surface();
        match start.checked_add(out.len()).and_then(|end| surface.seen.get(start..end)) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => return Err(io::Error::other("read beyond the end")),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let len = place(len)?;
        let mut surface = self.surface();
        surface.powered()?;
        surface.seen.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let surface = &mut *self.surface();
        surface.powered()?;
        surface.durable.resize(surface.seen.len(), 0);
        for sector in std::mem::take(&mut surface.dirty) {
            surface.keep(sector);
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), io::Error> {
        let start = place(offset)?;
        let surface = &mut *self.surface();
        surface.powered()?;
        let end = start + bytes.len();
        match surface.seen.get_mut(start..end) {
            Some(seen) => seen.copy_from_slice(bytes),
            None => return Err(io::Error::other("write beyond the end")),
        }
        surface.dirty.extend(start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(platter: &Platter) -> Vec<u8> {
        let mut bytes = vec![0; platter.len().unwrap() as usize];
        platter.read(0, &mut bytes).unwrap();
        bytes
    }

    /// What was synced is there after every crash; what was not is there in some and not in others.
    #[test]
    fn a_crash_keeps_what_was_synced_and_tosses_for_the_rest() {
        let mut kept = BTreeSet::new();
        for seed in 0..64 {
            let platter = Platter::default();
            platter.set_len(2 * SECTOR_BYTES as u64).unwrap();
            platter.write(0, b"synced").unwrap();
            platter.sync_data().unwrap();
            platter.write(SECTOR_BYTES as u64, b"not").unwrap();
            platter.crash(&mut Rng::with_seed(seed));
            let bytes = bytes(&platter);
            assert_eq!(&bytes[..6], b"synced");
            kept.insert(bytes[SECTOR_BYTES..SECTOR_BYTES + 3].to_vec());
        }
        assert_eq!(kept, BTreeSet::from([b"not".to_vec(), vec![0; 3]]));
    }

    /// When the power goes, calls fail until the machine starts again.
    #[test]
    fn a_power_cut_fails_every_call_until_the_crash() {
        let platter = Platter::default();
        platter.cut_after(1);
        platter.set_len(8).unwrap();
        assert!(platter.write(0, b"x").is_err());
        assert!(platter.sync_data().is_err());
        platter.crash(&mut Rng::with_seed(1));
        assert!(platter.sync_data().is_ok());
    }
}
