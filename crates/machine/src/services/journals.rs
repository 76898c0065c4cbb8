use std::ops::Bound::{Excluded, Included};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    named_rows,
    shares::{Limits, Shares},
};
use crate::limits::{Misuse, REPLY_BYTES_MAX, VALUE_BYTES_MAX, at_most, check_name};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, Name, Position, Rejection, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
    owner_name,
};

/// Journals: a name that was written to once keeps its last position for ever.
const JOURNALS: Limits = Limits {
    what: Counted::Journals,
    max: 20_000,
    of_owner: Counted::JournalsOfOwner,
    of_owner_max: 2_048,
};
/// Entries that were not trimmed, and of one client: of whoever appended them.
const ENTRIES: Limits = Limits {
    what: Counted::JournalEntries,
    max: 400_000,
    of_owner: Counted::JournalEntriesOfOwner,
    of_owner_max: 65_536,
};
/// And bytes of them: every node has them in memory and in its snapshots.
const BYTES: Limits = Limits {
    what: Counted::JournalBytes,
    max: 256 << 20,
    of_owner: Counted::JournalBytesOfOwner,
    of_owner_max: 64 << 20,
};
/// Groups that read one journal, each with an offset.
pub const GROUPS_MAX: u64 = 64;
/// Entries that one trim takes away, so that none takes long: its reply says how far it came.
pub const TRIM_MAX: u64 = 4_096;
/// Bytes of an entry in a reply besides its value and its names.
const ENTRY_BYTES: usize = 40;

/// What can be done with journals: entries in one order that all readers see alike.
///
/// Positions are counted from 1, without gaps, and never given twice: a journal is trimmed and
/// never removed. It is as long as the room for it, for it is held in memory: it hands things on
/// from those who write to those who read, and is no archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JournalCommand {
    /// Adds an entry at the end: `Appended`.
    Append {
        /// To which.
        name: Name,
        /// What.
        value: Bytes,
    },
    /// Takes away the oldest entries, whoever has read them or not: `Trimmed`, or `Absent`.
    Trim {
        /// Of which.
        name: Name,
        /// The last that goes. A trim goes no further than [`TRIM_MAX`] entries at once.
        upto: Position,
    },
    /// A group of readers has done with all up to a position: `Committed`, `Behind`, `Beyond`, or
    /// `Absent`.
    Commit {
        /// Of which journal.
        name: Name,
        /// Which group.
        group: Name,
        /// Up to where. It never goes back.
        position: Position,
    },
    /// Forgets the offset of a group: `Forgotten`, or `Absent`.
    Forget {
        /// Of which journal.
        name: Name,
        /// Which group.
        group: Name,
    },
}

/// What became of a [`JournalCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JournalReply {
    /// It is the last entry.
    Appended {
        /// Its position.
        position: Position,
        /// The revision of that.
        revision: Revision,
    },
    /// The oldest entries are gone.
    Trimmed {
        /// Up to here, which is less than asked when that was much at once, or not yet written.
        upto: Position,
        /// The revision at which it is so.
        revision: Revision,
    },
    /// The offset of the group.
    Committed {
        /// Where it stands.
        position: Position,
        /// The revision at which it is so.
        revision: Revision,
    },
    /// The offset stands further on, and stays there.
    Behind {
        /// Where it stands.
        position: Position,
    },
    /// There is no such entry yet.
    Beyond {
        /// The last there is.
        last: Position,
    },
    /// The group has no offset any more.
    Forgotten {
        /// Where it stood.
        position: Position,
        /// The revision of that.
        revision: Revision,
    },
    /// Nothing was ever appended to this journal, or there is no such group.
    Absent,
}

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Where it stands.
    pub position: Position,
    /// What.
    pub value: Bytes,
    /// The revision at which it was appended.
    pub at: Revision,
    /// The client that appended it.
    pub by: String,
    /// When, by the stamp of the batch.
    pub appended_at_ms: u64,
}

/// A journal for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalView {
    /// Which.
    pub name: Name,
    /// The last entry that was ever appended.
    pub last: Position,
    /// Entries up to here are gone.
    pub trimmed: Position,
    /// Bytes of those that are not.
    pub bytes: u64,
    /// The owner of the session in which it came to be.
    pub owner: String,
}

