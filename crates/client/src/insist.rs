//! What is to be done in the end, though its caller has left.

use std::{sync::Arc, time::Duration};

use synod_machine::{Command, Rejection, RequestId};
use tokio::time::sleep;

use crate::{
    backoff::Backoff,
    core::Core,
    deadline::Deadline,
    error::{Error, Refused, Why},
    fates::Settled,
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
            Err(Error::Unknown { request }) => match self.fate(request).await {
                Some(Settled::Applied(_)) => Ok(()),
                Some(Settled::Never) | None => Err(Error::not_applied(Why::NoAnswer)),
            },
            ended => ended,
        }
    }

    /// Waits until it is known what became of a request that had no answer, in whichever session.
    /// `None`: nobody knows any more, and it does not take effect any more, though it may have
    /// before; or this client is closed.
    pub(crate) async fn fate(&self, request: RequestId) -> Option<Settled> {
        let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
        loop {
            // Whoever sent it asks, too, and as a rule has the answer first.
            sleep(pause.next()).await;
            match self.settle(request, Deadline::after(PATIENCE)).await {
                Ok(settled) => return Some(settled),
                // There is room when others are settled, or when its session has ended.
                Err(Error::Refused { why: Refused::Log(Rejection::TooManyOpen { .. }) }) => {}
                Err(Error::Refused { .. } | Error::NotApplied { why: Why::Closed }) => return None,
                Err(_) => {}
            }
        }
    }
}
