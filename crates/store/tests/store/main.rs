//! The store against naive models, crashes, damage and a disk that says no.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod crash;
mod damage;
mod directory;
mod disk;
mod faults;
mod model;
mod round_trip;

use bytes::Bytes;
use synod_paxos::{Ballot, Decree, Life, NodeId, Slot, Write};
use synod_store::Identity;

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
