use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use synod_client::net::{CredentialsError, NetError};
use synod_store::{StoreError, is_about_room};

use crate::{exit::Code, verbs::ask};

/// Why a shard cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ShardError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] synod_client::ConfigError),
    /// The place of its pages in that.
    #[error(transparent)]
    Http(#[from] synod_node::ConfigError),
    /// Its certificate or key.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The certificate is somebody else's.
    #[error("this is to be participant {name}, and the certificate is of {found}")]
    NotThisParticipant {
        /// Who it is to be.
        name: String,
        /// Who the certificate says.
        found: String,
    },
    /// The directory is another shard's.
    #[error(
        "{}: belongs to shard {found} of cluster {found_cluster:016x}, and this is shard {name} of \
         cluster {cluster:016x}; check --data", .path.display()
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Of which cluster.
        found_cluster: u64,
        /// Who asked.
        name: String,
        /// Of which cluster.
        cluster: u64,
    },
    /// Another process has it open.
    #[error("{}: in use by another process", .path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// What stands on the disk cannot be read.
    #[error("{}: damaged: {what}", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Written by a newer build. Nothing was changed on disk.
    #[error(
        "{}: format {found}, and this build reads {known} only; start the build that wrote it",
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
    /// The disk is full. What was being written is not there, and nobody was told that it is.
    #[error("{}: the disk is full; free some space and start it again", .path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
    },
    /// The disk failed; what it holds is unknown, so the process ends and reads it anew.
    #[error("{}: write failed ({what}); stop this shard and check the medium", .path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the disk said.
        what: String,
    },
    /// The directory cannot be made or used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its place on the network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Its pages have no place.
    #[error("cannot serve health and metrics on {address}: {source}")]
    Page {
        /// Where they were to be.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The cluster refuses it.
    #[error(transparent)]
    Cluster(#[from] synod_client::Error),
    /// The cluster knows another store under this name. What that one has promised, this one does
    /// not know.
    #[error(
        "{}: the cluster knows shard {name} by another store ({known:016x}, which has \
         {unacknowledged} commits to acknowledge), and this is {found:016x}; start it with the \
         directory of that store (--data), or, if that is lost for good, write \
         `replaces_lost_store = true` under [shard] in its configuration", .path.display()
    )]
    Replaced {
        /// Where.
        path: PathBuf,
        /// Which participant.
        name: String,
        /// The store that is registered.
        known: u64,
        /// The store that was opened.
        found: u64,
        /// Commits of the registered one that wait for it.
        unacknowledged: u64,
    },
    /// The disk thread ended without a word: a bug of ours.
    #[error("the disk thread is gone; this is a bug")]
    EngineGone,
    /// The door or the pages ended: a bug of ours.
    #[error("a part of it is gone ({why}); this is a bug")]
    TaskGone {
        /// What it ended of.
        why: String,
    },
}

impl From<StoreError> for ShardError {
    /// What its rows, or the log before them, fail of.
    fn from(error: StoreError) -> ShardError {
        match error {
            StoreError::InUse { path } => ShardError::InUse { path },
            StoreError::DiskFull { path } => ShardError::DiskFull { path },
            StoreError::SyncFailed { path, what } => ShardError::Disk { path, what },
            StoreError::Io { path, source } => ShardError::Io { path, source },
            StoreError::Damaged { path, what } => ShardError::Damaged { path, what },
            StoreError::Missing { path } => ShardError::Damaged { path, what: "empty".to_owned() },
            // Nothing else is said of rows.
            other => ShardError::Damaged { path: PathBuf::new(), what: other.to_string() },
        }
    }
}

impl ShardError {
    /// What an operation on a file or directory failed of.
    pub(crate) fn of_file(path: &Path, source: io::Error) -> ShardError {
        let path = path.to_path_buf();
        if is_about_room(&source) {
            ShardError::DiskFull { path }
        } else {
            ShardError::Io { path, source }
        }
    }

    /// How the process ends.
    pub(crate) fn code(&self) -> Code {
        match self {
            ShardError::Config(_)
            | ShardError::Http(_)
            | ShardError::InUse { .. }
            | ShardError::Page { .. }
            | ShardError::Replaced { .. } => Code::Usage,
            ShardError::Credentials(why) if why.is_about_files() => Code::Usage,
            ShardError::Credentials(_)
            | ShardError::NotThisParticipant { .. }
            | ShardError::Foreign { .. } => Code::Refused,
            ShardError::Damaged { .. }
            | ShardError::OtherFormat { .. }
            | ShardError::DiskFull { .. }
            | ShardError::Disk { .. }
            | ShardError::Io { .. } => Code::Machine,
            ShardError::Net(_) => Code::Usage,
            ShardError::Cluster(error) => ask::code(error),
            ShardError::EngineGone | ShardError::TaskGone { .. } => Code::Bug,
        }
    }
}
