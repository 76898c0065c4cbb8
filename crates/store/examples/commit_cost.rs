//! What a durable batch costs, beside a bare `fdatasync`, in one run on one disk.
//!
//! `cargo run --release -p synod-store --example commit_cost [DIR]`

#![allow(clippy::print_stdout)]

use std::{
    error::Error,
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use synod_paxos::{Ballot, Decree, Life, NodeId, Slot, Write};
use synod_store::{Identity, Store};

const ROUNDS: u64 = 300;
const BATCHES: [u64; 4] = [1, 8, 64, 512];
const VALUE_BYTES: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let place = match std::env::args().nth(1) {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir_in(".")?,
    };
    println!("median (p99) µs per durable batch of {VALUE_BYTES}-byte values, {ROUNDS} rounds");
    println!("{:>6} {:>22} {:>22} {:>10}", "batch", "store", "overwrite + fdatasync", "ratio");
    for batch in BATCHES {
        let mut store = open(&place.path().join(format!("store-{batch}")))?;
        let file = zero_filled(&place.path().join(format!("file-{batch}")), batch)?;
        let (mut stored, mut synced) = (Vec::new(), Vec::new());
        // Turn about, so that both meet the same weather.
        for round in 0..ROUNDS {
            stored.push(timed(|| Ok(store.write(&facts(round * batch, batch))?))?);
            synced.push(timed(|| overwrite(&file, round, batch))?);
        }
        let (stored, synced) = (percentiles(stored), percentiles(synced));
        let ratio = stored.0 as f64 / synced.0 as f64;
        let show = |(p50, p99): (u128, u128)| format!("{p50} ({p99})");
        println!("{batch:>6} {:>22} {:>22} {ratio:>10.2}", show(stored), show(synced));
    }
    Ok(())
}

fn open(dir: &Path) -> Result<Store, Box<dyn Error>> {
    let life = Life::first(NodeId::new(1));
    let identity = Identity { cluster: "cost".into(), cluster_id: 1, life };
    Store::format(dir, &identity)?;
    Ok(Store::open(dir, &identity)?.0)
}

fn facts(after: u64, batch: u64) -> Vec<Write> {
    let ballot = Ballot::first(Life::first(NodeId::new(1)));
    let decree = Decree::Value(vec![7; VALUE_BYTES].into());
    let slots = (after + 1..=after + batch).map(Slot::new);
    let accepted = slots.map(|slot| Write::Accepted { slot, ballot, decree: decree.clone() });
    accepted.chain([Write::ChosenUpto { slot: Slot::new(after) }]).collect()
}

fn zero_filled(path: &Path, batch: u64) -> Result<File, Box<dyn Error>> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    file.write_all_at(&vec![0; (ROUNDS * batch) as usize * VALUE_BYTES], 0)?;
    file.sync_all()?;
    Ok(file)
}

fn overwrite(file: &File, round: u64, batch: u64) -> Result<(), Box<dyn Error>> {
    let bytes = vec![7; batch as usize * VALUE_BYTES];
    file.write_all_at(&bytes, round * bytes.len() as u64)?;
    Ok(file.sync_data()?)
}

fn timed(act: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed())
}

fn percentiles(mut times: Vec<Duration>) -> (u128, u128) {
    times.sort();
    (times[times.len() / 2].as_micros(), times[times.len() * 99 / 100].as_micros())
}
