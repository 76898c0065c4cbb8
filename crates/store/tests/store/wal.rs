//! What only a write-ahead log can do wrong.

use std::io::ErrorKind;

use redb::{ReadableTable, TableDefinition};
use synod_paxos::{Record, Slot};
use synod_store::{Identity, Store, StoreError};

use crate::{
    Way, accepted, ballot, chosen, chosen_upto,
    disk::{Coin, Disk, Trouble},
    identity,
    model::Model,
    promised, value,
};

const WAY: Way = Way::Ahead;

/// The point of it: a batch costs one sync, however many facts are in it and wherever they go, and
/// redb none at all until there is much to take over.
#[test]
fn a_batch_costs_one_sync() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    let before = (disk.syncs(), disk.bytes());
    for slot in 1..=6 {
        store.write(&[accepted(slot, 1, value("x")), promised(slot)]).unwrap();
    }
    assert_eq!(disk.syncs() - before.0, 6);
    assert!(disk.bytes() == before.1, "redb's file was written to");
}

/// A log that is full again and again, and batches that it cannot hold, lose nothing.
#[test]
fn a_full_log_begins_again_at_the_front() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    let mut model = Model::default();
    for slot in 1..400 {
        let length = match slot % 70 {
            0 => 200_000,
            7 | 8 => 60_000,
            _ => 300,
        };
        let batch = [accepted(slot, 1, value(&"x".repeat(length))), chosen_upto(slot)];
        store.write(&batch).unwrap();
        model.write(&batch);
        let read = store.chosen(Slot::new(slot), Slot::new(slot), usize::MAX).unwrap();
        assert_eq!(read.len(), 1, "slot {slot} is read from wherever it is");
        if slot % 25 == 0 {
            let mut coin = Coin::new(slot);
            let (store, durable) = WAY.open(&disk.after_power_cut(&mut coin)).unwrap();
            assert_eq!(durable, model.durable(), "after slot {slot}");
            let prefix = store.chosen(Slot::new(1), Slot::new(slot), usize::MAX).unwrap();
            assert_eq!(prefix, model.prefix(), "after slot {slot}");
        }
    }
}

/// What is read is what was written last, be it in redb, in the log, or half and half.
#[test]
fn a_decree_in_the_log_stands_before_the_one_in_redb() {
    let (disk, _) = WAY.killed(3);
    // Opening has redb take the log over.
    let (mut store, _) = WAY.open(&disk).unwrap();
    store.write(&[accepted(4, 4, value("a vote")), chosen(2, value("repaired"))]).unwrap();
    let read = |store: &Store| store.chosen(Slot::new(1), Slot::new(9), usize::MAX).unwrap();
    let was = |slot| (Slot::new(slot), value("a decree"));
    let repaired = (Slot::new(2), value("repaired"));
    assert_eq!(
        read(&store),
        [was(1), repaired.clone(), was(3)],
        "slot 4 is not known to be chosen"
    );
    store.write(&[chosen_upto(4)]).unwrap();
    let all = [was(1), repaired, was(3), (Slot::new(4), value("a vote"))];
    assert_eq!(read(&store), all);
    assert_eq!(store.chosen(Slot::new(3), Slot::new(9), 1).unwrap(), [was(3)]);
    drop(store);
    assert_eq!(read(&WAY.open(&disk).unwrap().0), all);
}

/// One flipped bit anywhere in the log of a killed store, or in its count: refused, or of no
/// consequence. Above all, the newest record is not dropped as if a crash had torn it.
#[test]
fn a_flipped_bit_in_the_log_is_never_served() {
    let (disk, model) = WAY.killed(3);
    let used = disk.second().bytes().iter().rposition(|byte| *byte != 0).unwrap();
    let mut refusals = 0;
    for byte in (0..48).chain((4_096..=used).step_by(7)) {
        let damaged = disk.after_kill();
        damaged.second().tamper(|log| log[byte] ^= 1 << (byte % 8));
        match WAY.open(&damaged) {
            Ok((_, durable)) => assert_eq!(durable, model.durable(), "byte {byte}"),
            Err(StoreError::Damaged { .. }) => refusals += 1,
            Err(error) => panic!("byte {byte}: {error}"),
        }
    }
    assert!(refusals > 50, "only {refusals} flips were of consequence");
    for byte in 0..16 {
        let damaged = disk.after_kill();
        damaged.third().tamper(|count| count[byte] ^= 1);
        assert_eq!(WAY.open(&damaged).unwrap().1, model.durable(), "byte {byte} of the count");
    }
}

