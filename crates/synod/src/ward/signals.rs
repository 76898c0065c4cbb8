use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::exit::{Code, Failure};

/// The signals that are passed on to the command.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Signals, Failure> {
        let hear = |kind| {
            unix::signal(kind).map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error))
        };
        Ok(Signals {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn heard(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}
