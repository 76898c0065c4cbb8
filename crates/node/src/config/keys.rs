//! The keys of a node's file, as written: nothing here is checked beyond its type.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};
use synod_net::{Congestion, settings::TlsFiles};

/// A whole file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) cluster: String,
    pub(super) cluster_id: String,
    pub(super) node: NodeKeys,
    pub(super) tls: TlsFiles,
    #[serde(default)]
    pub(super) http: HttpKeys,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) door: Option<DoorKeys>,
    #[serde(default)]
    pub(super) network: NetworkKeys,
    #[serde(default)]
    pub(super) timing: TimingKeys,
    #[serde(default)]
    pub(super) limits: LimitKeys,
    #[serde(default)]
    pub(super) snapshots: SnapshotKeys,
    #[serde(default)]
    pub(super) reads: ReadKeys,
    #[serde(default)]
    pub(super) log: LogKeys,
    pub(super) peer: Vec<PeerKeys>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeKeys {
    pub(super) name: String,
    pub(super) id: u16,
    pub(super) data: PathBuf,
    pub(super) listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerKeys {
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) address: String,
    #[serde(default = "first_incarnation")]
    pub(super) incarnation: u64,
}

fn first_incarnation() -> u64 {
    synod_paxos::Incarnation::FIRST.get()
}

/// Where health and metrics are served: the table `[http]` of whoever serves them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpKeys {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether that may be an address that is not loopback.
    pub expose_plaintext_beyond_loopback: bool,
    /// Connections at once.
    pub connections_max: usize,
}

impl Default for HttpKeys {
    fn default() -> HttpKeys {
        HttpKeys {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            expose_plaintext_beyond_loopback: false,
            connections_max: 1_000,
        }
    }
}

/// Where programs without a client of ours are served, and as whom the cluster is asked for them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DoorKeys {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether callers show certificates of the cluster, and may come from anywhere; else they need
    /// none, and come over loopback.
    #[serde(default)]
    pub tls: bool,
    /// What callers without a certificate may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_role: Option<DoorRole>,
    /// The file with what callers without a certificate must show, if they must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_token_file: Option<PathBuf>,
    /// The client's certificate with which the cluster is asked.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Connections at once.
    #[serde(default = "door_connections_max")]
    pub connections_max: usize,
}

fn door_connections_max() -> usize {
    1_000
}

/// What callers without a certificate may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DoorRole {
    /// Read.
    Read,
    /// And write.
    Write,
    /// And force.
    Admin,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimingKeys {
    pub(super) heartbeat_ms: u64,
    pub(super) suspect_min_ms: u64,
    pub(super) suspect_max_ms: u64,
    pub(super) disk_stall_ms: u64,
    pub(super) session_grace_ms: u64,
    pub(super) stop_within_ms: u64,
}

impl Default for TimingKeys {
    fn default() -> TimingKeys {
        TimingKeys {
            heartbeat_ms: 20,
            suspect_min_ms: 100,
            suspect_max_ms: 1_000,
            disk_stall_ms: 1_000,
            session_grace_ms: 500,
            stop_within_ms: 2_000,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitKeys {
    pub(super) batch_bytes_max: usize,
    pub(super) window_slots: u64,
    pub(super) window_bytes: usize,
    pub(super) queue_bytes_max: usize,
    pub(super) requests_max: usize,
    pub(super) requests_per_client_max: usize,
}

impl Default for LimitKeys {
    fn default() -> LimitKeys {
        LimitKeys {
            batch_bytes_max: 1 << 20,
            window_slots: 1_024,
            window_bytes: 16 << 20,
            queue_bytes_max: 16 << 20,
            requests_max: 65_536,
            requests_per_client_max: 16_384,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SnapshotKeys {
    pub(super) every_bytes: u64,
    pub(super) every_s: u64,
    pub(super) tail_slots: u64,
    pub(super) write_bytes_per_s: u64,
    pub(super) transfer_bytes_per_s: u64,
}

impl Default for SnapshotKeys {
    fn default() -> SnapshotKeys {
        SnapshotKeys {
            every_bytes: 64 << 20,
            every_s: 3_600,
            tail_slots: 1_024,
            write_bytes_per_s: 32 << 20,
            transfer_bytes_per_s: 64 << 20,
        }
    }
}

/// How words travel.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NetworkKeys {
    pub(super) congestion: Congestion,
}

/// How a leader answers linearizable reads.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReadKeys {
    /// Whether it asks for a lease, so that it need not ask a quorum for each.
    pub(super) lease: bool,
}

impl Default for ReadKeys {
    fn default() -> ReadKeys {
        ReadKeys { lease: true }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogKeys {
    pub(super) level: LogLevel,
    pub(super) format: LogFormat,
}

impl Default for LogKeys {
    fn default() -> LogKeys {
        LogKeys { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// How much a node says in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What stops it.
    Error,
    /// And what an operator may act on.
    Warn,
    /// And what an operator cares about.
    Info,
    /// And every decision.
    Debug,
    /// And every message.
    Trace,
}

impl LogLevel {
    /// The word that a subscriber's filter understands.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
