//! How a lease stands, as far as its owner may rely on it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::moment::Moment;

/// Why what a handle held is held no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// No renewal was acknowledged in time. The cluster may not have ended the lease yet.
    #[error("no renewal of the lease was acknowledged in time")]
    NotRenewed,
    /// The log says that the lease has ended: it expired, or somebody ended it.
    #[error("the lease has ended")]
    Ended,
    /// The log says that another has the lock or the office, or nobody: a person took it away.
    #[error("it was taken away by an operator")]
    Broken,
    /// It was given back here.
    #[error("it was given back")]
    GivenBack,
}

/// One lease. Invariant: once it is lost it stays lost, and it is held only before the latest
/// moment up to which an acknowledged renewal holds.
pub(crate) struct Standing {
    ttl: Duration,
    stand: watch::Sender<Stand>,
}

#[derive(Clone, Copy, Debug)]
struct Stand {
    until: Moment,
    lost: Option<Lost>,
}

impl Stand {
    fn lost(&self) -> Option<Lost> {
        self.lost.or_else(|| self.until.has_come().then_some(Lost::NotRenewed))
    }
}

impl Standing {
    /// Of a lease whose grant was asked for at `sent`.
    ///
    /// The owner counts the time to live from before it asked, on its own clock. The leader counts
    /// from when it heard, which is later, and on a clock that may be slower: so it waits longer,
    /// by as much as the rates of two clocks may differ
    /// ([`CLOCK_RATES_DIFFER_BY`](synod_machine::limits::CLOCK_RATES_DIFFER_BY)) and by a grace
    /// (Gray and Cheriton, *Leases*, 1989). Neither knows the other's time of day.
    pub(crate) fn granted(sent: Moment, ttl: Duration) -> Standing {
        let stand = Stand { until: sent.after(ttl), lost: None };
        Standing { ttl, stand: watch::Sender::new(stand) }
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A renewal was acknowledged that was sent at this moment. It comes too late for one that is
    /// lost: whoever relied on it has stopped.
    pub(crate) fn renewed(&self, sent: Moment) {
        self.stand.send_if_modified(|stand| {
            let held = stand.lost().is_none();
            if held {
                stand.until = stand.until.later(sent.after(self.ttl));
            }
            held
        });
    }

    /// It is over, unless it was before.
    pub(crate) fn end(&self, why: Lost) {
        self.stand.send_if_modified(|stand| {
            let held = stand.lost.is_none();
            stand.lost = Some(stand.lost().unwrap_or(why));
            held
        });
    }

    /// Until when it is held, unless it is renewed or ended before.
    pub(crate) fn until(&self) -> Instant {
        self.stand.borrow().until.timer()
    }

    pub(crate) fn is_lost(&self) -> Option<Lost> {
        self.stand.borrow().lost()
    }

    /// Resolves when it is not held any more: at the latest when its time is up, whatever the
    /// network does.
    pub(crate) async fn lost(self: Arc<Standing>) -> Lost {
        let mut stand = self.stand.subscribe();
        loop {
            let now = *stand.borrow_and_update();
            if let Some(lost) = now.lost() {
                return lost;
            }
            tokio::select! {
                // The sender is `self`'s own; it cannot be gone.
                _ = stand.changed() => {}
                () = now.until.comes() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(9);

    /// Interfaces §3.2: `until` counts from before the renewal was sent.
    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_from_when_it_was_sent() {
        let standing = Standing::granted(Moment::now(), TTL);
        let sent = Moment::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        standing.renewed(sent);
        assert_eq!(standing.until(), sent.timer() + TTL);
        standing.renewed(Moment::now());
        assert_eq!(standing.until(), Instant::now() + TTL);
        standing.renewed(sent);
        assert_eq!(standing.until(), Instant::now() + TTL, "an older one shortens nothing");
    }

    /// Whoever was told that it is lost has stopped: a word that comes later changes nothing.
    #[tokio::test(start_paused = true)]
    async fn what_is_lost_stays_lost() {
        let standing = Arc::new(Standing::granted(Moment::now(), TTL));
        let before = Moment::now();
        assert_eq!(Arc::clone(&standing).lost().await, Lost::NotRenewed);
        assert_eq!(before.timer().elapsed(), TTL);
        standing.renewed(Moment::now());
        assert_eq!(standing.is_lost(), Some(Lost::NotRenewed));
        standing.end(Lost::Ended);
        assert_eq!(standing.is_lost(), Some(Lost::NotRenewed));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_the_loss_hears_of_an_end_at_once() {
        let standing = Arc::new(Standing::granted(Moment::now(), TTL));
        let waiting = tokio::spawn(Arc::clone(&standing).lost());
        tokio::task::yield_now().await;
        standing.end(Lost::Ended);
        let began = Instant::now();
        assert_eq!(waiting.await.unwrap(), Lost::Ended);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
