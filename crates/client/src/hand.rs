//! Leases, locks and elections by hand, for whoever keeps no handle between two calls: a door that
//! serves callers of another language, each call of which may come in at another node. Who was
//! granted a lease so renews it, and nothing is given back when a value is dropped.

mod election;

use std::time::Duration;

pub use election::Stood;
use synod_machine::{
    Command, Holder, LeaseCommand, LeaseId, LockCommand, LockReply, Name, Rejection, Reply,
    Revision,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    client::{Client, nonsense},
    deadline::Deadline,
    error::{Error, Refused, Why},
    fates::Settled,
    standing::Lost,
    turn::Turn,
    watch::is_final,
};

/// How long one look at the lease takes at most.
const LOOK: Duration = Duration::from_secs(1);
/// Before the next one.
const PAUSE: Duration = Duration::from_millis(50);
/// Renewals in one time to live while a lock is waited for: two may be lost.
const RENEWALS_PER_TTL: u32 = 3;

/// What came of asking for a lock on a lease that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is held, as long as the lease is.
    Held {
        /// What the resource is to be shown.
        token: Revision,
    },
    /// Another holds it, and went on holding it for as long as was waited. Nothing is left in the
    /// queue.
    Taken(Holder),
    /// There is no such lease any more.
    LeaseEnded,
}

impl Client {
    /// A new lease of this client that nobody renews: [`Client::renew_lease`] does, each time from
    /// when it is called. See [`Client::lease`].
    pub async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, Error> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let granted = |reply| match reply {
            Reply::Lease(lease) => Some(lease),
            _ => None,
        };
        self.submit(Command::Lease(LeaseCommand::Grant { ttl_ms }), granted).await
    }

    /// Takes a lock on a lease of this client, and waits for it as long as it is told to; the lease
    /// is renewed meanwhile, and not afterwards.
    ///
    /// To the log all places of one lease in one queue are the same place. So asking again is told
    /// where it stands, and what is asked for on one lease is to be asked for once at a time.
    /// Dropped while it waits, it leaves the place to the lease.
    pub async fn acquire_lock(
        &self,
        name: &str,
        lease: LeaseId,
        wait: Option<Duration>,
    ) -> Result<Acquired, Error> {
        let until = Deadline::after(wait.unwrap_or_default()).at();
        let name = Name::new(name);
        let asked = LockCommand::Acquire { name: name.clone(), lease, wait: wait.is_some() };
        match self.lock_command(asked).await {
            Ok(LockReply::Held { token }) => Ok(Acquired::Held { token }),
            Ok(LockReply::Taken { by }) => Ok(Acquired::Taken(by)),
            Ok(LockReply::Queued { at, holder }) => {
                let place = Place { client: self, name, lease };
                place.wait(at, holder, until).await.map_err(Error::half_way)
            }
            Ok(LockReply::Released { .. } | LockReply::Absent) => Err(nonsense()),
            Err(error) if is_over(&error) => Ok(Acquired::LeaseEnded),
            Err(error) => Err(error),
        }
    }

    /// Lets go of a lock, or of the place in its queue: the token under which it was held, `None`
    /// of a place; and `None` when there was neither.
    pub async fn release_lock(
        &self,
        name: &str,
        lease: LeaseId,
    ) -> Result<Option<Option<Revision>>, Error> {
        let released = LockCommand::Release { name: Name::new(name), lease };
        match self.lock_command(released).await {
            Ok(LockReply::Released { token, .. }) => Ok(Some(token)),
            Ok(LockReply::Absent) => Ok(None),
            Ok(_) => Err(nonsense()),
            Err(error) if is_over(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn lock_command(&self, command: LockCommand) -> Result<LockReply, Error> {
        let lock = |reply| match reply {
            Reply::Lock(reply) => Some(reply),
            _ => None,
        };
        self.submit(Command::Lock(command), lock).await
    }
}

/// A place in the queue of a lock.
struct Place<'a> {
    client: &'a Client,
    name: Name,
    lease: LeaseId,
}

impl Place<'_> {
    async fn wait(&self, at: Revision, holder: Holder, until: Instant) -> Result<Acquired, Error> {
        let (core, since) = (&self.client.core, (at, holder));
        let mut turn = Turn::new(core, self.name.clone(), self.lease, since);
        let waited = tokio::select! {
            biased;
            granted = turn.comes() => Some(granted?),
            ended = keep_alive(self.client, self.lease) => {
                return ended.map(|()| Acquired::LeaseEnded);
            }
            () = sleep_until(until) => None,
        };
        if let Some(token) = waited {
            return Ok(Acquired::Held { token });
        }
        self.leave().await?;
        Ok(Acquired::Taken(turn.into_whose()))
    }

    /// Its turn may come at this very moment: then what is let go of is the lock. What was not
    /// done is asked for again, and no copy of it meets whoever asks for the lock again.
    async fn leave(&self) -> Result<(), Error> {
        let name = self.name.as_str();
        match self.client.release_lock(name, self.lease).await {
            Err(Error::Unknown { request }) => match self.client.settle(request).await? {
                Settled::Applied(_) => return Ok(()),
                Settled::Never => {}
            },
            Err(Error::SessionEnded { .. } | Error::Connect(_)) => {}
            Err(Error::NotApplied { why }) if why != Why::Closed => {}
            left => return left.map(drop),
        }
        self.client.release_lock(name, self.lease).await.map(drop)
    }
}

/// Renews a lease until it has ended.
async fn keep_alive(client: &Client, lease: LeaseId) -> Result<(), Error> {
    let Some(ttl) = time_to_live(client, lease).await? else { return Ok(()) };
    let every = ttl / RENEWALS_PER_TTL;
    let renewing = client.within(every);
    loop {
        let next = Deadline::after(every).at();
        // Not heard in time: the next one may be.
        if let Ok(false) = renewing.renew_lease(lease).await {
            return Ok(());
        }
        sleep_until(next).await;
    }
}

/// Of a lease, if there is one, however often that has to be asked.
async fn time_to_live(client: &Client, lease: LeaseId) -> Result<Option<Duration>, Error> {
    let asking = client.within(LOOK);
    loop {
        match asking.lease_view(lease).await {
            Err(error) if is_final(&error) => return Err(error),
            Err(_) => sleep(PAUSE).await,
            Ok(view) => return Ok(view.map(|view| Duration::from_millis(view.ttl_ms))),
        }
    }
}

/// Whether the lease on which it was to hang has ended, or never was.
fn is_over(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused { why: Refused::Log(Rejection::LeaseEnded | Rejection::UnknownLease) }
            | Error::LeaseLost { why: Lost::Ended }
    )
}
