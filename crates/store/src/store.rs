use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Builder, Database, ReadableDatabase, StorageBackend};
use synod_paxos::{Decree, Durable, Slot, Write};

use crate::{
    Identity, StoreError, batch,
    cause::Cause,
    directory,
    facts::{Facts, Standing},
    medium::{Fault, Handle, Medium},
    scan,
};

/// What redb may hold in memory. The log is read once, at the start, and then mostly appended to:
/// more makes nothing faster.
const CACHE_BYTES: usize = 8 << 20;

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
        directory::format(dir, |file| format(dir, &Medium::new(file), identity))
    }

    /// Makes a new, empty store on an empty storage that the caller supplies.
    pub fn format_on(backend: impl StorageBackend, identity: &Identity) -> Result<(), StoreError> {
        format(Path::new(NO_PATH), &Medium::new(backend), identity)
    }

    /// Opens the store in `dir`, which must be `expected`'s, checks every record, and tells what a
    /// peer must remember. A store that is refused is not changed by a byte.
    pub fn open(dir: &Path, expected: &Identity) -> Result<(Store, Durable), StoreError> {
        let (file, lock) = directory::open(dir)?;
        open(dir, Medium::new(file), expected, Some(lock))
    }

    /// Opens a store on a storage that the caller supplies: the simulator's disk.
    pub fn open_on(
        backend: impl StorageBackend,
        expected: &Identity,
    ) -> Result<(Store, Durable), StoreError> {
        open(Path::new(NO_PATH), Medium::new(backend), expected, None)
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
        match batch::write(database, &self.standing, writes) {
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
    /// not there and never will be; but redb takes no more after any error, so the database is to be
    /// opened anew.
    fn after(&mut self, cause: Cause) -> StoreError {
        self.database = None;
        if self.medium.fault() != Some(Fault::Full { in_header: false }) {
            let what = cause.explain(&self.path, &self.medium).to_string();
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
        let database = open_database(&self.medium).map_err(|cause| self.explain(cause))?;
        self.database = Some(database);
        Ok(())
    }

    fn explain(&self, cause: Cause) -> StoreError {
        cause.explain(&self.path, &self.medium)
    }
}

fn format(path: &Path, medium: &Arc<Medium>, identity: &Identity) -> Result<(), StoreError> {
    let explain = |cause: Cause| cause.explain(path, medium);
    if medium.length().map_err(|error| explain(error.into()))? > 0 {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    let database = open_database(medium).map_err(explain)?;
    batch::format(&database, identity).map_err(|error| explain(error.into()))?;
    database.close().map_err(|error| explain(error.into()))
}

fn open(
    path: &Path,
    medium: Arc<Medium>,
    expected: &Identity,
    lock: Option<File>,
) -> Result<(Store, Durable), StoreError> {
    let explain = |cause: Cause| cause.explain(path, &medium);
    if medium.length().map_err(|error| explain(error.into()))? == 0 {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    medium.hold().map_err(|error| explain(error.into()))?;
    let database = open_database(&medium).map_err(explain)?;
    let read = database.begin_read().map_err(|error| explain(error.into()))?;
    let facts = Facts::read(&read).map_err(explain)?;
    if facts.identity != *expected {
        let (found, expected) = (Box::new(facts.identity), Box::new(expected.clone()));
        return Err(StoreError::Foreign { path: path.to_owned(), found, expected });
    }
    let durable = scan::recover(&read, &facts.standing).map_err(explain)?;
    drop(read);
    medium.release().map_err(|error| explain(error.into()))?;
    // From now on the watermark is the readable one; the next batch writes it down.
    let standing = Standing { chosen_upto: durable.chosen_upto, ..facts.standing };
    let path = path.to_owned();
    Ok((Store { path, medium, database: Some(database), standing, _lock: lock }, durable))
}

/// Opens the database, after the checksums of all its pages have been checked: redb panics on some
/// damaged pages otherwise. Every record is read at an open anyway; this doubles that.
fn open_database(medium: &Arc<Medium>) -> Result<Database, Cause> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(Handle(medium.clone()))?)
}
