use std::net::SocketAddr;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{Credentials, Identity};

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Somebody else listens there.
    #[error("{address}: the port is taken by another process; choose another `listen`")]
    PortTaken {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("{address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Somebody asks something on a stream of its own.
#[derive(Debug)]
pub struct Asked {
    /// Who, by certificate.
    pub from: Identity,
    /// What.
    pub body: Bytes,
    /// Where the answer goes.
    pub reply: Reply,
}

/// The way back to one caller.
#[derive(Debug)]
pub struct Reply {}

impl Reply {
    /// Sends the answer; a caller that is gone is no error.
    pub fn send(self, body: Bytes) {
        let _ = body;
    }

    /// Resolves when the caller has gone away without waiting for the answer.
    pub async fn gone(&mut self) {}
}

/// A listener for askers alone: a participant's door.
pub struct Server {}

impl Server {
    /// Listens for clients of the same cluster.
    pub async fn open(
        listen: SocketAddr,
        credentials: Credentials,
        cluster_id: u64,
    ) -> Result<(Server, mpsc::Receiver<Asked>), NetError> {
        let _ = (listen, credentials, cluster_id);
        let (_sender, receiver) = mpsc::channel(1);
        Ok((Server {}, receiver))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        unimplemented!("skeleton")
    }

    /// Says goodbye and stops.
    pub async fn close(&self) {}
}
