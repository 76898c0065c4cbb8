use std::{
    io,
    path::{Path, PathBuf},
};

use synod_paxos::Slot;

use crate::{Identity, room::is_about_room};

/// What can be wrong with a store, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is nothing here. A node never formats a store by itself: an empty directory where
    /// there was a store means that votes were lost.
    #[error(
        "store {}: there is no store here; a new cluster gets its stores from `synod init`, and a \
         node that lost its disk must be replaced, not restarted", .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Formatting refused: there is one already.
    #[error("store {}: there is a store here already; nothing was changed", .path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error(
        "store {}: belongs to {found:?}, and this node is {expected:?}; check `data` in the \
         configuration", .path.display()
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        found: Box<Identity>,
        /// Who asked.
        expected: Box<Identity>,
    },
    /// Another process has it open.
    #[error("store {}: in use by another process", .path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Its directory or its file is a symbolic link or no directory or no file. Nothing behind it
    /// is touched.
    #[error(
        "store {}: not a plain directory with a plain file in it; name the real place, not a link",
        .path.display()
    )]
    NotPlain {
        /// What was named.
        path: PathBuf,
    },
    /// Written by a newer build. Nothing was changed on disk.
    #[error(
        "store {}: format {found}, this build reads {known} only; start the one that wrote it",
        .path.display()
    )]
    OtherFormat {
        /// Where.
        path: PathBuf,
        /// The format found.
        found: u8,
        /// The one that is known.
        known: u8,
    },
    /// The file is not a whole store.
    #[error("store {}: damaged: {what}; restore it or replace this node", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Another node was told of more than this store holds.
    #[error(
        "store {}: it is older than its node, as another node found out; it may have forgotten \
         promises and votes, and is never to be used again", .path.display()
    )]
    Older {
        /// Where.
        path: PathBuf,
    },
    /// One record is damaged; its slot and what it was are known.
    #[error("store {}: the record of slot {slot} is damaged", .path.display())]
    Faulty {
        /// Where.
        path: PathBuf,
        /// Which.
        slot: Slot,
    },
    /// The disk is full. Nothing of the batch was written.
    #[error("store {}: the disk is full; free some space", .path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
    },
    /// The medium failed a read, a write or a sync. The node must stop: what the disk holds is
    /// unknown.
    #[error("store {}: the medium failed a {what}; stop this node and check it", .path.display())]
    SyncFailed {
        /// Where.
        path: PathBuf,
        /// What the medium said.
        what: String,
    },
    /// The directory or file cannot be used.
    #[error("store {}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StoreError {
    /// What an operation on the directory `dir`, or on a file in it, failed of.
    pub(crate) fn of_dir(dir: &Path, source: io::Error) -> StoreError {
        let path = dir.to_owned();
        if is_about_room(&source) {
            StoreError::DiskFull { path }
        } else {
            StoreError::Io { path, source }
        }
    }
}
