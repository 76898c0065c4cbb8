//! Rows of a shard, through the same log as a node's facts: against a map, crashes and a disk that
//! says no.

use std::{collections::BTreeMap, io::ErrorKind, path::Path};

use bytes::Bytes;
use proptest::prelude::*;
use synod_store::{Row, Rows, Shape, StoreError};

use crate::disk::{Coin, Disk, Trouble};

const SHAPE: Shape = Shape { tables: &["few", "many"], cache_bytes: 1 << 20 };
/// A small log, which is full every now and then, and too small for some batches.
const WAL_BYTES: u64 = 64 << 10;
const WHOSE: &[u8] = b"east's";
const SEEDS: u64 = 3;

type Map = BTreeMap<(u8, Bytes), Bytes>;

fn formatted() -> Disk {
    let disk = Disk::default();
    let wal = [disk.second(), disk.third()];
    Rows::format(Path::new("rows"), disk.clone(), wal, WAL_BYTES, SHAPE, WHOSE).unwrap();
    disk
}

fn open(disk: &Disk) -> Result<Rows, StoreError> {
    let wal = [disk.second(), disk.third()];
    Rows::open(Path::new("rows"), disk.clone(), wal, SHAPE, |whose| {
        assert_eq!(whose, WHOSE);
        Ok::<_, StoreError>(())
    })
}

fn key(number: u64) -> Bytes {
    format!("key {number:03}").into()
}

fn row(table: u8, number: u64, value: Option<String>) -> Row {
    Row { table, key: key(number), value: value.map(Bytes::from) }
}

fn note(map: &mut Map, rows: &[Row]) {
    for Row { table, key, value } in rows {
        match value {
            Some(value) => drop(map.insert((*table, key.clone()), value.clone())),
            None => drop(map.remove(&(*table, key.clone()))),
        }
    }
}

/// All of it, by ranges; and what single reads and counts say agrees with that.
fn all(rows: &Rows) -> Map {
    let mut map = Map::new();
    for table in 0..2 {
        let read: Vec<_> = rows.range(table, b"").unwrap().map(Result::unwrap).collect();
        assert!(read.is_sorted_by(|one, next| one.0 < next.0), "{read:?}");
        assert_eq!(rows.count(table).unwrap(), read.len() as u64);
        for (key, value) in read {
            assert_eq!(rows.get(table, &key).unwrap(), Some(value.clone()));
            map.insert((table, key), value);
        }
    }
    map
}

/// Batches of rows that come, change and go, short ones and some that fit in no log.
fn script() -> Vec<Vec<Row>> {
    let batch = |step: u64| {
        let long = if step % 5 == 4 { 80_000 } else { 30 };
        let value = |text: &str| Some(text.repeat(long));
        let gone = row(1, step.saturating_sub(2), None);
        vec![row(0, 0, Some(step.to_string())), row(1, step, value("a")), gone]
    };
    (0..8).map(batch).collect()
}

/// Writes the script until it is through or the power is gone: what was acknowledged, and that
/// with the batch that was under way.
fn run(disk: &Disk) -> [Map; 2] {
    let (mut acknowledged, mut at_most) = (Map::new(), Map::new());
    let Ok(mut rows) = open(disk) else { return [acknowledged, at_most] };
    for batch in script() {
        note(&mut at_most, &batch);
        if rows.write(batch).is_err() {
            break;
        }
        acknowledged = at_most.clone();
    }
    [acknowledged, at_most]
}

