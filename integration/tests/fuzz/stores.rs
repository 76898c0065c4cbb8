//! Files at rest, damaged: what a store gives back is the truth, or it says that it is damaged.

use std::{
    fmt::Debug,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;
use synod_paxos::{Ballot, Decree, Durable, Life, NodeId, Record, Slot, Write};
use synod_store::{Chunks, Identity, Row, Rows, Shape, Store, StoreError};

use crate::hunt::{Judged, hunt};

/// A file in memory; clones are the same file.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn with(bytes: &[u8]) -> Memory {
        Memory(Arc::new(Mutex::new(bytes.to_vec())))
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }
}

impl StorageBackend for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let bytes = self.bytes();
        let there = from.checked_add(out.len()).and_then(|end| bytes.get(from..end));
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (from, mut bytes) = (usize::try_from(offset).unwrap(), self.bytes());
        let end = from + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[from..end].copy_from_slice(data);
        Ok(())
    }
}

fn identity() -> Identity {
    Identity { cluster: "orbit".into(), cluster_id: 7, life: Life::first(NodeId::new(1)) }
}

/// Facts of every kind.
fn facts() -> [Write; 5] {
    let ballot = Ballot::first(identity().life);
    let decree = |text: &str| Decree::Value(text.to_owned().into());
    [
        Write::Promised { ballot },
        Write::Accepted { slot: Slot::new(1), ballot, decree: decree("one") },
        Write::Chosen { slot: Slot::new(2), decree: decree("two") },
        Write::ChosenUpto { slot: Slot::new(2) },
        Write::Accepted { slot: Slot::new(3), ballot, decree: decree(&"three".repeat(900)) },
    ]
}

/// A stopped store with a record of every kind, and what it remembers.
fn stopped() -> (Vec<u8>, Durable) {
    let file = Memory::default();
    Store::format_on(file.clone(), &identity()).unwrap();
    let (mut store, _) = Store::open_on(file.clone(), &identity()).unwrap();
    store.write(&facts()).unwrap();
    drop(store);
    let (_, durable) = Store::open_on(file.clone(), &identity()).unwrap();
    let bytes = file.bytes().clone();
    (bytes, durable)
}

/// Never served: a promise, a vote or a decree that was not written; never forgotten in silence.
#[test]
fn stores() {
    let (right, truth) = stopped();
    hunt("stores", 400, &[right], |bytes| {
        let opened = Store::open_on(Memory::with(bytes), &identity());
        let judged = Judged::of(&opened);
        if let Ok((store, durable)) = opened {
            assert_eq!(durable.promised, truth.promised);
            for (slot, record) in &durable.records {
                let written = truth.records.iter().find(|(at, _)| at == slot);
                let right = written.is_some_and(|(_, written)| written == record);
                assert!(right || *record == Record::Faulty, "slot {slot}: {record:?}");
            }
            assert!(durable.records.len() >= truth.records.len());
            drop(store.chosen(Slot::new(1), durable.chosen_upto, usize::MAX));
        }
        judged
    });
}

/// How much the write-ahead log holds: as little as one may.
const WAL_BYTES: u64 = 64 << 10;

/// Three batches of facts.
fn batches() -> [Vec<Write>; 3] {
    let facts = facts();
    [&facts[..1], &facts[1..4], &facts[4..]].map(<[Write]>::to_vec)
}

/// A write-ahead log that so far has all that was acknowledged, with a mark that says how far it
/// must reach: a damaged one is refused, or the damage is of no consequence; what was written is
/// never taken back in time.
fn damaged_logs<T: PartialEq + Debug>(
    target: &str,
    [file, log, mark]: [&[u8]; 3],
    open: impl Fn([Memory; 3]) -> Result<T, StoreError>,
) -> T {
    let truth = open([file, log, mark].map(Memory::with)).unwrap();
    // Behind the last record there is nothing but zeros: they are put back, and not in the way.
    let written = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    hunt(target, 400, &[log[..written].to_vec()], |bytes| {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().max(log.len()), 0);
        let opened = open([file, &bytes, mark].map(Memory::with));
        if let Ok(found) = &opened {
            assert_eq!(*found, truth);
        }
        Judged::of(&opened)
    });
    truth
}