/// A damaged record with a later one after it was not torn by a crash, and is refused even when the
/// power cut has taken the count.
#[test]
fn a_damaged_record_before_a_whole_one_is_refused() {
    let (disk, _) = WAY.killed(3);
    for count_is_lost in [false, true] {
        for record in [0, 1] {
            let damaged = disk.after_kill();
            damaged.second().tamper(|log| log[4_096 + 512 * record + 40] ^= 1);
            if count_is_lost {
                damaged.third().tamper(Vec::clear);
            }
            let why = WAY.refused(&damaged);
            assert!(why.contains("in the middle of its write-ahead log"), "{why}");
        }
    }
}

/// A log that is missing, cut short or empty is not replaced by a new one: it may hold what was
/// acknowledged.
#[test]
fn a_lost_log_is_refused() {
    let (disk, _) = WAY.killed(3);
    for length in [0, 1, 512, 4_096, 65_536, 131_071] {
        let damaged = disk.after_kill();
        damaged.second().tamper(|log| log.truncate(length));
        assert!(WAY.refused(&damaged).contains("write-ahead log"), "cut to {length}");
    }
    let damaged = disk.after_kill();
    damaged.second().tamper(|log| log.fill(0));
    assert!(WAY.refused(&damaged).contains("write-ahead log cannot be read"));
    let damaged = disk.after_kill();
    damaged.second().tamper(|log| log[4_096..].fill(0));
    assert!(WAY.refused(&damaged).contains("has lost its last records"));
}

/// An older copy of the log beside a newer file would take the store back in time. An older copy of
/// the file does not, as long as the log has all that it lacks, and is refused when it has not.
#[test]
fn files_of_two_times_are_whole_or_refused() {
    let (old, mut model) = WAY.killed(3);
    let new = old.after_kill();
    let (mut store, _) = WAY.open(&new).unwrap();
    store.write(&[promised(10)]).unwrap();
    model.write(&[promised(10)]);
    let a_little_newer = new.after_kill();
    // So many that the log began anew meanwhile.
    for round in 11..400 {
        store.write(&[promised(round)]).unwrap();
    }
    let new = new.after_kill();
    let mix = |home: &Disk, log: &Disk| {
        let mixed = [home.bytes(), log.second().bytes(), log.third().bytes()];
        Disk::with_all(mixed)
    };
    assert_eq!(WAY.open(&mix(&old, &a_little_newer)).unwrap().1, model.durable());
    assert!(WAY.refused(&mix(&old, &new)).contains("write-ahead log"));
    let mixed = [new.bytes(), old.second().bytes(), new.third().bytes()];
    assert!(WAY.refused(&Disk::with_all(mixed)).contains("lost its last records"));
}

/// Another store's log is refused by name and not replayed over this file; and another's store is
/// refused as such before its log is.
#[test]
fn anothers_log_is_refused() {
    let (disk, _) = WAY.killed(3);
    let other = Identity { cluster: "other".into(), ..identity() };
    let others = Disk::default();
    let wal = [others.second(), others.third()];
    Store::format_ahead_on(others.clone(), wal, Way::WAL_BYTES, &other).unwrap();
    let before = disk.bytes();
    let mixed = Disk::with_all([before.clone(), others.second().bytes(), others.third().bytes()]);
    assert!(WAY.refused(&mixed).contains("belongs to another store"));
    assert!(mixed.bytes() == before, "a store was written to that is refused");
    let wal = [disk.second(), disk.third()];
    let error = Store::open_ahead_on(disk.clone(), wal, &other).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert!(disk.bytes() == before, "another's store was written to");
}

