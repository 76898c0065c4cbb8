use std::path::PathBuf;

use synod_client::net::{CredentialsError, NetError};

/// Why a shard cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ShardError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] synod_client::ConfigError),
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
        source: std::io::Error,
    },
    /// Its place on the network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The cluster refuses it.
    #[error(transparent)]
    Cluster(#[from] synod_client::Error),
    /// The disk thread ended without a word: a bug of ours.
    #[error("the disk thread is gone; this is a bug")]
    EngineGone,
}
