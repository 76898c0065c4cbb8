//! Whoever may ask the demo to end: Ctrl-C, `kill`, a terminal that is closed.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Code, Failure};

/// The signals that ask a process to end, heard from when this is made.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Begins to hear them.
    pub(super) fn listen() -> Result<Signals, Failure> {
        let hear =
            |kind| signal(kind).map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error));
        Ok(Signals {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }

    /// Waits for one.
    pub(super) async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
