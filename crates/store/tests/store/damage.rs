//! Damage at rest: what was changed behind the store's back is named, never served.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use synod_paxos::{Durable, Record, Slot};
use synod_store::{Identity, Store, StoreError};

use crate::{
    accepted, ballot, chosen, chosen_upto,
    disk::{Coin, Disk},
    identity,
    model::Model,
    promised, value,
};

/// A store with records of every kind: its bytes when closed, its bytes when killed, and the facts.
fn stopped() -> (Vec<u8>, Vec<u8>, Model) {
    let disk = Disk::default();
    Store::format_on(disk.clone(), &identity()).unwrap();
    let (mut store, _) = Store::open_on(disk.clone(), &identity()).unwrap();
    let mut model = Model::default();
    let batches = [
        vec![promised(1), accepted(1, 1, value("a payload")), accepted(2, 1, value("another"))],
        vec![chosen(3, value("a chosen one")), chosen_upto(2)],
        vec![accepted(4, 1, value(&"long".repeat(3_000))), promised(2)],
    ];
    for batch in batches {
        store.write(&batch).unwrap();
        model.write(&batch);
    }
    let killed = disk.bytes();
    drop(store);
    (disk.bytes(), killed, model)
}

/// Opens `bytes`; whatever is wrong with them, it is an error and not a panic, and what is not an
/// error is the truth.
fn truth_or_error(bytes: Vec<u8>, truth: &Durable, story: &str) -> bool {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Store::open_on(Disk::with(bytes), &identity()).map(|(store, durable)| {
            let chosen = store.chosen(Slot::new(1), durable.chosen_upto, usize::MAX);
            (durable, chosen.is_ok())
        })
    }));
    match opened {
        Ok(Ok((durable, readable))) => {
            assert_eq!(&durable, truth, "{story}");
            assert!(readable, "{story}");
            true
        }
        Ok(Err(StoreError::Damaged { .. })) => false,
        Ok(Err(error)) => panic!("{story}: {error}"),
        Err(_) => panic!("{story}: panicked"),
    }
}

/// One flipped bit anywhere in a stopped store, closed or killed: refused, or of no consequence.
#[test]
fn a_flipped_bit_is_never_served() {
    let (closed, killed, model) = stopped();
    let truth = model.durable();
    let mut coin = Coin::new(1);
    for (state, bytes) in [("closed", closed), ("killed", killed)] {
        let used = used_blocks(&bytes);
        let mut refused = 0;
        for trial in 0..200 {
            let block = used[trial % used.len()];
            let bit = block * 4096 * 8 + (coin.draw() % (4096 * 8)) as usize;
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let story = format!("{state}, bit {bit} flipped");
            refused += usize::from(!truth_or_error(damaged, &truth, &story));
        }
        assert!(refused > 25, "{state}: only {refused} flips were of consequence");
    }
}

/// The header of the file says which commit counts, and no page checksum covers it.
///
/// One bit of it is not guarded while a store is not closed: the one that names the newer of the
/// two commits. Flipped, it names the one before, as a crash in the middle of a commit leaves it.
#[test]
fn a_flipped_bit_in_the_header_is_never_served() {
    const NEWER_COMMIT: (usize, u32) = (9, 0);
    let (closed, killed, model) = stopped();
    let truth = model.durable();
    for (state, bytes) in [("closed", closed), ("killed", killed)] {
        for byte in 0..320 {
            let bits =
                if byte == NEWER_COMMIT.0 { 0..8 } else { byte as u32 % 8..byte as u32 % 8 + 1 };
            for bit in bits.filter(|bit| (byte, *bit) != NEWER_COMMIT || state == "closed") {
                let mut damaged = bytes.clone();
                damaged[byte] ^= 1 << bit;
                truth_or_error(damaged, &truth, &format!("{state}, byte {byte}, bit {bit}"));
            }
        }
    }
}

/// A file cut short anywhere is refused.
#[test]
fn a_truncated_file_is_refused() {
    let (closed, killed, model) = stopped();
    let truth = model.durable();
    for (state, bytes) in [("closed", closed), ("killed", killed)] {
        let lengths = (1..bytes.len()).step_by(1_500).chain([8, 9, 10, 319, 320, 4_095, 4_096]);
        for length in lengths {
            let story = format!("{state}, cut at byte {length}");
            let whole = truth_or_error(bytes[..length].to_vec(), &truth, &story);
            assert!(!whole || length >= used_bytes(&bytes), "{story}");
        }
    }
}

/// A store that is refused is not changed by a byte: what it holds may still be needed.
#[test]
fn a_refused_store_is_not_changed() {
    let (closed, killed, _) = stopped();
    for (state, mut bytes) in [("closed", closed), ("killed", killed)] {
        let foreign = Identity { cluster_id: 8, ..identity() };
        let disk = Disk::with(bytes.clone());
        let error = Store::open_on(disk.clone(), &foreign).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{state}: {error}");
        assert!(disk.bytes() == bytes, "{state}: a foreign store was written to");
        let newest_page = used_blocks(&bytes).last().unwrap() * 4096;
        bytes[newest_page..newest_page + 64].fill(0xA5);
        let disk = Disk::with(bytes.clone());
        if Store::open_on(disk.clone(), &identity()).is_err() {
            assert!(disk.bytes() == bytes, "{state}: a damaged store was written to");
        }
    }
}

