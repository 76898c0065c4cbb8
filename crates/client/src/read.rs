use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use synod_machine::{Answer, Query, Revision, door::Freshness};

use crate::{
    client::{Client, nonsense},
    error::Error,
};

/// A read, sent when it is awaited. It sees every write that was answered before, and is answered
/// by the leader, unless it says otherwise.
///
/// ```no_run
/// # async fn example(kv: synod_client::Kv) -> Result<(), synod_client::Error> {
/// let at = kv.put("epoch", "7").await?;
/// let entry = kv.get("epoch").await?; // from the leader
/// let same = kv.get("epoch").nearby().await?; // as fresh, from any node
/// let own = kv.get("epoch").at_least(at).await?; // this write or a later one, from any node
/// let old = kv.get("epoch").stale().await?; // whatever some node knows
/// println!("{:?}, as it was {:?} ago", old.value, old.age);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before it is awaited"]
pub struct ReadBuilder<T> {
    client: Client,
    query: Query,
    freshness: Freshness,
    /// Takes out of the answer what was asked for, if it is there.
    take: fn(Answer) -> Option<T>,
}

/// A read of whatever some node knows, sent when it is awaited. See [`ReadBuilder::stale`].
#[must_use = "nothing is sent before it is awaited"]
pub struct StaleRead<T>(ReadBuilder<T>);

/// What some node knew, and how old that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale<T> {
    /// What it knew.
    pub value: T,
    /// Every write that was answered so long before the node answered is seen. `None`: the node has
    /// found no leader since it started, and what it knows may be of any age.
    pub age: Option<Duration>,
}

impl<T> ReadBuilder<T> {
    pub(crate) fn new(client: Client, query: Query, take: fn(Answer) -> Option<T>) -> Self {
        ReadBuilder { client, query, freshness: Freshness::Linearizable, take }
    }

    /// As fresh, from any node: it asks the leader how far it has to have come, and answers from
    /// its own state. That relieves the leader of the answer, and of little else.
    pub fn nearby(self) -> ReadBuilder<T> {
        ReadBuilder { freshness: Freshness::Nearby, ..self }
    }

    /// The state of this revision or a later one, from any node: it waits until it has come so far.
    /// Who reads at least the revision of its own last write or read never sees time go back.
    pub fn at_least(self, revision: Revision) -> ReadBuilder<T> {
        ReadBuilder { freshness: Freshness::AtLeast(revision), ..self }
    }

    /// Whatever some node knows, at once and without a leader, with its age.
    pub fn stale(self) -> StaleRead<T> {
        StaleRead(ReadBuilder { freshness: Freshness::Stale, ..self })
    }
}

impl<T> fmt::Debug for ReadBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadBuilder { query, freshness, .. } = self;
        f.debug_struct("ReadBuilder").field("query", query).field("freshness", freshness).finish()
    }
}

impl<T> fmt::Debug for StaleRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaleRead").field(&self.0.query).finish()
    }
}

impl<T: 'static> IntoFuture for ReadBuilder<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let ReadBuilder { client, query, freshness, take } = self;
        Box::pin(async move {
            let deadline = client.deadline();
            let answer = match freshness {
                Freshness::Linearizable => client.core.read(query, deadline).await?,
                _ => client.core.read_nearby(query, freshness, deadline).await?,
            };
            take(answer).ok_or_else(nonsense)
        })
    }
}

impl<T: 'static> IntoFuture for StaleRead<T> {
    type Output = Result<Stale<T>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let ReadBuilder { client, query, take, .. } = self.0;
        Box::pin(async move {
            let (answer, age) = client.core.read_stale(query, client.deadline()).await?;
            Ok(Stale { value: take(answer).ok_or_else(nonsense)?, age })
        })
    }
}
