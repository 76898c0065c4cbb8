use std::net::SocketAddr;

use synod_net::NetError;
use synod_store::StoreError;

use crate::ConfigError;

/// Why a node cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Its configuration, certificate or key.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its store. After it has run this is final: what the disk holds is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its place on the network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Its health page.
    #[error("http.listen = {address}: {source}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No snapshot can be read, the log begins after it, and there is no peer to ask.
    #[error(
        "store {}: slots up to {trimmed} are trimmed and no snapshot of them can be read; restore \
         the newest file snapshot-* of this directory from a backup, and start again",
        .path.display()
    )]
    StateLost {
        /// The data directory.
        path: std::path::PathBuf,
        /// Where the log begins.
        trimmed: u64,
    },
    /// A snapshot could not be read this time. It may be whole, so it stays where it is.
    #[error("snapshot {}: it cannot be read, and nothing was changed: {source}", .path.display())]
    Snapshot {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: StoreError,
    },
    /// A snapshot is whole and of another build. It may be all that there is of the state.
    #[error(
        "snapshot {}: a state of version {found}, this build reads version {known} only; nothing \
         was changed; start the build that wrote it", .path.display()
    )]
    OtherVersion {
        /// Which.
        path: std::path::PathBuf,
        /// The version found.
        found: u8,
        /// The one known.
        known: u8,
    },
    /// The disk lacks what the node has told others to be on it: it is an older copy.
    #[error(
        "the store is older than this node: {told} was told of {was} writes to it, and it holds \
         {is}; it may have forgotten promises and votes, so the node takes no part any more"
    )]
    OlderDisk {
        /// Who was told.
        told: String,
        /// Of how many writes.
        was: u64,
        /// How many there are.
        is: u64,
    },
    /// The system gives no thread.
    #[error("the disk thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The disk thread ended without a word: a bug of ours.
    #[error("the disk thread is gone; this is a bug")]
    DiskGone,
    /// The mesh ended without being asked to: a bug of ours.
    #[error("the mesh is gone; this is a bug")]
    MeshClosed,
    /// The loop ended by a panic: a bug of ours.
    #[error("the node's loop panicked; this is a bug")]
    Panicked,
}

/// What a failure of a node is, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The configuration or what it points to; nothing was started.
    Usage,
    /// The certificate, key or store of somebody else.
    Identity,
    /// The machine under it: disk, ports, memory.
    Machine,
    /// Ours.
    Bug,
}

impl NodeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            NodeError::Config(ConfigError::Credentials(why)) if !why.is_about_files() => {
                Fault::Identity
            }
            NodeError::Config(ConfigError::ForeignCertificate { .. })
            | NodeError::Store(StoreError::Foreign { .. }) => Fault::Identity,
            NodeError::Config(_)
            | NodeError::Net(_)
            | NodeError::Http { .. }
            | NodeError::Store(
                StoreError::Missing { .. } | StoreError::InUse { .. } | StoreError::Exists { .. },
            ) => Fault::Usage,
            NodeError::Store(_)
            | NodeError::StateLost { .. }
            | NodeError::Snapshot { .. }
            | NodeError::OtherVersion { .. }
            | NodeError::OlderDisk { .. }
            | NodeError::Thread(_) => Fault::Machine,
            NodeError::DiskGone | NodeError::MeshClosed | NodeError::Panicked => Fault::Bug,
        }
    }

    /// What to do about it, when the message does not say so already.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            NodeError::Store(StoreError::InUse { .. }) => {
                Some("another node runs on this directory; stop it, or check node.data")
            }
            NodeError::Store(StoreError::SyncFailed { .. }) => {
                Some("nothing was acknowledged that the disk did not confirm; check the medium")
            }
            NodeError::Snapshot { .. } => Some(
                "start again; if it stays so, check the medium and move this file away: the one \
                 before and the log make up for it, or a peer",
            ),
            NodeError::OlderDisk { .. } | NodeError::Store(StoreError::Older { .. }) => Some(
                "put the newest disk of this node back; a copy of it is no backup, and if its own \
                 lost what it had acknowledged, the node has to stay off: the others have all \
                 that was ever acknowledged",
            ),
            NodeError::Http { .. } => Some("choose another http.listen, or port 0"),
            NodeError::Config(ConfigError::ForeignCertificate { .. }) => {
                Some("each node has a certificate and a key of its own name")
            }
            NodeError::DiskGone | NodeError::MeshClosed | NodeError::Panicked => {
                Some("please report it with the log's last lines")
            }
            _ => None,
        }
    }
}
