//! A process that leads the process group of a command under a lock or in an office, and ends the
//! group, itself included, when nobody else is there to do so in time: when the process that holds
//! it has died, or is stopped while its lease runs out.

use std::time::Duration;

use rustix::{
    process::{Signal, kill_current_process_group},
    time::{ClockId, clock_gettime},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    exit::{Code, Failure},
    print,
    verbs::ask::runtime,
};

/// The first argument of such a process. It is no verb for anybody to type.
pub(crate) const WORD: &str = "warden";
/// What it says when signals to its group are for the command alone.
pub(super) const READY: &str = "ready";
/// How late it may notice that the machine has slept.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A clock that two processes of a machine read alike, and that goes on while it sleeps.
pub(super) fn uptime() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    clock_gettime(CLOCK).try_into().unwrap_or_default()
}

/// Reads until when the group may live: nanoseconds of [`uptime`], a line each. The end of its
/// input is the end of the group.
pub(crate) fn run() -> Result<(), Failure> {
    let failed = |error| Failure::new(Code::Machine, "SYN-IO-001", error);
    runtime()?.block_on(async {
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            // Once there is a listener the system's own way is never taken again.
            drop(signal(kind).map_err(failed)?);
        }
        print::lines(READY)?;
        let mut lines = BufReader::new(stdin()).lines();
        let mut until: Option<Duration> = None;
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => until = line.parse().ok().map(Duration::from_nanos),
                    Ok(None) | Err(_) => break,
                },
                () = sleep(LOOK_EVERY), if until.is_some() => {
                    if until.is_some_and(|until| until <= uptime()) {
                        break;
                    }
                }
            }
        }
        kill_current_process_group(Signal::KILL).map_err(|error| failed(error.into()))
    })
}
