//! What only a journal can do wrong.

use synod_paxos::Slot;
use synod_store::{Identity, Store, StoreError};

use crate::{
    Way, accepted, chosen_upto,
    disk::{Coin, Disk},
    identity,
    model::Model,
    promised, value,
};

const WAY: Way = Way::Journaled;

/// The point of it: a batch costs one sync, however many facts are in it and wherever they go.
#[test]
fn a_journaled_batch_costs_one_sync() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    let mut counts = Vec::new();
    for slot in 1..=6 {
        let before = disk.syncs();
        store.write(&[accepted(slot, 1, value("x")), promised(slot)]).unwrap();
        counts.push(disk.syncs() - before);
    }
    let once = counts.iter().filter(|syncs| **syncs == 1).count();
    // When the journal is full, the file and the journal's new beginning are synced too.
    assert!(once >= 4 && counts.iter().all(|syncs| [1, 3].contains(syncs)), "{counts:?}");
}

/// A journal that is full again and again, and batches that it cannot hold, lose nothing.
#[test]
fn a_full_journal_begins_anew() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    let mut model = Model::default();
    for slot in 1..60 {
        let length = if slot % 7 == 0 { 200_000 } else { 100 };
        let batch = [accepted(slot, 1, value(&"x".repeat(length))), chosen_upto(slot)];
        store.write(&batch).unwrap();
        model.write(&batch);
        if slot % 5 == 0 {
            let mut coin = Coin::new(slot);
            let (store, durable) = WAY.open(&disk.after_power_cut(&mut coin)).unwrap();
            assert_eq!(durable, model.durable(), "after slot {slot}");
            let prefix = store.chosen(Slot::new(1), Slot::new(slot), usize::MAX).unwrap();
            assert_eq!(prefix, model.prefix(), "after slot {slot}");
        }
    }
}

/// One flipped bit anywhere in the journal of a killed store: refused, or of no consequence. Above
/// all, the newest record is not dropped as if a crash had torn it: its commit had been spoken of.
#[test]
fn a_flipped_bit_in_the_journal_is_never_served() {
    let (disk, model) = WAY.killed(2);
    let used = disk.second().bytes().iter().rposition(|byte| *byte != 0).unwrap();
    let mut refusals = 0;
    for byte in (0..400).step_by(3).chain((4_096..used).step_by(31)) {
        let damaged = disk.after_kill();
        damaged.second().tamper(|journal| journal[byte] ^= 1 << (byte % 8));
        match WAY.open(&damaged) {
            Ok((_, durable)) => assert_eq!(durable, model.durable(), "byte {byte}"),
            Err(StoreError::Damaged { .. }) => refusals += 1,
            Err(error) => panic!("byte {byte}: {error}"),
        }
    }
    assert!(refusals > 100, "only {refusals} flips were of consequence");
}

/// A damaged record with whole ones after it was not torn by a crash, and is refused even when the
/// power cut left nothing in the file by which the journal could be found wanting.
#[test]
fn a_damaged_record_before_whole_ones_is_refused() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    store.write(&[promised(1)]).unwrap();
    // Of what was not synced nothing survives.
    let disk = disk.after_power_cut(&mut Coin::new(0));
    disk.second().tamper(|journal| journal[4_096 + 40] ^= 1);
    assert!(WAY.refused(&disk).contains("in the middle of its journal"));
}

/// A journal that is missing, cut short or empty is not replaced by a new one: it may hold what was
/// acknowledged.
#[test]
fn a_lost_journal_is_refused() {
    let (disk, _) = WAY.killed(2);
    for length in [0, 1, 512, 65_536, 131_071] {
        let damaged = disk.after_kill();
        damaged.second().tamper(|journal| journal.truncate(length));
        assert!(WAY.refused(&damaged).contains("journal"), "cut to {length}");
    }
    let damaged = disk.after_kill();
    damaged.second().tamper(|journal| journal.fill(0));
    assert!(WAY.refused(&damaged).contains("journal cannot be read"));
}

/// An older copy of the journal beside a newer file, or of the file beside a newer journal, would
/// take the store back in time.
#[test]
fn files_of_two_times_are_refused() {
    let (old, _) = WAY.killed(2);
    let new = old.after_kill();
    let (mut store, _) = WAY.open(&new).unwrap();
    // So many that the journal began anew meanwhile.
    for round in 10..80 {
        store.write(&[promised(round)]).unwrap();
    }
    let new = new.after_kill();
    for [home, journal] in [[&new, &old], [&old, &new]] {
        let mixed = [home.bytes(), journal.second().bytes(), Vec::new()];
        assert!(WAY.refused(&Disk::with_all(mixed)).contains("journal"));
    }
}

/// Another store's journal is refused by name and not replayed over this file; and another's store
/// is refused as such before its journal is.
#[test]
fn anothers_journal_is_refused() {
    let (disk, _) = WAY.killed(2);
    let other = Identity { cluster_id: 8, ..identity() };
    let others = Disk::default();
    let bytes = Way::JOURNAL_BYTES;
    Store::format_journaled_on(others.clone(), others.second(), bytes, &other).unwrap();
    let mixed = Disk::with_all([disk.bytes(), others.second().bytes(), Vec::new()]);
    assert!(WAY.refused(&mixed).contains("another store"));
    assert!(mixed.bytes() == disk.bytes(), "it was replayed");
    let error = Store::open_journaled_on(disk.clone(), disk.second(), &other).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert!(disk.after_kill().bytes() == disk.bytes());
}
