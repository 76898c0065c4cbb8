//! Making a store and opening one, on whatever medium.

use std::{io, path::Path, sync::Arc};

use redb::{Builder, Database, ReadableDatabase, StorageBackend};
use synod_paxos::{Durable, Write};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Identity, StoreError, batch,
    cause::Cause,
    facts::{Facts, Standing},
    front::Front,
    journal::{Journal, Judged},
    medium::{Handle, Medium},
    record, scan,
    wal::Wal,
};

/// What redb may hold in memory. The log is read once, at the start, and then mostly appended to:
/// more makes nothing faster.
pub(crate) const CACHE_BYTES: usize = 8 << 20;

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) medium: Arc<Medium>,
    pub(crate) database: Database,
    pub(crate) front: Option<Front>,
    /// What stands, with what only the log in front of it has.
    pub(crate) standing: Standing,
    pub(crate) durable: Durable,
}

/// Makes a new store on an empty storage, with a journal on another.
pub(crate) fn format_journaled(
    path: &Path,
    backend: impl StorageBackend,
    journal: impl StorageBackend,
    journal_bytes: u64,
    identity: &Identity,
) -> Result<(), StoreError> {
    let explain = |error: io::Error| Cause::from(error).explain(path, None);
    if backend.len().map_err(explain)? > 0 {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    let journal = Journal::format(backend, journal, journal_bytes, owner(identity));
    format(path, &Medium::journaled(journal.map_err(explain)?), identity)
}

/// Makes a new store on an empty storage, with a write-ahead log on two others.
pub(crate) fn format_ahead(
    path: &Path,
    backend: impl StorageBackend,
    [wal, mark]: [impl StorageBackend; 2],
    wal_bytes: u64,
    identity: &Identity,
) -> Result<(), StoreError> {
    let explain = |error: io::Error| Cause::from(error).explain(path, None);
    if backend.len().map_err(explain)? > 0 {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    Wal::format(wal, mark, wal_bytes, owner(identity)).map_err(explain)?;
    format(path, &Medium::plain(Box::new(backend)), identity)
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

/// Opens `expected`'s store on a storage with a journal on another.
pub(crate) fn open_journaled(
    path: &Path,
    backend: impl StorageBackend,
    journal: impl StorageBackend,
    expected: &Identity,
) -> Result<Opened, StoreError> {
    let explain = |error: io::Error| Cause::from(error).explain(path, None);
    match Journal::judge(backend, journal, owner(expected)).map_err(explain)? {
        Judged::Fit(journal) => {
            let medium = Medium::journaled(journal);
            medium.replay().map_err(|error| Cause::from(error).explain(path, Some(&medium)))?;
            open(path, medium, expected)
        }
        // The store may be another's, and then that is what is wrong.
        Judged::Unfit(unfit, backend) => match identify(path, &Medium::plain(backend), expected) {
            Err(StoreError::Damaged { .. }) | Ok(_) => {
                Err(StoreError::Damaged { path: path.to_owned(), what: unfit.to_string() })
            }
            Err(error) => Err(error),
        },
    }
}

/// Opens `expected`'s store on a storage with a write-ahead log on two others.
pub(crate) fn open_ahead(
    path: &Path,
    backend: impl StorageBackend,
    [wal, mark]: [impl StorageBackend; 2],
    expected: &Identity,
) -> Result<Opened, StoreError> {
    let medium = Medium::plain(Box::new(backend));
    let explain = |cause: Cause| cause.explain(path, Some(&medium));
    let (database, Facts { mut standing, .. }) = identify(path, &medium, expected)?;
    let opened = Wal::open(wal, mark, owner(expected), standing.reached);
    let (mut wal, facts) = opened
        .map_err(|error| Cause::from(error).explain(path, None))?
        .map_err(|unfit| StoreError::Damaged { path: path.to_owned(), what: unfit.to_string() })?;
    if !facts.is_empty() {
        let upon = Standing { reached: wal.last(), ..standing };
        let taken = batch::write(&database, &upon, &facts);
        standing = taken.map_err(|error| explain(error.into()))?;
    }
    let durable = verify(&database, &medium, &standing).map_err(explain)?;
    let readable = Standing { chosen_upto: durable.chosen_upto, ..standing };
    // From now on the watermark is the readable one; the next batch writes it down.
    let preface = (readable != standing).then_some(Write::ChosenUpto { slot: durable.chosen_upto });
    wal.take(standing.reached);
    let front = Some(Front::new(wal, standing, preface));
    Ok(Opened { medium, database, front, standing: readable, durable })
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
    if medium.length().map_err(|error| explain(error.into()))? == 0 {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    medium.hold().map_err(|error| explain(error.into()))?;
    let database = database(medium, CACHE_BYTES).map_err(|error| explain(error.into()))?;
    let read = database.begin_read().map_err(|error| explain(error.into()))?;
    let facts = Facts::read(&read).map_err(explain)?;
    if facts.identity != *expected {
        let (found, expected) = (Box::new(facts.identity), Box::new(expected.clone()));
        return Err(StoreError::Foreign { path: path.to_owned(), found, expected });
    }
    Ok((database, facts))
}

/// Opens the database, after the checksums of all its pages have been checked: redb panics on some
/// damaged pages otherwise. Every record is read at an open anyway; this doubles that.
pub(crate) fn database(medium: &Arc<Medium>, cache_bytes: usize) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(Handle(medium.clone()))?)
}

/// Whose a journal is, in short.
fn owner(identity: &Identity) -> u64 {
    xxh3_64(&record::encode_identity(identity))
}
