use std::{borrow::Cow, fmt, fs::File, path::Path, sync::Arc};

use redb::StorageBackend;
use synod_paxos::{Decree, Durable, Slot, Write};

use crate::{
    Identity, StoreError,
    base::Base,
    batch,
    directory::{self, Files},
    facts::Standing,
    front::Front,
    medium::Medium,
    open::{self, CACHE_BYTES, Opened},
    scan,
    wal::WAL_BYTES,
};

/// What a storage that is not a file is called in errors.
const NO_PATH: &str = "(given storage)";

/// One node's facts.
///
/// After an error of [`Store::write`] other than [`StoreError::DiskFull`] every further call fails:
/// what the medium holds is unknown until another life of the process reads it anew.
pub struct Store {
    /// Closed before the database, which it may have to write to.
    front: Option<Front<Vec<Write>>>,
    base: Arc<Base>,
    /// With all that was written, wherever it is.
    standing: Standing,
    /// Held until the store is dropped.
    _lock: Option<File>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.base.path()).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a new, empty store in directory `dir`; refuses when there is one.
    ///
    /// A directory that is not there is made, for its owner alone. An interrupted call leaves no
    /// store behind and can be repeated.
    pub fn format(dir: &Path, identity: &Identity) -> Result<(), StoreError> {
        directory::format(dir, |Files { log, wal, count }| {
            open::format_ahead(dir, log, [wal, count], WAL_BYTES, identity)
        })
    }

    /// Another node was told of more than the store in `dir` holds: it is refused from now on. A
    /// start would write to it, and after some of them nobody could tell any more.
    pub fn refuse_as_older(dir: &Path) -> Result<(), StoreError> {
        directory::mark_older(dir)
    }

    /// Makes a new, empty store on an empty storage that the caller supplies.
    pub fn format_on(backend: impl StorageBackend, identity: &Identity) -> Result<(), StoreError> {
        open::format(Path::new(NO_PATH), &Medium::new(backend), identity)
    }

    /// The same on three, the second for a write-ahead log of so many bytes (rounded up to 8 KiB)
    /// and the third for its count, as [`Store::format`] does it.
    pub fn format_ahead_on(
        backend: impl StorageBackend,
        wal: [impl StorageBackend; 2],
        wal_bytes: u64,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        open::format_ahead(Path::new(NO_PATH), backend, wal, wal_bytes, identity)
    }

    /// Opens the store in `dir`, which must be `expected`'s, checks every record, and tells what a
    /// peer must remember. Another's store is not changed by a byte.
    pub fn open(dir: &Path, expected: &Identity) -> Result<(Store, Durable), StoreError> {
        let (Files { log, wal, count }, lock) = directory::open(dir)?;
        let opened = open::open_ahead(dir, log, [wal, count], expected)?;
        let (mut store, durable) = Store::new(dir, opened, Some(lock));
        if let Some(front) = &mut store.front {
            front.get_help(&store.base).map_err(|error| StoreError::of_dir(dir, error))?;
        }
        Ok((store, durable))
    }

    /// Opens a store on a storage that the caller supplies: the simulator's disk.
    pub fn open_on(
        backend: impl StorageBackend,
        expected: &Identity,
    ) -> Result<(Store, Durable), StoreError> {
        let path = Path::new(NO_PATH);
        let opened = open::open(path, Medium::new(backend), expected)?;
        Ok(Store::new(path, opened, None))
    }

    /// The same on three, with a write-ahead log in the second and its count in the third, as
    /// [`Store::open`] does it; but no other thread has a part in it.
    pub fn open_ahead_on(
        backend: impl StorageBackend,
        wal: [impl StorageBackend; 2],
        expected: &Identity,
    ) -> Result<(Store, Durable), StoreError> {
        let path = Path::new(NO_PATH);
        let opened = open::open_ahead(path, backend, wal, expected)?;
        Ok(Store::new(path, opened, None))
    }

    fn new(path: &Path, opened: Opened, lock: Option<File>) -> (Store, Durable) {
        let Opened { medium, database, front, standing, durable } = opened;
        let base = Arc::new(Base::new(path.to_owned(), medium, database, CACHE_BYTES));
        (Store { front, base, standing, _lock: lock }, durable)
    }

    /// Makes all of `writes` durable, in order, as one: when it returns, all are; when it fails,
    /// the process must end (except for `DiskFull`, where none of them is).
    pub fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        match &mut self.front {
            Some(front) => {
                front.write(&self.base, Cow::Borrowed(writes))?;
                writes.iter().for_each(|write| self.standing.note(write));
            }
            None => {
                let standing = &self.standing;
                self.standing =
                    self.base.write(|database| batch::write(database, standing, writes))?;
            }
        }
        Ok(())
    }

    /// Chosen decrees from `first` to at most `upto`, gapless, stopping once `bytes_max` are
    /// gathered (at least one is returned) or before the first damaged one, which fails the call
    /// when it is `first` itself.
    ///
    /// A vote above this store's own watermark ends the list too, whatever the caller knows: the
    /// decree that was chosen there may be another one.
    pub fn chosen(
        &self,
        first: Slot,
        upto: Slot,
        bytes_max: usize,
    ) -> Result<Vec<(Slot, Decree)>, StoreError> {
        let database = self.base.database()?;
        let held = self.front.iter().flat_map(Front::held).flatten();
        let above = scan::above(held, &(first..=upto));
        let chosen = scan::chosen(&database, &above, first..=upto, bytes_max, &self.standing);
        let faulty = || StoreError::Faulty { path: self.base.path(), slot: first };
        chosen.map_err(|cause| self.base.explain(cause))?.ok_or_else(faulty)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.base.bytes()
    }
}
