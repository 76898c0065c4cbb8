use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use synod_machine::{Command, LeaseCommand, LeaseId, Reply};
use tokio::time::{Instant, timeout};

use crate::{
    apart::apart,
    client::Client,
    core::done,
    deadline::Deadline,
    error::Error,
    moment::Moment,
    names::Names,
    phase2::Finishing,
    renewal,
    standing::{Lost, Standing},
};

/// A lease that renews itself.
///
/// What hangs on a lease stands until the lease ends: [locks](crate::LockGuard) do. It is renewed
/// in the background three times in its time to live, over failures of nodes and changes of the
/// leader, for as long as this handle or a guard on the lease exists. A renewal costs no entry in
/// the log.
///
/// It is held until [`until`](Lease::until), which every acknowledged renewal moves on, counted
/// from *before* that renewal was sent. Whoever acts on it has to stop by then:
/// [`lost`](Lease::lost) tells when, by a timer of its own. The cluster ends the lease later than
/// that, provided that the rates of two clocks differ by less than one part in
/// [`CLOCK_RATES_DIFFER_BY`](synod_machine::limits::CLOCK_RATES_DIFFER_BY). Nobody's time of day
/// matters. On Linux the time that a machine sleeps through counts; a guest whose clocks stand
/// still with it cannot know, and what it writes after it wakes is refused by its fencing token
/// only.
///
/// Dropped, it is ended in the background, as well as that goes; [`revoke`](Lease::revoke) waits
/// for it. It outlives the client's session.
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// let lease = client.lease(std::time::Duration::from_secs(10)).await?;
/// tokio::select! {
///     why = lease.lost() => eprintln!("not ours any more: {why}"),
///     () = std::future::pending() => { /* what needs it */ }
/// }
/// lease.revoke().await
/// # }
/// ```
#[derive(Debug)]
pub struct Lease {
    pub(crate) held: Arc<Held>,
}

/// What a lease is to all who hold it here.
pub(crate) struct Held {
    client: Client,
    lease: LeaseId,
    standing: Arc<Standing>,
    /// Whether it is left to itself when nobody here holds it any more.
    left: AtomicBool,
    names: Names,
}

impl Client {
    /// A new lease that ends when it was not renewed for `ttl`: from 100 ms to a day, in whole
    /// milliseconds. It renews itself; see [`Lease`].
    ///
    /// A longer one survives longer troubles; what hangs on it is free for others so much later
    /// after its owner dies. After [`Error::Unknown`] there may be one that nobody renews: it ends
    /// by itself.
    pub async fn lease(&self, ttl: Duration) -> Result<Lease, Error> {
        let (client, deadline) = (self.clone(), self.deadline());
        // If nobody waits any more the lease ends with its handle.
        let granted = apart(async move {
            let granted = Held::grant(client, ttl, deadline).await;
            granted.map(|held| Lease { held: Arc::new(held) })
        });
        let granted = granted.await;
        if let Err(Error::Unknown { request }) = granted {
            self.core.tell(request);
        }
        granted
    }
}

impl Lease {
    /// Its name in the log, for [`Client::lease_view`] and for people.
    pub fn id(&self) -> LeaseId {
        self.held.lease
    }

    /// How long it lives without a renewal.
    pub fn ttl(&self) -> Duration {
        self.held.standing.ttl()
    }

    /// Until when it is held for certain, if nobody ends it: its time to live after the latest
    /// acknowledged renewal was sent.
    pub fn until(&self) -> Instant {
        self.held.standing.until()
    }

    /// Why it is not held any more; `None` while it is.
    pub fn is_lost(&self) -> Option<Lost> {
        self.held.standing.is_lost()
    }

    /// Resolves when it is not held any more, and why: at once when the log says so, and else at
    /// [`until`](Lease::until) by a local timer, even while a renewal hangs. It may outlive the
    /// handle.
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + use<> {
        Arc::clone(&self.held.standing).lost()
    }

    /// Ends it, and all that hangs on it. From when this is called it is lost here. After an error
    /// nobody renews it any more, so it ends by itself.
    pub async fn revoke(self) -> Result<(), Error> {
        self.held.revoke().await
    }

    /// Leaves it to itself: from here on this client does not renew it, and does not end it either.
    /// Who knows its id goes on with [`Client::renew_lease`].
    pub fn leave(self) -> LeaseId {
        self.held.left.store(true, Ordering::Relaxed);
        self.held.standing.end(Lost::GivenBack);
        self.held.lease
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Held");
        shown.field("lease", &self.lease).field("lost", &self.standing.is_lost());
        shown.finish_non_exhaustive()
    }
}

impl Held {
    pub(crate) async fn grant(
        client: Client,
        ttl: Duration,
        deadline: Deadline,
    ) -> Result<Held, Error> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let command = Command::Lease(LeaseCommand::Grant { ttl_ms });
        command.check()?;
        let granted = |reply| match reply {
            Reply::Lease(lease) => Some(lease),
            _ => None,
        };
        let session = client.core.session(deadline).await?;
        // A repeat is told the first reply, and the leader has counted from the first copy.
        let sent = Moment::now();
        let lease = client.core.submit_in(&session, command, granted, deadline).await?;
        // Never longer than the milliseconds that were asked for.
        let standing = Arc::new(Standing::granted(sent, Duration::from_millis(ttl_ms)));
        renewal::begin(&client.core, lease, &standing);
        Ok(Held { client, lease, standing, left: AtomicBool::new(false), names: Names::default() })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.lease
    }

    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) async fn revoke(&self) -> Result<(), Error> {
        // Whoever relies on it hears of the end before others can.
        self.standing.end(Lost::GivenBack);
        let command = Command::Lease(LeaseCommand::Revoke { lease: self.lease });
        let revoked = self.client.submit(command, done).await;
        self.left.store(revoked.is_ok(), Ordering::Relaxed);
        revoked
    }
}

impl Drop for Held {
    /// Nobody renews it any more, so it need not be ended for longer than it would live.
    fn drop(&mut self) {
        let over = self.standing.is_lost() == Some(Lost::Ended);
        self.standing.end(Lost::GivenBack);
        if over || self.left.load(Ordering::Relaxed) {
            return;
        }
        let (client, patience) = (self.client.clone(), self.standing.ttl());
        let command = Command::Lease(LeaseCommand::Revoke { lease: self.lease });
        let finishing = Finishing::begin(&client.core);
        client.core.runtime.clone().spawn(async move {
            let _in_time = timeout(patience, client.core.insist(&command)).await;
            // Until here the client lives, whoever has dropped it meanwhile.
            drop((client, finishing));
        });
    }
}