/// All of what was acknowledged, and all or nothing of the batch that was under way, whichever
/// operation the power was cut at or the process killed at, whatever un-synced sectors survived,
/// and when the power is cut in the repair again.
#[test]
fn a_power_cut_at_any_operation_tears_no_batch_of_rows() {
    let formatted = formatted();
    for killed in [false, true] {
        for operation in 0.. {
            let disk = formatted.after_kill();
            disk.trouble_at(operation, Trouble::PowerCut);
            let allowed = run(&disk);
            if disk.trouble_is_ahead() {
                assert!(operation > 30, "the script is too short: {operation} operations");
                break;
            }
            for seed in 0..SEEDS {
                let mut coin = Coin::new(operation as u64 * SEEDS + seed);
                let disk = if killed { disk.restarted() } else { disk.after_power_cut(&mut coin) };
                disk.trouble_at((coin.draw() % 24) as usize, Trouble::PowerCut);
                drop(open(&disk));
                let disk = disk.after_power_cut(&mut coin);
                let story = format!("operation {operation}, killed {killed}, seed {seed}");
                let rows = open(&disk).unwrap_or_else(|error| panic!("{story}: {error}"));
                assert!(allowed.contains(&all(&rows)), "{story}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..<_>::default() })]

    /// Whatever is written, wherever it is by now: it reads as a map would, from any key on, also
    /// in the next life, also after a kill.
    #[test]
    fn rows_read_as_a_map_does(
        steps in prop::collection::vec((0_u64..4, 0_u64..12, 0_usize..2, 1_usize..12_000), 1..60),
    ) {
        let mut disk = formatted();
        let (mut rows, mut map) = (open(&disk).unwrap(), Map::new());
        for (act, number, table, length) in steps {
            let table = table as u8;
            match act {
                0 => {
                    disk = disk.after_kill();
                    rows = open(&disk).unwrap();
                }
                1 => {
                    let from = key(number);
                    let read: Vec<_> =
                        rows.range(table, &from).unwrap().map(Result::unwrap).collect();
                    let right = map.range((table, from)..(table + 1, Bytes::new()));
                    let right: Vec<_> =
                        right.map(|((_, key), value)| (key.clone(), value.clone())).collect();
                    prop_assert_eq!(read, right);
                }
                _ => {
                    let there = (act == 2).then(|| "v".repeat(length));
                    let batch = vec![row(table, number, there), row(0, 99, Some("w".into()))];
                    note(&mut map, &batch);
                    rows.write(batch).unwrap();
                }
            }
            prop_assert_eq!(all(&rows), map.clone());
        }
    }
}

/// One flipped bit anywhere in the log after a kill, or in its count: refused, or of no
/// consequence.
#[test]
fn a_flipped_bit_in_the_log_of_rows_is_never_served() {
    let disk = formatted();
    let (mut rows, mut map) = (open(&disk).unwrap(), Map::new());
    for number in 0..3 {
        let batch = vec![row(1, number, Some("value".into())), row(0, 0, None)];
        note(&mut map, &batch);
        rows.write(batch).unwrap();
    }
    let disk = disk.after_kill();
    let used = disk.second().bytes().iter().rposition(|byte| *byte != 0).unwrap();
    let mut refusals = 0;
    for byte in (0..48).chain((4_096..=used).step_by(5)) {
        let damaged = disk.after_kill();
        damaged.second().tamper(|log| log[byte] ^= 1 << (byte % 8));
        match open(&damaged) {
            Ok(rows) => assert_eq!(all(&rows), map, "byte {byte}"),
            Err(StoreError::Damaged { .. }) => refusals += 1,
            Err(error) => panic!("byte {byte}: {error}"),
        }
    }
    assert!(refusals > 50, "only {refusals} flips were of consequence");
}

/// Files that are not whose they should be are not changed by a byte.
#[test]
fn anothers_rows_are_left_alone() {
    let disk = formatted();
    let mut rows = open(&disk).unwrap();
    rows.write(vec![row(0, 1, Some("x".into()))]).unwrap();
    let disk = disk.after_kill();
    let before = [disk.bytes(), disk.second().bytes(), disk.third().bytes()];
    let wal = [disk.second(), disk.third()];
    let refused = Rows::open(Path::new("rows"), disk.clone(), wal, SHAPE, |_| {
        Err::<(), _>(StoreError::InUse { path: "no".into() })
    });
    assert!(matches!(refused, Err(StoreError::InUse { .. })));
    assert!([disk.bytes(), disk.second().bytes(), disk.third().bytes()] == before);
}

/// A full disk is found out when redb is to take over what the log has. Nothing of that is lost,
/// nothing of the batch is there, and the rows go on when there is room again.
#[test]
fn a_full_disk_is_survived_with_all_rows_that_the_log_has() {
    let disk = formatted();
    let (mut rows, mut map) = (open(&disk).unwrap(), Map::new());
    disk.trouble_at(0, Trouble::Full);
    let mut number = 0;
    let error = loop {
        number += 1;
        let batch = vec![row(1, number, Some("x".repeat(3_000))), row(0, 0, Some("y".into()))];
        let mut after = map.clone();
        note(&mut after, &batch);
        match rows.write(batch) {
            Ok(()) => map = after,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert!(number > 1, "the log had room");
    assert_eq!(all(&open(&disk.restarted()).unwrap()), map);
    disk.heal();
    let batch = vec![row(0, 0, Some("again".into()))];
    note(&mut map, &batch);
    rows.write(batch).unwrap();
    assert_eq!(all(&rows), map);
    drop(rows);
    assert_eq!(all(&open(&disk).unwrap()), map);
}

/// A write or a sync of the log that fails is final, and is not tried again.
#[test]
fn a_failed_sync_of_the_log_of_rows_is_final() {
    for operation in [0, 1] {
        let disk = formatted();
        let mut rows = open(&disk).unwrap();
        disk.trouble_at(operation, Trouble::Error(ErrorKind::Other));
        let failed = rows.write(vec![row(0, 1, None)]);
        assert!(matches!(failed, Err(StoreError::SyncFailed { .. })), "{failed:?}");
        disk.heal();
        for again in [rows.write(vec![row(0, 1, None)]), rows.get(0, b"key").map(drop)] {
            assert!(matches!(again, Err(StoreError::SyncFailed { .. })), "{again:?}");
        }
    }
}

/// A batch costs one sync, and redb none until there is much to take over.
#[test]
fn a_batch_of_rows_costs_one_sync() {
    let disk = formatted();
    let mut rows = open(&disk).unwrap();
    let before = (disk.syncs(), disk.bytes());
    for number in 0..6 {
        let batch = (0..9).map(|n| row(n % 2, number * u64::from(n), Some("x".into())));
        rows.write(batch.collect()).unwrap();
    }
    assert_eq!(disk.syncs() - before.0, 6);
    assert!(disk.bytes() == before.1, "redb's file was written to");
}