impl JournalCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            JournalCommand::Append { name, value } => {
                check_name(name)?;
                at_most("bytes of a value", value.len(), VALUE_BYTES_MAX)
            }
            JournalCommand::Trim { name, .. } => check_name(name),
            JournalCommand::Commit { name, group, .. } | JournalCommand::Forget { name, group } => {
                check_name(name)?;
                check_name(group)
            }
        }
    }

    /// Bytes of the texts and values in it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            JournalCommand::Append { name, value } => {
                name.as_str().len().saturating_add(value.len())
            }
            JournalCommand::Trim { name, .. } => name.as_str().len(),
            JournalCommand::Commit { name, group, .. } | JournalCommand::Forget { name, group } => {
                name.as_str().len().saturating_add(group.as_str().len())
            }
        }
    }
}

/// Every journal, and where its groups of readers stand.
#[derive(Clone, Debug)]
pub(crate) struct Journals {
    rows: Table<Name, Journal>,
    entries: Table<(Name, Position), Entry>,
    offsets: Table<(Name, Name), Position>,
    /// Follows from `rows`.
    journals: Shares,
    /// Follows from `entries`.
    count: Shares,
    /// Follows from `entries`.
    bytes: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Journal {
    last: Position,
    trimmed: Position,
    /// Of its entries.
    bytes: u64,
    owner: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    value: Bytes,
    at: Revision,
    by: String,
    appended: Timestamp,
}

impl Journals {
    pub(crate) fn new([rows, entries, offsets]: [u64; 3]) -> Journals {
        Journals::with(Table::new(rows), Table::new(entries), Table::new(offsets))
    }

    pub(crate) fn append(
        &mut self,
        name: Name,
        (value, owner): (Bytes, String),
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> Result<JournalReply, Rejection> {
        let by = owner_name(&owner).to_owned();
        let entry = Entry { value, at: revision.next(), by, appended: now };
        let weight = weight(&name, &entry);
        self.count.have_room(&owner, 1)?;
        self.bytes.have_room(&owner, weight)?;
        let mut journal = match self.rows.get(&name) {
            Some(journal) => journal.clone(),
            None => {
                self.journals.have_room(&owner, 1)?;
                self.journals.take(&owner, 1);
                Journal { last: Position::ZERO, trimmed: Position::ZERO, bytes: 0, owner }
            }
        };
        *revision = entry.at;
        let position = journal.last.next();
        (journal.last, journal.bytes) = (position, journal.bytes.saturating_add(weight));
        self.rows.insert(name.clone(), journal);
        self.insert((name.clone(), position), entry);
        history.note(Change::Journal { name, position });
        Ok(JournalReply::Appended { position, revision: *revision })
    }

    pub(crate) fn trim(
        &mut self,
        name: &Name,
        upto: Position,
        revision: &mut Revision,
    ) -> JournalReply {
        let Some(journal) = self.rows.get(name) else { return JournalReply::Absent };
        let (from, last) = (journal.trimmed, journal.last);
        let at_once = Position::new(from.get().saturating_add(TRIM_MAX));
        let upto = upto.min(last).min(at_once);
        if upto <= from {
            return JournalReply::Trimmed { upto: from, revision: *revision };
        }
        let freed = (from.get()..upto.get())
            .map(|before| self.remove(&(name.clone(), Position::new(before).next())));
        let freed = freed.fold(0, u64::saturating_add);
        self.rows.change(name, |journal| {
            (journal.trimmed, journal.bytes) = (upto, journal.bytes.saturating_sub(freed));
        });
        *revision = revision.next();
        JournalReply::Trimmed { upto, revision: *revision }
    }

    pub(crate) fn commit(
        &mut self,
        name: Name,
        group: Name,
        position: Position,
        revision: &mut Revision,
    ) -> Result<JournalReply, Rejection> {
        let Some(Journal { last, .. }) = self.rows.get(&name) else {
            return Ok(JournalReply::Absent);
        };
        if position > *last {
            return Ok(JournalReply::Beyond { last: *last });
        }
        let place = (name, group);
        match self.offsets.get(&place) {
            Some(stands) if *stands > position => {
                return Ok(JournalReply::Behind { position: *stands });
            }
            Some(stands) if *stands == position => {
                return Ok(JournalReply::Committed { position, revision: *revision });
            }
            Some(_) => {}
            None if self.offsets(&place.0).count() as u64 >= GROUPS_MAX => {
                let (what, limit) = (Counted::GroupsOfJournal, GROUPS_MAX);
                return Err(Rejection::TooMany { what, limit });
            }
            None => {}
        }
        *revision = revision.next();
        self.offsets.insert(place, position);
        Ok(JournalReply::Committed { position, revision: *revision })
    }

    pub(crate) fn forget(
        &mut self,
        name: Name,
        group: Name,
        revision: &mut Revision,
    ) -> JournalReply {
        let Some(position) = self.offsets.remove(&(name, group)) else {
            return JournalReply::Absent;
        };
        *revision = revision.next();
        JournalReply::Forgotten { position, revision: *revision }
    }

    /// Entries after a position, as many as were asked for and fit a reply; whether there are
    /// more.
    pub(crate) fn read(
        &self,
        name: &Name,
        after: Position,
        limit: u32,
    ) -> (Vec<JournalEntry>, bool) {
        let last = (name.clone(), Position::new(u64::MAX));
        let rows = (Excluded((name.clone(), after)), Included(last));
        let mut rows = match after < Position::new(u64::MAX) {
            true => Some(self.entries.range(rows)).into_iter().flatten(),
            // A range must not begin behind its end.
            false => None.into_iter().flatten(),
        };
        let (mut entries, mut bytes) = (Vec::new(), 0usize);
        loop {
            let Some(((_, position), entry)) = rows.next() else { return (entries, false) };
            let weight = entry.value.len().saturating_add(entry.by.len());
            bytes = bytes.saturating_add(weight).saturating_add(ENTRY_BYTES);
            let full = bytes > REPLY_BYTES_MAX && !entries.is_empty();
            if full || entries.len() >= limit as usize {
                return (entries, true);
            }
            let Entry { value, at, by, appended } = entry.clone();
            let (position, appended_at_ms) = (*position, appended.0);
            entries.push(JournalEntry { position, value, at, by, appended_at_ms });
        }
    }

    pub(crate) fn view(&self, name: &Name) -> Option<JournalView> {
        self.rows.get(name).map(|journal| view(name, journal))
    }

    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
    ) -> impl Iterator<Item = JournalView> + 'a {
        named_rows(&self.rows, prefix, after).map(|(name, journal)| view(name, journal))
    }

