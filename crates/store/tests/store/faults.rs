//! A disk that is full, and a disk that fails.

use std::io::ErrorKind;

use synod_paxos::Slot;
use synod_store::{Store, StoreError};

use crate::{
    accepted, chosen_upto,
    disk::{Disk, Trouble},
    identity,
    model::Model,
    promised, value,
};

fn formatted() -> Disk {
    let disk = Disk::default();
    Store::format_on(disk.clone(), &identity()).unwrap();
    disk
}

fn written() -> (Disk, Store, Model) {
    let disk = formatted();
    let (mut store, _) = Store::open_on(disk.clone(), &identity()).unwrap();
    let batch = [promised(1), accepted(1, 1, value("one")), chosen_upto(1)];
    store.write(&batch).unwrap();
    let mut model = Model::default();
    model.write(&batch);
    (disk, store, model)
}

/// Whichever operation fails, the write fails; nothing works afterwards in this life of the process,
/// and the next life finds all or nothing of it.
#[test]
fn a_failed_operation_is_final() {
    let batch = [promised(2), accepted(2, 2, value(&"long".repeat(20_000)))];
    let mut failures = 0;
    for operation in 0.. {
        let (disk, mut store, mut model) = written();
        disk.trouble_at(operation, Trouble::Error(ErrorKind::Other));
        let result = store.write(&batch);
        if disk.trouble_is_ahead() {
            break;
        }
        failures += 1;
        assert!(matches!(result, Err(StoreError::SyncFailed { .. })), "{operation}: {result:?}");
        disk.heal();
        let again = store.write(&[promised(3)]);
        assert!(matches!(again, Err(StoreError::SyncFailed { .. })), "{operation}: {again:?}");
        let read = store.chosen(Slot::new(1), Slot::new(1), 1);
        assert!(matches!(read, Err(StoreError::SyncFailed { .. })), "{operation}: {read:?}");
        drop(store);
        let before = model.durable();
        model.write(&batch);
        let (_, durable) = Store::open_on(disk, &identity()).unwrap();
        assert!([before, model.durable()].contains(&durable), "{operation}: {durable:?}");
    }
    assert!(failures > 10, "only {failures} operations were tried");
}

/// A full disk, whichever write or resize finds it so: none of the batch is there, and the same
/// store goes on when there is room again. A sync that finds no room is a failed sync.
#[test]
fn a_full_disk_is_survived() {
    let batch = [promised(2), accepted(2, 2, value(&"long".repeat(20_000)))];
    // Two syncs, and two writes of the header, whose failure leaves open which commit counts.
    let (mut full, mut failed) = (0, 0);
    for operation in 0.. {
        let (disk, mut store, mut model) = written();
        disk.trouble_at(operation, Trouble::Error(ErrorKind::StorageFull));
        let result = store.write(&batch);
        if disk.trouble_is_ahead() {
            break;
        }
        match result {
            Err(StoreError::DiskFull { .. }) => full += 1,
            Err(StoreError::SyncFailed { .. }) => {
                failed += 1;
                continue;
            }
            other => panic!("{operation}: {other:?}"),
        }
        let again = store.write(&batch);
        assert!(matches!(again, Err(StoreError::DiskFull { .. })), "{operation}: {again:?}");
        disk.heal();
        store.write(&[promised(3)]).unwrap();
        model.write(&[promised(3)]);
        assert_eq!(store.chosen(Slot::new(1), Slot::new(9), 9).unwrap(), model.prefix());
        drop(store);
        let (_, durable) = Store::open_on(disk.clone(), &identity()).unwrap();
        assert_eq!(durable, model.durable(), "{operation}");
    }
    assert!(full > 5, "only {full} operations found it full");
    assert_eq!(failed, 5);
}

/// A full disk at the start is named as such; so is one while formatting.
#[test]
fn a_full_disk_at_the_start_is_named() {
    let disk = formatted();
    disk.trouble_at(0, Trouble::Error(ErrorKind::StorageFull));
    let error = Store::open_on(disk, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    let disk = Disk::default();
    disk.trouble_at(0, Trouble::Error(ErrorKind::StorageFull));
    let error = Store::format_on(disk, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
}
