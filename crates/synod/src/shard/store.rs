//! The shard's redb file: keys, promises, and what has ended.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageError, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use synod_client::machine::{
    BranchIncarnation, Entry, Revision, SessionId, TxnId,
    branch::{Durable, Work, Write},
};

use super::ShardError;

const FILE: &str = "shard.redb";
/// The format of everything in the file; see `docs/format.md`.
const FORMAT: u8 = 1;

const IDENTITY: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("identity");
const KEYS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("keys");
const PREPARED: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("prepared");
const RUNS: TableDefinition<'_, (u64, u64), u64> = TableDefinition::new("runs");
const FLOORS: TableDefinition<'_, u64, u64> = TableDefinition::new("floors");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

const REVISION: &str = "revision";
const SESSIONS_BELOW: &str = "sessions_below";

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    format: u8,
    cluster: u64,
    name: String,
    incarnation: u64,
}

/// The open file.
pub(super) struct Store {
    path: PathBuf,
    database: Database,
    incarnation: BranchIncarnation,
}

impl Store {
    /// Opens the shard's file in `dir`, and makes it at the shard's first start: a shard that was
    /// never there has promised nothing, and its new incarnation tells it from one that was lost.
    pub(super) fn open(
        dir: &Path,
        name: &str,
        cluster: u64,
    ) -> Result<(Store, Durable), ShardError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| ShardError::Io { path: dir.to_path_buf(), source })?;
        let path = dir.join(FILE);
        let database = Database::create(&path).map_err(|error| opening(&path, error))?;
        let mut store = Store { path, database, incarnation: BranchIncarnation(0) };
        let own = Identity {
            format: FORMAT,
            cluster,
            name: name.to_owned(),
            incarnation: fastrand::u64(1..),
        };
        store.incarnation = BranchIncarnation(store.identify(own)?.incarnation);
        let durable = store.durable()?;
        Ok((store, durable))
    }

    /// The store that votes are cast from.
    pub(super) fn incarnation(&self) -> BranchIncarnation {
        self.incarnation
    }

    /// Where it is, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn identify(&self, own: Identity) -> Result<Identity, ShardError> {
        let write = self.begin()?;
        let found = {
            let mut table = write.open_table(IDENTITY).map_err(|e| self.failed(&e))?;
            let found = table.get("identity").map_err(|e| self.failed(&e))?;
            let found = found.map(|bytes| postcard::from_bytes::<Identity>(bytes.value()));
            match found {
                Some(Ok(found)) => found,
                Some(Err(error)) => return Err(self.damaged(&format!("identity: {error}"))),
                None => {
                    let bytes = self.encode(&own)?;
                    table.insert("identity", bytes.as_slice()).map_err(|e| self.failed(&e))?;
                    own.clone()
                }
            }
        };
        self.make_tables(&write)?;
        write.commit().map_err(|e| self.failed(&e))?;
        if (found.format, found.cluster, &found.name) == (FORMAT, own.cluster, &own.name) {
            return Ok(found);
        }
        if found.format != FORMAT {
            return Err(
                self.damaged(&format!("format {}; this build reads {FORMAT}", found.format))
            );
        }
        Err(ShardError::Foreign {
            path: self.path.clone(),
            found: found.name,
            found_cluster: found.cluster,
            name: own.name,
            cluster: own.cluster,
        })
    }

    /// A table that was never opened for writing cannot be opened for reading.
    fn make_tables(&self, write: &WriteTransaction) -> Result<(), ShardError> {
        write.open_table(KEYS).map_err(|e| self.failed(&e))?;
        write.open_table(PREPARED).map_err(|e| self.failed(&e))?;
        write.open_table(RUNS).map_err(|e| self.failed(&e))?;
        write.open_table(FLOORS).map_err(|e| self.failed(&e))?;
        write.open_table(NUMBERS).map_err(|e| self.failed(&e))?;
        Ok(())
    }

    /// Everything beside the keys.
    fn durable(&self) -> Result<Durable, ShardError> {
        let read = self.database.begin_read().map_err(|e| self.failed(&e))?;
        let mut durable = Durable::default();
        let numbers = read.open_table(NUMBERS).map_err(|e| self.failed(&e))?;
        let number = |name| {
            let found = numbers.get(name).map_err(|e| self.failed(&e))?;
            Ok::<_, ShardError>(found.map_or(0, |number| number.value()))
        };
        durable.revision = Revision::new(number(REVISION)?);
        durable.sessions_below = SessionId::new(number(SESSIONS_BELOW)?);
        let prepared = read.open_table(PREPARED).map_err(|e| self.failed(&e))?;
        for row in prepared.iter().map_err(|e| self.failed(&e))? {
            let (key, bytes) = row.map_err(|e| self.failed(&e))?;
            let (session, n) = key.value();
            let txn = TxnId { session: SessionId::new(session), n };
            let work: Work = postcard::from_bytes(bytes.value())
                .map_err(|error| self.damaged(&format!("branch {txn}: {error}")))?;
            durable.prepared.insert(txn, work);
        }
        let runs = read.open_table(RUNS).map_err(|e| self.failed(&e))?;
        for row in runs.iter().map_err(|e| self.failed(&e))? {
            let (key, last) = row.map_err(|e| self.failed(&e))?;
            let (session, first) = key.value();
            durable.runs.insert((SessionId::new(session), first), last.value());
        }
        let floors = read.open_table(FLOORS).map_err(|e| self.failed(&e))?;
        for row in floors.iter().map_err(|e| self.failed(&e))? {
            let (session, below) = row.map_err(|e| self.failed(&e))?;
            durable.floors.insert(SessionId::new(session.value()), below.value());
        }
        Ok(durable)
    }

    fn begin(&self) -> Result<WriteTransaction, ShardError> {
        let mut write = self.database.begin_write().map_err(|e| self.failed(&e))?;
        write.set_durability(Durability::Immediate).map_err(|e| self.failed(&e))?;
        Ok(write)
    }

    /// Opens one transaction for all that waits. Nothing of it is there before
    /// [`Writing::sync`] has returned.
    pub(super) fn write(&self) -> Result<Writing<'_>, ShardError> {
        Ok(Writing { store: self, write: self.begin()?, facts: 0 })
    }

    /// Keys in byte order, as of the last sync: at most `limit` of them and about `bytes_max` bytes;
    /// and whether there are more.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<(Vec<(Bytes, Entry)>, bool), ShardError> {
        let read = self.database.begin_read().map_err(|e| self.failed(&e))?;
        let keys = read.open_table(KEYS).map_err(|e| self.failed(&e))?;
        let start = after.filter(|after| *after > prefix).unwrap_or(prefix);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for row in keys.range(start..).map_err(|e| self.failed(&e))? {
            let (key, value) = row.map_err(|e| self.failed(&e))?;
            let (key, value) = (key.value(), value.value());
            if !key.starts_with(prefix) {
                break;
            }
            if after.is_some_and(|after| key <= after) {
                continue;
            }
            if found.len() >= limit || bytes >= bytes_max {
                return Ok((found, true));
            }
            bytes += key.len() + value.len();
            found.push((Bytes::copy_from_slice(key), self.entry(key, value)?));
        }
        Ok((found, false))
    }

    /// One key as of the last sync.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Entry>, ShardError> {
        let read = self.database.begin_read().map_err(|e| self.failed(&e))?;
        let keys = read.open_table(KEYS).map_err(|e| self.failed(&e))?;
        let found = keys.get(key).map_err(|e| self.failed(&e))?;
        found.map(|value| self.entry(key, value.value())).transpose()
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> Result<u64, ShardError> {
        let read = self.database.begin_read().map_err(|e| self.failed(&e))?;
        let keys = read.open_table(KEYS).map_err(|e| self.failed(&e))?;
        keys.len().map_err(|e| self.failed(&e))
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Result<Entry, ShardError> {
        postcard::from_bytes(value)
            .map_err(|error| self.damaged(&format!("key {}: {error}", key.escape_ascii())))
    }

    fn encode(&self, value: &impl Serialize) -> Result<Vec<u8>, ShardError> {
        postcard::to_stdvec(value).map_err(|error| self.damaged(&format!("encoding: {error}")))
    }

    fn damaged(&self, what: &str) -> ShardError {
        ShardError::Damaged { path: self.path.clone(), what: what.to_owned() }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> ShardError {
        ShardError::Disk { path: self.path.clone(), what: error.to_string() }
    }
}

/// One transaction of the file, for everything that waits.
pub(super) struct Writing<'a> {
    store: &'a Store,
    write: WriteTransaction,
    facts: usize,
}

