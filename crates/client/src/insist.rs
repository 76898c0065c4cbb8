//! What is to be done in the end, though its caller has left.

use std::{sync::Arc, time::Duration};

use synod_machine::{Command, RequestId};
use tokio::time::sleep;

use crate::{
    backoff::Backoff,
    core::Core,
    deadline::Deadline,
    error::{Error, Why},
    fates::Settled,
    session::Session,
};

/// How long one attempt lasts.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause before another attempt, and before another look at what became of one.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Core {
    /// Does a command once, in whichever session; returns when it is done, or refused and so never
    /// will be. No copy of it takes effect afterwards.
    pub(crate) async fn insist(self: &Arc<Self>, command: &Command) {
        let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
        while let Err(error) = self.try_once(command).await {
            match error {
                Error::NotApplied { why: Why::Closed } | Error::Refused { .. } => {
                    return tracing::debug!(?command, %error, "given up");
                }
                _ => sleep(pause.next()).await,
            }
        }
    }

    async fn try_once(self: &Arc<Self>, command: &Command) -> Result<(), Error> {
        let deadline = Deadline::after(PATIENCE);
        let session = self.session(deadline).await?;
        match self.submit_in(&session, command.clone(), |_| Some(()), deadline).await {
            Err(Error::Unknown { request }) => match self.fate(&session, request).await {
                Some(Settled::Applied(_)) => Ok(()),
                Some(Settled::Never) | None => Err(Error::not_applied(Why::NoAnswer)),
            },
            ended => ended,
        }
    }

    /// Waits until it is known what became of a request that had no answer. `None`: its session has
    /// ended, so that it does not take effect any more; it may have before.
    pub(crate) async fn fate(&self, session: &Session, request: RequestId) -> Option<Settled> {
        let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
        loop {
            if let Some(settled) = self.fates().of(request) {
                return Some(settled);
            }
            if session.has_ended() || *self.closed.borrow() {
                return None;
            }
            sleep(pause.next()).await;
        }
    }
}
