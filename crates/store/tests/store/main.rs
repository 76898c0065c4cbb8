//! The store against naive models, crashes, damage and a disk that says no.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod crash;
mod damage;
mod directory;
mod disk;
mod faults;
mod lost;
mod model;
mod power;
mod round_trip;
mod rows;
mod shelf;
mod wal;

use bytes::Bytes;
use synod_paxos::{Ballot, Decree, Durable, Life, NodeId, Slot, Write};
use synod_store::{Identity, Store, StoreError};

use crate::{disk::Disk, model::Model};

/// The ways in which a store keeps its bytes; all keep the same promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// redb alone.
    Plain,
    /// redb with a write-ahead log before it, as a node has it.
    Ahead,
}

impl Way {
    const ALL: [Way; 2] = [Way::Plain, Way::Ahead];

    /// A small log, which is full every now and then, and too small for some batches.
    const WAL_BYTES: u64 = 128 << 10;

    fn format(self, disk: &Disk) -> Result<(), StoreError> {
        let (first, second) = (disk.clone(), disk.second());
        match self {
            Way::Plain => Store::format_on(first, &identity()),
            Way::Ahead => {
                let wal = [second, disk.third()];
                Store::format_ahead_on(first, wal, Way::WAL_BYTES, &identity())
            }
        }
    }

    fn open(self, disk: &Disk) -> Result<(Store, Durable), StoreError> {
        let (first, second) = (disk.clone(), disk.second());
        match self {
            Way::Plain => Store::open_on(first, &identity()),
            Way::Ahead => Store::open_ahead_on(first, [second, disk.third()], &identity()),
        }
    }

    /// A killed store whose log holds so many records, and its facts.
    fn killed(self, records: u64) -> (Disk, Model) {
        let disk = self.formatted();
        let (mut store, _) = self.open(&disk).unwrap();
        let mut model = Model::default();
        for slot in 1..=records {
            let decree = value("a decree");
            let batch = [promised(slot), accepted(slot, slot, decree), chosen_upto(slot)];
            store.write(&batch).unwrap();
            model.write(&batch);
        }
        (disk.after_kill(), model)
    }

    /// Why a damaged store is refused.
    fn refused(self, disk: &Disk) -> String {
        match self.open(disk) {
            Err(error @ StoreError::Damaged { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok((_, durable)) => panic!("{durable:?}"),
        }
    }

    fn formatted(self) -> Disk {
        let disk = Disk::default();
        self.format(&disk).unwrap();
        disk
    }
}

/// Whose store the tests use.
fn identity() -> Identity {
    Identity { cluster: "orbit".into(), cluster_id: 7, life: Life::first(NodeId::new(1)) }
}

fn ballot(round: u64) -> Ballot {
    Ballot::of(round, Life::first(NodeId::new(1)))
}

fn value(text: &str) -> Decree {
    Decree::Value(Bytes::copy_from_slice(text.as_bytes()))
}

fn promised(round: u64) -> Write {
    Write::Promised { ballot: ballot(round) }
}

fn accepted(slot: u64, round: u64, decree: Decree) -> Write {
    Write::Accepted { slot: Slot::new(slot), ballot: ballot(round), decree }
}

fn chosen(slot: u64, decree: Decree) -> Write {
    Write::Chosen { slot: Slot::new(slot), decree }
}

fn chosen_upto(slot: u64) -> Write {
    Write::ChosenUpto { slot: Slot::new(slot) }
}

fn trimmed(upto: u64) -> Write {
    Write::Trimmed { upto: Slot::new(upto) }
}
