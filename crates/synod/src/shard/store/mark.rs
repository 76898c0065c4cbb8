//! How many commits the file has had, in a file beside it: what tells a file that was put back to
//! an older state, or whose one unchecked byte (redb's choice between its two newest commits) was
//! changed, from one that is as it was left.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{super::ShardError, cause::Cause, place, record::Place};

const FILE: &str = "newest";
const HERE: Place<'_> = Place { table: "newest", key: b"" };

/// The open mark.
///
/// Invariant: it never says more than the database has durably. It is written after each commit and
/// not synced: what a killed process wrote stays, and a power cut only makes it say less.
pub(super) struct Mark {
    file: File,
    path: PathBuf,
}

impl Mark {
    /// Opens the mark in `dir`, and tells the commits that it knows of: none if it cannot be read,
    /// for a torn mark is no fault of the database.
    pub(super) fn open(dir: &Path) -> Result<(Mark, u64), ShardError> {
        let path = dir.join(FILE);
        let failed = |source| ShardError::of_file(&path, source);
        let options = &mut place::options();
        let file = options.create(true).truncate(false).open(&path).map_err(failed)?;
        let mut row = vec![0; HERE.seal(&bytes(0)).len()];
        let known = match file.read_exact_at(&mut row, 0) {
            Ok(()) => HERE.unseal::<[u8; 8]>(&row).map_or(0, u64::from_be_bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(failed(error)),
        };
        Ok((Mark { file, path }, known))
    }

    /// The database has had so many commits.
    pub(super) fn put(&self, commits: u64) -> Result<(), ShardError> {
        let written = self.file.write_all_at(&HERE.seal(&bytes(commits)), 0);
        written.map_err(|error| Cause::from(redb::Error::Io(error)).explain(&self.path, None))
    }
}

/// Of one length always, so that every mark covers the one before.
fn bytes(commits: u64) -> [u8; 8] {
    commits.to_be_bytes()
}
