use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use synod_machine::{Answer, Change, Interest, Query, Revision};
use tokio::time::Instant;

use crate::{
    client::{Client, nonsense},
    core::Core,
    cursor::{Cursor, Heard},
    deadline::Deadline,
    error::{Error, Why},
    feed::Feed,
    kv::Kv,
};

/// There is an item at least so often.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// When no quorum was known to be there for so long, what was told last may be old.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(2);

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// All that changed at one revision below the prefix.
    Changed {
        /// Greater than that of any item before.
        revision: Revision,
        /// In the order in which it took effect.
        changes: Vec<Change>,
    },
    /// All that changed up to this revision has been told; a quorum was known to be there at most
    /// two seconds ago.
    CaughtUp(Revision),
    /// The watch asked for changes that are forgotten: it was away for longer than the cluster's
    /// history reaches back. What there is has to be read anew; what changed after `forgotten`
    /// follows.
    Gap {
        /// What came up to this revision is forgotten.
        forgotten: Revision,
    },
    /// No node answers that knows a quorum to be there. Nothing that was told is wrong, but there
    /// may be more.
    Stale {
        /// For how long.
        silent: Duration,
    },
}

/// Everything that changes below a prefix, each revision once and whole, in order. See
/// [`Kv::watch`].
pub struct KvWatch {
    client: Client,
    prefix: Bytes,
    feed: Feed<Stand, Watched>,
}

/// How far it has come.
enum Stand {
    /// Not begun: after which revision it is to, or after the present one.
    Before {
        prefix: Bytes,
        from: Option<Revision>,
        since: Instant,
    },
    Following(Cursor),
}

impl Kv {
    /// Watches all keys that begin with `prefix` (an empty one is that of all keys), from the
    /// present on, or from where [`KvWatch::from`] says. Nothing is asked before the first
    /// [`KvWatch::next`].
    ///
    /// ```no_run
    /// # async fn example(kv: synod_client::Kv) -> Result<(), synod_client::Error> {
    /// use synod_client::Watched;
    /// let now = kv.page("catalog/", None, 1_000).await?;
    /// let mut watch = kv.watch("catalog/").from(now.revision);
    /// while let Some(item) = watch.next().await {
    ///     match item? {
    ///         Watched::Changed { revision, changes } => println!("{revision}: {changes:?}"),
    ///         Watched::CaughtUp(_) => {}
    ///         Watched::Gap { .. } => { /* read what there is */ }
    ///         Watched::Stale { silent } => eprintln!("nothing heard for {silent:?}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, prefix: impl Into<Bytes>) -> KvWatch {
        KvWatch::new(self.client().clone(), prefix.into(), None)
    }
}

impl KvWatch {
    /// Exactly what changed after this revision. One that the cluster has not come to yet is
    /// [`Error::NotYet`]: it is of another cluster, or of a backup's future.
    #[must_use]
    pub fn from(self, revision: Revision) -> KvWatch {
        KvWatch::new(self.client, self.prefix, Some(revision))
    }

    fn new(client: Client, prefix: Bytes, from: Option<Revision>) -> KvWatch {
        let stand = Stand::Before { prefix: prefix.clone(), from, since: Instant::now() };
        let feed = Feed::new(&client, stand, |core, stand| Box::pin(stand.step(core)));
        KvWatch { client, prefix, feed }
    }

    /// The next item; there is one at least about every second, whatever happens. Nodes may fail
    /// meanwhile: it goes on where it was on another. `None` after an error, or when the client is
    /// closed.
    ///
    /// May be left at any await: no item is lost.
    pub async fn next(&mut self) -> Option<Result<Watched, Error>> {
        self.feed.next().await
    }
}

impl fmt::Debug for KvWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvWatch").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Stand {
    async fn step(self, core: Arc<Core>) -> Result<(Stand, Vec<Watched>), Error> {
        match self {
            Stand::Before { prefix, from, since } => begin(core, prefix, from, since).await,
            Stand::Following(mut cursor) => {
                let items = told(cursor.listen(EVERY).await?, &mut cursor);
                Ok((Stand::Following(cursor), items))
            }
        }
    }
}

/// Asks how far the cluster has come; only its leader knows for certain.
async fn begin(
    core: Arc<Core>,
    prefix: Bytes,
    from: Option<Revision>,
    since: Instant,
) -> Result<(Stand, Vec<Watched>), Error> {
    let interest = Interest::Keys { prefix: prefix.clone() };
    let query = Query::List { prefix: prefix.clone(), after: None, limit: 0 };
    let now = match core.read(query, Deadline::after(EVERY)).await {
        Ok(Answer::Keys { revision, .. }) => revision,
        Ok(_) => return Err(nonsense()),
        Err(error) if is_final(&error) => return Err(error),
        Err(_) => {
            let stale = Watched::Stale { silent: since.elapsed() };
            return Ok((Stand::Before { prefix, from, since }, vec![stale]));
        }
    };
    match from {
        Some(asked) if asked > now => Err(Error::NotYet { asked, now }),
        Some(from) => Ok((Stand::Following(Cursor::new(&core, interest, from)), Vec::new())),
        None => {
            let cursor = Cursor::new(&core, interest, now);
            Ok((Stand::Following(cursor), vec![Watched::CaughtUp(now)]))
        }
    }
}

fn told(heard: Heard, cursor: &mut Cursor) -> Vec<Watched> {
    match heard {
        Heard::Changes(changes) => {
            let changed = changes.into_iter();
            changed.map(|(revision, changes)| Watched::Changed { revision, changes }).collect()
        }
        Heard::Gap { forgotten } => {
            // To look is for whoever is told.
            cursor.skip_to(forgotten);
            vec![Watched::Gap { forgotten }]
        }
        Heard::Nothing if cursor.silent() > STALE_AFTER => {
            vec![Watched::Stale { silent: cursor.silent() }]
        }
        Heard::Nothing => vec![Watched::CaughtUp(cursor.after())],
    }
}

/// Whether asking again is of no use.
pub(crate) fn is_final(error: &Error) -> bool {
    match error {
        Error::NotApplied { why } => *why == Why::Closed,
        Error::Connect(why) => why.is_identity(),
        Error::NoAnswer { .. } => false,
        _ => true,
    }
}
