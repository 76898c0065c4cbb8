use std::{fmt, sync::Arc, time::Duration};

use synod_machine::{Answer, Interest, JournalEntry, Name, Position, Query, Revision};
use tokio::time::Instant;

use crate::{
    client::nonsense,
    core::Core,
    cursor::{Cursor, Heard},
    deadline::Deadline,
    error::Error,
    feed::Feed,
    journal::{Committed, Journal},
    watch::{EVERY, STALE_AFTER, is_final},
};

/// Entries of one page: what a reader that takes none has waiting for it, and 1 MiB at most.
const PAGE: u32 = 256;

/// What a reader of a journal is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The next entry: its position is one more than that of the entry before.
    Entry(JournalEntry),
    /// Entries up to this position were trimmed before this reader came to them. What is left
    /// follows.
    Missed {
        /// Up to where.
        upto: Position,
    },
    /// All entries up to this position have been told; a quorum was known to be there at most two
    /// seconds ago.
    CaughtUp(Position),
    /// No node answers that knows a quorum to be there: there may be more entries.
    Stale {
        /// For how long.
        silent: Duration,
    },
}

/// The entries of a journal, one after the other. See [`Journal::subscribe`].
pub struct Subscription {
    journal: Journal,
    after: Position,
    feed: Feed<Stand, Delivered>,
}

/// A reader for a group, whose offset the cluster keeps. See [`Subscription::group`].
#[derive(Debug)]
pub struct GroupReader {
    group: Name,
    subscription: Subscription,
}

/// How far it has come.
enum Stand {
    /// Not begun: after which position it is to, unless a group stands elsewhere.
    Before { name: Name, after: Position, group: Option<Name>, since: Instant },
    Following {
        name: Name,
        /// Everything up to here was told.
        at: Position,
        cursor: Cursor,
        /// Whether there is certainly something after it.
        more: bool,
    },
}

impl Journal {
    /// Reads on and on, over failures of nodes, from the entry after this position; something is
    /// told at least about every second. Nothing is asked before the first [`Subscription::next`].
    ///
    /// ```no_run
    /// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
    /// use synod_client::{Delivered, machine::Position};
    /// let mut moves = client.journal("moves").subscribe(Position::ZERO).group("indexer");
    /// while let Some(item) = moves.next().await {
    ///     match item? {
    ///         Delivered::Entry(entry) => {
    ///             println!("{}: {:?}", entry.position, entry.value);
    ///             moves.commit(entry.position).await?;
    ///         }
    ///         Delivered::Missed { upto } => eprintln!("gone up to {upto}"),
    ///         Delivered::CaughtUp(_) => {}
    ///         Delivered::Stale { silent } => eprintln!("nothing heard for {silent:?}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe(&self, after: Position) -> Subscription {
        Subscription::new(self.clone(), after, None)
    }
}

impl Subscription {
    fn new(journal: Journal, after: Position, group: Option<Name>) -> Subscription {
        let (name, since) = (journal.name().clone(), Instant::now());
        let stand = Stand::Before { name, after, group, since };
        let feed = Feed::new(journal.client(), stand, |core, stand| Box::pin(stand.step(core)));
        Subscription { journal, after, feed }
    }

    /// As one of a group of readers: it begins where the group stands, if it has ever committed
    /// anything. What was told and not committed is told again to whoever reads for the group next;
    /// several at once are all told everything.
    pub fn group(self, group: impl Into<String>) -> GroupReader {
        let group = Name::new(group);
        let subscription = Subscription::new(self.journal, self.after, Some(group.clone()));
        GroupReader { group, subscription }
    }

    /// The next item. `None` after an error, or when the client is closed. May be left at any
    /// await: no item is lost.
    pub async fn next(&mut self) -> Option<Result<Delivered, Error>> {
        self.feed.next().await
    }
}

impl GroupReader {
    /// As [`Subscription::next`].
    pub async fn next(&mut self) -> Option<Result<Delivered, Error>> {
        self.subscription.next().await
    }

    /// The group has done with all up to a position.
    pub async fn commit(&self, position: Position) -> Result<Committed, Error> {
        self.subscription.journal.commit(self.group.as_str(), position).await
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Stand {
    async fn step(self, core: Arc<Core>) -> Result<(Stand, Vec<Delivered>), Error> {
        match self {
            Stand::Before { name, after, group, since } => {
                let begun = begin(&core, name.clone(), after, group.as_ref()).await;
                match begun {
                    Ok(begun) => Ok(begun),
                    Err(error) if is_final(&error) => Err(error),
                    Err(_) => {
                        let stale = Delivered::Stale { silent: since.elapsed() };
                        Ok((Stand::Before { name, after, group, since }, vec![stale]))
                    }
                }
            }
            Stand::Following { name, at, mut cursor, more } => {
                if !more {
                    match cursor.listen(EVERY).await? {
                        Heard::Changes(_) | Heard::Gap { .. } => {}
                        Heard::Nothing => {
                            let item = match cursor.silent() {
                                silent if silent > STALE_AFTER => Delivered::Stale { silent },
                                _ => Delivered::CaughtUp(at),
                            };
                            return Ok((Stand::Following { name, at, cursor, more }, vec![item]));
                        }
                    }
                }
                match read(&core, name.clone(), at, Some(&mut cursor)).await {
                    Ok((page, at, more, _)) => {
                        Ok((Stand::Following { name, at, cursor, more }, page))
                    }
                    Err(error) if is_final(&error) => Err(error),
                    // What was heard is asked for again.
                    Err(_) => {
                        let stale = Delivered::Stale { silent: cursor.silent() };
                        Ok((Stand::Following { name, at, cursor, more: true }, vec![stale]))
                    }
                }
            }
        }
    }
}

async fn begin(
    core: &Arc<Core>,
    name: Name,
    after: Position,
    group: Option<&Name>,
) -> Result<(Stand, Vec<Delivered>), Error> {
    let mut at = after;
    if let Some(group) = group {
        let query = Query::Offsets { name: name.clone() };
        let Answer::Offsets { offsets, .. } = core.read(query, Deadline::after(EVERY)).await?
        else {
            return Err(nonsense());
        };
        at = offsets.iter().find(|(of, _)| of == group).map_or(after, |(_, stands)| *stands);
    }
    let (mut page, at, more, revision) = read(core, name.clone(), at, None).await?;
    let cursor = Cursor::new(core, Interest::Journal { name: name.clone() }, revision);
    if page.is_empty() {
        page.push(Delivered::CaughtUp(at));
    }
    Ok((Stand::Following { name, at, cursor, more }, page))
}

/// What there is after a position: up to where that goes, whether there is more, and the revision
/// at which it was so.
async fn read(
    core: &Core,
    name: Name,
    at: Position,
    cursor: Option<&mut Cursor>,
) -> Result<(Vec<Delivered>, Position, bool, Revision), Error> {
    let query = Query::Journal { name, after: at, limit: PAGE };
    let Answer::Journal { revision, journal, entries, more } =
        core.read(query, Deadline::after(EVERY)).await?
    else {
        return Err(nonsense());
    };
    if let Some(cursor) = cursor.filter(|_| !more) {
        cursor.skip_to(revision);
    }
    let trimmed = journal.map_or(Position::ZERO, |journal| journal.trimmed);
    let missed = (trimmed > at).then_some(Delivered::Missed { upto: trimmed });
    let upto = entries.last().map_or(at.max(trimmed), |last| last.position);
    let told = missed.into_iter().chain(entries.into_iter().map(Delivered::Entry));
    Ok((told.collect(), upto, more, revision))
}
