use std::time::Duration;

/// What a caller may not exceed. A test can make it small.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; one more is turned away (503).
    pub connections_max: usize,
    /// A header block above this is refused (431).
    pub header_bytes_max: usize,
    /// A caller that takes longer to send its header, or is silent for so long between two
    /// requests, is closed.
    pub header_within: Duration,
    /// A caller that takes longer to send its body is told (408) and closed.
    pub body_within: Duration,
    /// Bytes of bodies that are being read or served, of all callers together; past them a request
    /// waits as long as a body may take, and is then turned away (503).
    pub bodies_bytes_max: usize,
    /// A caller that takes nothing of what it asked for in so long is cut off.
    pub write_within: Duration,
    /// A handshake takes no longer.
    pub handshake_within: Duration,
}

impl Limits {
    /// For so many connections at once.
    pub fn new(connections_max: usize) -> Limits {
        Limits {
            connections_max,
            header_bytes_max: 16 << 10,
            header_within: Duration::from_secs(5),
            body_within: Duration::from_secs(10),
            bodies_bytes_max: 64 << 20,
            write_within: Duration::from_secs(10),
            handshake_within: Duration::from_secs(5),
        }
    }
}

/// How long a call may take in the cluster, when no `Synod-Deadline-Ms` says otherwise.
pub(crate) const DEADLINE_MS: u64 = 5_000;
/// And at most.
pub(crate) const DEADLINE_MS_MAX: u64 = 60_000;
/// How long a caller may wait for a lock or for news in one request: an hour.
pub(crate) const WAIT_MS_MAX: u64 = 60 * 60 * 1_000;
/// Bytes of a JSON body: of what holds texts only.
pub(crate) const JSON_BYTES_MAX: usize = 64 << 10;
/// And of what holds keys and values: those of a request, in base 64.
pub(crate) const MULTI_BYTES_MAX: usize = 2_300_000;
/// Entries of one list, when no `limit` says otherwise.
pub(crate) const LIST_LIMIT: u32 = 1_000;
/// What a stream may have ready that its reader has not taken: more is memory for nobody.
pub(crate) const EVENTS_READY_MAX: usize = 4;
