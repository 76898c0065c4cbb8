use std::time::Duration;

use bytes::Bytes;
use synod_machine::{
    Answer, Command, Interest, JournalCommand, JournalEntry, JournalReply, JournalView, Name,
    Position, Query, Reply, Revision,
};

use crate::{
    client::{Client, nonsense},
    cursor::{Cursor, Heard},
    error::Error,
};

/// One node is listened to for so long at a time.
const LISTEN: Duration = Duration::from_secs(1);

/// Entries in one order that all readers see alike. Positions are counted from 1, without gaps, and
/// never given twice. It is held in memory on every node: it hands things on, and is no archive.
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// let moves = client.journal("moves");
/// moves.append("east to west").await?;
/// let done = moves.offset("indexer").await?.unwrap_or_default();
/// for entry in moves.read(done, 100).await?.entries {
///     println!("{}: {:?}", entry.position, entry.value);
///     moves.commit("indexer", entry.position).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Journal {
    client: Client,
    name: Name,
}

/// Some entries of a journal, as they are at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPage {
    /// The journal, if anything was ever appended to it. Entries up to its `trimmed` are gone: who
    /// asked for some of them has missed them.
    pub journal: Option<JournalView>,
    /// In the order of positions.
    pub entries: Vec<JournalEntry>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// What came of moving the offset of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It stands there.
    Done,
    /// It stands further on, here, and stays: an offset never goes back.
    Behind(Position),
    /// There is no such entry yet; the last is this one.
    Beyond(Position),
    /// Nothing was ever appended to this journal.
    Absent,
}

impl Client {
    /// The journal of a name.
    pub fn journal(&self, name: impl Into<String>) -> Journal {
        Journal { client: self.clone(), name: Name::new(name) }
    }

    /// Journals whose names begin with `prefix` and come after `after`, in the order of names, and
    /// whether there are more than `limit`.
    pub async fn journals(
        &self,
        prefix: impl Into<String>,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<JournalView>, bool), Error> {
        match self.read(Query::Journals { prefix: prefix.into(), after, limit }).await? {
            Answer::Journals { journals, more, .. } => Ok((journals, more)),
            _ => Err(nonsense()),
        }
    }
}

impl Journal {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Adds an entry at the end; where it stands.
    pub async fn append(&self, value: impl Into<Bytes>) -> Result<Position, Error> {
        let appended = |reply| match reply {
            Reply::Journal(JournalReply::Appended { position, .. }) => Some(position),
            _ => None,
        };
        let (name, value) = (self.name.clone(), value.into());
        self.submit(JournalCommand::Append { name, value }, appended).await
    }

    /// Up to `limit` entries after a position, and at most 1 MiB of them.
    pub async fn read(&self, after: Position, limit: u32) -> Result<JournalPage, Error> {
        Ok(self.read_at(after, limit).await?.1)
    }

    /// As [`Journal::read`], but waits for an entry if there is none yet, no longer than a call of
    /// this handle may take; a page without entries says that there was none. May be left at any
    /// await.
    pub async fn wait(&self, after: Position, limit: u32) -> Result<JournalPage, Error> {
        let deadline = self.client.deadline();
        let (revision, mut page) = self.read_at(after, limit).await?;
        let interest = Interest::Journal { name: self.name.clone() };
        let mut cursor = Cursor::new(&self.client.core, interest, revision);
        while page.entries.is_empty() && !deadline.passed() {
            match cursor.listen(deadline.left().min(LISTEN)).await? {
                Heard::Changes(_) | Heard::Gap { .. } => {
                    let (revision, now) = self.read_at(after, limit).await?;
                    cursor.skip_to(revision);
                    page = now;
                }
                Heard::Nothing => {}
            }
        }
        Ok(page)
    }

    async fn read_at(&self, after: Position, limit: u32) -> Result<(Revision, JournalPage), Error> {
        let query = Query::Journal { name: self.name.clone(), after, limit };
        match self.client.read(query).await? {
            Answer::Journal { revision, journal, entries, more } => {
                Ok((revision, JournalPage { journal, entries, more }))
            }
            _ => Err(nonsense()),
        }
    }

    /// Takes away the entries up to a position, whoever has read them or not; up to where they are
    /// gone, if there is such a journal. What takes long goes piece by piece, each within the time
    /// of the handle.
    pub async fn trim(&self, upto: Position) -> Result<Option<Position>, Error> {
        let mut gone = None;
        loop {
            let trimmed = |reply| match reply {
                Reply::Journal(JournalReply::Trimmed { upto, .. }) => Some(Some(upto)),
                Reply::Journal(JournalReply::Absent) => Some(None),
                _ => None,
            };
            let command = JournalCommand::Trim { name: self.name.clone(), upto };
            let now = match self.submit(command, trimmed).await {
                Err(error) if gone.is_some() => return Err(error.half_way()),
                now => now?,
            };
            if now.is_none() || now == gone || now >= Some(upto) {
                return Ok(now);
            }
            gone = now;
        }
    }

    /// A group of readers has done with all up to a position.
    pub async fn commit(
        &self,
        group: impl Into<String>,
        position: Position,
    ) -> Result<Committed, Error> {
        let committed = |reply| match reply {
            Reply::Journal(JournalReply::Committed { .. }) => Some(Committed::Done),
            Reply::Journal(JournalReply::Behind { position }) => Some(Committed::Behind(position)),
            Reply::Journal(JournalReply::Beyond { last }) => Some(Committed::Beyond(last)),
            Reply::Journal(JournalReply::Absent) => Some(Committed::Absent),
            _ => None,
        };
        let (name, group) = (self.name.clone(), Name::new(group));
        self.submit(JournalCommand::Commit { name, group, position }, committed).await
    }

    /// Forgets the offset of a group; where it stood, if there was one.
    pub async fn forget(&self, group: impl Into<String>) -> Result<Option<Position>, Error> {
        let forgotten = |reply| match reply {
            Reply::Journal(JournalReply::Forgotten { position, .. }) => Some(Some(position)),
            Reply::Journal(JournalReply::Absent) => Some(None),
            _ => None,
        };
        let (name, group) = (self.name.clone(), Name::new(group));
        self.submit(JournalCommand::Forget { name, group }, forgotten).await
    }

    /// Where each group stands, in the order of their names.
    pub async fn offsets(&self) -> Result<Vec<(Name, Position)>, Error> {
        match self.client.read(Query::Offsets { name: self.name.clone() }).await? {
            Answer::Offsets { offsets, .. } => Ok(offsets),
            _ => Err(nonsense()),
        }
    }

    /// Where one group stands, if it ever committed anything.
    pub async fn offset(&self, group: impl AsRef<str>) -> Result<Option<Position>, Error> {
        let offsets = self.offsets().await?;
        let found = offsets.into_iter().find(|(of, _)| of.as_str() == group.as_ref());
        Ok(found.map(|(_, position)| position))
    }

    async fn submit<T: Send + 'static>(
        &self,
        command: JournalCommand,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.client.submit(Command::Journal(command), read).await
    }
}
