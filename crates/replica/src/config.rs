use std::time::Duration;

use crate::Cadence;

/// Everything a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// What its peer is told.
    pub paxos: synod_paxos::Config,
    /// Bytes of one batch. A larger request travels alone.
    pub batch_bytes_max: usize,
    /// Bytes of client requests that may wait to be proposed.
    pub queue_bytes_max: usize,
    /// Slots between two state digests that nodes compare.
    pub hash_every_slots: u64,
    /// A session is fenced when it was silent for its time to live and this much longer.
    pub session_grace: Duration,
    /// When snapshots are taken, and how fast they are fetched.
    pub cadence: Cadence,
}

impl Config {
    /// Default limits around a peer's configuration.
    pub fn new(paxos: synod_paxos::Config) -> Config {
        Config {
            paxos,
            batch_bytes_max: 1 << 20,
            queue_bytes_max: 16 << 20,
            hash_every_slots: 64,
            session_grace: Duration::from_millis(500),
            cadence: Cadence::default(),
        }
    }
}
