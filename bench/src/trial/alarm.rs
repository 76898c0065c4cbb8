//! When requests of an open loop are due. The runtime's own clock goes by whole milliseconds, up to
//! two late: with that the generator would be most of the latency that it measures, and ask in
//! bursts.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::BenchError;

/// It rings so seldom: what is due in between is up to so late. On every ring the generator wakes,
/// and at tens of thousands a second it would take from the servers what it measures.
const APART: Duration = Duration::from_micros(200);

/// Wakes whoever asks for it, at its time. Clones are one clock.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    asks: mpsc::UnboundedSender<Ask>,
}

/// When, and whom.
type Ask = (Instant, oneshot::Sender<()>);

impl Alarm {
    /// One that goes for as long as somebody has it.
    pub(super) fn new() -> Result<Alarm, BenchError> {
        let (asks, asked) = mpsc::unbounded_channel();
        let clock = clock::Clock::new().map_err(BenchError::io("a timer of the kernel"))?;
        tokio::spawn(rings(clock, asked));
        Ok(Alarm { asks })
    }

    /// Not before `due`, and hardly later than [`APART`] after it.
    pub(super) async fn at(&self, due: Instant) {
        let (ring, rung) = oneshot::channel();
        let asked = self.asks.send((due, ring)).is_ok();
        if !asked || rung.await.is_err() {
            // The timer has failed: late is better than never.
            tokio::time::sleep_until(due.into()).await;
        }
    }
}

async fn rings(mut clock: clock::Clock, mut asked: mpsc::UnboundedReceiver<Ask>) {
    let mut waiting: BTreeMap<(Instant, u64), oneshot::Sender<()>> = BTreeMap::new();
    let mut rung_at = Instant::now();
    for number in 0_u64.. {
        let now = Instant::now();
        while let Some(first) = waiting.first_entry()
            && first.key().0 <= now
        {
            // Whoever does not wait any more need not be woken.
            let _ = first.remove().send(());
            rung_at = now;
        }
        let next = waiting.first_key_value().map(|((due, _), _)| (*due).max(rung_at + APART));
        tokio::select! {
            ask = asked.recv() => match ask {
                Some((due, ring)) => drop(waiting.insert((due, number), ring)),
                None => return,
            },
            rung = clock.at(next), if next.is_some() => if rung.is_err() {
                return;
            },
        }
    }
}

#[cfg(target_os = "linux")]
mod clock {
    use std::{
        io,
        os::fd::AsFd,
        time::{Duration, Instant},
    };

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    /// A timer of the kernel's, as precise as its interrupts.
    #[derive(Debug)]
    pub(super) struct Clock {
        /// Waited for and read as a pipe is: eight bytes come when it goes off.
        timer: Receiver,
        /// When it goes off.
        set: Option<Instant>,
    }

    impl Clock {
        pub(super) fn new() -> io::Result<Clock> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Clock { timer: Receiver::from_owned_fd_unchecked(timer)?, set: None })
        }

        /// Waits until `due`; given up and asked again, it goes on waiting.
        pub(super) async fn at(&mut self, due: Option<Instant>) -> io::Result<()> {
            let Some(due) = due else { return Ok(()) };
            if self.set != Some(due) {
                self.set(due)?;
            }
            self.timer.readable().await?;
            match self.timer.try_read(&mut [0; 8]) {
                Ok(_) => self.set = None,
                // It was set anew since it went off.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            Ok(())
        }

        fn set(&mut self, due: Instant) -> io::Result<()> {
            // A time of zero would stop it.
            let left = due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            let it_value = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let once = Itimerspec { it_interval, it_value };
            timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::empty(), &once)?;
            self.set = Some(due);
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod clock {
    use std::{io, time::Instant};

    /// The runtime's.
    #[derive(Debug)]
    pub(super) struct Clock;

    impl Clock {
        pub(super) fn new() -> io::Result<Clock> {
            Ok(Clock)
        }

        pub(super) async fn at(&mut self, due: Option<Instant>) -> io::Result<()> {
            if let Some(due) = due {
                tokio::time::sleep_until(due.into()).await;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked in any order, it rings in that of time, for nobody early.
    #[tokio::test]
    async fn everybody_is_woken_in_turn() {
        let (alarm, begun) = (Alarm::new().unwrap(), Instant::now());
        let mut tasks = tokio::task::JoinSet::new();
        for place in [3, 1, 0, 2, 4_u32] {
            let (alarm, due) = (alarm.clone(), begun + Duration::from_millis(20) * place);
            tasks.spawn(async move {
                alarm.at(due).await;
                assert!(Instant::now() >= due, "{place} is early");
                place
            });
        }
        let mut woken = Vec::new();
        while let Some(place) = tasks.join_next().await {
            woken.push(place.unwrap());
        }
        assert_eq!(woken, [0, 1, 2, 3, 4]);
    }

    /// Whoever gives up waiting keeps nobody else from being woken, and what is over comes at once.
    #[tokio::test]
    async fn who_gives_up_disturbs_nobody() {
        let (alarm, begun) = (Alarm::new().unwrap(), Instant::now());
        let never = tokio::time::timeout(
            Duration::from_millis(1),
            alarm.at(begun + Duration::from_secs(3_600)),
        );
        assert!(never.await.is_err());
        alarm.at(begun).await;
        alarm.at(begun + Duration::from_millis(5)).await;
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }
}