impl Writing<'_> {
    /// A key as it stands after the facts put in so far.
    pub(super) fn key(&self, key: &[u8]) -> Result<Option<Entry>, ShardError> {
        let keys = self.write.open_table(KEYS).map_err(|e| self.store.failed(&e))?;
        let found = keys.get(key).map_err(|e| self.store.failed(&e))?;
        found.map(|value| self.store.entry(key, value.value())).transpose()
    }

    /// Puts in one fact.
    pub(super) fn put(&mut self, fact: &Write) -> Result<(), ShardError> {
        self.facts += 1;
        let store = self.store;
        self.put_in(fact).map_err(|error| match error {
            Putting::Storage(error) => store.failed(&error),
            Putting::Table(error) => store.failed(&error),
            Putting::Shard(error) => error,
        })
    }

    fn put_in(&self, fact: &Write) -> Result<(), Putting> {
        let id = |txn: &TxnId| (txn.session.get(), txn.n);
        match fact {
            Write::Prepared { txn, work } => {
                let bytes = self.store.encode(work)?;
                self.write.open_table(PREPARED)?.insert(id(txn), bytes.as_slice())?;
            }
            Write::Ended { txn } => {
                self.write.open_table(PREPARED)?.remove(id(txn))?;
            }
            Write::Key { key, entry: Some(entry) } => {
                let bytes = self.store.encode(entry)?;
                self.write.open_table(KEYS)?.insert(&key[..], bytes.as_slice())?;
            }
            Write::Key { key, entry: None } => {
                self.write.open_table(KEYS)?.remove(&key[..])?;
            }
            Write::Revision(revision) => {
                self.write.open_table(NUMBERS)?.insert(REVISION, revision.get())?;
            }
            Write::Run { session, first, last } => {
                let mut runs = self.write.open_table(RUNS)?;
                match last {
                    Some(last) => drop(runs.insert((session.get(), *first), *last)?),
                    None => drop(runs.remove((session.get(), *first))?),
                }
            }
            Write::Floor { session, below } => {
                let mut floors = self.write.open_table(FLOORS)?;
                match below {
                    Some(below) => drop(floors.insert(session.get(), *below)?),
                    None => drop(floors.remove(session.get())?),
                }
            }
            Write::SessionsBelow(session) => {
                self.write.open_table(NUMBERS)?.insert(SESSIONS_BELOW, session.get())?;
            }
        }
        Ok(())
    }

    /// Makes every fact durable. After an error nothing is known of them, and the process must end.
    pub(super) fn sync(self) -> Result<(), ShardError> {
        if self.facts == 0 {
            return self.write.abort().map_err(|e| self.store.failed(&e));
        }
        self.write.commit().map_err(|e| self.store.failed(&e))
    }
}

