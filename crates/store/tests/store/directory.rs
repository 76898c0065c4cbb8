//! The store in the file system.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use synod_paxos::{Incarnation, Life, NodeId};
use synod_store::{Identity, Store, StoreError};
use tempfile::TempDir;

use crate::{ballot, identity, promised};

/// A directory with a store in it, in a place of its own.
fn formatted() -> (TempDir, PathBuf) {
    let place = TempDir::new().unwrap();
    let dir = place.path().join("deep/down/n1");
    Store::format(&dir, &identity()).unwrap();
    (place, dir)
}

/// The directory is its owner's alone, and holds nothing but the store.
#[test]
fn a_store_is_for_its_owner_alone() {
    let (_place, dir) = formatted();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.clone()), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(entry.path()), 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["lock", "log.redb", "wal", "wal.count"]);
}

/// What was written through a file is what the next life finds in it.
#[test]
fn a_file_keeps_what_was_written() {
    let (_place, dir) = formatted();
    let (mut store, _) = Store::open(&dir, &identity()).unwrap();
    store.write(&[promised(3)]).unwrap();
    drop(store);
    let (_, durable) = Store::open(&dir, &identity()).unwrap();
    assert_eq!(durable.promised, Some(ballot(3)));
}

/// A directory without a store is refused and left as it is, whether it is there or not.
#[test]
fn a_missing_store_is_not_made() {
    let place = TempDir::new().unwrap();
    for dir in [place.path().to_owned(), place.path().join("nowhere")] {
        let error = Store::open(&dir, &identity()).unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

/// A store that is there is never formatted over.
#[test]
fn a_store_is_not_formatted_over() {
    let (_place, dir) = formatted();
    Store::open(&dir, &identity()).unwrap().0.write(&[promised(3)]).unwrap();
    let error = Store::format(&dir, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    let (_, durable) = Store::open(&dir, &identity()).unwrap();
    assert_eq!(durable.promised, Some(ballot(3)));
}

/// Formatting that was interrupted left no store, and can be done again.
#[test]
fn interrupted_formatting_is_no_store() {
    let place = TempDir::new().unwrap();
    let dir = place.path().join("n1");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("log.redb.new"), b"half of something").unwrap();
    let error = Store::open(&dir, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    Store::format(&dir, &identity()).unwrap();
    Store::open(&dir, &identity()).unwrap();
}

/// One store, one process: a second handle is refused until the first is gone.
#[test]
fn a_store_in_use_is_refused() {
    let (_place, dir) = formatted();
    let (first, _) = Store::open(&dir, &identity()).unwrap();
    let error = Store::open(&dir, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
    Store::open(&dir, &identity()).unwrap();
}

/// Another cluster's, another node's and another life's store are refused by name, and not changed.
#[test]
fn anothers_store_is_refused_by_name() {
    let (_place, dir) = formatted();
    let before = fs::read(dir.join("log.redb")).unwrap();
    let other_life = Life { node: NodeId::new(1), incarnation: Incarnation::new(2) };
    let others = [
        Identity { cluster: "orbis".into(), ..identity() },
        Identity { cluster_id: 8, ..identity() },
        Identity { life: Life::first(NodeId::new(2)), ..identity() },
        Identity { life: other_life, ..identity() },
    ];
    for other in others {
        let error = Store::open(&dir, &other).unwrap_err();
        let StoreError::Foreign { found, expected, .. } = &error else { panic!("{error}") };
        assert_eq!((&**found, &**expected), (&identity(), &other));
        assert!(fs::read(dir.join("log.redb")).unwrap() == before, "it was written to");
    }
}

/// Another node's files in this node's directory are that node's, and refused.
#[test]
fn another_nodes_files_swapped_in_are_refused() {
    let (_place, dir) = formatted();
    let (_other_place, other_dir) = (TempDir::new().unwrap(), dir.with_file_name("n2"));
    let other = Identity { life: Life::first(NodeId::new(2)), ..identity() };
    Store::format(&other_dir, &other).unwrap();
    for name in ["log.redb", "wal", "wal.count"] {
        fs::rename(other_dir.join(name), dir.join(name)).unwrap();
    }
    let error = Store::open(&dir, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

/// No link is followed: not for the directory, the file or the lock; nothing behind it is touched.
#[test]
fn links_are_not_followed() {
    let (place, dir) = formatted();
    let refused = |dir: &PathBuf| {
        let error = Store::open(dir, &identity()).unwrap_err();
        assert!(matches!(error, StoreError::NotPlain { .. }), "{error}");
    };
    let link = place.path().join("link");
    symlink(&dir, &link).unwrap();
    refused(&link);
    for name in ["log.redb", "lock", "wal", "wal.count"] {
        let elsewhere = place.path().join(name);
        fs::rename(dir.join(name), &elsewhere).unwrap();
        symlink(&elsewhere, dir.join(name)).unwrap();
        let before = fs::read(&elsewhere).unwrap();
        refused(&dir);
        assert!(fs::read(&elsewhere).unwrap() == before, "{name} was touched");
        fs::remove_file(dir.join(name)).unwrap();
        fs::rename(&elsewhere, dir.join(name)).unwrap();
    }
    fs::remove_file(dir.join("lock")).unwrap();
    symlink(place.path().join("made by the link"), dir.join("lock")).unwrap();
    refused(&dir);
    assert!(!place.path().join("made by the link").exists());
}

/// A directory where the file should be, and a file where the directory should be, are refused.
#[test]
fn what_is_not_plain_is_refused() {
    let place = TempDir::new().unwrap();
    fs::create_dir_all(place.path().join("n1/log.redb")).unwrap();
    let error = Store::open(&place.path().join("n1"), &identity()).unwrap_err();
    assert!(matches!(error, StoreError::NotPlain { .. } | StoreError::Io { .. }), "{error}");
    fs::write(place.path().join("n2"), b"a file").unwrap();
    let error = Store::open(&place.path().join("n2"), &identity()).unwrap_err();
    assert!(matches!(error, StoreError::NotPlain { .. } | StoreError::Io { .. }), "{error}");
}

/// A file that may not be written is refused as such, not as a damaged one.
#[test]
fn a_file_that_may_not_be_written_is_named() {
    let (_place, dir) = formatted();
    let log = dir.join("log.redb");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o400)).unwrap();
    match Store::open(&dir, &identity()) {
        Err(StoreError::Io { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
        }
        Err(error) => panic!("{error}"),
        // The superuser may write anything.
        Ok(_) => assert!(fs::OpenOptions::new().write(true).open(&log).is_ok()),
    }
}

/// A store that was found to be older than its node is refused by every later start, and nothing in
/// it is changed.
#[test]
fn a_store_that_is_older_than_its_node_is_refused() {
    let (_place, dir) = formatted();
    Store::refuse_as_older(&dir).unwrap();
    Store::refuse_as_older(&dir).unwrap();
    let before = fs::read(dir.join("log.redb")).unwrap();
    let error = Store::open(&dir, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::Older { .. }), "{error}");
    assert_eq!(fs::read(dir.join("log.redb")).unwrap(), before);
}
