//! A node's configuration: one TOML file, checked before anything is opened.

mod check;
mod error;
mod keys;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use synod_net::{
    Congestion, Credentials, Name, PeerAddress, Who,
    settings::{self, Row, TlsFiles},
};
use synod_paxos::{Incarnation, Leasing, Life, Members, NodeId, Timing};

pub use check::check_many;
pub use error::ConfigError;
pub use keys::{DoorKeys, DoorRole, HttpKeys, LogFormat, LogLevel};

use keys::Keys;

/// One voter of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Which life of which node.
    pub life: Life,
    /// Its name, which its certificate must say too.
    pub name: Name,
    /// Where the others reach it, `host:port`.
    pub address: String,
}

/// A node's configuration, whole and consistent in itself.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    keys: Keys,
    /// The file as a table, to tell what was written from what is a default.
    written: toml::Table,
    cluster: Name,
    cluster_id: u64,
    name: Name,
    members: Members,
    voters: Vec<Voter>,
    life: Life,
}

/// Bytes of a snapshot that travel at once.
const CHUNK_BYTES: f64 = (256 << 10) as f64;

impl Config {
    /// Reads and checks the file at `path`. Relative paths in it are relative to its directory.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        check::whole(path, settings::read(path)?, settings::read(path)?)
    }

    /// Checks `text` as if it were the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        check::whole(path, settings::parse(path, text)?, settings::parse(path, text)?)
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// What tells two clusters of one name apart.
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// Which life of which node this is.
    pub fn life(&self) -> Life {
        self.life
    }

    /// Every voter, this node included, in the order of the file.
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// The directory of the store.
    pub fn data(&self) -> PathBuf {
        self.dir().join(&self.keys.node.data)
    }

    /// Where peers and clients are heard.
    pub fn listen(&self) -> SocketAddr {
        self.keys.node.listen
    }

    /// How much is sent at a time.
    pub fn congestion(&self) -> Congestion {
        self.keys.network.congestion
    }

    /// Where health and metrics are served.
    pub fn http_listen(&self) -> SocketAddr {
        self.keys.http.listen
    }

    /// Where programs without a client of ours are served, if anywhere.
    pub fn door(&self) -> Option<&DoorKeys> {
        self.keys.door.as_ref()
    }

    /// The files with which the door asks the cluster.
    pub fn door_files(&self) -> Option<TlsFiles> {
        let DoorKeys { cert, key, .. } = self.door()?;
        let files = TlsFiles { ca: self.keys.tls.ca.clone(), cert: cert.clone(), key: key.clone() };
        Some(files.below(self.dir()))
    }

    /// The file with what callers of the door must show who have no certificate, if they must.
    pub fn door_token_file(&self) -> Option<PathBuf> {
        Some(self.dir().join(self.door()?.plain_token_file.as_ref()?))
    }

    /// How much to log.
    pub fn log_level(&self) -> LogLevel {
        self.keys.log.level
    }

    /// How to log.
    pub fn log_format(&self) -> LogFormat {
        self.keys.log.format
    }

    /// Every key with its effective value and where it comes from.
    pub fn describe(&self) -> Vec<Row> {
        settings::describe(&self.keys, &self.written)
    }

    /// Reads the certificate and key, and checks that they are this node's of this cluster.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let TlsFiles { ca, cert, key } = self.keys.tls.below(self.dir());
        let credentials = Credentials::load(&ca, &cert, &key)?;
        let found = credentials.identity();
        let expected = Who::Node(self.name.clone());
        if found.cluster == self.cluster && found.who == expected {
            return Ok(credentials);
        }
        Err(ConfigError::ForeignCertificate {
            cert,
            found: Box::new(found.clone()),
            cluster: self.cluster.clone(),
            node: self.name.clone(),
        })
    }

    pub(crate) fn store_identity(&self) -> synod_store::Identity {
        synod_store::Identity {
            cluster: self.cluster.as_str().to_owned(),
            cluster_id: self.cluster_id,
            life: self.life,
        }
    }

    /// Every voter but this node, for the mesh to dial or to expect.
    pub(crate) fn peer_addresses(&self) -> Vec<PeerAddress> {
        let others = self.voters.iter().filter(|voter| voter.life != self.life);
        others
            .map(|voter| PeerAddress { name: voter.name.clone(), address: voter.address.clone() })
            .collect()
    }

    pub(crate) fn replica(&self) -> synod_replica::Config {
        let limits = &self.keys.limits;
        let paxos = synod_paxos::Config::new(self.life, self.members.clone());
        let paxos = synod_paxos::Config {
            timing: self.timing(),
            window_slots: limits.window_slots,
            window_bytes: limits.window_bytes,
            tail_slots: self.keys.snapshots.tail_slots,
            leasing: Leasing { asks: self.keys.reads.lease, vow: Leasing::VOW },
            ..paxos.expect("a file whose node is not among its voters is refused")
        };
        synod_replica::Config {
            batch_bytes_max: limits.batch_bytes_max,
            queue_bytes_max: limits.queue_bytes_max,
            session_grace: Duration::from_millis(self.keys.timing.session_grace_ms),
            cadence: self.cadence(),
            ..synod_replica::Config::new(paxos)
        }
    }

    fn cadence(&self) -> synod_replica::Cadence {
        let keys = &self.keys.snapshots;
        let chunk_s = CHUNK_BYTES / keys.transfer_bytes_per_s.max(1) as f64;
        synod_replica::Cadence {
            every_bytes: keys.every_bytes,
            every: Duration::from_secs(keys.every_s),
            pause: Duration::from_secs_f64(chunk_s),
        }
    }

    pub(crate) fn snapshot_bytes_per_s(&self) -> u64 {
        self.keys.snapshots.write_bytes_per_s
    }

    pub(crate) fn timing(&self) -> Timing {
        let timing = &self.keys.timing;
        Timing {
            heartbeat: Duration::from_millis(timing.heartbeat_ms),
            suspect_min: Duration::from_millis(timing.suspect_min_ms),
            suspect_max: Duration::from_millis(timing.suspect_max_ms),
            disk_stall: Duration::from_millis(timing.disk_stall_ms),
        }
    }

    pub(crate) fn stop_within(&self) -> Duration {
        Duration::from_millis(self.keys.timing.stop_within_ms)
    }

    pub(crate) fn requests_max(&self) -> usize {
        self.keys.limits.requests_max
    }

    pub(crate) fn requests_per_client_max(&self) -> usize {
        self.keys.limits.requests_per_client_max
    }

    pub(crate) fn http_connections_max(&self) -> usize {
        self.keys.http.connections_max
    }

    /// What relative paths in the file are relative to.
    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

impl Voter {
    fn of(keys: &keys::PeerKeys, path: &Path) -> Result<Voter, ConfigError> {
        let name = Name::new(keys.name.clone()).map_err(|source| ConfigError::Name {
            path: path.to_owned(),
            key: format!("peer {}: name", keys.id),
            source,
        })?;
        let incarnation = Incarnation::new(keys.incarnation);
        let life = Life { node: NodeId::new(keys.id), incarnation };
        Ok(Voter { life, name, address: keys.address.clone() })
    }
}
