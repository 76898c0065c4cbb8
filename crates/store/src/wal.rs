//! A write-ahead log of facts: a batch is durable when its record is, before redb knows of it.
//!
//! The file is filled with zeros when it is made and never changes its length, so that a batch
//! costs one write over what is there and one sync, and no more than its own bytes. Records follow
//! each other, and begin again at the front when the end is near; what the database has durably
//! taken over ([`Reached`]) may be written over.
//!
//! Whatever the log has lost must not pass for what never was:
//! - a record that cannot be read, before one that can, is damage: only the last may be torn;
//! - which one was synced last is noted in a file of its own, which is not synced: after anything
//!   but a loss of power it is known how far the log must reach.

use std::io;

use bytes::Bytes;
use redb::StorageBackend;

use crate::record::{self, Fields};

mod facts;
mod layout;

use layout::{Head, Record};
pub(crate) use layout::{RECORDS_AT, encode};

/// How much a log holds: the database takes facts over long before it is full.
pub(crate) const WAL_BYTES: u64 = 16 << 20;

/// What a log's length is a multiple of.
const WAL_BYTES_MIN: u64 = 8 << 10;

/// How far the database has taken the log over: everything up to a record, and where the one after
/// it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The record's number; 0 before the first.
    pub(crate) number: u64,
    /// Where it ends.
    pub(crate) at: u64,
}

impl Reached {
    /// Before the first record.
    pub(crate) const NOTHING: Reached = Reached { number: 0, at: RECORDS_AT };
}

/// What a log is a log of.
pub(crate) trait Fact: Clone + Send + 'static {
    /// Appends its bytes to those of the facts before it.
    fn put(&self, record: &mut Vec<u8>);

    /// Bytes that it carries: those of its record are more.
    fn bytes(&self) -> usize;

    /// Reads the next one; `None` when these bytes say nothing that this build knows.
    fn take(fields: &mut Fields<'_>) -> Option<Self>;
}

/// Appends bytes with their length before them.
pub(crate) fn put_bytes(record: &mut Vec<u8>, bytes: &Bytes) {
    record.extend_from_slice(&record::length(bytes).to_le_bytes());
    record.extend_from_slice(bytes);
}

/// Reads what [`put_bytes`] has written.
pub(crate) fn take_bytes(fields: &mut Fields<'_>) -> Option<Bytes> {
    let length = fields.u32().ok()? as usize;
    let (bytes, rest) = fields.0.split_at_checked(length)?;
    fields.0 = rest;
    Some(Bytes::copy_from_slice(bytes))
}

/// Why a log does not fit its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("its write-ahead log cannot be read")]
    NoLog,
    #[error("its write-ahead log belongs to another store")]
    Foreign,
    #[error("a record in the middle of its write-ahead log cannot be read")]
    Damaged,
    #[error("its write-ahead log has lost its last records or belongs to another time")]
    Short,
}

/// The log and its count.
#[derive(Debug)]
pub(crate) struct Wal {
    file: Box<dyn StorageBackend>,
    count: Box<dyn StorageBackend>,
    head: Head,
    /// What the last record is, and where the next one goes.
    last: Reached,
    /// The last record that the database has durably taken over.
    taken: u64,
    /// Where what it holds begins: the record after that one, which may be at the front, or the
    /// place where that one ended.
    begin: u64,
}

impl Wal {
    /// Makes an empty log of `bytes`, rounded up to 8 KiB, on two empty storages.
    pub(crate) fn format(
        file: impl StorageBackend,
        count: impl StorageBackend,
        bytes: u64,
        owner: u64,
    ) -> io::Result<()> {
        let bytes = bytes.max(1).next_multiple_of(WAL_BYTES_MIN);
        file.set_len(bytes)?;
        let zeros = vec![0; WAL_BYTES_MIN as usize];
        for at in (0..bytes).step_by(zeros.len()) {
            file.write(at, &zeros)?;
        }
        file.write(0, &Head { owner, bytes }.encode())?;
        file.sync_data()?;
        count.write(0, &layout::count(owner, 0))?;
        count.sync_data()?;
        file.close()?;
        count.close()
    }

