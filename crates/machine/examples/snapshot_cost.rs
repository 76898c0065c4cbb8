//! What a snapshot of a million small keys costs: to take, to encode, to restore, and what changes
//! cost while one is held.
//!
//! ```text
//! cargo run --release -p synod-machine --example snapshot_cost [KEYS]
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and says what it found; the machine itself reads no clock"
)]

use std::time::Instant;

use bytes::Bytes;
use synod_machine::{Batch, Command, Machine, Request, RequestId, Seq, SessionId, Timestamp};

const PUTS_OF_A_BATCH: u64 = 100;

fn main() {
    let keys = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut machine = Machine::new();
    let open = Command::OpenSession { owner: "cost".into(), ttl_ms: 10_000 };
    let open = Request { id: None, acked: Seq::ZERO, command: open };
    machine.apply(Batch { stamp: Timestamp(1), requests: vec![open] });
    let mut seq = 0;
    let began = Instant::now();
    for batch in 0..keys / PUTS_OF_A_BATCH {
        machine.apply(puts(&mut seq, batch * PUTS_OF_A_BATCH, keys));
    }
    println!("{keys} keys put             {:>10.3?}", began.elapsed());

    let began = Instant::now();
    let snapshot = machine.snapshot();
    println!("a snapshot is taken in      {:>10.3?}", began.elapsed());

    let free = change(&mut machine, &mut seq, keys);
    println!("puts while it is held, each {:>10.3?}", free);
    let began = Instant::now();
    let mut bytes = 0;
    let encoded = snapshot.encode(|piece| {
        bytes += piece.len();
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = encoded;
    println!("{bytes} bytes encoded in {:>10.3?}", began.elapsed());

    let written = snapshot.to_bytes();
    drop(snapshot);
    let alone = change(&mut machine, &mut seq, keys);
    println!("puts without one, each      {:>10.3?}", alone);
    let began = Instant::now();
    let restored = Machine::restore(&written);
    println!("restored in                 {:>10.3?}", began.elapsed());
    assert!(restored.is_ok(), "what was encoded is a state");
}

/// The mean time of a put at keys all over the place.
fn change(machine: &mut Machine, seq: &mut u64, keys: u64) -> std::time::Duration {
    let batches: Vec<Batch> =
        (0..200).map(|n| puts(seq, n * 7_919 * PUTS_OF_A_BATCH, keys)).collect();
    let count = u32::try_from(batches.len() as u64 * PUTS_OF_A_BATCH).unwrap_or(u32::MAX);
    let began = Instant::now();
    for batch in batches {
        machine.apply(batch);
    }
    began.elapsed() / count
}

fn puts(seq: &mut u64, first: u64, keys: u64) -> Batch {
    let mut request = |key: u64| {
        *seq += 1;
        // Scattered over all keys, each once in a round: the step is odd and no divisor.
        let key = format!("key/{:012}", key.wrapping_mul(7_368_787) % keys);
        let command = Command::Put { key: Bytes::from(key), value: Bytes::from_static(b"small") };
        let id = RequestId { session: SessionId::new(1), seq: Seq::new(*seq) };
        Request { id: Some(id), acked: id.seq, command }
    };
    let requests = (first..first + PUTS_OF_A_BATCH).map(&mut request).collect();
    Batch { stamp: Timestamp(1), requests }
}
