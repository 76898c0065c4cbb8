//! Rows of bytes in tables of the caller's own, durable through a write-ahead log as a node's facts
//! are.

use std::{borrow::Cow, convert::Infallible, fmt, path::Path, sync::Arc};

use bytes::Bytes;
use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata, StorageBackend,
    TableDefinition,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    StoreError,
    base::Base,
    batch,
    cause::Cause,
    facts,
    front::Front,
    medium::Medium,
    open::{self, Opening},
    record,
    seal::Flaw,
    tables::{FACTS, IDENTITY, WAL},
    wal::{Reached, Wal},
};

mod changes;
mod over;

use changes::{Changes, Tables};
use over::Over;

/// What a store of rows is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Names of tables; in rows a table is named by its place here.
    pub tables: &'static [&'static str],
    /// What redb may hold in memory.
    pub cache_bytes: usize,
}

/// What stands under a key of a table, from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The table's place in [`Shape::tables`].
    pub table: u8,
    /// Where in it.
    pub key: Bytes,
    /// What; `None` takes the row away.
    pub value: Option<Bytes>,
}

/// Rows in tables. What was written is read, be it in redb yet or not.
///
/// After an error of [`Rows::write`] other than [`StoreError::DiskFull`] every further write fails:
/// what the medium holds is unknown until another life of the process reads it anew.
pub struct Rows {
    /// Closed before the database, which it may have to write to.
    front: Front<Changes>,
    base: Arc<Base>,
    shape: Shape,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("path", &self.base.path()).finish_non_exhaustive()
    }
}

impl Rows {
    /// Makes empty tables on an empty storage, with a write-ahead log of so many bytes (rounded up
    /// to 8 KiB) and its mark on two others. `whose` says whose they are, in words of the caller's
    /// own, and tells this log from another's.
    pub fn format(
        path: &Path,
        home: impl StorageBackend,
        [wal, mark]: [impl StorageBackend; 2],
        wal_bytes: u64,
        shape: Shape,
        whose: &[u8],
    ) -> Result<(), StoreError> {
        let made = Wal::format(wal, mark, wal_bytes, xxh3_64(whose));
        made.map_err(|error| Cause::from(error).explain(path, None))?;
        let medium = Medium::new(home);
        let made = open::database(&medium, shape.cache_bytes)
            .and_then(|database| format(database, shape, whose));
        made.map_err(|error| Cause::from(error).explain(path, Some(&medium)))
    }

    /// Opens what was left in three storages, if `judge` agrees with whose it is: otherwise none of
    /// them is changed by a byte. `path` is for messages.
    pub fn open<E: From<StoreError>>(
        path: &Path,
        home: impl StorageBackend,
        wal: [impl StorageBackend; 2],
        shape: Shape,
        judge: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<Rows, E> {
        let medium = Medium::new(home);
        let explain = |cause: Cause| cause.explain(path, Some(&medium));
        let database = open::hold(path, &medium, shape.cache_bytes)?;
        let (whose, reached) = own(&database).map_err(explain)?;
        judge(&whose)?;
        let opening = Opening { path, medium: &medium, database: &database };
        let tables = Tables { names: shape.tables, reached };
        let (wal, tables) = opening.replay::<Changes>(wal, xxh3_64(&whose), tables)?;
        medium.release().map_err(|error| explain(error.into()))?;
        let base = Base::new(path.to_owned(), medium, database, shape.cache_bytes);
        Ok(Rows { front: Front::new(wal, tables, None), base: Arc::new(base), shape })
    }

    /// From now on a thread of its own has redb take rows over.
    pub fn get_help(&mut self) -> Result<(), StoreError> {
        let hired = self.front.get_help(&self.base);
        hired.map_err(|error| StoreError::of_dir(&self.base.path(), error))
    }

    /// Makes all of `rows` durable as one: when it returns, all are; when it fails, the process
    /// must end (except for `DiskFull`, where none of them is).
    pub fn write(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.front.write(&self.base, Cow::Owned(rows))
    }

    /// One row.
    pub fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let held = self.front.held().filter_map(|changes| changes.get(table, key)).last();
        match held {
            Some(value) => Ok(value.cloned()),
            None => self.in_redb(table, key).map_err(|cause| self.base.explain(cause)),
        }
    }

    /// Rows of a table from a key on, in the order of keys.
    pub fn range(
        &self,
        table: u8,
        from: &[u8],
    ) -> Result<impl Iterator<Item = Result<(Bytes, Bytes), StoreError>>, StoreError> {
        let explain = |cause: Cause| self.base.explain(cause);
        let below = self.reading(table).map_err(explain)?;
        let below = below.range(from..).map_err(|error| explain(error.into()))?.map(|row| {
            let (key, value) = row?;
            Ok((Bytes::copy_from_slice(key.value()), Some(Bytes::copy_from_slice(value.value()))))
        });
        let rows = Over::new(self.above(table, from), below);
        Ok(rows.filter_map(move |row| match row {
            Ok((key, value)) => value.map(|value| Ok((key, value))),
            Err(error) => Some(Err(explain(error))),
        }))
    }

    /// How many rows a table has.
    pub fn count(&self, table: u8) -> Result<u64, StoreError> {
        let counted = || {
            // One view for all: redb takes rows over meanwhile.
            let below = self.reading(table)?;
            let mut count = below.len()?;
            for (key, value) in self.above(table, &[]) {
                match (below.get(&*key)?.is_some(), value) {
                    (false, Some(_)) => count += 1,
                    (true, None) => count -= 1,
                    (true, Some(_)) | (false, None) => {}
                }
            }
            Ok(count)
        };
        counted().map_err(|cause| self.base.explain(cause))
    }

    /// What redb has not, or has as it was before.
    fn above(&self, table: u8, from: &[u8]) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        let mut held = self.front.held().map(|changes| changes.range(table, from));
        let (older, newer) = (held.next(), held.next());
        let older = older.into_iter().flatten().map(Ok::<_, Infallible>);
        Over::new(newer.into_iter().flatten(), older).map(|Ok(row)| row)
    }

    fn in_redb(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>, Cause> {
        let row = self.reading(table)?.get(key)?;
        Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
    }

    fn reading(&self, table: u8) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, Cause> {
        let database = self.base.database().map_err(|_| Cause::Before)?;
        let name = self.shape.tables[usize::from(table)];
        Ok(database.begin_read()?.open_table(definition(name))?)
    }
}

fn definition(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// Writes what an empty store holds.
fn format(database: Database, shape: Shape, whose: &[u8]) -> Result<(), redb::Error> {
    let transaction = batch::begin(&database)?;
    for name in shape.tables {
        // A table that was never opened for writing cannot be opened for reading.
        transaction.open_table(definition(name))?;
    }
    {
        let mut facts = transaction.open_table(FACTS)?;
        facts.insert(IDENTITY, whose)?;
        facts.insert(WAL, record::encode_reached(WAL, Reached::NOTHING).as_slice())?;
    }
    transaction.commit()?;
    Ok(database.close()?)
}

/// What a store says of itself: whose it is, and how far the log was taken over.
fn own(database: &Database) -> Result<(Vec<u8>, Reached), Cause> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    let nobody = || Cause::Flawed("whose it is".to_owned(), Flaw::Damaged);
    let whose = facts.get(IDENTITY)?.ok_or_else(nobody)?.value().to_vec();
    let reached = facts::fact(&facts, WAL, |record| record::decode_reached(WAL, record))?;
    Ok((whose, reached))
}