/// Why a fact could not be put in.
enum Putting {
    Storage(StorageError),
    Table(redb::TableError),
    Shard(ShardError),
}

impl From<StorageError> for Putting {
    fn from(error: StorageError) -> Putting {
        Putting::Storage(error)
    }
}

impl From<redb::TableError> for Putting {
    fn from(error: redb::TableError) -> Putting {
        Putting::Table(error)
    }
}

impl From<ShardError> for Putting {
    fn from(error: ShardError) -> Putting {
        Putting::Shard(error)
    }
}

fn opening(path: &Path, error: DatabaseError) -> ShardError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => ShardError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != io::ErrorKind::InvalidData =>
        {
            ShardError::Io { path, source }
        }
        other => ShardError::Damaged { path, what: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TXN: TxnId = TxnId { session: SessionId::new(3), n: 7 };

    fn open(dir: &Path) -> (Store, Durable) {
        Store::open(dir, "east", 7).unwrap()
    }

    fn entry(value: &str) -> Entry {
        let at = Revision::new(5);
        Entry { value: value.to_owned().into(), create: at, modified: at, version: 1 }
    }

    #[test]
    fn what_was_synced_is_there_after_a_restart_and_what_was_not_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (store, before) = open(dir.path());
        assert_eq!(before, Durable::default());
        let facts = [
            Write::Prepared { txn: TXN, work: Work::default() },
            Write::Key { key: "a".into(), entry: Some(entry("1")) },
            Write::Revision(Revision::new(5)),
            Write::Run { session: TXN.session, first: 1, last: Some(6) },
            Write::Floor { session: TXN.session, below: Some(1) },
            Write::SessionsBelow(SessionId::new(2)),
        ];
        let mut expected = Durable::default();
        let mut writing = store.write().unwrap();
        for fact in &facts {
            writing.put(fact).unwrap();
            expected.write(fact);
        }
        assert_eq!(writing.key(b"a").unwrap(), Some(entry("1")), "read inside the transaction");
        writing.sync().unwrap();
        let mut lost = store.write().unwrap();
        lost.put(&Write::Ended { txn: TXN }).unwrap();
        drop(lost);
        drop(store);
        let (store, after) = open(dir.path());
        assert_eq!(after, expected);
        assert_eq!(store.get(b"a").unwrap(), Some(entry("1")));
    }

    #[test]
    fn the_directory_of_another_shard_or_cluster_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        for (name, cluster) in [("west", 7), ("east", 8)] {
            let error = Store::open(dir.path(), name, cluster).err().unwrap();
            assert!(matches!(error, ShardError::Foreign { .. }), "{error}");
        }
        drop(open(dir.path()));
    }

    #[test]
    fn a_second_process_on_one_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
        let error = Store::open(dir.path(), "east", 7).err().unwrap();
        assert!(matches!(error, ShardError::InUse { .. }), "{error}");
        drop(first);
    }

    #[test]
    fn the_incarnation_stays_with_the_directory_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).0.incarnation();
        assert_eq!(open(dir.path()).0.incarnation(), first);
        fs::remove_file(dir.path().join(FILE)).unwrap();
        assert_ne!(open(dir.path()).0.incarnation(), first);
    }

    #[test]
    fn a_scan_goes_through_pages_in_byte_order_within_its_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        let mut writing = store.write().unwrap();
        for key in ["a", "sat/1", "sat/2", "sat/3", "sau"] {
            let key = Bytes::from_static(key.as_bytes());
            writing.put(&Write::Key { key, entry: Some(entry("x")) }).unwrap();
        }
        writing.sync().unwrap();
        let page = |after: Option<&[u8]>| {
            let (found, more) = store.scan(b"sat/", after, 2, 1 << 20).unwrap();
            (found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), more)
        };
        assert_eq!(page(None), (vec!["sat/1".into(), "sat/2".into()], true));
        assert_eq!(page(Some(b"sat/2")), (vec!["sat/3".into()], false));
    }

    #[test]
    fn a_file_that_is_no_store_is_called_damaged_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"no store at all, but long enough to be looked at")
            .unwrap();
        let error = Store::open(dir.path(), "east", 7).err().unwrap();
        assert!(error.to_string().contains("shard.redb"), "{error}");
        assert!(fs::read(dir.path().join(FILE)).unwrap().starts_with(b"no store"));
    }
}
