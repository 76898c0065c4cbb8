use std::future::{Future, IntoFuture};
use std::pin::Pin;

use bytes::Bytes;
use synod_machine::{Entry, Expect, Guard, Hold, Mutation, Name, Revision};

use crate::{error::Error, guard::LockGuard, incumbency::Incumbency, kv::Kv, lease::Lease};

/// What came of a guarded batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Multi {
    /// Every guard held, and everything was done at one revision.
    Done {
        /// The revision of the writes (or of the state, when there were none).
        revision: Revision,
        /// What the reads found, in their order.
        reads: Vec<Option<Entry>>,
    },
    /// A guard did not hold, and nothing was done.
    Refused {
        /// The first that did not hold, by its place: keys first, then what had to be held.
        failed: u32,
        /// What the reads found, in their order.
        reads: Vec<Option<Entry>>,
    },
}

/// Collects guards, writes and reads; `.await` sends them as one request.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct MultiBuilder {
    kv: Kv,
    request: synod_machine::Multi,
}

impl MultiBuilder {
    pub(crate) fn new(kv: Kv) -> MultiBuilder {
        MultiBuilder { kv, request: synod_machine::Multi::default() }
    }

    /// Nothing is done unless this holds.
    pub fn require(mut self, key: impl Into<Bytes>, expect: Expect) -> MultiBuilder {
        self.request.guards.push(Guard { key: key.into(), expect });
        self
    }

    /// Nothing is done unless the lock is still held under this guard, by what the log says: what
    /// is fenced this way cannot be written by a holder that was deposed.
    pub fn require_held(self, guard: &LockGuard) -> MultiBuilder {
        self.hold(Hold::Lock { name: Name::new(guard.name()), token: guard.token() })
    }

    /// Nothing is done unless this is the incumbent still.
    pub fn require_incumbent(self, incumbency: &Incumbency) -> MultiBuilder {
        let (election, token) = (Name::new(incumbency.election()), incumbency.token());
        self.hold(Hold::Incumbent { election, token })
    }

    /// Nothing is done unless the name stands for this owner.
    pub fn require_claimed(
        self,
        name: impl Into<String>,
        owner: impl Into<String>,
    ) -> MultiBuilder {
        self.hold(Hold::Claim { name: Name::new(name), owner: owner.into() })
    }

    fn hold(mut self, hold: Hold) -> MultiBuilder {
        self.request.holds.push(hold);
        self
    }

    /// Keys that are set end with this lease. Set again without one, a key stands for good.
    pub fn on(mut self, lease: &Lease) -> MultiBuilder {
        self.request.lease = Some(lease.id());
        self
    }

    /// Sets a key.
    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> MultiBuilder {
        self.request.mutations.push(Mutation::Put { key: key.into(), value: value.into() });
        self
    }

    /// Removes a key.
    pub fn delete(mut self, key: impl Into<Bytes>) -> MultiBuilder {
        self.request.mutations.push(Mutation::Delete { key: key.into() });
        self
    }

    /// Reads a key in the same moment, after the writes; also when a guard fails.
    pub fn read(mut self, key: impl Into<Bytes>) -> MultiBuilder {
        self.request.reads.push(key.into());
        self
    }
}

impl IntoFuture for MultiBuilder {
    type Output = Result<Multi, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.kv.multi_request(self.request).await })
    }
}
