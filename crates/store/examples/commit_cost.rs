//! What a durable batch costs: behind a write-ahead log, as nodes and shards have it; with redb
//! alone; and beside a bare `fdatasync`; all in one run on one disk.
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

use redb::backends::FileBackend;
use synod_paxos::{Ballot, Decree, Life, NodeId, Slot, Write};
use synod_store::{Identity, Store};

const ROUNDS: u64 = 1_000;
const BATCHES: [u64; 4] = [1, 8, 64, 512];
const VALUE_BYTES: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let place = match std::env::args().nth(1) {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir_in(".")?,
    };
    println!("median (p99) µs per durable batch of {VALUE_BYTES}-byte values, {ROUNDS} rounds");
    let [batch, ahead, plain, bare] = ["batch", "ahead", "plain", "bare sync"];
    println!("{batch:>6} {ahead:>16} {plain:>16} {bare:>16}");
    for batch in BATCHES {
        let mut ahead = with_log(&place.path().join(format!("ahead-{batch}")))?;
        let mut plain = alone(&place.path().join(format!("plain-{batch}")))?;
        let file = zero_filled(&place.path().join(format!("file-{batch}")), batch)?;
        let mut times = [const { Vec::new() }; 3];
        // Turn about, so that all meet the same weather.
        for round in 0..ROUNDS {
            let facts = facts(round * batch, batch);
            times[0].push(timed(|| Ok(ahead.write(&facts)?))?);
            times[1].push(timed(|| Ok(plain.write(&facts)?))?);
            times[2].push(timed(|| overwrite(&file, round, batch))?);
        }
        let [ahead, plain, bare] = times.map(percentiles);
        println!("{batch:>6} {ahead:>16} {plain:>16} {bare:>16}");
    }
    Ok(())
}

fn identity() -> Identity {
    let life = Life::first(NodeId::new(1));
    Identity { cluster: "cost".into(), cluster_id: 1, life }
}

fn with_log(dir: &Path) -> Result<Store, Box<dyn Error>> {
    Store::format(dir, &identity())?;
    Ok(Store::open(dir, &identity())?.0)
}

fn alone(path: &Path) -> Result<Store, Box<dyn Error>> {
    Store::format_on(file(path)?, &identity())?;
    Ok(Store::open_on(file(path)?, &identity())?.0)
}

fn file(path: &Path) -> Result<FileBackend, Box<dyn Error>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    Ok(FileBackend::new(options.open(path)?)?)
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

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_micros();
    format!("{} ({})", at(50), at(99))
}
