//! Making a store and opening one, on whatever medium.

use std::{io, path::Path, sync::Arc};

use redb::{Builder, Database, ReadableDatabase, StorageBackend};
use synod_paxos::{Durable, Write};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Identity, StoreError, batch,
    cause::Cause,
    facts::{Facts, Standing},
    front::{Footing, Front, Load},
    medium::{Handle, Medium},
    record, scan,
    wal::Wal,
};

/// What redb may hold in memory. The log is read once, at the start, and then mostly appended to:
/// more makes nothing faster.
pub(crate) const CACHE_BYTES: usize = 4 << 20;

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) medium: Arc<Medium>,
    pub(crate) database: Database,
    pub(crate) front: Option<Front<Vec<Write>>>,
    /// What stands, with what only the log in front of it has.
    pub(crate) standing: Standing,
    pub(crate) durable: Durable,
}

/// Makes a new store on an empty storage, with a write-ahead log on two others.
pub(crate) fn format_ahead(
    path: &Path,
    backend: impl StorageBackend,
    [wal, count]: [impl StorageBackend; 2],
    wal_bytes: u64,
    identity: &Identity,
) -> Result<(), StoreError> {
    let explain = |error: io::Error| Cause::from(error).explain(path, None);
    if backend.len().map_err(explain)? > 0 {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    Wal::format(wal, count, wal_bytes, owner(identity)).map_err(explain)?;
    format(path, &Medium::new(backend), identity)
}

/// Makes a new store on an empty medium.
pub(crate) fn format(
    path: &Path,
    medium: &Arc<Medium>,
    identity: &Identity,
) -> Result<(), StoreError> {
    let explain = |cause: Cause| cause.explain(path, Some(medium));
    if medium.length().map_err(|error| explain(error.into()))? > 0 {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    let database = database(medium, CACHE_BYTES).map_err(|error| explain(error.into()))?;
    batch::format(&database, identity).map_err(|error| explain(error.into()))?;
    database.close().map_err(|error| explain(error.into()))
}

/// Opens `expected`'s store on a storage with a write-ahead log on two others.
pub(crate) fn open_ahead(
    path: &Path,
    backend: impl StorageBackend,
    wal: [impl StorageBackend; 2],
    expected: &Identity,
) -> Result<Opened, StoreError> {
    let medium = Medium::new(backend);
    let (database, facts) = identify(path, &medium, expected)?;
    let opening = Opening { path, medium: &medium, database: &database };
    let (wal, standing) = opening.replay::<Vec<Write>>(wal, owner(expected), facts.standing)?;
    let durable = verify(&database, &medium, &standing)
        .map_err(|cause| cause.explain(path, Some(&medium)))?;
    let readable = Standing { chosen_upto: durable.chosen_upto, ..standing };
    // From now on the watermark is the readable one; the next batch writes it down.
    let preface = (readable != standing).then_some(Write::ChosenUpto { slot: durable.chosen_upto });
    let front = Some(Front::new(wal, standing, preface));
    Ok(Opened { medium, database, front, standing: readable, durable })
}

/// A database whose medium holds back what is written to it.
pub(crate) struct Opening<'o> {
    pub(crate) path: &'o Path,
    pub(crate) medium: &'o Medium,
    pub(crate) database: &'o Database,
}

impl Opening<'_> {
    /// Opens `owner`'s log and has the database take over what it has not; what stands then.
    pub(crate) fn replay<L: Load>(
        &self,
        [wal, count]: [impl StorageBackend; 2],
        owner: u64,
        mut standing: L::Footing,
    ) -> Result<(Wal, L::Footing), StoreError> {
        let opened = Wal::open(wal, count, owner, standing.reached());
        let opened = opened.map_err(|error| Cause::from(error).explain(self.path, None))?;
        let (mut wal, facts) = opened.map_err(|unfit| StoreError::Damaged {
            path: self.path.to_owned(),
            what: unfit.to_string(),
        })?;
        // Also where records say nothing: one stands behind every batch that no log could hold.
        if wal.last() != standing.reached() {
            let mut load = L::default();
            load.extend(facts);
            let taken = load.write(self.database, &standing.at(wal.last()));
            standing =
                taken.map_err(|error| Cause::from(error).explain(self.path, Some(self.medium)))?;
        }
        wal.take(standing.reached());
        Ok((wal, standing))
    }
}

/// Opens `expected`'s store and verifies all of it.
pub(crate) fn open(
    path: &Path,
    medium: Arc<Medium>,
    expected: &Identity,
) -> Result<Opened, StoreError> {
    let (database, facts) = identify(path, &medium, expected)?;
    let durable = verify(&database, &medium, &facts.standing)
        .map_err(|cause| cause.explain(path, Some(&medium)))?;
    // From now on the watermark is the readable one; the next batch writes it down.
    let standing = Standing { chosen_upto: durable.chosen_upto, ..facts.standing };
    Ok(Opened { medium, database, front: None, standing, durable })
}

/// Reads the whole log, and then lets the medium be written to.
fn verify(database: &Database, medium: &Medium, standing: &Standing) -> Result<Durable, Cause> {
    let durable = scan::recover(&database.begin_read()?, standing)?;
    medium.release()?;
    Ok(durable)
}

/// Opens the database if it is `expected`'s. Nothing is written until the medium is released.
fn identify(
    path: &Path,
    medium: &Arc<Medium>,
    expected: &Identity,
) -> Result<(Database, Facts), StoreError> {
    let explain = |cause: Cause| cause.explain(path, Some(medium));
    let database = hold(path, medium, CACHE_BYTES)?;
    let read = database.begin_read().map_err(|error| explain(error.into()))?;
    let facts = Facts::read(&read).map_err(explain)?;
    if facts.identity != *expected {
        let (found, expected) = (Box::new(facts.identity), Box::new(expected.clone()));
        return Err(StoreError::Foreign { path: path.to_owned(), found, expected });
    }
    Ok((database, facts))
}

/// Opens the database. Nothing is written until the medium is released.
pub(crate) fn hold(
    path: &Path,
    medium: &Arc<Medium>,
    cache_bytes: usize,
) -> Result<Database, StoreError> {
    let explain = |cause: Cause| cause.explain(path, Some(medium));
    if medium.length().map_err(|error| explain(error.into()))? == 0 {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    medium.hold().map_err(|error| explain(error.into()))?;
    database(medium, cache_bytes).map_err(|error| explain(error.into()))
}

/// Opens the database, after the checksums of all its pages have been checked: redb panics on some
/// damaged pages otherwise. Every record is read at an open anyway; this doubles that.
pub(crate) fn database(medium: &Arc<Medium>, cache_bytes: usize) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(Handle(medium.clone()))?)
}

/// Whose a log is, in short.
fn owner(identity: &Identity) -> u64 {
    xxh3_64(&record::encode_identity(identity))
}
