use std::future::pending;

use rustix::process::Signal;
use tokio::{
    signal::unix::{self, SignalKind},
    sync::oneshot,
};

use crate::{
    exit::{Code, Failure},
    verbs::start::stdin_closed,
};

/// The signals that are passed on to the command.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
    /// Sent when whoever must not be outlived is gone; heard once, as SIGTERM is.
    orphaned: Option<oneshot::Receiver<()>>,
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
            orphaned: None,
        })
    }

    /// The end of standard input is heard too, if that is wanted.
    pub(crate) fn or_end_of_input(mut self, wanted: bool) -> Signals {
        if wanted {
            let (end, orphaned) = oneshot::channel();
            tokio::spawn(async move {
                stdin_closed().await;
                let _nobody_listens = end.send(());
            });
            self.orphaned = Some(orphaned);
        }
        self
    }

    pub(crate) async fn heard(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
            () = over(&mut self.orphaned) => {
                self.orphaned = None;
                Signal::TERM
            }
        }
    }
}

async fn over(orphaned: &mut Option<oneshot::Receiver<()>>) {
    match orphaned {
        // Its sender is dropped with the runtime alone.
        Some(end) => drop(end.await),
        None => pending().await,
    }
}