/// A file that is not redb's is refused, and so is one of redb's that is no store.
#[test]
fn another_file_is_refused() {
    let (_, _, model) = stopped();
    let mut coin = Coin::new(9);
    let noise: Vec<u8> = (0..80_000).map(|_| coin.draw() as u8).collect();
    for bytes in [noise, vec![0; 80_000], b"redb".to_vec()] {
        assert!(!truth_or_error(bytes, &model.durable(), "not a database"));
    }
    let disk = Disk::default();
    drop(redb::Builder::new().create_with_backend(disk.clone()).unwrap());
    assert!(!truth_or_error(disk.bytes(), &model.durable(), "an empty database"));
}

/// Bytes up to the last one that is not zero.
fn used_bytes(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A table of the store, as the format says.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("headers");
const PAYLOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("payloads");

/// The stopped store, with its tables changed as redb allows: page checksums are right, so that
/// only the records' own seals can tell.
fn with_tables_changed(change: impl FnOnce(&WriteTransaction)) -> Disk {
    let disk = Disk::with(stopped().0);
    let database = redb::Builder::new().create_with_backend(disk.clone()).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
    drop(database);
    disk
}

fn flipped<K: redb::Key>(table: &mut Table<'_, K, &[u8]>, key: K::SelfType<'_>) {
    let mut record = table.get(&key).unwrap().unwrap().value().to_vec();
    let last = record.len() / 2;
    record[last] ^= 1;
    table.insert(&key, record.as_slice()).unwrap();
}

/// A damaged header or payload above the watermark is faulty, neither a vote nor empty; all others
/// are what they were.
#[test]
fn a_damaged_record_above_the_watermark_is_faulty() {
    for table in [HEADERS, PAYLOADS] {
        let disk = with_tables_changed(|change| {
            flipped(&mut change.open_table(table).unwrap(), 4);
        });
        let (_, durable) = Store::open_on(disk, &identity()).unwrap();
        assert_eq!(durable.chosen_upto, Slot::new(2));
        let [(three, Record::Chosen { .. }), (four, Record::Faulty)] = &durable.records[..] else {
            panic!("{durable:?}");
        };
        assert_eq!((three.get(), four.get()), (3, 4));
    }
}

/// A damaged record below the watermark lowers it: what stands above is still known to be chosen,
/// what stands in the slot is not, and reading it says which slot it is.
#[test]
fn a_damaged_record_below_the_watermark_lowers_it() {
    let disk = with_tables_changed(|change| {
        flipped(&mut change.open_table(PAYLOADS).unwrap(), 1);
    });
    let (mut store, durable) = Store::open_on(disk.clone(), &identity()).unwrap();
    assert_eq!(durable.chosen_upto, Slot::ZERO);
    let found: Vec<_> = durable.records.iter().map(|(slot, record)| (slot.get(), record)).collect();
    let chosen_two = Record::Chosen { decree: value("another") };
    assert_eq!(found[..2], [(1, &Record::Faulty), (2, &chosen_two)]);
    let error = store.chosen(Slot::new(1), Slot::new(2), 9).unwrap_err();
    assert!(matches!(error, StoreError::Faulty { slot, .. } if slot == Slot::new(1)), "{error}");
    // It is repaired from a peer, and then is as good as any.
    store.write(&[chosen(1, value("a payload")), chosen_upto(2)]).unwrap();
    drop(store);
    let (store, durable) = Store::open_on(disk, &identity()).unwrap();
    assert_eq!(durable.chosen_upto, Slot::new(2));
    assert_eq!(store.chosen(Slot::new(1), Slot::new(2), 99).unwrap().len(), 2);
}

/// A vote that takes the place of a damaged record below the watermark never passes for chosen, in
/// this life or the next: the old watermark is gone with the first write.
#[test]
fn a_vote_in_a_damaged_slot_does_not_pass_for_chosen() {
    let disk = with_tables_changed(|change| {
        flipped(&mut change.open_table(PAYLOADS).unwrap(), 1);
    });
    let (mut store, _) = Store::open_on(disk.clone(), &identity()).unwrap();
    store.write(&[accepted(1, 1, value("another decree"))]).unwrap();
    assert_eq!(store.chosen(Slot::new(1), Slot::new(2), 99).unwrap(), []);
    drop(store);
    let (_, durable) = Store::open_on(disk, &identity()).unwrap();
    assert_eq!(durable.chosen_upto, Slot::ZERO);
    let record = Record::Accepted { ballot: ballot(1), decree: value("another decree") };
    assert_eq!(durable.records[0], (Slot::new(1), record));
}

/// Records swapped between two slots are faulty in both, and so are payloads swapped alone.
#[test]
fn swapped_records_are_faulty() {
    for tables in [vec![HEADERS, PAYLOADS], vec![PAYLOADS], vec![HEADERS]] {
        let disk = with_tables_changed(|change| {
            for table in tables {
                let mut table = change.open_table(table).unwrap();
                let [one, two] = [1, 2].map(|at| table.get(at).unwrap().unwrap().value().to_vec());
                table.insert(1, two.as_slice()).unwrap();
                table.insert(2, one.as_slice()).unwrap();
            }
        });
        let (_, durable) = Store::open_on(disk, &identity()).unwrap();
        assert_eq!(durable.chosen_upto, Slot::ZERO);
        let faulty: Vec<_> = durable.records.iter().take(2).map(|(_, record)| record).collect();
        assert_eq!(faulty, [&Record::Faulty, &Record::Faulty]);
    }
}

/// Half of a record is faulty: a header whose payload is gone, a payload whose header is gone.
#[test]
fn half_a_record_is_faulty() {
    for table in [HEADERS, PAYLOADS] {
        let disk = with_tables_changed(|change| {
            change.open_table(table).unwrap().remove(4).unwrap();
        });
        let (_, durable) = Store::open_on(disk, &identity()).unwrap();
        assert_eq!(durable.records.last(), Some(&(Slot::new(4), Record::Faulty)));
    }
}

/// A log that ends below its own watermark, or has a hole below it, has lost what it held.
#[test]
fn a_log_shorter_than_its_watermark_is_refused() {
    for lost in [1, 2] {
        let disk = with_tables_changed(|change| {
            for table in [HEADERS, PAYLOADS] {
                change.open_table(table).unwrap().remove(lost).unwrap();
            }
        });
        let error = Store::open_on(disk, &identity()).unwrap_err();
        assert!(error.to_string().contains(&format!("slot {lost}")), "{error}");
    }
}

/// Whose it is, what was promised and how far all is chosen: a damaged or missing one is named, and
/// the store is refused.
#[test]
fn a_damaged_fact_is_named() {
    for name in ["identity", "promised", "chosen_upto", "trimmed", "mark", "wal"] {
        let damaged = with_tables_changed(|change| {
            flipped(&mut change.open_table(FACTS).unwrap(), name);
        });
        let lost = with_tables_changed(|change| {
            change.open_table(FACTS).unwrap().remove(name).unwrap();
        });
        for disk in [damaged, lost] {
            let error = Store::open_on(disk, &identity()).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

/// A store of another format is refused by number, before anything else of it is judged.
#[test]
fn another_format_is_refused_by_number() {
    for other in [1, 2, 3, 5] {
        let disk = with_tables_changed(|change| {
            let mut facts = change.open_table(FACTS).unwrap();
            let identity = sealed("identity", other, b"whatever comes");
            facts.insert("identity", identity.as_slice()).unwrap();
            facts.remove("promised").unwrap();
        });
        let error = Store::open_on(disk, &identity()).unwrap_err();
        let named =
            matches!(error, StoreError::OtherFormat { found, known: 4, .. } if found == other);
        assert!(named, "{error}");
    }
}

/// A format that never was is damage, not news.
#[test]
fn format_zero_is_damage() {
    let disk = with_tables_changed(|change| {
        let mut facts = change.open_table(FACTS).unwrap();
        facts.insert("identity", sealed("identity", 0, b"").as_slice()).unwrap();
    });
    let error = Store::open_on(disk, &identity()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

/// A fact's record, as the format says.
fn sealed(name: &str, version: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![version];
    record.extend_from_slice(body);
    let crc = crc32fast::hash(&[b"fact", name.as_bytes(), &record].concat());
    record.extend_from_slice(&crc.to_le_bytes());
    record
}

/// What decays while a store is open is an error of the read, not a wrong answer and not a panic:
/// redb itself looks at a page's checksum only when the database is opened.
#[test]
fn decay_under_an_open_store_is_noticed() {
    let disk = Disk::default();
    Store::format_on(disk.clone(), &identity()).unwrap();
    let (mut store, _) = Store::open_on(disk.clone(), &identity()).unwrap();
    // More than redb keeps in memory, so that reading goes to the disk.
    let long = value(&"long".repeat(50_000));
    for slot in 1..=100 {
        store.write(&[accepted(slot, 1, long.clone()), chosen_upto(slot)]).unwrap();
    }
    disk.tamper(|bytes| bytes[4_096..].iter_mut().for_each(|byte| *byte ^= 4));
    let error = store.chosen(Slot::new(1), Slot::new(100), usize::MAX).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let error = store.write(&[promised(9)]).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

fn used_blocks(bytes: &[u8]) -> Vec<usize> {
    let blocks = bytes.chunks(4096).enumerate();
    blocks.filter(|(_, block)| block.iter().any(|b| *b != 0)).map(|(at, _)| at).collect()
}
