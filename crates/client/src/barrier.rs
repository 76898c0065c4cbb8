use std::time::Duration;

use synod_machine::{
    Answer, BarrierCommand, BarrierNews, BarrierReply, BarrierView, Change, Command, Interest,
    LeaseId, Name, Query, Reply, Revision,
};

use crate::{
    client::{Client, nonsense},
    cursor::{Cursor, Heard},
    deadline::Deadline,
    error::Error,
};

/// One node is listened to for so long at a time.
const LISTEN: Duration = Duration::from_secs(1);

/// A place where nobody passes before everybody has come. A party is a lease: until the barrier
/// opens, the end of the lease withdraws it; once it is open it stays so until it is removed.
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// use synod_client::Arrived;
///
/// let lease = client.lease(std::time::Duration::from_secs(10)).await?;
/// match client.barrier("load/7").enter(lease.id(), 3).await? {
///     Arrived::Open { at } => println!("all three have come, at revision {at}"),
///     Arrived::Waiting { arrived, of, .. } => println!("{arrived} of {of} in all this time"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    name: Name,
}

/// What came of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// All have come.
    Open {
        /// The revision at which the last did.
        at: Revision,
    },
    /// Not all have come. The party is there and stays until it leaves or its lease ends.
    Waiting {
        /// How many had, with it.
        arrived: u32,
        /// Of how many.
        of: u32,
        /// The revision at which it was so.
        at: Revision,
    },
}

impl Client {
    /// The barrier of a name.
    pub fn barrier(&self, name: impl Into<String>) -> Barrier {
        Barrier { client: self.clone(), name: Name::new(name) }
    }

    /// Barriers whose names begin with `prefix` and come after `after`, in the order of names, and
    /// whether there are more than `limit`.
    pub async fn barriers(
        &self,
        prefix: impl Into<String>,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<BarrierView>, bool), Error> {
        match self.read(Query::Barriers { prefix: prefix.into(), after, limit }).await? {
            Answer::Barriers { barriers, more, .. } => Ok((barriers, more)),
            _ => Err(nonsense()),
        }
    }
}

impl Barrier {
    /// A party comes: a lease of this client. All say the same number of parties; another is
    /// refused.
    pub async fn arrive(&self, lease: LeaseId, parties: u32) -> Result<Arrived, Error> {
        let arrived = |reply| match reply {
            Reply::Barrier(BarrierReply::Open { at }) => Some(Arrived::Open { at }),
            Reply::Barrier(BarrierReply::Waiting { arrived, of, at }) => {
                Some(Arrived::Waiting { arrived, of, at })
            }
            _ => None,
        };
        let name = self.name.clone();
        self.submit(BarrierCommand::Arrive { name, lease, parties }, arrived).await
    }

    /// As [`Barrier::arrive`], and waits until it is open, no longer than a call of this handle may
    /// take. Whoever gives up leaves, or comes again to go on waiting. May be left at any await;
    /// whether the lease stands meanwhile is for its own handle to tell.
    pub async fn enter(&self, lease: LeaseId, parties: u32) -> Result<Arrived, Error> {
        let deadline = self.client.deadline();
        let arrived = self.arrive(lease, parties).await?;
        let Arrived::Waiting { at, .. } = arrived else { return Ok(arrived) };
        let opened = self.opens(at, deadline).await.map_err(Error::half_way)?;
        Ok(opened.map_or(arrived, |at| Arrived::Open { at }))
    }

    /// Waits until it is open, no longer than a call of this handle may take; the revision at which
    /// it was. `at` is when it was known not to be. May be left at any await.
    pub async fn opened_after(&self, at: Revision) -> Result<Option<Revision>, Error> {
        self.opens(at, self.client.deadline()).await
    }

    async fn opens(&self, at: Revision, deadline: Deadline) -> Result<Option<Revision>, Error> {
        let interest = Interest::Barrier { name: self.name.clone() };
        let mut cursor = Cursor::new(&self.client.core, interest, at);
        while !deadline.passed() {
            match cursor.listen(deadline.left().min(LISTEN)).await? {
                Heard::Changes(changes) => {
                    if let Some(at) = changes.into_iter().find_map(opened) {
                        return Ok(Some(at));
                    }
                }
                // It may have opened in what is forgotten.
                Heard::Gap { forgotten } => {
                    if let Some(at) = self.view().await?.and_then(|barrier| barrier.opened) {
                        return Ok(Some(at));
                    }
                    cursor.skip_to(forgotten);
                }
                Heard::Nothing => {}
            }
        }
        Ok(None)
    }

    /// A party goes, before the barrier opens or after; how many are still there, if it was.
    pub async fn leave(&self, lease: LeaseId) -> Result<Option<u32>, Error> {
        let left = |reply| match reply {
            Reply::Barrier(BarrierReply::Left { here, .. }) => Some(Some(here)),
            Reply::Barrier(BarrierReply::Absent) => Some(None),
            _ => None,
        };
        self.submit(BarrierCommand::Leave { name: self.name.clone(), lease }, left).await
    }

    /// Removes it if it is open; whether it is gone. One at which somebody waits stays.
    pub async fn remove(&self) -> Result<bool, Error> {
        let removed = |reply| match reply {
            Reply::Barrier(BarrierReply::Removed { .. } | BarrierReply::Absent) => Some(true),
            Reply::Barrier(BarrierReply::Waiting { .. }) => Some(false),
            _ => None,
        };
        self.submit(BarrierCommand::Remove { name: self.name.clone() }, removed).await
    }

    /// How many it is for, how many are there, and whether it is open.
    pub async fn view(&self) -> Result<Option<BarrierView>, Error> {
        match self.client.read(Query::Barrier { name: self.name.clone() }).await? {
            Answer::Barrier { barrier, .. } => Ok(barrier),
            _ => Err(nonsense()),
        }
    }

    async fn submit<T: Send + 'static>(
        &self,
        command: BarrierCommand,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.client.submit(Command::Barrier(command), read).await
    }
}

fn opened((at, changes): (Revision, Vec<Change>)) -> Option<Revision> {
    let is_open = |change| matches!(change, Change::Barrier { news: BarrierNews::Open, .. });
    changes.into_iter().any(is_open).then_some(at)
}
