//! The shard's place in the file system: a directory of its own, with one file and a lock in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use redb::backends::FileBackend;

use super::{super::ShardError, cause::Cause};

/// The database.
pub(super) const FILE: &str = "shard.redb";

/// The database while it is being made: it gets its name when it is whole.
const NEW_FILE: &str = "shard.redb.new";

/// Locked by the process that has the shard open. It is never removed: two processes could then
/// hold locks on two files of this name.
const LOCK_FILE: &str = "lock";

/// Makes `dir` for its owner alone, unless it is there, and locks it.
pub(super) fn lock(dir: &Path) -> Result<File, ShardError> {
    let failed = |source| ShardError::Io { path: dir.to_path_buf(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let lock = options().create(true).truncate(false).open(dir.join(LOCK_FILE)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ShardError::InUse { path: dir.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Has `fill` make the file, if there is none. A crash leaves it whole or not there at all.
pub(super) fn make(
    dir: &Path,
    fill: impl FnOnce(FileBackend, &Path) -> Result<(), ShardError>,
) -> Result<(), ShardError> {
    let failed = |source| ShardError::Io { path: dir.to_path_buf(), source };
    let (file, new) = (dir.join(FILE), dir.join(NEW_FILE));
    match fs::symlink_metadata(&file) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let empty = options().create(true).truncate(true).open(&new).map_err(failed)?;
    let empty = FileBackend::new(empty).map_err(|error| Cause::from(error).explain(&new))?;
    fill(empty, &new)?;
    fs::rename(&new, &file).map_err(failed)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

/// The file, which must be there and be a plain one.
pub(super) fn open(path: &Path) -> Result<FileBackend, ShardError> {
    let failed = |source| ShardError::Io { path: path.to_path_buf(), source };
    if !fs::symlink_metadata(path).map_err(failed)?.is_file() {
        let what = "it is no plain file; name the real place, not a link".to_owned();
        return Err(ShardError::Damaged { path: path.to_path_buf(), what });
    }
    let file = options().open(path).map_err(failed)?;
    FileBackend::new(file).map_err(|error| Cause::from(error).explain(path))
}

pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
