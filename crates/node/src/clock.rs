//! The one place where this crate reads clocks for the replica.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use synod_machine::Timestamp;
use synod_paxos::Tick;

/// The node's clocks. Ticks count from when it was made, and go on while the machine sleeps: a
/// leader that slept has no lease any more, whatever its timers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    /// Since the machine was started, when it was made.
    began_uptime: Option<Duration>,
    /// What the wall clock shows. It may be wrong, and be set at any time.
    wall: fn() -> SystemTime,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock::with_wall(SystemTime::now)
    }

    /// With another clock on the wall.
    pub(crate) fn with_wall(wall: fn() -> SystemTime) -> Clock {
        Clock { began: Instant::now(), began_uptime: uptime(), wall }
    }

    /// The monotonic clock: what the replica measures spans with.
    pub(crate) fn now(self) -> Tick {
        Tick::ZERO.after(self.elapsed())
    }

    /// When a tick comes, for a timer. Timers stand still while the machine sleeps: what has come
    /// meanwhile is found when the loop looks next.
    pub(crate) fn instant_of(self, tick: Tick) -> Instant {
        // In whole milliseconds, so that one tick is one instant for as long as nobody sleeps.
        let slept = self.elapsed().saturating_sub(self.began.elapsed()).as_millis();
        let slept = Duration::from_millis(u64::try_from(slept).unwrap_or(u64::MAX));
        self.began + tick.since(Tick::ZERO).saturating_sub(slept).min(FAR_AHEAD)
    }

    fn elapsed(self) -> Duration {
        let uptime = self.began_uptime.zip(uptime());
        let since = uptime.map(|(began, now)| now.saturating_sub(began));
        since.unwrap_or_else(|| self.began.elapsed())
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

/// `CLOCK_BOOTTIME` counts the sleep of the machine too (clock_gettime(2)). Where there is no such
/// clock, there is only the one of timers.
#[cfg(target_os = "linux")]
fn uptime() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::Boottime).try_into().ok()
}

#[cfg(not(target_os = "linux"))]
fn uptime() -> Option<Duration> {
    None
}

/// Beyond any process's life, and far from what an `Instant` can hold.
const FAR_AHEAD: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that has slept since it was started, but for this moment: that time has passed on
    /// the clock of ticks, and a tick that is a minute away is a minute away for timers.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_sleep_of_the_machine_counts() {
        let slept_for = uptime().unwrap();
        let slept = Clock { began_uptime: Some(Duration::ZERO), ..Clock::new() };
        assert!(slept.now().since(Tick::ZERO) >= slept_for);
        let minute = Duration::from_secs(60);
        let in_a_minute = slept.instant_of(slept.now().after(minute));
        let left = in_a_minute.saturating_duration_since(Instant::now());
        assert!(left <= minute + Duration::from_millis(1) && left > minute / 2, "{left:?}");
    }
}
