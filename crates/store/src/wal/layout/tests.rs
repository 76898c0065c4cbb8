use bytes::Bytes;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use synod_paxos::{Ballot, Decree, Life, Mark, NodeId, Slot, Write};

use super::*;
use crate::Row;

const HEAD: Head = Head { owner: 1, bytes: 8192 };

fn ballot() -> Ballot {
    Ballot::of(2, Life::first(NodeId::new(3)))
}

/// A log of these bytes after its head.
fn log(record: &[u8]) -> InMemoryBackend {
    let log = InMemoryBackend::new();
    log.set_len(HEAD.bytes).unwrap();
    log.write(0, &HEAD.encode()).unwrap();
    log.write(RECORDS_AT, record).unwrap();
    log
}

/// A change that breaks these bytes breaks every log that was ever written: it needs a new version.
#[test]
fn golden_bytes_of_a_head_and_of_a_count() {
    let digest = [134, 45, 10, 94, 85, 35, 58, 34];
    let golden =
        [&b"synodwal\x01"[..], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0], &digest];
    assert_eq!(HEAD.encode(), golden.concat());
    assert_eq!(Head::read(&log(&[])).unwrap(), Some(HEAD));
    let digest = [172, 2, 167, 15, 161, 55, 234, 159];
    assert_eq!(count(1, 7), *[&[7, 0, 0, 0, 0, 0, 0, 0][..], &digest].concat());
}

#[test]
fn golden_bytes_of_a_record() {
    let slot = Slot::new(9);
    let facts = [
        Write::Promised { ballot: ballot() },
        Write::Accepted { slot, ballot: ballot(), decree: Decree::Value("ab".into()) },
        Write::Chosen { slot, decree: Decree::Noop },
        Write::ChosenUpto { slot },
        Write::Trimmed { upto: slot },
        Write::Marked { mark: Mark::new(5) },
    ];
    let mut record = encode(facts.iter());
    seal(&mut record, &HEAD, 4, RECORDS_AT);
    let ballot = [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let nine = [9, 0, 0, 0, 0, 0, 0, 0];
    let golden = [
        &[4, 0, 0, 0, 0, 0, 0, 0, 90, 0, 0, 0, 0, 0, 0, 0][..],
        &[12, 2, 228, 142, 203, 103, 101, 161],
        &[32, 94, 146, 135, 16, 108, 89, 22],
        &[1][..],
        &ballot,
        &[2],
        &nine,
        &ballot,
        &[1, 2, 0, 0, 0, b'a', b'b'],
        &[3],
        &nine,
        &[0],
        &[4],
        &nine,
        &[5],
        &nine,
        &[6, 5, 0, 0, 0, 0, 0, 0, 0],
    ];
    let golden = golden.concat();
    assert_eq!(record[..golden.len()], golden);
    assert_eq!(record.len() as u64, SECTOR_BYTES);
    let before = Reached { number: 3, at: RECORDS_AT };
    let read = Record::after(&log(&record), &HEAD, before).unwrap().unwrap();
    assert_eq!(read.facts::<Write>().unwrap(), facts);
    assert_eq!(read.reached(), Reached { number: 4, at: RECORDS_AT + SECTOR_BYTES });
}

#[test]
fn golden_bytes_of_rows() {
    let row = |value: Option<&'static str>| Row {
        table: 3,
        key: Bytes::from_static(b"key"),
        value: value.map(Bytes::from),
    };
    let record = encode([row(Some("ab")), row(None)].iter());
    let golden = *b"\x03\x03\0\0\0key\x01\x02\0\0\0ab\x03\x03\0\0\0key\0";
    assert_eq!(record[RECORD_HEAD_BYTES..], golden);
}

/// A record stands for itself only where it was written, and in its own log.
#[test]
fn a_record_elsewhere_is_none() {
    let mut record = encode([Write::Marked { mark: Mark::new(5) }].iter());
    seal(&mut record, &HEAD, 4, RECORDS_AT + SECTOR_BYTES);
    let before = Reached { number: 3, at: RECORDS_AT };
    assert!(Record::after(&log(&record), &HEAD, before).unwrap().is_none());
    let other = Head { owner: 2, ..HEAD };
    let mut record = encode([Write::Marked { mark: Mark::new(5) }].iter());
    seal(&mut record, &other, 4, RECORDS_AT);
    assert!(Record::after(&log(&record), &HEAD, before).unwrap().is_none());
    assert!(!has_later(&log(&record), &HEAD, 0).unwrap());
}

proptest! {
    /// Whatever stands in a record: facts, or nothing that is known; no panic.
    #[test]
    fn any_bytes_are_facts_or_none(facts in prop::collection::vec(any::<u8>(), 0..200)) {
        let record = Record { at: RECORDS_AT, number: 1, facts };
        if let Some(read) = record.facts::<Write>() {
            let encoded = encode(read.iter());
            prop_assert_eq!(&encoded[RECORD_HEAD_BYTES..], &record.facts[..]);
        }
        if let Some(read) = record.facts::<Row>() {
            let encoded = encode(read.iter());
            prop_assert_eq!(&encoded[RECORD_HEAD_BYTES..], &record.facts[..]);
        }
    }
}
