//! Keeps a lease alive.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use synod_machine::{
    LeaseId, Rejection, Reply,
    door::{Call, Said},
};
use tokio::time::sleep_until;

use crate::{
    ask::{Ended, Tries},
    core::Core,
    deadline::Deadline,
    moment::Moment,
    standing::{Lost, Standing},
};

/// Renewals in one time to live: two may be lost.
const RENEWALS_PER_TTL: u32 = 3;
/// A refused renewal is repeated no sooner.
const REST: Duration = Duration::from_millis(30);

/// Renews the lease until it is lost or the client is closed.
pub(crate) fn begin(core: &Arc<Core>, lease: LeaseId, standing: &Arc<Standing>) {
    let (core, standing) = (Arc::clone(core), Arc::clone(standing));
    core.runtime.clone().spawn(async move {
        tokio::select! {
            _ = Arc::clone(&standing).lost() => {}
            () = core.closed() => {}
            () = renew(&core, lease, &standing) => {}
        }
    });
}

/// Ends when the log says that the lease has ended.
async fn renew(core: &Core, lease: LeaseId, standing: &Standing) {
    let every = standing.ttl() / RENEWALS_PER_TTL;
    loop {
        // As long after the last one was sent: what is left of the time to live is the same
        // whatever the answer took.
        let next = standing.until() - standing.ttl() + every;
        sleep_until(next).await;
        // Attempts follow one another until the lease is lost; the answer is to the last of them.
        let sent = Mutex::new(Moment::now());
        let call = || {
            *sent.lock().unwrap_or_else(PoisonError::into_inner) = Moment::now();
            Call::Renew { lease }
        };
        let deadline = Deadline::at_moment(standing.until());
        let ended = core.route.ask_leader(&mut Tries::new(), call, deadline).await;
        let sent = *sent.lock().unwrap_or_else(PoisonError::into_inner);
        match ended {
            Ended::Said(Said::Kept) => standing.renewed(sent),
            Ended::Said(Said::Reply(Reply::Rejected(
                Rejection::LeaseEnded | Rejection::UnknownLease,
            ))) => {
                tracing::info!(%lease, "the lease has ended");
                return standing.end(Lost::Ended);
            }
            // Refused, or not heard in time.
            _ => sleep_until(Deadline::after(REST.max(every)).at()).await,
        }
    }
}