#[test]
fn write_ahead_logs() {
    let [file, log, mark] = [Memory::default(), Memory::default(), Memory::default()];
    let ahead = || [log.clone(), mark.clone()];
    Store::format_ahead_on(file.clone(), ahead(), WAL_BYTES, &identity()).unwrap();
    let before = file.bytes().clone();
    let (mut store, _) = Store::open_ahead_on(file.clone(), ahead(), &identity()).unwrap();
    for batch in batches() {
        store.write(&batch).unwrap();
    }
    let [log, mark] = [&log, &mark].map(|memory| memory.bytes().clone());
    let truth = damaged_logs("write-ahead logs", [&before, &log, &mark], |[file, log, mark]| {
        Store::open_ahead_on(file, [log, mark], &identity()).map(|(_, durable)| durable)
    });
    assert_eq!((truth.chosen_upto, truth.records.len()), (Slot::new(2), 1));
}

/// The same of rows, as a shard has them.
#[test]
fn write_ahead_logs_of_rows() {
    const SHAPE: Shape = Shape { tables: &["keys", "promises"], cache_bytes: 1 << 20 };
    let [file, log, mark] = [Memory::default(), Memory::default(), Memory::default()];
    let (path, ahead) = (Path::new("rows"), || [log.clone(), mark.clone()]);
    Rows::format(path, file.clone(), ahead(), WAL_BYTES, SHAPE, b"a shard").unwrap();
    let open = |[file, log, mark]: [Memory; 3]| {
        Rows::open(path, file, [log, mark], SHAPE, |_| Ok::<(), StoreError>(()))
    };
    let before = file.bytes().clone();
    let mut rows = open([file.clone(), log.clone(), mark.clone()]).unwrap();
    let row = |table, key: &'static str, value: Option<&'static str>| Row {
        table,
        key: key.into(),
        value: value.map(Into::into),
    };
    let first = vec![row(0, "iss", Some("25544")), row(1, "7.2", Some("promised"))];
    let second = vec![row(1, "7.2", None), row(0, "hubble", Some("20580"))];
    for batch in [first, second, vec![row(0, "iss", Some("1998-067A"))]] {
        rows.write(batch).unwrap();
    }
    let [log, mark] = [&log, &mark].map(|memory| memory.bytes().clone());
    let truth = damaged_logs("rows' write-ahead logs", [&before, &log, &mark], |files| {
        let rows = open(files)?;
        let table = |table| rows.range(table, b"")?.collect::<Result<Vec<_>, _>>();
        Ok([table(0)?, table(1)?])
    });
    assert_eq!(truth.map(|table| table.len()), [2, 0]);
}

/// The file of a snapshot, and the chunks in which it travels: there is the state that was written,
/// and each chunk of it, or there is none.
#[test]
fn snapshots() {
    let (chunks, slot) = (Chunks::of_bytes(7, 64), Slot::new(9));
    let state: Vec<u8> = (0..200).collect();
    let right = chunks.seal(slot, &state);
    let whole: Vec<&[u8]> = (0..4).map(|number| chunks.chunk(&right, number).unwrap()).collect();
    hunt("snapshots", 1, std::slice::from_ref(&right), |bytes| {
        for (number, right) in (0..4).zip(&whole) {
            if let Some(chunk) = chunks.chunk(bytes, number)
                && chunks.is_whole(slot, number, number == 3, chunk)
            {
                assert_eq!(chunk, *right, "chunk {number}");
            }
        }
        match chunks.state(slot, bytes) {
            Some(loaded) => {
                assert_eq!(loaded, state);
                Judged::Taken
            }
            None => Judged::Refused,
        }
    });
}
