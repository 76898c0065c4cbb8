use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::watch;

use crate::standing::{Lost, Standing};

/// Whether what hangs on a lease is held still.
pub(crate) struct Fate {
    standing: Arc<Standing>,
    /// Why it is gone though the lease may stand.
    gone: watch::Sender<Option<Lost>>,
}

impl Fate {
    pub(crate) fn new(standing: &Arc<Standing>) -> Arc<Fate> {
        Arc::new(Fate { standing: Arc::clone(standing), gone: watch::Sender::new(None) })
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(crate) fn is_lost(&self) -> Option<Lost> {
        let gone = *self.gone.borrow();
        gone.or_else(|| self.standing.is_lost())
    }

    pub(crate) fn end(&self, why: Lost) {
        self.gone.send_if_modified(|gone| {
            let held = gone.is_none();
            *gone = gone.or_else(|| self.standing.is_lost()).or(Some(why));
            held
        });
    }

    pub(crate) async fn lost(self: Arc<Fate>) -> Lost {
        let mut gone = self.gone.subscribe();
        tokio::select! {
            biased;
            // The sender is `self`'s own; it cannot be gone.
            _ = gone.wait_for(Option::is_some) => {}
            _ = Arc::clone(&self.standing).lost() => {}
        }
        self.is_lost().unwrap_or(Lost::Ended)
    }

    /// Does `work` while it is held: it is dropped, at whatever await it has come to, when it is
    /// lost, and is not polled after that.
    pub(crate) async fn run<F: Future>(self: &Arc<Fate>, work: F) -> Result<F::Output, Lost> {
        let (mut work, mut lost) = (pin!(work), pin!(Arc::clone(self).lost()));
        poll_fn(|context| {
            if let Poll::Ready(why) = lost.as_mut().poll(context) {
                return Poll::Ready(Err(why));
            }
            // A timer may not have run out yet, after a sleep of the machine.
            match self.is_lost() {
                Some(why) => Poll::Ready(Err(why)),
                None => work.as_mut().poll(context).map(Ok),
            }
        })
        .await
    }
}