    /// Opens `owner`'s log, and tells the facts that the database has not taken over. Nothing is
    /// written.
    pub(crate) fn open<F: Fact>(
        file: impl StorageBackend,
        count: impl StorageBackend,
        owner: u64,
        taken: Reached,
    ) -> io::Result<Result<(Wal, Vec<F>), Unfit>> {
        let Some(head) = Head::read(&file)? else { return Ok(Err(Unfit::NoLog)) };
        if head.owner != owner {
            return Ok(Err(Unfit::Foreign));
        }
        let (mut last, mut begin, mut facts) = (taken, taken.at, Vec::new());
        while let Some(record) = Record::after(&file, &head, last)? {
            if last == taken {
                begin = record.at();
            }
            let Some(written) = record.facts::<F>() else { return Ok(Err(Unfit::Damaged)) };
            facts.extend(written);
            last = record.reached();
        }
        // The one after the last may have been torn. One after that was written when it was synced.
        if layout::has_later(&file, &head, last.number + 1)? {
            return Ok(Err(Unfit::Damaged));
        }
        if layout::counted(&count, owner)?.is_some_and(|counted| counted > last.number) {
            return Ok(Err(Unfit::Short));
        }
        let (file, count) = (Box::new(file), Box::new(count));
        Ok(Ok((Wal { file, count, head, last, taken: taken.number, begin }, facts)))
    }

    /// What the last record is.
    pub(crate) fn last(&self) -> Reached {
        self.last
    }

    /// Bytes of records that the database has not taken over.
    pub(crate) fn held(&self) -> u64 {
        if self.holds_nothing() {
            return 0;
        }
        // On its first lap it may be full to the last byte, and end where it begins.
        let whole = self.head.bytes - RECORDS_AT;
        match (self.last.at + whole - self.begin) % whole {
            0 => whole,
            held => held,
        }
    }

    /// A part of all that it holds, after which the database is to take over what there is.
    pub(crate) fn much(&self) -> u64 {
        self.head.bytes / 16
    }

    /// Whether a record of so many bytes can ever be written, once the database has taken over all
    /// others.
    pub(crate) fn could_hold(&self, bytes: usize) -> bool {
        layout::sectors(bytes) < self.head.bytes - RECORDS_AT
    }

    /// The database has durably taken over everything up to here.
    pub(crate) fn take(&mut self, taken: Reached) {
        (self.taken, self.begin) = (taken.number, taken.at);
        if taken.number > self.last.number {
            self.last = taken;
        }
    }

    fn holds_nothing(&self) -> bool {
        self.last.number == self.taken
    }

    /// Where a record would go; `None` while what stands there is still needed.
    fn place(&self, record: &[u8]) -> Option<u64> {
        let bytes = layout::sectors(record.len());
        let (at, from, nothing_held) = (self.last.at, self.begin, self.holds_nothing());
        // Invariant: the end of what is held never meets its beginning, or full would look empty.
        let free = |at: u64, upto: u64| upto.checked_sub(at).is_some_and(|room| bytes <= room);
        if at >= from || nothing_held {
            let wrapped = if nothing_held { self.head.bytes } else { from - 1 };
            let ahead = free(at, self.head.bytes).then_some(at);
            return ahead.or_else(|| free(RECORDS_AT, wrapped).then_some(RECORDS_AT));
        }
        free(at, from - 1).then_some(at)
    }

    /// Whether there is room for a record now.
    pub(crate) fn has_room(&self, record: &[u8]) -> bool {
        self.place(record).is_some()
    }

    /// Writes a record and syncs it. It must have room; after an error the log is not to be used.
    pub(crate) fn append(&mut self, mut record: Vec<u8>) -> io::Result<()> {
        let number = self.last.number + 1;
        let at = self.place(&record).ok_or(io::ErrorKind::StorageFull)?;
        layout::seal(&mut record, &self.head, number, at);
        self.file.write(at, &record)?;
        self.file.sync_data()?;
        if self.holds_nothing() {
            // At the front it may reach beyond where the one before it ended.
            self.begin = at;
        }
        self.last = Reached { number, at: at + record.len() as u64 };
        // It says only what was so already; if it gets lost, nothing else is.
        self.count.write(0, &layout::count(self.head.owner, number))
    }

    pub(crate) fn close(&self) -> io::Result<()> {
        self.file.close()?;
        self.count.close()
    }
}

#[cfg(test)]
pub(crate) mod tests;
