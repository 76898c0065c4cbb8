use std::{io, sync::Arc};

use redb::{Database, StorageBackend, WriteTransaction};

use crate::{
    batch,
    journal::{Journal, Judged},
    medium::{Fault, Medium},
    open,
};

/// A redb database of the caller's own, whose commits go through a journal as those of a
/// [`Store`](crate::Store) do: one sequential write and one sync each.
///
/// After a failure of the medium nothing is written any more, whatever redb still wants at its
/// close: what the medium holds is unknown until another life of the process reads it anew.
#[derive(Debug)]
pub struct Journaled {
    database: Database,
    medium: Arc<Medium>,
}

/// What the medium failed of first. redb tells of it once, in its own words, and afterwards only
/// that there was something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room.
    Full,
    /// The bytes are not those that were written.
    Damaged(String),
    /// An operation failed.
    Failed(String),
}

impl Journaled {
    /// Makes an empty database on two empty storages, the second for a journal of so many bytes
    /// (rounded up to 64 KiB). `owner` is a number by which another's journal is told from this
    /// one.
    pub fn format(
        home: impl StorageBackend,
        journal: impl StorageBackend,
        journal_bytes: u64,
        owner: u64,
        cache_bytes: usize,
    ) -> Result<Journaled, redb::Error> {
        let journal = Journal::format(home, journal, journal_bytes, owner)?;
        Journaled::on(Medium::journaled(journal), cache_bytes)
    }

    /// Opens what was left in two storages: makes it whole, and checks every page of it. A journal
    /// that does not fit is an error of kind `InvalidData`, and nothing was written then.
    pub fn open(
        home: impl StorageBackend,
        journal: impl StorageBackend,
        owner: u64,
        cache_bytes: usize,
    ) -> Result<Journaled, redb::Error> {
        match Journal::judge(home, journal, owner)? {
            Judged::Fit(journal) => {
                let medium = Medium::journaled(journal);
                medium.replay()?;
                Journaled::on(medium, cache_bytes)
            }
            Judged::Unfit(unfit, _) => Err(io::Error::new(io::ErrorKind::InvalidData, unfit))?,
        }
    }

    fn on(medium: Arc<Medium>, cache_bytes: usize) -> Result<Journaled, redb::Error> {
        Ok(Journaled { database: open::database(&medium, cache_bytes)?, medium })
    }

    /// To read from. What is to be durable goes through [`Journaled::begin`].
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        batch::begin(&self.database)
    }

    /// Commits one. When this returns, all of it is durable; when it fails, the process must end.
    pub fn commit(&self, transaction: WriteTransaction) -> Result<(), redb::Error> {
        self.medium.batch(|| Ok(transaction.commit()?))
    }

    /// What went wrong first.
    pub fn trouble(&self) -> Option<Trouble> {
        Some(match self.medium.fault()? {
            Fault::Full { .. } => Trouble::Full,
            Fault::Damaged(what) => Trouble::Damaged(what),
            Fault::Failed(what) => Trouble::Failed(what),
        })
    }

    /// Closes it in order, and tells if that failed; dropping it keeps silent about that.
    pub fn close(self) -> Result<(), redb::Error> {
        Ok(self.database.close()?)
    }
}
