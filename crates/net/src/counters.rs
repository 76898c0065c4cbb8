//! What is counted, and how seldom it is told.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What a mesh has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that broke the format and cost their stream.
    pub frames_malformed: u64,
    /// Frames that were dropped because no connection stood or a peer's queue was full.
    pub frames_dropped: u64,
    /// Frames that stood still, half read, and cost their stream.
    pub frames_stalled: u64,
    /// Questions turned away because too much was waiting.
    pub questions_refused: u64,
    /// Answers that were not kept for callers that did not take them.
    pub answers_untaken: u64,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// Handshakes put off until the caller had proved its address, because too many were under way.
    pub handshakes_put_off: u64,
    /// Handshakes refused because far too many were under way, or because none of them came to an
    /// end in time to begin this one.
    pub handshakes_refused: u64,
    /// Connections refused by a limit, or for who they came from.
    pub connections_refused: u64,
}

/// A log that tells of every stranger's every mistake is a way to fill a disk.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A count that is told about once a minute.
#[derive(Debug, Default)]
pub(crate) struct Count {
    total: AtomicU64,
    told_at: Mutex<Option<Instant>>,
}

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.total.fetch_add(more, Relaxed);
    }

    /// Counts one; the total, when it is time to tell it.
    pub(crate) fn one(&self) -> Option<u64> {
        let total = self.total.fetch_add(1, Relaxed) + 1;
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            return None;
        }
        *told_at = Some(Instant::now());
        Some(total)
    }

    fn read(&self) -> u64 {
        self.total.load(Relaxed)
    }
}

/// The counters while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames_malformed: Count,
    pub(crate) frames_dropped: Count,
    pub(crate) frames_stalled: Count,
    pub(crate) questions_refused: Count,
    pub(crate) answers_untaken: Count,
    pub(crate) handshakes_failed: Count,
    pub(crate) handshakes_put_off: Count,
    pub(crate) handshakes_refused: Count,
    pub(crate) connections_refused: Count,
}

impl Tally {
    pub(crate) fn read(&self) -> Counters {
        Counters {
            frames_malformed: self.frames_malformed.read(),
            frames_dropped: self.frames_dropped.read(),
            frames_stalled: self.frames_stalled.read(),
            questions_refused: self.questions_refused.read(),
            answers_untaken: self.answers_untaken.read(),
            handshakes_failed: self.handshakes_failed.read(),
            handshakes_put_off: self.handshakes_put_off.read(),
            handshakes_refused: self.handshakes_refused.read(),
            connections_refused: self.connections_refused.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_whole_and_told_once() {
        let count = Count::default();
        let told = (0..1_000).filter_map(|_| count.one()).collect::<Vec<_>>();
        assert_eq!(told, [1]);
        assert_eq!(count.read(), 1_000);
    }
}
