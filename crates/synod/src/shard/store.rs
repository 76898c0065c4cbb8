//! The shard's redb file: keys, promises, and what has ended. Its commits go through a journal, as
//! those of a node's log do.

mod cause;
mod mark;
mod place;
mod record;
#[cfg(test)]
mod tests;
mod writing;

use std::{
    cell::Cell,
    fs::File,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTableMetadata,
    StorageBackend, TableDefinition, TableHandle,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use synod_client::machine::{
    BranchIncarnation, Entry, Revision, SessionId, TxnId, branch::Durable,
};
use synod_store::Journaled;

use self::{cause::Cause, mark::Mark, record::Place};
use super::ShardError;

pub(super) use self::{place::Files, writing::Writing};

/// What redb may hold in memory.
const CACHE_BYTES: usize = 32 << 20;

/// How much its journal holds before the file must be synced: some thousand small commits.
const JOURNAL_BYTES: u64 = 16 << 20;

/// Tells a shard's journal from a node's. Which shard's it is, the file itself says.
const JOURNAL_OWNER: u64 = u64::from_le_bytes(*b"shard   ");

/// A table with its name, which is part of every row's seal.
#[derive(Clone, Copy)]
struct Definition {
    name: &'static str,
    table: TableDefinition<'static, &'static [u8], &'static [u8]>,
}

impl Definition {
    const fn new(name: &'static str) -> Definition {
        Definition { name, table: TableDefinition::new(name) }
    }

    fn at(self, key: &[u8]) -> Place<'_> {
        Place { table: self.name, key }
    }
}

const IDENTITY: Definition = Definition::new("identity");
const KEYS: Definition = Definition::new("keys");
const PREPARED: Definition = Definition::new("prepared");
const RUNS: Definition = Definition::new("runs");
const FLOORS: Definition = Definition::new("floors");
const NUMBERS: Definition = Definition::new("numbers");

const OWN: &[u8] = b"own";
const COMMITS: &[u8] = b"commits";
const REVISION: &[u8] = b"revision";
const SESSIONS_BELOW: &[u8] = b"sessions_below";

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    cluster: u64,
    name: String,
    incarnation: u64,
}

/// The open file. Another process that opens it is refused.
pub(super) struct Store {
    path: PathBuf,
    journaled: Journaled,
    incarnation: BranchIncarnation,
    /// How many commits the file has had.
    commits: Cell<u64>,
    /// Where that is written down a second time, if the file has a place.
    mark: Option<Mark>,
    /// Held until the store is dropped.
    _lock: Option<File>,
}

impl Store {
    /// Opens the shard's file in `dir`, and makes it at the shard's first start: a shard that was
    /// never there has promised nothing, and its new incarnation tells it from one that was lost.
    pub(super) fn open(
        dir: &Path,
        name: &str,
        cluster: u64,
    ) -> Result<(Store, Durable), ShardError> {
        let lock = place::lock(dir)?;
        place::make(dir, |files, path| {
            Store::format_on(files, JOURNAL_BYTES, path, name, cluster)
        })?;
        let (files, path) = place::open(dir)?;
        let (mut store, durable) = Store::open_on(files, path, name, cluster)?;
        store._lock = Some(lock);
        let (mark, known) = Mark::open(dir)?;
        let commits = store.commits.get();
        if commits < known {
            return Err(ShardError::Older { path: store.path, known, commits });
        }
        store.mark = Some(mark);
        Ok((store, durable))
    }

    /// Makes a new shard's file on empty storages. Its incarnation is drawn here, once.
    pub(super) fn format_on(
        files: Files<impl StorageBackend>,
        journal_bytes: u64,
        path: &Path,
        name: &str,
        cluster: u64,
    ) -> Result<(), ShardError> {
        let identity = Identity { cluster, name: name.to_owned(), incarnation: fastrand::u64(1..) };
        format(files, journal_bytes, &identity).map_err(|cause| cause.explain(path, None))
    }

