//! What a durable batch costs: with the journal, without it, and beside a bare `fdatasync`; all in
//! one run on one disk.
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
    println!("{:>6} {:>16} {:>16} {:>16}", "batch", "journaled", "plain", "bare sync");
    for batch in BATCHES {
        let mut journaled = journaled(&place.path().join(format!("journaled-{batch}")))?;
        let mut plain = plain(&place.path().join(format!("plain-{batch}")))?;
        let file = zero_filled(&place.path().join(format!("file-{batch}")), batch)?;
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        // Turn about, so that all meet the same weather.
        for round in 0..ROUNDS {
            let facts = facts(round * batch, batch);
            times[0].push(timed(|| Ok(journaled.write(&facts)?))?);
            times[1].push(timed(|| Ok(plain.write(&facts)?))?);
            times[2].push(timed(|| overwrite(&file, round, batch))?);
        }
        let [journaled, plain, bare] = times.map(percentiles);
        println!("{batch:>6} {journaled:>16} {plain:>16} {bare:>16}");
    }
    Ok(())
}

fn identity() -> Identity {
    let life = Life::first(NodeId::new(1));
    Identity { cluster: "cost".into(), cluster_id: 1, life }
}

fn journaled(dir: &Path) -> Result<Store, Box<dyn Error>> {
    Store::format(dir, &identity())?;
    Ok(Store::open(dir, &identity())?.0)
}

fn plain(path: &Path) -> Result<Store, Box<dyn Error>> {
    let file = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    Store::format_on(FileBackend::new(file()?)?, &identity())?;
    Ok(Store::open_on(FileBackend::new(file()?)?, &identity())?.0)
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
