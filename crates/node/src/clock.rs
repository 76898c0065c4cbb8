//! The one place where this crate reads clocks for the replica.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use synod_machine::Timestamp;
use synod_paxos::Tick;

/// The node's clocks. Ticks count from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { began: Instant::now() }
    }

    /// The monotonic clock: what the replica measures spans with.
    pub(crate) fn now(self) -> Tick {
        Tick::ZERO.after(self.began.elapsed())
    }

    /// When a tick comes, for a timer.
    pub(crate) fn instant_of(self, tick: Tick) -> Instant {
        self.began + tick.since(Tick::ZERO).min(FAR_AHEAD)
    }

    /// The wall clock, for batch stamps. One set before 1970 reads as 1970: the machine takes the
    /// largest stamp it has seen as the time, so a wrong clock only delays expiry.
    pub(crate) fn wall(self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Beyond any process's life, and far from what an `Instant` can hold.
const FAR_AHEAD: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