    /// As [`Store::open`], on storages that the caller supplies and that were formatted before.
    /// `path` is for messages.
    pub(super) fn open_on(
        files: Files<impl StorageBackend>,
        path: PathBuf,
        name: &str,
        cluster: u64,
    ) -> Result<(Store, Durable), ShardError> {
        let Files { shard, journal } = files;
        let journaled = Journaled::open(shard, journal, JOURNAL_OWNER, CACHE_BYTES)
            .map_err(|error| Cause::from(error).explain(&path, None))?;
        let read = identity(journaled.database()).and_then(|identity| {
            let (durable, commits) = recover(journaled.database())?;
            Ok((identity, durable, commits))
        });
        let (found, durable, commits) =
            read.map_err(|cause| cause.explain(&path, journaled.trouble()))?;
        if (found.cluster, found.name.as_str()) != (cluster, name) {
            return Err(ShardError::Foreign {
                path,
                found: found.name,
                found_cluster: found.cluster,
                name: name.to_owned(),
                cluster,
            });
        }
        let incarnation = BranchIncarnation(found.incarnation);
        let commits = Cell::new(commits);
        Ok((Store { path, journaled, incarnation, commits, mark: None, _lock: None }, durable))
    }

    /// The store that votes are cast from.
    pub(super) fn incarnation(&self) -> BranchIncarnation {
        self.incarnation
    }

    /// Where it is, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens one transaction for all that waits. Nothing of it is there before
    /// [`Writing::sync`] has returned.
    pub(super) fn write(&self) -> Result<Writing<'_>, ShardError> {
        Writing::new(self).map_err(|cause| self.explain(cause))
    }

    /// Keys in byte order, as of the last sync: at most `limit` of them and about `bytes_max`
    /// bytes; and whether there are more.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<(Vec<(Bytes, Entry)>, bool), ShardError> {
        let page = || {
            let keys = self.reading(KEYS)?;
            let start = after.filter(|after| *after > prefix).unwrap_or(prefix);
            let (mut found, mut bytes) = (Vec::new(), 0);
            for row in keys.range(start..)? {
                let (key, row) = row?;
                let (key, row) = (key.value(), row.value());
                if !key.starts_with(prefix) {
                    break;
                }
                if after.is_some_and(|after| key <= after) {
                    continue;
                }
                if found.len() >= limit || bytes >= bytes_max {
                    return Ok((found, true));
                }
                bytes += key.len() + row.len();
                found.push((Bytes::copy_from_slice(key), KEYS.at(key).unseal(row)?));
            }
            Ok((found, false))
        };
        page().map_err(|cause| self.explain(cause))
    }

    /// One key as of the last sync.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Entry>, ShardError> {
        let keys = self.reading(KEYS);
        let found = keys.and_then(|keys| value(&keys, KEYS, key));
        found.map_err(|cause| self.explain(cause))
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> Result<u64, ShardError> {
        let count = self.reading(KEYS).and_then(|keys| Ok(keys.len()?));
        count.map_err(|cause| self.explain(cause))
    }

    /// Puts a row under a key that stands for nothing, as a stray write might.
    #[cfg(test)]
    pub(super) fn spoil(&self, key: &[u8]) {
        let spoil = || {
            let write = self.journaled.begin()?;
            write.open_table(KEYS.table)?.insert(key, &b"nothing"[..])?;
            Ok::<(), Cause>(self.journaled.commit(write)?)
        };
        spoil().unwrap();
    }

    fn reading(&self, definition: Definition) -> Result<Rows, Cause> {
        Ok(self.journaled.database().begin_read()?.open_table(definition.table)?)
    }

    fn explain(&self, cause: Cause) -> ShardError {
        cause.explain(&self.path, self.journaled.trouble())
    }
}

