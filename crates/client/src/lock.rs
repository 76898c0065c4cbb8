use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use synod_machine::{Holder, LockReply, Name};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    client::Client,
    deadline::Deadline,
    error::{Error, Why},
    guard::LockGuard,
    lease::{Held, Lease},
    place::Place,
    turn::Turn,
};

/// How long a lock outlives its holder, if not told otherwise.
const TTL: Duration = Duration::from_secs(10);
/// Takes a lock; `.await` asks for it. See [`Client::lock`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for before it is awaited"]
pub struct LockBuilder {
    client: Client,
    name: Name,
    on: On,
    /// `None`: no place in the queue is wanted.
    wait: Option<Duration>,
}

/// On which lease.
#[derive(Clone, Debug)]
enum On {
    Own(Duration),
    Shared(Arc<Held>),
}

/// What came of asking for a lock.
#[derive(Debug)]
#[must_use = "the lock is let go of with its guard"]
pub enum Locked {
    /// It is held, as long as the guard is.
    Held(LockGuard),
    /// Another holds it, and went on holding it for as long as was waited; who that is. Nothing is
    /// left in the queue.
    Taken(Holder),
}

impl Locked {
    /// The guard, if it is held.
    pub fn guard(self) -> Option<LockGuard> {
        match self {
            Locked::Held(guard) => Some(guard),
            Locked::Taken(_) => None,
        }
    }
}

impl Client {
    /// A lock of this name, to be taken by `.await`: alone of all clients, in the order in which
    /// they asked, until its guard is released, or dropped, or its lease ends.
    ///
    /// A lock alone protects nothing: its holder may be paused for longer than its lease and not
    /// know it. What makes it safe is the [`token`](LockGuard::token), which grows with every
    /// grant: whatever the lock protects must refuse a smaller one after a larger.
    ///
    /// Unless told otherwise it hangs on a lease of its own that ends 10 s after its holder's
    /// death, and is waited for as long as a call of this client may take. Dropping the future
    /// leaves the queue.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn compact(_token: synod_client::machine::Revision) {}
    /// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
    /// use synod_client::Locked;
    /// match client.lock("compaction").wait(Duration::from_secs(30)).await? {
    ///     Locked::Held(guard) => {
    ///         let done = guard.run(compact(guard.token())).await;
    ///         done.unwrap_or_else(|why| eprintln!("stopped half way: {why}"));
    ///         guard.release().await?;
    ///     }
    ///     Locked::Taken(by) => println!("{} is at it", by.owner),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock(&self, name: impl Into<String>) -> LockBuilder {
        let (client, name) = (self.clone(), Name::new(name));
        let wait = Some(client.within);
        LockBuilder { client, name, on: On::Own(TTL), wait }
    }
}

impl LockBuilder {
    /// On a lease of its own with this time to live: so long after its holder died it goes to the
    /// next. As for [`Client::lease`].
    pub fn ttl(mut self, ttl: Duration) -> LockBuilder {
        self.on = On::Own(ttl);
        self
    }

    /// On this lease, which goes on when the lock is let go of: many locks on one lease cost the
    /// renewals of one. The guard keeps the lease alive. Of one name a lease holds one guard at a
    /// time; asking for another is [`Error::Misuse`].
    pub fn on(mut self, lease: &Lease) -> LockBuilder {
        self.on = On::Shared(Arc::clone(&lease.held));
        self
    }

    /// How long a place in the queue is kept while another holds it.
    pub fn wait(mut self, wait: Duration) -> LockBuilder {
        self.wait = Some(wait);
        self
    }

    /// If another holds it, that is the answer.
    pub fn try_now(mut self) -> LockBuilder {
        self.wait = None;
        self
    }

    /// A task of its own, so that its caller may leave at any await: what was asked of the log by
    /// then is taken back.
    async fn run(self, mut tell: oneshot::Sender<Result<Locked, Error>>) {
        let until = Deadline::after(self.wait.unwrap_or_default()).at();
        let locked = match self.take().await {
            Ok((place, reply)) => tokio::select! {
                biased;
                locked = settle(place, reply, until) => locked,
                () = tell.closed() => return,
            },
            Err(error) => Err(error),
        };
        // If nobody waits any more the guard goes at once.
        let _left = tell.send(locked);
    }

    async fn take(self) -> Result<(Place, LockReply), Error> {
        let deadline = self.client.deadline();
        let client = self.client;
        let on = match self.on {
            On::Own(ttl) => match Held::grant(client.clone(), ttl, deadline).await {
                // Nobody renews what was granted to nobody.
                Err(Error::Unknown { .. }) => return Err(Error::no_answer(Why::NoAnswer)),
                granted => (Arc::new(granted?), true),
            },
            On::Shared(held) => (held, false),
        };
        Place::take(client, on, self.name, self.wait.is_some(), deadline).await
    }
}

impl IntoFuture for LockBuilder {
    type Output = Result<Locked, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            tokio::spawn(self.run(tell));
            // The task is gone without a word only when the whole runtime is shutting down.
            told.await.unwrap_or(Err(Error::no_answer(Why::Closed)))
        })
    }
}

/// Waits as long as it takes, or until its time is up.
async fn settle(place: Place, reply: LockReply, until: Instant) -> Result<Locked, Error> {
    let standing = Arc::clone(place.held().standing());
    let token = match reply {
        LockReply::Held { token } => token,
        LockReply::Taken { by } => return Ok(Locked::Taken(by)),
        LockReply::Queued { at, holder } => {
            let (name, since) = (place.name().clone(), (at, holder));
            let mut turn = Turn::new(place.core(), name, place.lease(), since);
            tokio::select! {
                biased;
                why = Arc::clone(&standing).lost() => return Err(Error::LeaseLost { why }),
                token = turn.comes() => token?,
                () = sleep_until(until) => return Ok(Locked::Taken(turn.into_whose())),
            }
        }
        LockReply::Released { .. } | LockReply::Absent => {
            return Err(Error::no_answer(Why::Nonsense));
        }
    };
    match standing.is_lost() {
        Some(why) => Err(Error::LeaseLost { why }),
        None => Ok(Locked::Held(LockGuard::new(place, token))),
    }
}
