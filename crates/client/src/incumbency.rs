use std::{fmt, future::Future, sync::Arc, time::Duration};

use synod_machine::{LeaseId, Office, Report, Revision, Successor};
use tokio::{sync::watch, time::Instant};

use crate::{
    candidacy::Stands,
    core::Core,
    cursor::{Cursor, Heard},
    error::Error,
    fate::Fate,
    standing::Lost,
    turn::Whose,
};

/// One node is listened to for so long at a time: nobody waits for it.
const LISTEN: Duration = Duration::from_secs(5);

/// The office of one who was granted. See [`Election`](crate::Election).
///
/// Dropped, it is resigned in the background, as well as that goes; [`Incumbency::resign`] waits
/// for it. Either way what it did must have ended by then.
pub struct Incumbency {
    stands: Arc<Stands>,
    token: Revision,
    fate: Arc<Fate>,
    successor: watch::Receiver<Option<Successor>>,
}

impl Incumbency {
    pub(crate) fn new(stands: Arc<Stands>, token: Revision, office: Office) -> Incumbency {
        let fate = Fate::new(stands.held().standing());
        let core = Arc::clone(stands.core());
        let (tell, successor) = watch::channel(office.successor);
        let cursor = Cursor::new(&core, stands.election().interest(), token);
        // It must not keep the lease alive.
        let looking = LookOut { stands: Arc::downgrade(&stands), cursor, token, tell };
        core.runtime.clone().spawn(look_out(core, looking, Arc::clone(&fate)));
        Incumbency { stands, token, fate, successor }
    }

    /// The fencing token: the revision of the grant. It is to travel with everything that the
    /// incumbent does, and whatever it writes to must refuse a smaller one after a larger.
    pub fn token(&self) -> Revision {
        self.token
    }

    /// Of which election.
    pub fn election(&self) -> &str {
        self.stands.election().name().as_str()
    }

    /// On which lease.
    pub fn lease(&self) -> LeaseId {
        self.stands.held().lease()
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

    /// Resolves when it is not held any more, and why. As
    /// [`LockGuard::lost`](crate::LockGuard::lost).
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + use<> {
        Arc::clone(&self.fate).lost()
    }

    /// Does `work` while it is held. As [`LockGuard::run`](crate::LockGuard::run).
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Lost> {
        self.fate.run(work).await
    }

    /// Resolves when an operator asks for a switchover, with the one that is to follow: what the
    /// incumbent does is to be ended, and then it is to [resign](Incumbency::resign). Never, once
    /// the office is lost.
    pub fn asked_to_leave(&self) -> impl Future<Output = Successor> + Send + use<> {
        let mut successor = self.successor.clone();
        async move {
            let asked = match successor.wait_for(Option::is_some).await {
                Ok(asked) => asked.clone(),
                Err(_) => None,
            };
            match asked {
                Some(successor) => successor,
                None => std::future::pending().await,
            }
        }
    }

    /// Has all who observe know something, up to
    /// [`PROCLAIMED_BYTES_MAX`](synod_machine::PROCLAIMED_BYTES_MAX): an address, seldom more.
    pub async fn proclaim(&self, value: impl Into<String>) -> Result<(), Error> {
        let proclaimed = self.stands.proclaim(self.token, value.into()).await;
        if let Err(Error::LeaseLost { why }) = proclaimed {
            self.fate.end(why);
        }
        proclaimed
    }

    /// How far it has come: what others are measured by in an election with rules.
    pub async fn report(&self, report: Report) -> Result<(), Error> {
        self.stands.report(report).await
    }

    /// Leaves. What it did must have ended: by this the next one is granted. After an error that
    /// goes on in the background, and its lease ends if all else fails.
    pub async fn resign(self) -> Result<(), Error> {
        self.fate.end(Lost::GivenBack);
        // The lease is for this alone.
        self.stands.held().revoke().await
    }
}

impl Drop for Incumbency {
    fn drop(&mut self) {
        self.fate.end(Lost::GivenBack);
    }
}

impl fmt::Debug for Incumbency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Incumbency");
        shown.field("name", self.stands.election().name()).field("token", &self.token);
        shown.field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

/// Who listens for what becomes of an office.
struct LookOut {
    stands: std::sync::Weak<Stands>,
    cursor: Cursor,
    token: Revision,
    tell: watch::Sender<Option<Successor>>,
}

async fn look_out(core: Arc<Core>, mut looking: LookOut, fate: Arc<Fate>) {
    let token = looking.token;
    tokio::select! {
        biased;
        _ = Arc::clone(&fate).lost() => {}
        () = core.closed() => {}
        heard = looking.until_it_is_anothers() => match heard {
            Ok(()) => {
                tracing::info!(%token, "the office was taken away");
                fate.end(Lost::Broken);
            }
            // The lease ends in any case.
            Err(error) => tracing::warn!(%token, %error, "nobody tells whether the office is ours"),
        },
    }
}

impl LookOut {
    /// Ends when the office is held under another token, or by nobody.
    async fn until_it_is_anothers(&mut self) -> Result<(), Error> {
        loop {
            let offices: Vec<Office> = match self.cursor.listen(LISTEN).await? {
                Heard::Changes(changes) => {
                    changes.into_iter().flat_map(|(_, row)| row).filter_map(Office::since).collect()
                }
                Heard::Gap { .. } => match self.stands.upgrade() {
                    Some(stands) => vec![stands.look(&mut self.cursor).await?],
                    None => return Ok(()),
                },
                Heard::Nothing => Vec::new(),
            };
            for office in offices {
                if office.incumbent.as_ref().is_none_or(|one| one.token != self.token) {
                    return Ok(());
                }
                self.tell.send_replace(office.successor);
            }
        }
    }
}
