//! Files at rest, damaged: what a store gives back is the truth, or it says that it is damaged.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;
use synod_paxos::{Ballot, Decree, Durable, Life, NodeId, Record, Slot, Write};
use synod_store::{Identity, Store};

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

/// A stopped store with a record of every kind, and what it remembers.
fn stopped() -> (Vec<u8>, Durable) {
    let file = Memory::default();
    Store::format_on(file.clone(), &identity()).unwrap();
    let (mut store, _) = Store::open_on(file.clone(), &identity()).unwrap();
    let ballot = Ballot::first(identity().life);
    let decree = |text: &str| Decree::Value(text.to_owned().into());
    store
        .write(&[
            Write::Promised { ballot },
            Write::Accepted { slot: Slot::new(1), ballot, decree: decree("one") },
            Write::Chosen { slot: Slot::new(2), decree: decree("two") },
            Write::ChosenUpto { slot: Slot::new(2) },
            Write::Accepted { slot: Slot::new(3), ballot, decree: decree(&"three".repeat(900)) },
        ])
        .unwrap();
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
