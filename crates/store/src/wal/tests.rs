//! The log against a naive model: a list of batches of which the first have been taken over.

use std::sync::Arc;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use synod_paxos::{Decree, Mark, Slot, Write};

use super::*;

/// Clones are the same storage.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<InMemoryBackend>);

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared(Arc::new(InMemoryBackend::new()))
    }
}

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset + data.len() as u64 > self.0.len()? {
            self.0.set_len(offset + data.len() as u64)?;
        }
        self.0.write(offset, data)
    }
}

const OWNER: u64 = 9;
const BYTES: u64 = 64 << 10;

fn open(file: &Shared, count: &Shared, taken: Reached) -> (Wal, Vec<Write>) {
    Wal::open(file.clone(), count.clone(), OWNER, taken).unwrap().unwrap()
}

/// A batch of about so many bytes.
fn batch(number: u64, bytes: usize) -> Vec<Write> {
    let decree = Decree::Value(vec![number as u8; bytes].into());
    vec![
        Write::Chosen { slot: Slot::new(number), decree },
        Write::Marked { mark: Mark::new(number) },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..<_>::default() })]

    /// Whatever is appended and taken over, in whatever order, with the log opened anew in between:
    /// it has exactly what was not taken over, and says that it has no room rather than write over
    /// some of that.
    #[test]
    fn the_log_has_what_was_not_taken_over(
        steps in prop::collection::vec(
            (0_u8..6, prop_oneof![1_usize..3_000, 1_usize..61_000]),
            1..120,
        ),
    ) {
        let (file, count) = (Shared::new(), Shared::new());
        Wal::format(file.clone(), count.clone(), BYTES, OWNER).unwrap();
        let mut wal = open(&file, &count, Reached::NOTHING).0;
        let (mut held, mut ends, mut taken) = (Vec::new(), Vec::new(), Reached::NOTHING);
        let mut refused = 0;
        for (number, (act, bytes)) in (1..).zip(steps) {
            match act {
                0 if !ends.is_empty() => {
                    let upto = bytes % ends.len();
                    taken = ends[upto];
                    wal.take(taken);
                    held.drain(..=upto);
                    ends.drain(..=upto);
                }
                1 => {
                    let (anew, facts) = open(&file, &count, taken);
                    prop_assert_eq!(facts, held.concat());
                    wal = anew;
                }
                _ => {
                    let facts = batch(number, bytes);
                    let record = encode(facts.iter());
                    if !wal.could_hold(record.len()) {
                        continue;
                    }
                    if wal.has_room(&record) {
                        wal.append(record).unwrap();
                        held.push(facts);
                        ends.push(wal.last());
                    } else {
                        // What it holds is at least what is left of it between two records.
                        refused += 1;
                        prop_assert!(!held.is_empty(), "an empty log has room, after {refused}");
                    }
                }
            }
        }
        prop_assert_eq!(open(&file, &count, taken).1, held.concat());
    }
}

/// On its first lap a log may be full to the last byte, and end where it begins. (It passed for
/// empty then, and whoever wrote next waited for ever.)
#[test]
fn a_log_that_is_full_to_the_last_byte_is_not_empty() {
    let (file, count) = (Shared::new(), Shared::new());
    Wal::format(file.clone(), count.clone(), BYTES, OWNER).unwrap();
    let start = Reached { number: 0, at: RECORDS_AT };
    let (mut wal, _) = open(&file, &count, start);
    let whole = wal.head.bytes - RECORDS_AT;
    for number in 1..=2 {
        let mut record = encode(batch(number, 1).iter());
        record.resize((whole / 2) as usize, 0);
        assert_eq!(wal.held(), whole / 2 * (number - 1));
        wal.append(record).unwrap();
    }
    assert_eq!(wal.held(), whole);
    assert!(!wal.has_room(&encode(batch(3, 1).iter())));
    wal.take(wal.last());
    assert_eq!(wal.held(), 0);
}

/// A record that does not fit behind the last one goes to the front. When nothing else is held it
/// may be so long that it ends beyond where that one did: all of it is held. (Only what lay beyond
/// was taken for held, and the next record was written over the rest: after a crash the store did
/// not open, or had forgotten what it had said was durable.)
#[test]
fn a_record_at_the_front_is_held_from_its_first_byte() {
    let (file, count) = (Shared::new(), Shared::new());
    Wal::format(file.clone(), count.clone(), BYTES, OWNER).unwrap();
    let (mut wal, _) = open(&file, &count, Reached::NOTHING);
    let of = |number, bytes| encode(batch(number, bytes).iter());
    wal.append(of(1, 32_000)).unwrap();
    let taken = wal.last();
    wal.take(taken);
    wal.append(of(2, 36_000)).unwrap();
    assert!(wal.last().at > taken.at, "this is no such case");
    for mut wal in [wal, open(&file, &count, taken).0] {
        let held = wal.held();
        assert!((36_000..37_000).contains(&held), "{held}");
        assert!(!wal.has_room(&of(3, 26_000)), "it would be written over what is held");
        wal.append(of(3, 20_000)).unwrap();
    }
    assert_eq!(open(&file, &count, taken).1, [batch(2, 36_000), batch(3, 20_000)].concat());
}
