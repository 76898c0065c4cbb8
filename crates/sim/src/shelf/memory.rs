use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;
use synod_paxos::Slot;
use synod_store::{Dir, DirFile, StoreError, is_about_room};

use super::device::Device;

/// A directory in memory, on a device that may be full, fail, or lose its power. Clones are of the
/// same one, and of the same files.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    names: Arc<Mutex<Names>>,
    device: Device,
}

/// What stands in the directory.
#[derive(Debug, Default)]
struct Names {
    now: BTreeMap<String, File>,
    /// What stood there before each change that is not durable, the oldest first.
    before: Vec<BTreeMap<String, File>>,
}

/// One of its files, which may have lost its name.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    held: Arc<Mutex<Held>>,
    device: Device,
}

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    /// So many of the first bytes are durable. That a file is shorter is so at once.
    synced: usize,
}

impl Memory {
    /// The device that it is on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Another directory, with the names and the bytes of this one that are durable.
    pub(super) fn image(&self) -> Memory {
        let image = Memory::default();
        let names = self.lock();
        let durable = names.before.first().unwrap_or(&names.now);
        let copy = |(name, file): (&String, &File)| {
            let held = file.lock();
            let bytes = held.bytes[..held.synced].to_vec();
            let held = Arc::new(Mutex::new(Held { synced: bytes.len(), bytes }));
            (name.clone(), File { held, device: image.device.clone() })
        };
        image.lock().now = durable.iter().map(copy).collect();
        drop(names);
        image
    }

    /// The snapshots that stand, whatever the device does.
    pub(super) fn standing(&self) -> Vec<Slot> {
        let named = |name: &String| name.rsplit('-').next()?.parse().ok().map(Slot::new);
        self.lock().now.keys().filter_map(named).collect()
    }

    /// Does something to a snapshot that stands.
    pub(super) fn change_standing(&self, slot: Slot, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(file) = standing(&self.lock().now, slot) {
            let mut held = file.lock();
            change(&mut held.bytes);
            held.synced = held.bytes.len();
        }
    }

    /// Whether a loss of power leaves a snapshot of this slot its name.
    pub(super) fn keeps_name(&self, slot: Slot) -> bool {
        let names = self.lock();
        names.before.iter().chain([&names.now]).all(|names| standing(names, slot).is_some())
    }

    /// The power goes: the last changes of names may never have been made, and the ends of files
    /// that were not synced are there in part. Tells whether a change of names is lost.
    pub(super) fn lose_power(&self, rng: &mut Rng) -> bool {
        let mut names = self.lock();
        let kept = rng.usize(0..=names.before.len());
        let is_lost = kept < names.before.len();
        if is_lost {
            names.now = names.before.swap_remove(kept);
        }
        names.before.clear();
        for file in names.now.values() {
            let mut held = file.lock();
            let left = rng.usize(held.synced..=held.bytes.len());
            held.bytes.truncate(left);
            held.synced = left;
        }
        is_lost
    }

    /// Changes a name; what stood there before may come back until the next sync.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, File>)) {
        let mut names = self.lock();
        let before = names.now.clone();
        names.before.push(before);
        change(&mut names.now);
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> StoreError {
        let path = self.path().to_owned();
        match is_about_room(&source) {
            true => StoreError::DiskFull { path },
            false => StoreError::Io { path, source },
        }
    }
}

fn standing(names: &BTreeMap<String, File>, slot: Slot) -> Option<&File> {
    let end = format!("{:020}", slot.get());
    names.iter().find(|(name, _)| name.ends_with(&end)).map(|(_, file)| file)
}

impl File {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dir for Memory {
    type File = File;

    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.device.called()?;
        Ok(self.lock().now.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<File, StoreError> {
        self.device.called().map_err(|error| self.failed(error))?;
        let file = File { device: self.device.clone(), ..File::default() };
        let created = file.clone();
        self.change(|names| drop(names.insert(name.to_owned(), created)));
        Ok(file)
    }

    fn open(&self, name: &str) -> Result<Option<File>, StoreError> {
        self.device.called().map_err(|error| self.failed(error))?;
        Ok(self.lock().now.get(name).cloned())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.device.called()?;
        if !self.lock().now.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(|names| {
            let file = names.remove(from);
            names.extend(file.map(|file| (to.to_owned(), file)));
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.device.called()?;
        if self.lock().now.contains_key(name) {
            self.change(|names| drop(names.remove(name)));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.device.named()?;
        self.lock().before.clear();
        Ok(())
    }
}

impl DirFile for File {
    fn length(&self) -> io::Result<u64> {
        self.device.called()?;
        Ok(self.lock().bytes.len() as u64)
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.device.called()?;
        let held = self.lock();
        let there = usize::try_from(from).ok().and_then(|from| held.bytes.get(from..));
        let there = there.unwrap_or_default().get(..bytes.len());
        bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, from: u64, bytes: &[u8]) -> io::Result<()> {
        let from = usize::try_from(from).map_err(io::Error::other)?;
        self.device.called()?;
        let mut held = self.lock();
        let end = from + bytes.len();
        if end > held.bytes.len() {
            self.device.takes_more()?;
            held.bytes.resize(end, 0);
        }
        held.synced = held.synced.min(from);
        held.bytes[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.device.called()?;
        let mut held = self.lock();
        held.bytes.resize(length, 0);
        held.synced = held.synced.min(length);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.device.called()?;
        let mut held = self.lock();
        held.synced = held.bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::device::Goes, *};

    const NAME: &str = "snapshot-00000000000000000007";

    /// A file of seven bytes, four of which are synced, under a name that is not.
    fn begun() -> (Memory, File) {
        let memory = Memory::default();
        let file = memory.create(NAME).unwrap();
        file.write(0, b"four").unwrap();
        DirFile::sync(&file).unwrap();
        file.write(4, b"and").unwrap();
        (memory, file)
    }

    /// A name that was not synced is there afterwards or not, and so are the ends of files; what
    /// was synced stays.
    #[test]
    fn a_loss_of_power_takes_what_was_not_synced() {
        let (mut lost, mut torn) = (0, 0);
        for seed in 0..40 {
            let (memory, _file) = begun();
            assert!(!memory.keeps_name(Slot::new(7)));
            lost += u64::from(memory.lose_power(&mut Rng::with_seed(seed)));
            let (memory, file) = begun();
            Dir::sync(&memory).unwrap();
            assert!(memory.keeps_name(Slot::new(7)));
            assert!(!memory.lose_power(&mut Rng::with_seed(seed)));
            let length = file.length().unwrap();
            assert!((4..=7).contains(&length), "{length}");
            torn += u64::from(length < 7);
        }
        assert!((5..35).contains(&lost) && torn > 5, "{lost} {torn}");
    }

    /// A full device takes no more and gives what it has; one call fails, once; and when the power
    /// is gone nothing is done.
    #[test]
    fn a_device_may_be_full_fail_and_end() {
        let (memory, file) = begun();
        memory.device().set_full(true);
        let refused = file.write(7, b"more").unwrap_err();
        assert!(is_about_room(&refused), "{refused}");
        file.write(0, b"five").unwrap();
        memory.device().fail_after(1);
        assert!(file.length().is_ok() && file.length().is_err() && file.length().is_ok());
        memory.device().cut(Goes::BeforeNamesAreDurable);
        memory.rename(NAME, "other").unwrap();
        assert!(Dir::sync(&memory).is_err() && file.length().is_err());
        memory.device().restore_power();
        assert_eq!(memory.names().unwrap(), ["other"]);
    }
}
