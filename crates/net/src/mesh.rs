use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{Asked, Credentials, Name, NetError};

/// How urgent a frame is. Lanes never wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Heartbeats, phase 1, read barriers: newest replace older ones when the queue is full.
    Control,
    /// Phase 2.
    Log,
    /// Catch-up.
    Bulk,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its name; its certificate must say the same.
    pub name: Name,
    /// `host:port`, resolved at every attempt to connect.
    pub address: String,
}

/// What a mesh is told once.
#[derive(Clone)]
pub struct MeshConfig {
    /// This node's proof of identity.
    pub credentials: Credentials,
    /// Tells two clusters of one name apart; both sides of a connection must have the same.
    pub cluster_id: u64,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Every other node. Of two, the one whose name sorts lower dials.
    pub peers: Vec<PeerAddress>,
}

/// What a mesh hears.
#[derive(Debug)]
pub enum Event {
    /// A frame of a peer.
    Frame {
        /// Whose certificate it came under.
        from: Name,
        /// On which lane.
        lane: Lane,
        /// What it carries.
        body: Bytes,
    },
    /// A client asks something.
    Asked(Asked),
    /// A connection to this peer stands.
    Up(Name),
    /// It is gone; it will be dialled again.
    Down(Name),
}

/// What a mesh has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that broke the format and cost their stream.
    pub frames_malformed: u64,
    /// Frames that were dropped because a peer's queue was full.
    pub frames_dropped: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Client connections refused by a limit.
    pub connections_refused: u64,
}

/// The node's end of all its connections.
#[derive(Clone)]
pub struct Mesh {}

impl Mesh {
    /// Listens, and dials those peers that this node has to dial, for as long as the mesh lives.
    pub async fn open(config: MeshConfig) -> Result<(Mesh, mpsc::Receiver<Event>), NetError> {
        let _ = config;
        let (_sender, receiver) = mpsc::channel(1);
        Ok((Mesh {}, receiver))
    }

    /// Queues a frame; never waits. What does not fit the peer's queue is dropped and counted.
    pub fn send(&self, to: &Name, lane: Lane, body: Bytes) {
        let _ = (to, lane, body);
    }

    /// The smoothed round trip to a connected peer.
    pub fn rtt(&self, peer: &Name) -> Option<Duration> {
        let _ = peer;
        None
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        unimplemented!("skeleton")
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Says goodbye to every connection and stops.
    pub async fn close(&self) {}
}
