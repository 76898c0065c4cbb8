use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long a machine that wakes from its sleep may take to notice that a moment came meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A moment on two clocks, which has come when it has come on either.
///
/// The clock of timers stands still while the machine sleeps (suspended, or a guest whose host
/// was); nobody else's does. What was promised until a moment is over when the machine wakes
/// after it, though no timer has run out. On Linux the second clock, `CLOCK_BOOTTIME`, goes on
/// meanwhile (clock_gettime(2)). Where there is no such clock, the first is all there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    timer: Instant,
    /// Since the machine was started.
    uptime: Option<Duration>,
}

impl Moment {
    pub(crate) fn now() -> Moment {
        Moment { timer: Instant::now(), uptime: uptime() }
    }

    pub(crate) fn after(self, span: Duration) -> Moment {
        let uptime = self.uptime.map(|since| since.saturating_add(span));
        Moment { timer: self.timer + span, uptime }
    }

    pub(crate) fn later(self, other: Moment) -> Moment {
        if self.timer < other.timer { other } else { self }
    }

    /// As timers see it.
    pub(crate) fn timer(self) -> Instant {
        self.timer
    }

    pub(crate) fn has_come(self) -> bool {
        let slept_past = self.uptime.zip(uptime()).is_some_and(|(at, now)| at <= now);
        slept_past || self.timer <= Instant::now()
    }

    /// Resolves when it has come.
    pub(crate) async fn comes(self) {
        while !self.has_come() {
            sleep_until(self.timer.min(Instant::now() + LOOK_EVERY)).await;
        }
    }
}

#[cfg(target_os = "linux")]
fn uptime() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let uptime: Duration = clock_gettime(ClockId::Boottime).try_into().ok()?;
    #[cfg(test)]
    let uptime = uptime + SLEPT.get();
    Some(uptime)
}

#[cfg(test)]
thread_local! {
    /// How long the machine of a test on this thread has slept.
    pub(crate) static SLEPT: std::cell::Cell<Duration> =
        const { std::cell::Cell::new(Duration::ZERO) };
}

#[cfg(not(target_os = "linux"))]
fn uptime() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that slept: its timers have an hour to go, and the hour is over.
    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn a_moment_that_was_slept_through_has_come() {
        let hour = Moment::now().after(Duration::from_secs(3_600));
        assert!(!hour.has_come());
        let slept_through = Moment { uptime: Some(Duration::ZERO), ..hour };
        assert!(slept_through.has_come());
        let began = Instant::now();
        slept_through.comes().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_comes_when_its_time_has_passed() {
        let (began, span) = (Instant::now(), Duration::from_millis(2_500));
        Moment::now().after(span).comes().await;
        assert_eq!(began.elapsed(), span);
    }
}
