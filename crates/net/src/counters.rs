use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a mesh has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that broke the format and cost their stream.
    pub frames_malformed: u64,
    /// Frames that were dropped because a peer's queue was full.
    pub frames_dropped: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Connections refused by a limit or for who they came from.
    pub connections_refused: u64,
}

/// The counters while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames_malformed: AtomicU64,
    pub(crate) frames_dropped: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            frames_malformed: self.frames_malformed.load(Relaxed),
            frames_dropped: self.frames_dropped.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
        }
    }

    /// Counts one; whether it is one that should be told (the first, and then ever fewer).
    pub(crate) fn count(counter: &AtomicU64) -> bool {
        (counter.fetch_add(1, Relaxed) + 1).is_power_of_two()
    }
}
