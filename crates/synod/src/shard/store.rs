//! The shard's rows: keys, promises, and what has ended. They are durable as the facts of a node
//! are, through a write-ahead log before redb.

mod place;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::StorageBackend;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use synod_client::machine::{
    BranchIncarnation, Entry, Revision, SessionId, TxnId,
    branch::{Durable, Write},
};
use synod_store::{Row, Rows, Shape};

use self::record::{Flaw, Place};
use super::ShardError;

pub(super) use self::place::Files;

/// How much the write-ahead log holds, as a node's does.
const WAL_BYTES: u64 = 16 << 20;

/// A table: its place among all of them, and its name, which is part of every row's seal.
#[derive(Clone, Copy)]
struct Table {
    number: u8,
    name: &'static str,
}

impl Table {
    fn at(self, key: &[u8]) -> Place<'_> {
        Place { table: self.name, key }
    }
}

const KEYS: Table = Table { number: 0, name: "keys" };
const PREPARED: Table = Table { number: 1, name: "prepared" };
const RUNS: Table = Table { number: 2, name: "runs" };
const FLOORS: Table = Table { number: 3, name: "floors" };
const NUMBERS: Table = Table { number: 4, name: "numbers" };

const SHAPE: Shape = Shape {
    tables: &[KEYS.name, PREPARED.name, RUNS.name, FLOORS.name, NUMBERS.name],
    cache_bytes: 32 << 20,
};

/// Where it stands whose they are: in no table.
const IDENTITY: Place<'static> = Place { table: "identity", key: b"own" };

const REVISION: &[u8] = b"revision";
const SESSIONS_BELOW: &[u8] = b"sessions_below";
const INTRODUCED: &[u8] = b"introduced";

/// Whose rows they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    cluster: u64,
    name: String,
    incarnation: u64,
}

/// The open rows. Another process that opens them is refused.
pub(super) struct Store {
    path: PathBuf,
    rows: Rows,
    /// What was put in since the last sync, by table and key; `None` takes a row away.
    unsynced: BTreeMap<(u8, Bytes), Option<Bytes>>,
    incarnation: BranchIncarnation,
    introduced: bool,
    /// Held until the store is dropped.
    _lock: Option<File>,
}

impl Store {
    /// Opens the shard's files in `dir`, and makes them at the shard's first start: a shard that
    /// was never there has promised nothing, and its new incarnation tells it from one that was
    /// lost.
    pub(super) fn open(
        dir: &Path,
        name: &str,
        cluster: u64,
    ) -> Result<(Store, Durable), ShardError> {
        let lock = place::lock(dir)?;
        place::make(dir, |files, path| Store::format_on(files, WAL_BYTES, path, name, cluster))?;
        let (files, path) = place::open(dir)?;
        let (mut store, durable) = Store::open_on(files, path, name, cluster)?;
        store.rows.get_help()?;
        store._lock = Some(lock);
        Ok((store, durable))
    }

    /// Makes a new shard's files on empty storages. Its incarnation is drawn here, once.
    pub(super) fn format_on(
        files: Files<impl StorageBackend>,
        wal_bytes: u64,
        path: &Path,
        name: &str,
        cluster: u64,
    ) -> Result<(), ShardError> {
        let identity = Identity { cluster, name: name.to_owned(), incarnation: fastrand::u64(1..) };
        let whose = IDENTITY.seal(&identity);
        let Files { shard, wal, count } = files;
        Ok(Rows::format(path, shard, [wal, count], wal_bytes, SHAPE, &whose)?)
    }

    /// As [`Store::open`], on storages that the caller supplies and that were formatted before, and
    /// in one thread. `path` is for messages.
    pub(super) fn open_on(
        files: Files<impl StorageBackend>,
        path: PathBuf,
        name: &str,
        cluster: u64,
    ) -> Result<(Store, Durable), ShardError> {
        let Files { shard, wal, count } = files;
        let mut incarnation = BranchIncarnation(0);
        let judge = |whose: &[u8]| {
            let found: Identity = IDENTITY.unseal(whose).map_err(|flaw| flaw.explain(&path))?;
            incarnation = BranchIncarnation(found.incarnation);
            if (found.cluster, found.name.as_str()) == (cluster, name) {
                return Ok(());
            }
            Err(ShardError::Foreign {
                path: path.clone(),
                found: found.name,
                found_cluster: found.cluster,
                name: name.to_owned(),
                cluster,
            })
        };
        let rows = Rows::open(&path, shard, [wal, count], SHAPE, judge)?;
        let unsynced = BTreeMap::new();
        let introduced = false;
        let mut store = Store { path, rows, unsynced, incarnation, introduced, _lock: None };
        let durable = store.recover()?;
        store.introduced = store.number(INTRODUCED)? > 0;
        Ok((store, durable))
    }

    /// The store that votes are cast from.
    pub(super) fn incarnation(&self) -> BranchIncarnation {
        self.incarnation
    }

    /// Whether the cluster knew the shard by this store when it last said so, in this process or in
    /// one before. A store that was made by mistake, or in the place of a lost one, was never
    /// introduced, and neither was one that an earlier build has made.
    pub(super) fn introduced(&self) -> bool {
        self.introduced
    }

    /// What the cluster says of that, durably.
    pub(super) fn set_introduced(&mut self, introduced: bool) -> Result<(), ShardError> {
        if self.introduced != introduced {
            self.set(NUMBERS, INTRODUCED, introduced.then_some(&1_u64));
            self.sync()?;
            self.introduced = introduced;
        }
        Ok(())
    }