fn format(
    files: Files<impl StorageBackend>,
    journal_bytes: u64,
    identity: &Identity,
) -> Result<(), Cause> {
    let Files { shard, journal } = files;
    let journaled = Journaled::format(shard, journal, journal_bytes, JOURNAL_OWNER, CACHE_BYTES)?;
    let write = journaled.begin()?;
    // A table that was never opened for writing cannot be opened for reading.
    for definition in [KEYS, PREPARED, RUNS, FLOORS, NUMBERS] {
        write.open_table(definition.table)?;
    }
    let row = IDENTITY.at(OWN).seal(identity);
    write.open_table(IDENTITY.table)?.insert(OWN, row.as_slice())?;
    journaled.commit(write)?;
    Ok(journaled.close()?)
}

fn identity(database: &Database) -> Result<Identity, Cause> {
    let nobody = || Cause::Damaged("it does not say whose it is".to_owned());
    let read = database.begin_read()?;
    if !read.list_tables()?.any(|table| table.name() == IDENTITY.name) {
        return Err(nobody());
    }
    value(&read.open_table(IDENTITY.table)?, IDENTITY, OWN)?.ok_or_else(nobody)
}

/// Everything beside the keys, and how many commits there were.
fn recover(database: &Database) -> Result<(Durable, u64), Cause> {
    let read = database.begin_read()?;
    let numbers = read.open_table(NUMBERS.table)?;
    let number = |name| value::<u64>(&numbers, NUMBERS, name).map(Option::unwrap_or_default);
    let (revision, below) = (number(REVISION)?, number(SESSIONS_BELOW)?);
    let mut durable = Durable {
        revision: Revision::new(revision),
        sessions_below: SessionId::new(below),
        ..Durable::default()
    };
    each(&read, PREPARED, |key, work| {
        durable.prepared.insert(txn_of(key)?, work);
        Some(())
    })?;
    each(&read, RUNS, |key, last| {
        let TxnId { session, n } = txn_of(key)?;
        durable.runs.insert((session, n), last);
        Some(())
    })?;
    each(&read, FLOORS, |key, below| {
        durable.floors.insert(session_of(key)?, below);
        Some(())
    })?;
    Ok((durable, number(COMMITS)?))
}

type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

fn value<T: DeserializeOwned>(
    rows: &Rows,
    definition: Definition,
    key: &[u8],
) -> Result<Option<T>, Cause> {
    let row = rows.get(key)?;
    row.map(|row| definition.at(key).unseal(row.value())).transpose()
}

/// Hands over every row of a table; `None` says that its key is none.
fn each<T: DeserializeOwned>(
    read: &ReadTransaction,
    definition: Definition,
    mut take: impl FnMut(&[u8], T) -> Option<()>,
) -> Result<(), Cause> {
    for row in read.open_table(definition.table)?.range::<&[u8]>(..)? {
        let (key, row) = row?;
        let place = definition.at(key.value());
        let taken = take(key.value(), place.unseal(row.value())?);
        taken.ok_or_else(|| place.damaged())?;
    }
    Ok(())
}

/// Two numbers, the higher bytes first, so that rows stand in the order of transactions.
fn txn_key(txn: TxnId) -> [u8; 16] {
    let (session, n) = (txn.session.get().to_be_bytes(), txn.n.to_be_bytes());
    let mut key = [0; 16];
    key[..8].copy_from_slice(&session);
    key[8..].copy_from_slice(&n);
    key
}

fn txn_of(key: &[u8]) -> Option<TxnId> {
    let (session, n) = key.split_first_chunk::<8>()?;
    let n = u64::from_be_bytes(n.try_into().ok()?);
    Some(TxnId { session: session_of(session)?, n })
}

fn session_key(session: SessionId) -> [u8; 8] {
    session.get().to_be_bytes()
}

fn session_of(key: &[u8]) -> Option<SessionId> {
    Some(SessionId::new(u64::from_be_bytes(key.try_into().ok()?)))
}
