//! The shard's place in the file system: a directory of its own, with its files and a lock in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use redb::backends::FileBackend;

use super::super::ShardError;

/// The database.
pub(super) const FILE: &str = "shard.redb";

/// The write-ahead log, where rows are durable before the database has them.
pub(super) const WAL_FILE: &str = "wal";

/// How far the write-ahead log has come.
pub(super) const COUNT_FILE: &str = "wal.count";

/// The database while it is being made: it gets its name when it is whole.
const NEW_FILE: &str = "shard.redb.new";

/// Locked by the process that has the shard open. It is never removed: two processes could then
/// hold locks on two files of this name.
const LOCK_FILE: &str = "lock";

/// The files of a shard.
pub(in super::super) struct Files<B> {
    pub(in super::super) shard: B,
    pub(in super::super) wal: B,
    pub(in super::super) count: B,
}

/// Makes `dir` for its owner alone, unless it is there, and locks it.
pub(super) fn lock(dir: &Path) -> Result<File, ShardError> {
    let failed = |source| ShardError::of_file(dir, source);
    let new: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    // A name is on the disk when the directory is that holds it.
    new.into_iter().filter_map(holder).try_for_each(sync).map_err(failed)?;
    let lock = options().create(true).truncate(false).open(dir.join(LOCK_FILE)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ShardError::InUse { path: dir.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Has `fill` make the files, if there are none. A crash leaves them whole or not there at all.
pub(super) fn make(
    dir: &Path,
    fill: impl FnOnce(Files<FileBackend>, &Path) -> Result<(), ShardError>,
) -> Result<(), ShardError> {
    let failed = |source| ShardError::of_file(dir, source);
    let (file, new) = (dir.join(FILE), dir.join(NEW_FILE));
    match fs::symlink_metadata(&file) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let (wal_file, interrupted) = (dir.join(WAL_FILE), new.exists());
    if wal_file.exists() && !interrupted {
        let what = "it is not there, and its write-ahead log is; bring the directory back whole, \
                    or name another one";
        return Err(ShardError::Damaged { path: file, what: what.to_owned() });
    }
    let empty = |path: &Path| {
        backend(path, options().create(true).truncate(true).open(path).map_err(failed)?)
    };
    // As long as this one is there, no log holds anything.
    let shard = empty(&new)?;
    sync(dir).map_err(failed)?;
    let (wal, count) = (empty(&wal_file)?, empty(&dir.join(COUNT_FILE))?);
    fill(Files { shard, wal, count }, &new)?;
    // The log's name is to be on the disk before there is a shard that needs it.
    sync(dir).and_then(|()| fs::rename(&new, &file)).and_then(|()| sync(dir)).map_err(failed)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory that holds the name of this one.
fn holder(dir: &Path) -> Option<&Path> {
    let here = Path::new(".");
    dir.parent().map(|dir| if dir.as_os_str().is_empty() { here } else { dir })
}

/// Makes sure of the names that are there: a start that was killed may have given them and not come
/// to sync them, and from now on they are relied on.
fn sync_names(dir: &Path) -> io::Result<()> {
    sync(dir)?;
    match holder(dir).map(sync) {
        // Who may not look at it has not made this directory in it.
        Some(Err(error)) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        Some(Ok(()) | Err(_)) | None => Ok(()),
    }
}

/// The files, which must be there and be plain ones, and where the database is.
pub(super) fn open(dir: &Path) -> Result<(Files<FileBackend>, PathBuf), ShardError> {
    sync_names(dir).map_err(|source| ShardError::of_file(dir, source))?;
    let path = dir.join(FILE);
    let (wal, count) = (plain(&dir.join(WAL_FILE))?, plain(&dir.join(COUNT_FILE))?);
    Ok((Files { shard: plain(&path)?, wal, count }, path))
}

fn plain(path: &Path) -> Result<FileBackend, ShardError> {
    let failed = |source| ShardError::of_file(path, source);
    if !fs::symlink_metadata(path).map_err(failed)?.is_file() {
        let what = "it is no plain file; name the real place, not a link".to_owned();
        return Err(ShardError::Damaged { path: path.to_path_buf(), what });
    }
    backend(path, options().open(path).map_err(failed)?)
}

fn backend(path: &Path, file: File) -> Result<FileBackend, ShardError> {
    FileBackend::new(file).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => ShardError::InUse { path: path.to_path_buf() },
        error => ShardError::of_file(path, io::Error::other(error)),
    })
}

pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
