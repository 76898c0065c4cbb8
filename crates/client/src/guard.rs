use std::{fmt, future::Future, sync::Arc, time::Duration};

use synod_machine::{Change, Holder, Interest, LeaseId, Name, Revision};
use tokio::time::Instant;

use crate::{
    core::Core,
    cursor::{Cursor, Heard},
    error::Error,
    fate::Fate,
    place::Place,
    standing::Lost,
    turn::look,
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

impl LockGuard {
    pub(crate) fn new(place: Place, token: Revision) -> LockGuard {
        let fate = Fate::new(place.held().standing());
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
        self.fate.standing().until()
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
        self.fate.run(work).await
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
                if holder.is_none_or(|holder: Holder| holder.token != token) {
                    return Ok(());
                }
                cursor.skip_to(revision);
            }
            Heard::Nothing => {}
        }
    }
}
