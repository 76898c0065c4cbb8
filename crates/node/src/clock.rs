//! The one place where this crate reads clocks for the replica.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use synod_machine::Timestamp;
use synod_paxos::Tick;

/// The node's clocks. Ticks count from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    /// What the wall clock shows. It may be wrong, and be set at any time.
    wall: fn() -> SystemTime,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock::with_wall(SystemTime::now)
    }

    /// With another clock on the wall.
    pub(crate) fn with_wall(wall: fn() -> SystemTime) -> Clock {
        Clock { began: Instant::now(), wall }
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
    /// largest stamp it has seen as the time, and a leap of it for little: see there.
    pub(crate) fn wall(self) -> Timestamp {
        Timestamp(u64::try_from(self.since_1970().as_millis()).unwrap_or(u64::MAX))
    }

    /// The same in seconds, for what ends on a day.
    pub(crate) fn unix_seconds(self) -> i64 {
        i64::try_from(self.since_1970().as_secs()).unwrap_or(i64::MAX)
    }

    fn since_1970(self) -> Duration {
        (self.wall)().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
    }
}

/// Beyond any process's life, and far from what an `Instant` can hold.
const FAR_AHEAD: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
