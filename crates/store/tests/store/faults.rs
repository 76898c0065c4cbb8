//! A disk that is full, and a disk that fails.

use std::io::ErrorKind;

use synod_paxos::{Slot, Write};
use synod_store::{Store, StoreError};

use crate::{
    Way, accepted, chosen_upto,
    disk::{Disk, Trouble},
    model::Model,
    promised, value,
};

/// What a disk says that is full, an owner's share of one, and a file that may not grow.
const NO_ROOM: [ErrorKind; 3] =
    [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];

fn written(way: Way) -> (Disk, Store, Model) {
    let disk = way.formatted();
    let (mut store, _) = way.open(&disk).unwrap();
    // So much that a log before redb has it take facts over with the next batch.
    let times = if way == Way::Ahead { 20_000 } else { 1 };
    let batch = [promised(1), accepted(1, 1, value(&"one".repeat(times))), chosen_upto(1)];
    store.write(&batch).unwrap();
    let mut model = Model::default();
    model.write(&batch);
    (disk, store, model)
}

/// A batch that needs room.
fn batch() -> [Write; 2] {
    [promised(2), accepted(2, 2, value(&"long".repeat(20_000)))]
}

/// Whichever operation fails, the write fails; nothing works afterwards in this life of the
/// process, and the next life finds all or nothing of it.
#[test]
fn a_failed_operation_is_final() {
    for way in Way::ALL {
        let mut failures = 0;
        for operation in 0.. {
            let (disk, mut store, mut model) = written(way);
            disk.trouble_at(operation, Trouble::Error(ErrorKind::Other));
            let result = store.write(&batch());
            if disk.trouble_is_ahead() {
                break;
            }
            failures += 1;
            let story = format!("{way:?}, operation {operation}");
            assert!(matches!(result, Err(StoreError::SyncFailed { .. })), "{story}: {result:?}");
            disk.heal();
            let again = store.write(&[promised(3)]);
            assert!(matches!(again, Err(StoreError::SyncFailed { .. })), "{story}: {again:?}");
            let read = store.chosen(Slot::new(1), Slot::new(1), 1);
            assert!(matches!(read, Err(StoreError::SyncFailed { .. })), "{story}: {read:?}");
            drop(store);
            let before = model.durable();
            model.write(&batch());
            let (_, durable) = way.open(&disk).unwrap();
            assert!([before, model.durable()].contains(&durable), "{story}: {durable:?}");
        }
        assert!(failures > 10, "only {failures} operations were tried");
    }
}

/// A full disk, whichever write finds it so: none of the batch is there, and the same store goes on
/// when there is room again.
#[test]
fn a_full_disk_is_survived() {
    for way in Way::ALL {
        let mut full = 0;
        for operation in 0.. {
            let (disk, mut store, mut model) = written(way);
            disk.trouble_at(operation, Trouble::Full);
            let story = format!("{way:?}, operation {operation}");
            match store.write(&batch()) {
                Ok(()) => break,
                Err(StoreError::DiskFull { .. }) => full += 1,
                other => panic!("{story}: {other:?}"),
            }
            let again = store.write(&batch());
            assert!(matches!(again, Err(StoreError::DiskFull { .. })), "{story}: {again:?}");
            disk.heal();
            store.write(&[promised(3)]).unwrap();
            model.write(&[promised(3)]);
            assert_eq!(store.chosen(Slot::new(1), Slot::new(9), 9).unwrap(), model.prefix());
            drop(store);
            assert_eq!(way.open(&disk).unwrap().1, model.durable(), "{story}");
        }
        assert!(full > 3, "{way:?}: only {full} operations found it full");
    }
}

/// A disk may say that it is full at any operation (one that copies on write does): if the store
/// says so, nothing of the batch is there; else it is final, and all or nothing of it is.
#[test]
fn a_disk_full_anywhere_is_final_or_survived() {
    for (way, no_room) in Way::ALL.into_iter().flat_map(|way| NO_ROOM.map(|kind| (way, kind))) {
        let (mut full, mut failed) = (0, 0);
        for operation in 0.. {
            let (disk, mut store, mut model) = written(way);
            disk.trouble_at(operation, Trouble::Error(no_room));
            let result = store.write(&batch());
            if disk.trouble_is_ahead() {
                break;
            }
            disk.heal();
            let mut allowed = vec![model.durable()];
            match result {
                Err(StoreError::DiskFull { .. }) => full += 1,
                Err(StoreError::SyncFailed { .. }) => {
                    failed += 1;
                    model.write(&batch());
                    allowed.push(model.durable());
                }
                other => panic!("{way:?}, {no_room}, operation {operation}: {other:?}"),
            }
            drop(store);
            let (_, durable) = way.open(&disk).unwrap();
            assert!(allowed.contains(&durable), "{way:?}, operation {operation}: {durable:?}");
        }
        assert!(full > 3 && failed > 1, "{way:?}, {no_room}: {full} full, {failed} failed");
    }
}

/// A full disk at the start is named as such; so is one while formatting.
#[test]
fn a_full_disk_at_the_start_is_named() {
    for (way, no_room) in Way::ALL.into_iter().flat_map(|way| NO_ROOM.map(|kind| (way, kind))) {
        let disk = way.formatted();
        disk.trouble_at(0, Trouble::Error(no_room));
        let disk_full = |error| matches!(error, StoreError::DiskFull { .. });
        assert!(way.open(&disk).is_err_and(disk_full), "{way:?}");
        let disk = Disk::default();
        disk.trouble_at(0, Trouble::Full);
        assert!(way.format(&disk).is_err_and(disk_full), "{way:?}");
    }
}