    /// Where the groups of a journal stand, in the order of their names.
    pub(crate) fn offsets(&self, name: &Name) -> impl Iterator<Item = (Name, Position)> {
        let rows = self.offsets.range((name.clone(), Name::new(""))..);
        let rows = rows.take_while(move |((of, _), _)| of == name);
        rows.map(|((_, group), position)| (group.clone(), *position))
    }

    /// How many journals and entries there are.
    pub(crate) fn count(&self) -> (u64, u64) {
        (self.rows.len(), self.entries.len())
    }

    pub(crate) fn digest(&self, how: Digesting) -> [u64; 3] {
        [self.rows.digest(how), self.entries.digest(how), self.offsets.digest(how)]
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Journals {
        Journals::with(self.rows.clone(), self.entries.clone(), self.offsets.clone())
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)?;
        self.entries.encode(to)?;
        self.offsets.encode(to)
    }

    pub(crate) fn restore(
        [rows, entries, offsets]: [u64; 3],
        from: &mut Decoder<'_>,
    ) -> Result<Journals, RestoreError> {
        let rows = Table::restore(rows, from)?;
        let read: Table<(Name, Position), Entry> = Table::restore(entries, from)?;
        let offsets = Table::restore(offsets, from)?;
        let mut journals = Journals::with(rows, Table::new(entries), offsets);
        for (_, journal) in journals.rows.iter() {
            journals.journals.take(&journal.owner, 1);
        }
        for (place, entry) in read.iter() {
            journals.insert(place.clone(), entry.clone());
        }
        Ok(journals)
    }

    fn with(
        rows: Table<Name, Journal>,
        entries: Table<(Name, Position), Entry>,
        offsets: Table<(Name, Name), Position>,
    ) -> Journals {
        let (journals, count) = (Shares::new(&JOURNALS), Shares::new(&ENTRIES));
        Journals { rows, entries, offsets, journals, count, bytes: Shares::new(&BYTES) }
    }

    fn insert(&mut self, place: (Name, Position), entry: Entry) {
        self.count.take(&entry.by, 1);
        self.bytes.take(&entry.by, weight(&place.0, &entry));
        self.entries.insert(place, entry);
    }

    /// How many bytes it had.
    fn remove(&mut self, place: &(Name, Position)) -> u64 {
        let Some(entry) = self.entries.remove(place) else { return 0 };
        let weight = weight(&place.0, &entry);
        self.count.give_back(&entry.by, 1);
        self.bytes.give_back(&entry.by, weight);
        weight
    }
}

/// Bytes of an entry: its value, and its names, each of which is there again.
fn weight(name: &Name, entry: &Entry) -> u64 {
    let names = name.as_str().len().saturating_add(entry.by.len());
    entry.value.len().saturating_add(names) as u64
}

fn view(name: &Name, journal: &Journal) -> JournalView {
    JournalView {
        name: name.clone(),
        last: journal.last,
        trimmed: journal.trimmed,
        bytes: journal.bytes,
        owner: journal.owner.clone(),
    }
}