    /// Where it is, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts in one fact. It is there with all others that were put in since the last sync, or none
    /// of them is.
    pub(super) fn put(&mut self, fact: &Write) {
        match fact {
            Write::Prepared { txn, work } => self.set(PREPARED, &txn_key(*txn), Some(work)),
            Write::Ended { txn } => self.set(PREPARED, &txn_key(*txn), None::<&()>),
            Write::Key { key, entry } => self.set(KEYS, key, entry.as_ref()),
            Write::Revision(revision) => self.set(NUMBERS, REVISION, Some(&revision.get())),
            Write::Run { session, first, last } => {
                let place = txn_key(TxnId { session: *session, n: *first });
                self.set(RUNS, &place, last.as_ref());
            }
            Write::Floor { session, below } => {
                self.set(FLOORS, &session_key(*session), below.as_ref());
            }
            Write::SessionsBelow(session) => {
                self.set(NUMBERS, SESSIONS_BELOW, Some(&session.get()));
            }
        }
    }

    /// A key as it stands after the facts put in so far.
    pub(super) fn key(&self, key: &Bytes) -> Result<Option<Entry>, ShardError> {
        match self.unsynced.get(&(KEYS.number, key.clone())) {
            Some(Some(row)) => self.judge(KEYS.at(key).unseal(row)).map(Some),
            Some(None) => Ok(None),
            None => self.get(key),
        }
    }

    /// Makes every fact durable. After an error nothing is known of them, and the process must end.
    pub(super) fn sync(&mut self) -> Result<(), ShardError> {
        let rows = std::mem::take(&mut self.unsynced).into_iter();
        let rows = rows.map(|((table, key), value)| Row { table, key, value });
        Ok(self.rows.write(rows.collect())?)
    }

    /// Keys in byte order, as of the last sync: at most `limit` of them and `bytes_max` bytes, of
    /// which the first may take more by itself, or nobody could ever read on; and whether there are
    /// more.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<(Vec<(Bytes, Entry)>, bool), ShardError> {
        let start = after.filter(|after| *after > prefix).unwrap_or(prefix);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for row in self.rows.range(KEYS.number, start)? {
            let (key, row) = row?;
            if !key.starts_with(prefix) {
                break;
            }
            if after.is_some_and(|after| key <= after) {
                continue;
            }
            bytes += key.len() + row.len();
            // A page that went beyond by its last row might not fit the frame of an answer.
            let full = found.len() >= limit || (bytes > bytes_max && !found.is_empty());
            if full {
                return Ok((found, true));
            }
            let entry = self.judge(KEYS.at(&key).unseal(&row))?;
            found.push((key, entry));
        }
        Ok((found, false))
    }

    /// One key as of the last sync.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Entry>, ShardError> {
        self.value(KEYS, key)
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> Result<u64, ShardError> {
        Ok(self.rows.count(KEYS.number)?)
    }

    /// Puts a row under a key that stands for nothing, as a stray write might.
    #[cfg(test)]
    pub(super) fn spoil(&mut self, key: &'static [u8]) {
        let value = Some(Bytes::from_static(b"nothing"));
        let row = Row { table: KEYS.number, key: Bytes::from_static(key), value };
        self.rows.write(vec![row]).unwrap();
    }

    /// Everything beside the keys.
    fn recover(&self) -> Result<Durable, ShardError> {
        let mut durable = Durable {
            revision: Revision::new(self.number(REVISION)?),
            sessions_below: SessionId::new(self.number(SESSIONS_BELOW)?),
            ..Durable::default()
        };
        self.each(PREPARED, |key, work| {
            durable.prepared.insert(txn_of(key)?, work);
            Some(())
        })?;
        self.each(RUNS, |key, last| {
            let TxnId { session, n } = txn_of(key)?;
            durable.runs.insert((session, n), last);
            Some(())
        })?;
        self.each(FLOORS, |key, below| {
            durable.floors.insert(session_of(key)?, below);
            Some(())
        })?;
        Ok(durable)
    }

    fn set(&mut self, table: Table, key: &[u8], value: Option<&impl Serialize>) {
        let row = value.map(|value| table.at(key).seal(value).into());
        self.unsynced.insert((table.number, Bytes::copy_from_slice(key)), row);
    }

    fn number(&self, name: &[u8]) -> Result<u64, ShardError> {
        Ok(self.value(NUMBERS, name)?.unwrap_or_default())
    }

    fn value<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<T>, ShardError> {
        let row = self.rows.get(table.number, key)?;
        row.map(|row| self.judge(table.at(key).unseal(&row))).transpose()
    }

    /// Hands over every row of a table; `None` says that its key is none.
    fn each<T: DeserializeOwned>(
        &self,
        table: Table,
        mut take: impl FnMut(&[u8], T) -> Option<()>,
    ) -> Result<(), ShardError> {
        for row in self.rows.range(table.number, &[])? {
            let (key, row) = row?;
            let place = table.at(&key);
            let taken = take(&key, self.judge(place.unseal(&row))?);
            self.judge(taken.ok_or_else(|| place.damaged()))?;
        }
        Ok(())
    }

    fn judge<T>(&self, row: Result<T, Flaw>) -> Result<T, ShardError> {
        row.map_err(|flaw| flaw.explain(&self.path))
    }
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
