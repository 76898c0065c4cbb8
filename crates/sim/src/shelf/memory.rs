use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use synod_paxos::Slot;
use synod_store::{Dir, DirFile, StoreError};

/// A directory in memory. Clones are of the same one, and of the same files.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<BTreeMap<String, File>>>);

/// One of its files, which may have lost its name.
#[derive(Clone, Debug, Default)]
pub(super) struct File(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// Does something to the snapshot that is being received, if one is.
    pub(super) fn change_part(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let names = self.lock();
        let part = names.iter().find(|(name, _)| name.ends_with(".part"));
        if let Some((_, file)) = part {
            change(&mut file.lock());
        }
    }

    /// Does something to a snapshot that stands.
    pub(super) fn change_standing(&self, slot: Slot, change: impl FnOnce(&mut Vec<u8>)) {
        let end = format!("{:020}", slot.get());
        let names = self.lock();
        let standing = names.iter().find(|(name, _)| name.ends_with(&end));
        if let Some((_, file)) = standing {
            change(&mut file.lock());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dir for Memory {
    type File = File;

    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<File, StoreError> {
        let file = File::default();
        self.lock().insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn open(&self, name: &str) -> Result<Option<File>, StoreError> {
        Ok(self.lock().get(name).cloned())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.lock();
        let file = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().remove(name);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DirFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.lock().len() as u64)
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> io::Result<()> {
        let held = self.lock();
        let there = usize::try_from(from).ok().and_then(|from| held.get(from..));
        let there = there.unwrap_or_default().get(..bytes.len());
        bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, from: u64, bytes: &[u8]) -> io::Result<()> {
        let from = usize::try_from(from).map_err(io::Error::other)?;
        let mut held = self.lock();
        let end = from + bytes.len();
        let length = held.len().max(end);
        held.resize(length, 0);
        held[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.lock().resize(length, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
