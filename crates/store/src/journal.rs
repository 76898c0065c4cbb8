//! One sequential write and one sync for a commit that dirties pages all over a file.
//!
//! redb writes a commit to pages that nothing refers to yet, and then changes the first page of the
//! file, which says which commit counts. With two phases that costs two syncs of scattered pages.
//! Here the pages go to their places in the file un-synced, and once more, together with the new
//! first page, as one record into a zero-filled file that is used over and over: one sync makes
//! the record durable. Only then is the first page changed in place. When the journal is full, the
//! file is synced and the journal begins anew.
//!
//! What a crash leaves in the file is whole again when the records of the journal are written over
//! it. That must never go back behind what was acknowledged, so the journal is replayed only when
//! it is known to be all there: see [`Replay`].

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

mod layout;
mod replay;

use layout::{Head, RECORDS_AT, Record};
pub(crate) use replay::Judged;

/// What a journal's length is a multiple of.
const JOURNAL_BYTES_MIN: u64 = 64 << 10;

/// The page that says which commit counts.
const FIRST_PAGE_BYTES: u64 = 4096;

/// A storage whose commits go through a journal.
#[derive(Debug)]
pub(crate) struct Journal {
    home: Box<dyn StorageBackend>,
    file: Box<dyn StorageBackend>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    head: Head,
    /// Where the next record goes, and its number in this generation.
    at: u64,
    number: u64,
    /// What the next record will say.
    record: Record,
    /// The new first page, or its beginning; in place only when the record is durable.
    first_page: Option<Vec<u8>>,
    /// A length to which the file is to shrink, also only then: what is durable may still refer to
    /// what would be cut off.
    shrunk: Option<u64>,
    /// While a batch is under way, redb's syncs only keep order, which one record does anyway.
    in_batch: bool,
}

impl Journal {
    /// Makes a journal of `bytes`, rounded up to 64 KiB, for a file that is being formatted.
    ///
    /// It is written full of zeros: a sync of bytes that overwrite others is cheaper than one that
    /// has to note where new ones lie.
    pub(crate) fn format(
        home: impl StorageBackend,
        file: impl StorageBackend,
        bytes: u64,
        owner: u64,
    ) -> io::Result<Journal> {
        let bytes = bytes.max(1).next_multiple_of(JOURNAL_BYTES_MIN);
        file.set_len(bytes)?;
        let zeros = vec![0; JOURNAL_BYTES_MIN as usize];
        for at in (0..bytes).step_by(zeros.len()) {
            file.write(at, &zeros)?;
        }
        let head = Head { owner, bytes, generation: 0, base: 0 };
        let journal = Journal::new(Box::new(home), Box::new(file), head);
        journal.begin_anew(&mut journal.state())?;
        Ok(journal)
    }

    fn new(home: Box<dyn StorageBackend>, file: Box<dyn StorageBackend>, head: Head) -> Journal {
        let state = State {
            head,
            at: RECORDS_AT,
            number: 0,
            record: Record::new(),
            first_page: None,
            shrunk: None,
            in_batch: false,
        };
        Journal { home, file, state: Mutex::new(state) }
    }

    /// From now on syncs only keep order, until [`Journal::end_batch`].
    pub(crate) fn begin_batch(&self) {
        self.state().in_batch = true;
    }

    /// Makes everything written since [`Journal::begin_batch`] durable as one.
    pub(crate) fn end_batch(&self) -> io::Result<()> {
        let mut state = self.state();
        state.in_batch = false;
        self.settle(&mut state)
    }

    /// Forgets what was written and not made durable.
    pub(crate) fn abandon_batch(&self) {
        let mut state = self.state();
        state.in_batch = false;
        state.record.clear();
        state.first_page = None;
        state.shrunk = None;
    }

    /// Makes what was written durable, and then lets it count.
    fn settle(&self, state: &mut State) -> io::Result<()> {
        if state.record.is_empty() && state.first_page.is_none() {
            return Ok(());
        }
        let room = state.head.bytes - state.at;
        let first_page_bytes = state.first_page.as_ref().map_or(0, Vec::len);
        if state.record.bytes_with(first_page_bytes) > room {
            // Syncs the pages too: the record need not have them any more.
            self.begin_anew(state)?;
            state.record.clear();
        }
        if let Some(first_page) = &state.first_page {
            state.record.push(0, first_page);
        }
        let length = state.shrunk.map_or_else(|| self.home.len(), Ok)?;
        let bytes = state.record.seal(state.head.generation, state.number, length);
        self.file.write(state.at, bytes)?;
        self.file.sync_data()?;
        state.at += bytes.len() as u64;
        state.number += 1;
        state.record.clear();
        if let Some(first_page) = state.first_page.take() {
            self.home.write(0, &first_page)?;
        }
        state.shrunk.take().map_or(Ok(()), |length| self.home.set_len(length))
    }

    /// Syncs the file and empties the journal.
    fn begin_anew(&self, state: &mut State) -> io::Result<()> {
        self.home.sync_data()?;
        state.head.generation += 1;
        state.head.base = layout::first_page_digest(&*self.home)?;
        self.file.write(state.head.place(), &state.head.encode())?;
        self.file.sync_data()?;
        state.at = RECORDS_AT;
        state.number = 0;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Journal {
    fn len(&self) -> io::Result<u64> {
        self.state().shrunk.map_or_else(|| self.home.len(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.home.read(offset, out)?;
        match &self.state().first_page {
            Some(first_page) if offset < first_page.len() as u64 => {
                let new = &first_page[offset as usize..];
                let both = new.len().min(out.len());
                out[..both].copy_from_slice(&new[..both]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        let there = self.home.len()?;
        if len > there {
            self.home.set_len(len)?;
        }
        state.shrunk = (len < there).then_some(len);
        state.record.note_length();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.in_batch { Ok(()) } else { self.settle(&mut state) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset == 0 && (data.len() as u64) < FIRST_PAGE_BYTES {
            self.state().first_page = Some(data.to_vec());
            return Ok(());
        }
        // Nothing durable refers to this page yet, so it may stand there before it counts; and if
        // there is no room for it, nothing has happened.
        self.home.write(offset, data)?;
        self.state().record.push(offset, data);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()?;
        self.home.close()
    }
}
