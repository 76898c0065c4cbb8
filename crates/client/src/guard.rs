use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use synod_machine::{Change, Interest, LeaseId, Name, Revision};
use tokio::{sync::watch, time::Instant};

use crate::{
    core::Core,
    cursor::{Cursor, Heard},
    error::Error,
    lock::look,
    place::Place,
    standing::{Lost, Standing},
};

/// One node is listened to for so long at a time: nobody waits for it.
const LISTEN: Duration = Duration::from_secs(5);

/// A lock that is held. See [`Client::lock`](crate::Client::lock).
///
/// Dropped, it is let go of in the background, as well as that goes; [`LockGuard::release`] waits
/// for it.
pub struct LockGuard {
    place: Option<Place>,
    name: Name,
    lease: LeaseId,
    token: Revision,
    fate: Arc<Fate>,
}

/// Whether it is held still.
struct Fate {
    standing: Arc<Standing>,
    /// Why the lock is gone though the lease may stand.
    gone: watch::Sender<Option<Lost>>,
}

impl LockGuard {
    pub(crate) fn new(place: Place, token: Revision) -> LockGuard {
        let standing = Arc::clone(place.held().standing());
        let fate = Arc::new(Fate { standing, gone: watch::Sender::new(None) });
        let (core, name) = (Arc::clone(place.core()), place.name().clone());
        core.runtime.clone().spawn(look_out(core, name.clone(), token, Arc::clone(&fate)));
        LockGuard { lease: place.lease(), place: Some(place), name, token, fate }
    }

    /// Which lock.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The fencing token: the revision of the grant. It is to travel with everything that is done
    /// under the lock, and what the lock protects must refuse a smaller one after a larger.
    pub fn token(&self) -> Revision {
        self.token
    }

    /// On which lease.
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Until when it is held for certain, if nobody takes it away. As
    /// [`Lease::until`](crate::Lease::until).
    pub fn until(&self) -> Instant {
        self.fate.standing.until()
    }

    /// Why it is not held any more; `None` while it is, as far as is known here.
    pub fn is_lost(&self) -> Option<Lost> {
        self.fate.is_lost()
    }

    /// Resolves when it is not held any more, and why: when the lease is lost (as
    /// [`Lease::lost`](crate::Lease::lost)), or the log says that an operator took the lock away.
    /// It may outlive the guard.
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + use<> {
        Arc::clone(&self.fate).lost()
    }

    /// Does `work` while the lock is held: it is dropped, at whatever await it has come to, when
    /// the lock is lost, and is not polled after that. What it did by then is done.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Lost> {
        let (mut work, mut lost) = (pin!(work), pin!(self.lost()));
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

    /// Lets go of it; whether it was held until then. After an error that goes on in the
    /// background, and its lease ends if all else fails.
    pub async fn release(mut self) -> Result<bool, Error> {
        self.fate.end(Lost::GivenBack);
        let Some(place) = self.place.take() else { return Ok(false) };
        let token = place.release().await?;
        Ok(token == Some(self.token))
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.fate.end(Lost::GivenBack);
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LockGuard");
        shown.field("name", &self.name).field("token", &self.token);
        shown.field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

impl Fate {
    fn is_lost(&self) -> Option<Lost> {
        let gone = *self.gone.borrow();
        gone.or_else(|| self.standing.is_lost())
    }

    fn end(&self, why: Lost) {
        self.gone.send_if_modified(|gone| {
            let held = gone.is_none();
            *gone = gone.or_else(|| self.standing.is_lost()).or(Some(why));
            held
        });
    }

    async fn lost(self: Arc<Fate>) -> Lost {
        let mut gone = self.gone.subscribe();
        tokio::select! {
            biased;
            // The sender is `self`'s own; it cannot be gone.
            _ = gone.wait_for(Option::is_some) => {}
            _ = Arc::clone(&self.standing).lost() => {}
        }
        self.is_lost().unwrap_or(Lost::Ended)
    }
}

/// Listens for somebody who takes the lock away.
async fn look_out(core: Arc<Core>, name: Name, token: Revision, fate: Arc<Fate>) {
    tokio::select! {
        biased;
        _ = Arc::clone(&fate).lost() => {}
        () = core.closed() => {}
        heard = taken_away(&core, &name, token) => match heard {
            Ok(()) => {
                tracing::info!(%name, %token, "the lock was taken away");
                fate.end(Lost::Broken);
            }
            // The lease ends in any case.
            Err(error) => tracing::warn!(%name, %error, "nobody tells whether the lock is ours"),
        },
    }
}

/// Ends when the lock is held under another token, or by nobody.
async fn taken_away(core: &Arc<Core>, name: &Name, token: Revision) -> Result<(), Error> {
    let interest = Interest::Lock { name: name.clone() };
    let mut cursor = Cursor::new(core, interest, token);
    loop {
        match cursor.listen(LISTEN).await? {
            Heard::Changes(changes) => {
                let mut all = changes.iter().flat_map(|(_, row)| row);
                if all.any(|change| matches!(change, Change::Lock { .. })) {
                    return Ok(());
                }
            }
            Heard::Gap { .. } => {
                let (revision, holder) = look(core, name).await?;
                if holder.is_none_or(|holder| holder.token != token) {
                    return Ok(());
                }
                cursor.skip_to(revision);
            }
            Heard::Nothing => {}
        }
    }
}