/// After a damaged record the watermark has fallen below it. The first batch of this life says so,
/// or a vote that replaces that record, and that only the log has, would pass for chosen in the
/// next.
#[test]
fn a_vote_in_a_damaged_slot_does_not_pass_for_chosen_though_only_the_log_has_it() {
    const PAYLOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("payloads");
    let (disk, _) = WAY.killed(3);
    drop(WAY.open(&disk).unwrap());
    let database = redb::Builder::new().create_with_backend(disk.clone()).unwrap();
    let change = database.begin_write().unwrap();
    {
        let mut payloads = change.open_table(PAYLOADS).unwrap();
        let mut record = payloads.get(2).unwrap().unwrap().value().to_vec();
        record[3] ^= 1;
        payloads.insert(2, record.as_slice()).unwrap();
    }
    change.commit().unwrap();
    drop(database);

    let (mut store, durable) = WAY.open(&disk).unwrap();
    assert_eq!(durable.chosen_upto, Slot::new(1));
    store.write(&[accepted(2, 9, value("another decree"))]).unwrap();
    assert_eq!(store.chosen(Slot::new(2), Slot::new(3), 99).unwrap(), []);
    let (_, durable) = WAY.open(&disk.after_kill()).unwrap();
    assert_eq!(durable.chosen_upto, Slot::new(1));
    let vote = Record::Accepted { ballot: ballot(9), decree: value("another decree") };
    assert_eq!(durable.records[0], (Slot::new(2), vote));
}

/// A full disk is found out when redb is to take over what the log has. Nothing of that is lost,
/// nothing of the batch is there, and the store goes on when there is room again.
#[test]
fn a_full_disk_is_survived_with_all_that_the_log_has() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    let mut model = Model::default();
    disk.trouble_at(0, Trouble::Full);
    let mut slot = 0;
    let error = loop {
        slot += 1;
        let batch = [accepted(slot, 1, value(&"x".repeat(3_000))), chosen_upto(slot)];
        match store.write(&batch) {
            Ok(()) => model.write(&batch),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert!(slot > 2, "the log had room");
    let again = store.write(&[promised(7)]);
    assert!(matches!(again, Err(StoreError::DiskFull { .. })), "{again:?}");
    let prefix = store.chosen(Slot::new(1), Slot::new(slot), usize::MAX);
    // redb is to be opened anew first, which the next batch does.
    assert!(matches!(prefix, Err(StoreError::DiskFull { .. })), "{prefix:?}");
    assert_eq!(WAY.open(&disk.restarted()).unwrap().1, model.durable());
    disk.heal();
    store.write(&[promised(8)]).unwrap();
    model.write(&[promised(8)]);
    let prefix = store.chosen(Slot::new(1), Slot::new(slot), usize::MAX).unwrap();
    assert_eq!(prefix, model.prefix());
    drop(store);
    assert_eq!(WAY.open(&disk).unwrap().1, model.durable());
}

/// With a thread that takes over beside, as in earnest: what is read and what the next life finds
/// is what was written.
#[test]
fn what_a_thread_takes_over_meanwhile_is_neither_lost_nor_missing() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("n1");
    Store::format(&dir, &identity()).unwrap();
    let mut model = Model::default();
    for life in 0..3 {
        let (mut store, durable) = Store::open(&dir, &identity()).unwrap();
        assert_eq!(durable, model.durable());
        for n in 0..60 {
            let slot = 1 + life * 60 + n;
            let batch = [accepted(slot, 1, value(&"x".repeat(100_000))), chosen_upto(slot)];
            store.write(&batch).unwrap();
            model.write(&batch);
            let first = Slot::new(slot.saturating_sub(15).max(1));
            let read = store.chosen(first, Slot::new(slot), usize::MAX).unwrap();
            assert_eq!(read.len() as u64, slot - first.get() + 1);
        }
    }
    let (store, durable) = Store::open(&dir, &identity()).unwrap();
    assert_eq!(durable, model.durable());
    assert!(store.bytes() > 10_000_000, "redb has what was written");
}

/// A sync of the log that fails is final, and is not tried again.
#[test]
fn a_failed_sync_of_the_log_is_final() {
    for operation in [0, 1] {
        let disk = WAY.formatted();
        let (mut store, _) = WAY.open(&disk).unwrap();
        disk.trouble_at(operation, Trouble::Error(ErrorKind::Other));
        let failed = store.write(&[promised(1)]);
        assert!(matches!(failed, Err(StoreError::SyncFailed { .. })), "{failed:?}");
        disk.heal();
        for again in
            [store.write(&[promised(1)]), store.chosen(Slot::new(1), Slot::new(1), 1).map(drop)]
        {
            assert!(matches!(again, Err(StoreError::SyncFailed { .. })), "{again:?}");
        }
    }
}
