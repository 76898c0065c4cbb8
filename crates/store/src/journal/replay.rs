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
        Ok(match judge(&layout::read_all(&file)?, owner, first_page) {
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
        let bytes = layout::read_all(&*self.file)?;
        let end = records(&bytes, state.head.generation).last().map(|record| record.next);
        if let Some(written) = end.and_then(|end| bytes.get(RECORDS_AT as usize..end)) {
            self.file.write(RECORDS_AT, written)?;
            self.file.sync_data()?;
        }
        for record in records(&bytes, state.head.generation) {
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

fn judge(journal: &[u8], owner: u64, first_page: u64) -> Result<Head, Unfit> {
    let whole = |head: &Head| head.bytes == journal.len() as u64;
    let head = Head::newest(journal).filter(whole).ok_or(Unfit::NoJournal)?;
    if head.owner != owner {
        return Err(Unfit::Foreign);
    }
    let mut known = BTreeSet::from([head.base]);
    let (mut end, mut count) = (RECORDS_AT as usize, 0);
    for record in records(journal, head.generation) {
        let first_pages = record.entries().filter(|(offset, _)| *offset == 0);
        known.extend(first_pages.map(|(_, bytes)| layout::digest_of_first_page(&bytes)));
        (end, count) = (record.next, record.number + 1);
    }
    let later = |at| Sealed::read(journal, at, head.generation).is_some_and(|r| r.number >= count);
    if (end..journal.len()).step_by(SECTOR_BYTES as usize).any(later) {
        return Err(Unfit::Damaged);
    }
    if known.contains(&first_page) { Ok(head) } else { Err(Unfit::Stranger) }
}

/// The records of a generation, from the first to the last whole one.
fn records(journal: &[u8], generation: u64) -> impl Iterator<Item = Sealed<'_>> {
    let (mut at, mut number) = (RECORDS_AT as usize, 0);
    std::iter::from_fn(move || {
        let record = Sealed::read(journal, at, generation)?;
        if record.number != number {
            return None;
        }
        (at, number) = (record.next, number + 1);
        Some(record)
    })
}
