//! Making a file whole again out of its journal.
//!
//! Replaying only the beginning of what was acknowledged would take the file back in time. So:
//! - a record that cannot be read while a later one of its generation can is damage: a torn write
//!   can only be the last;
//! - the file's first page, which changes in place only after its record is durable, must be one
//!   that the journal knows. If it is not, the journal has lost records, or is another file's.

use std::{collections::BTreeSet, io};

use redb::StorageBackend;

use super::{
    Journal,
    layout::{self, Head, RECORDS_AT, SECTOR_BYTES, Sealed},
};

/// What is looked through at once for records that nothing leads to.
const PIECE_BYTES: usize = 64 << 10;

/// Why a journal does not fit its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("its journal cannot be read")]
    NoJournal,
    #[error("its journal belongs to another store")]
    Foreign,
    #[error("a record in the middle of its journal cannot be read")]
    Damaged,
    #[error("its journal has lost records or belongs to another file")]
    Stranger,
}

/// A journal that was looked at and not touched.
pub(crate) enum Judged {
    /// It fits, and can be replayed.
    Fit(Journal),
    /// It does not fit; here is the file as it is.
    Unfit(Unfit, Box<dyn StorageBackend>),
}

impl Journal {
    /// Looks whether the journal `file` is `owner`'s and fits `home`. Nothing is written.
    pub(crate) fn judge(
        home: impl StorageBackend,
        file: impl StorageBackend,
        owner: u64,
    ) -> io::Result<Judged> {
        let home: Box<dyn StorageBackend> = Box::new(home);
        let first_page = layout::first_page_digest(&*home)?;
        Ok(match judge(&file, owner, first_page)? {
            Ok(head) => Judged::Fit(Journal::new(home, Box::new(file), head)),
            Err(unfit) => Judged::Unfit(unfit, home),
        })
    }

    /// Writes over the file what the journal has, and begins the journal anew.
    ///
    /// What can be read of the journal need not be on the disk: the process that wrote it may have
    /// been killed before its sync, or its sync may have failed, and a later one does not write
    /// what was lost. So the records are written once more and synced before the file may know of
    /// them: else a power cut leaves a file that is newer than its journal.
    pub(crate) fn replay(&self) -> io::Result<()> {
        let mut state = self.state();
        let head = state.head;
        for record in records(&*self.file, &head) {
            let record = record?;
            self.file.write(record.at, &record.bytes)?;
        }
        self.file.sync_data()?;
        for record in records(&*self.file, &head) {
            let record = record?;
            for (offset, written) in record.entries() {
                self.home.write(offset, &written)?;
            }
            if self.home.len()? != record.file_length {
                self.home.set_len(record.file_length)?;
            }
        }
        self.begin_anew(&mut state)
    }
}

fn judge(
    journal: &dyn StorageBackend,
    owner: u64,
    first_page: u64,
) -> io::Result<Result<Head, Unfit>> {
    let bytes = journal.len()?;
    let Some(head) = Head::newest(journal)?.filter(|head| head.bytes == bytes) else {
        return Ok(Err(Unfit::NoJournal));
    };
    if head.owner != owner {
        return Ok(Err(Unfit::Foreign));
    }
    let mut known = BTreeSet::from([head.base]);
    let (mut end, mut count) = (RECORDS_AT, 0);
    for record in records(journal, &head) {
        let record = record?;
        let first_pages = record.entries().filter(|(offset, _)| *offset == 0);
        known.extend(first_pages.map(|(_, bytes)| layout::digest_of_first_page(&bytes)));
        (end, count) = (record.next(), record.number + 1);
    }
    if goes_on(journal, &head, end, count)? {
        return Ok(Err(Unfit::Damaged));
    }
    Ok(if known.contains(&first_page) { Ok(head) } else { Err(Unfit::Stranger) })
}

/// The records of a generation, from the first to the last whole one. One is in memory at a time.
fn records(journal: &dyn StorageBackend, head: &Head) -> impl Iterator<Item = io::Result<Sealed>> {
    let (mut at, mut number) = (RECORDS_AT, 0);
    std::iter::from_fn(move || {
        let record = match Sealed::read(journal, at, head).transpose()? {
            Ok(record) if record.number != number => return None,
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        (at, number) = (record.next(), number + 1);
        Some(Ok(record))
    })
}

/// Whether a record later than the first `count` stands anywhere from `at` on.
fn goes_on(journal: &dyn StorageBackend, head: &Head, mut at: u64, count: u64) -> io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES];
    while at < head.bytes {
        let length = (head.bytes - at).min(PIECE_BYTES as u64);
        let piece = &mut piece[..length as usize];
        journal.read(at, piece)?;
        for (sector, place) in
            piece.chunks(SECTOR_BYTES as usize).zip((at..).step_by(SECTOR_BYTES as usize))
        {
            if sector.starts_with(&head.generation.to_le_bytes())
                && let Some(record) = Sealed::read(journal, place, head)?
                && record.number >= count
            {
                return Ok(true);
            }
        }
        at += length;
    }
    Ok(false)
}
