use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, StorageBackend};
use synod_paxos::{Decree, Durable, Slot, Write};

use crate::{
    Identity, StoreError, batch,
    cause::Cause,
    directory::{self, Files},
    facts::Standing,
    journal::JOURNAL_BYTES,
    medium::{Fault, Medium},
    open::{self, Opened},
    scan,
};

/// What a storage that is not a file is called in errors.
const NO_PATH: &str = "(given storage)";

/// One node's facts.
///
/// After an error of [`Store::write`] other than [`StoreError::DiskFull`] every further call fails:
/// what the medium holds is unknown until another life of the process reads it anew.
pub struct Store {
    path: PathBuf,
    medium: Arc<Medium>,
    /// `None` once it has failed; after a full disk it is opened anew.
    database: Option<Database>,
    standing: Standing,
    /// Held until the store is dropped.
    _lock: Option<File>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a new, empty store in directory `dir`; refuses when there is one.
    ///
    /// A directory that is not there is made, for its owner alone. An interrupted call leaves no
    /// store behind and can be repeated.
    pub fn format(dir: &Path, identity: &Identity) -> Result<(), StoreError> {
        directory::format(dir, |Files { log, journal }| {
            open::format_journaled(dir, log, journal, JOURNAL_BYTES, identity)
        })
    }

    /// Makes a new, empty store on an empty storage that the caller supplies.
    pub fn format_on(backend: impl StorageBackend, identity: &Identity) -> Result<(), StoreError> {
        open::format(Path::new(NO_PATH), &Medium::plain(Box::new(backend)), identity)
    }

    /// The same on two empty storages, the second for a journal, as [`Store::format`] does it. The
    /// journal's length is rounded up to 64 KiB.
    pub fn format_journaled_on(
        backend: impl StorageBackend,
        journal: impl StorageBackend,
        journal_bytes: u64,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        open::format_journaled(Path::new(NO_PATH), backend, journal, journal_bytes, identity)
    }

    /// Opens the store in `dir`, which must be `expected`'s, checks every record, and tells what a
    /// peer must remember. Another's store is not changed by a byte.
    pub fn open(dir: &Path, expected: &Identity) -> Result<(Store, Durable), StoreError> {
        let (Files { log, journal }, lock) = directory::open(dir)?;
        let opened = open::open_journaled(dir, log, journal, expected)?;
        Ok(Store::new(dir, opened, Some(lock)))
    }

    /// Opens a store on a storage that the caller supplies: the simulator's disk.
    pub fn open_on(
        backend: impl StorageBackend,
        expected: &Identity,
    ) -> Result<(Store, Durable), StoreError> {
        let path = Path::new(NO_PATH);
        let opened = open::open(path, Medium::plain(Box::new(backend)), expected)?;
        Ok(Store::new(path, opened, None))
    }

    /// The same on two storages, with a journal in the second, as [`Store::open`] does it.
    pub fn open_journaled_on(
        backend: impl StorageBackend,
        journal: impl StorageBackend,
        expected: &Identity,
    ) -> Result<(Store, Durable), StoreError> {
        let path = Path::new(NO_PATH);
        let opened = open::open_journaled(path, backend, journal, expected)?;
        Ok(Store::new(path, opened, None))
    }

    fn new(path: &Path, opened: Opened, lock: Option<File>) -> (Store, Durable) {
        let Opened { medium, database, standing, durable } = opened;
        let path = path.to_owned();
        (Store { path, medium, database: Some(database), standing, _lock: lock }, durable)
    }

    /// Makes all of `writes` durable, in order, as one: when it returns, all are; when it fails,
    /// the process must end (except for `DiskFull`, where none of them is).
    pub fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        if self.database.is_none() {
            self.reopen()?;
        }
        let database = self.database.as_ref().ok_or_else(|| self.explain(Cause::Before))?;
        match self.medium.batch(|| batch::write(database, &self.standing, writes)) {
            Ok(standing) => {
                self.standing = standing;
                Ok(())
            }
            Err(error) => Err(self.after(error.into())),
        }
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
        let database = self.database.as_ref().ok_or_else(|| self.explain(Cause::Before))?;
        let chosen = scan::chosen(database, first, upto, bytes_max, self.standing.chosen_upto);
        let faulty = || StoreError::Faulty { path: self.path.clone(), slot: first };
        chosen.map_err(|cause| self.explain(cause))?.ok_or_else(faulty)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.medium.bytes()
    }

    /// What a failed write means. A full disk fails before anything is synced, so that the batch is
    /// not there and never will be; but redb takes no more after any error, so the database is to
    /// be opened anew.
    fn after(&mut self, cause: Cause) -> StoreError {
        self.database = None;
        if self.medium.fault() != Some(Fault::Full { in_header: false }) {
            let what = cause.explain(&self.path, Some(&self.medium)).to_string();
            self.medium.fail(what);
        }
        self.explain(Cause::Before)
    }

    /// Opens the database anew after a full disk; any other fault is final.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.medium.forget_full();
        if self.medium.fault().is_some() {
            return Err(self.explain(Cause::Before));
        }
        let database = open::database(&self.medium, open::CACHE_BYTES)
            .map_err(|error| self.explain(error.into()))?;
        self.database = Some(database);
        Ok(())
    }

    fn explain(&self, cause: Cause) -> StoreError {
        cause.explain(&self.path, Some(&self.medium))
    }
}
