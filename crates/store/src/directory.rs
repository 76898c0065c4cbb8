//! A store's place in the file system: a directory of its owner's, with one file and a lock in it.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use redb::backends::FileBackend;

use crate::StoreError;

/// The database.
const LOG_FILE: &str = "log.redb";

/// The write-ahead log, where facts are durable before the database has them.
const WAL_FILE: &str = "wal";

/// How far the write-ahead log has come.
const COUNT_FILE: &str = "wal.count";

/// The database while it is being formatted: it gets its name when it is whole.
const NEW_FILE: &str = "log.redb.new";

/// Locked by the process that has the store open. It is never removed: two processes could then
/// hold locks on two files of this name.
const LOCK_FILE: &str = "lock";

/// There when the store was found to be older than its node.
const OLDER_FILE: &str = "older";

/// A store's files.
pub(crate) struct Files {
    pub(crate) log: FileBackend,
    pub(crate) wal: FileBackend,
    pub(crate) count: FileBackend,
}

/// Runs `fill` on new files in `dir` and makes them the store's.
pub(crate) fn format(
    dir: &Path,
    fill: impl FnOnce(Files) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let fail = |error| StoreError::of_dir(dir, error);
    let changed = make(dir).map_err(fail)?;
    let _lock = lock(dir)?;
    let log = dir.join(LOG_FILE);
    if entry(dir, &log)?.is_some() {
        return Err(StoreError::Exists { path: dir.to_owned() });
    }
    let new = dir.join(NEW_FILE);
    let made = |name| create(dir, &dir.join(name));
    fill(Files { log: made(NEW_FILE)?, wal: made(WAL_FILE)?, count: made(COUNT_FILE)? })?;
    // The log's name is to be on the disk before there is a store that needs it.
    sync_directories(&changed).map_err(fail)?;
    fs::rename(&new, &log).map_err(fail)?;
    sync_directories(&changed).map_err(fail)
}

/// The store's files in `dir`, and the lock that keeps others off them.
pub(crate) fn open(dir: &Path) -> Result<(Files, File), StoreError> {
    let log = dir.join(LOG_FILE);
    if entry(dir, dir)?.is_none() || entry(dir, &log)?.is_none() {
        return Err(StoreError::Missing { path: dir.to_owned() });
    }
    let lock = lock(dir)?;
    if entry(dir, &dir.join(OLDER_FILE))?.is_some() {
        return Err(StoreError::Older { path: dir.to_owned() });
    }
    let file = |path: &Path| backend(dir, open_plain(dir, path, &options())?);
    let log = file(&log)?;
    let beside = |name| {
        let path = dir.join(name);
        if entry(dir, &path)?.is_some() {
            return file(&path);
        }
        let what = format!("its `{name}` is missing");
        Err(StoreError::Damaged { path: dir.to_owned(), what })
    };
    Ok((Files { log, wal: beside(WAL_FILE)?, count: beside(COUNT_FILE)? }, lock))
}

/// From now on the store in `dir` is refused as older than its node.
pub(crate) fn mark_older(dir: &Path) -> Result<(), StoreError> {
    let fail = |error| StoreError::of_dir(dir, error);
    let file = dir.join(OLDER_FILE);
    if entry(dir, &file)?.is_none() {
        options().create_new(true).open(&file).map_err(fail)?;
        sync_directories(&[dir.to_owned()]).map_err(fail)?;
    }
    Ok(())
}

/// A new file, in place of what an interrupted call left.
fn create(dir: &Path, path: &Path) -> Result<FileBackend, StoreError> {
    let fail = |error| StoreError::of_dir(dir, error);
    if entry(dir, path)?.is_some() {
        fs::remove_file(path).map_err(fail)?;
    }
    backend(dir, options().create_new(true).open(path).map_err(fail)?)
}

fn sync_directories(directories: &[PathBuf]) -> io::Result<()> {
    directories.iter().try_for_each(|directory| File::open(directory)?.sync_all())
}

/// Makes `dir` unless it is there; returns every directory that has, or will have, a new entry.
fn make(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut changed = vec![dir.to_owned()];
    for made in dir.ancestors().take_while(|ancestor| !ancestor.exists()) {
        match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => changed.push(PathBuf::from(".")),
            Some(parent) => changed.push(parent.to_owned()),
            None => {}
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    Ok(changed)
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK_FILE);
    let mut options = options();
    if entry(dir, &path)?.is_none() {
        options.create(true).truncate(false);
    }
    let file = open_plain(dir, &path, &options)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::of_dir(dir, source)),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Makes a plain file that is not there.
pub(crate) fn create_plain(dir: &Path, path: &Path) -> Result<File, StoreError> {
    let made = options().create_new(true).open(path);
    made.map_err(|source| StoreError::of_dir(dir, source))
}

/// Opens a plain file, if it is there.
pub(crate) fn open_if_there(dir: &Path, path: &Path) -> Result<Option<File>, StoreError> {
    match entry(dir, path)? {
        Some(_) => open_plain(dir, path, &options()).map(Some),
        None => Ok(None),
    }
}

/// Opens a plain file. It is looked at before, without following a link, and after: what was opened
/// is what was looked at, even if somebody moves things meanwhile.
fn open_plain(dir: &Path, path: &Path, options: &OpenOptions) -> Result<File, StoreError> {
    let fail = |error| StoreError::of_dir(dir, error);
    let before = entry(dir, path)?;
    let file = options.open(path).map_err(fail)?;
    let opened = file.metadata().map_err(fail)?;
    let same = |before: &Metadata| (before.dev(), before.ino()) == (opened.dev(), opened.ino());
    match before.or(entry(dir, path)?) {
        Some(entry) if entry.is_file() && same(&entry) => Ok(file),
        _ => Err(StoreError::NotPlain { path: path.to_owned() }),
    }
}

/// What stands at `path`, links not followed; a link is refused.
fn entry(dir: &Path, path: &Path) -> Result<Option<Metadata>, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(entry) if entry.is_file() || entry.is_dir() => Ok(Some(entry)),
        Ok(_) => Err(StoreError::NotPlain { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::of_dir(dir, source)),
    }
}

fn backend(dir: &Path, file: File) -> Result<FileBackend, StoreError> {
    FileBackend::new(file)
        .map_err(|error| StoreError::Io { path: dir.to_owned(), source: io::Error::other(error) })
}
