//! The core of Synod beside OmniPaxos: three nodes in one thread, in memory, words handed over as
//! they are, in alternating rounds of one run.
//!
//! `cargo run --release [-- SECONDS]` in this directory; `bench/run-all` runs it.
//!
//! Synod's side is three whole replicas: batches are encoded, requests have sessions that answer
//! twice alike, the machine applies them, and nodes compare digests of its state. OmniPaxos decides
//! the same keys and values, which each node reads as they are decided and applies to nothing: it
//! brings no machine.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::Bytes;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig, macros::Entry};
use omnipaxos_storage::memory_storage::MemoryStorage;
use synod_machine::Command;
use synod_micro::Trio;

const BATCHES: [u64; 2] = [1, 100];
const ROUND: Duration = Duration::from_millis(500);
const SECONDS: u64 = 10;
const NODES: u64 = 3;
const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 128;
/// Of what is done in one go before the clock is looked at again.
const BURST: u64 = 100;
/// OmniPaxos reserves room for so many words whenever its words are fetched. Its default is
/// 100 000, and that is most of what it does then.
const WORDS: usize = 64;
/// Turns of words after which its clock ticks: Synod's heartbeats are 20 ms of 10 µs turns apart.
const TURNS_PER_TICK: u64 = 2_000;
/// And turns until somebody leads.
const TURNS_MAX: u64 = 1_000_000;

#[derive(Clone, Debug, Entry)]
#[expect(dead_code, reason = "nothing applies what OmniPaxos decides")]
struct Put {
    key: Bytes,
    value: Bytes,
}

type Node = OmniPaxos<Put, MemoryStorage<Put>>;

struct Omni {
    nodes: Vec<Node>,
    leader: usize,
    turns: u64,
    /// What each node has read as decided.
    read: Vec<u64>,
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("bench/{:08}", number % KEYS))
}

fn value() -> Bytes {
    Bytes::from_static(&[b'v'; VALUE_BYTES])
}

impl Omni {
    fn serving() -> Result<Omni, Box<dyn Error>> {
        let node = |pid| -> Result<Node, Box<dyn Error>> {
            let server = ServerConfig { pid, buffer_size: WORDS, ..ServerConfig::default() };
            let nodes = (1..=NODES).collect();
            let cluster = ClusterConfig { configuration_id: 1, nodes, ..ClusterConfig::default() };
            let config = OmniPaxosConfig { cluster_config: cluster, server_config: server };
            config.build(MemoryStorage::default()).map_err(|error| error.to_string().into())
        };
        let nodes = (1..=NODES).map(node).collect::<Result<Vec<_>, _>>()?;
        let read = vec![0; nodes.len()];
        let mut omni = Omni { nodes, leader: 0, turns: 0, read };
        for _ in 0..TURNS_MAX {
            omni.nodes.iter_mut().for_each(OmniPaxos::tick);
            while omni.turn()? {}
            if let Some(leader) = omni.nodes[0].get_current_leader() {
                omni.leader = usize::try_from(leader)? - 1;
                // The first entry is decided when its reign is prepared.
                omni.round(0..1)?;
                return Ok(omni);
            }
        }
        Err("OmniPaxos elects nobody".into())
    }

    /// Appends these and waits until every node has read them as decided.
    fn round(&mut self, numbers: std::ops::Range<u64>) -> Result<(), Box<dyn Error>> {
        let wanted = self.read[self.leader] + (numbers.end - numbers.start);
        for number in numbers {
            let put = Put { key: key(number), value: value() };
            let appended = self.nodes[self.leader].append(put);
            appended.map_err(|error| format!("OmniPaxos appends nothing: {error:?}"))?;
        }
        while self.turn()? || self.read.iter().any(|read| *read < wanted) {}
        Ok(())
    }

    /// Hands over what every node says; whether anybody said anything.
    fn turn(&mut self) -> Result<bool, Box<dyn Error>> {
        self.turns += 1;
        if self.turns.is_multiple_of(TURNS_PER_TICK) {
            self.nodes.iter_mut().for_each(OmniPaxos::tick);
        }
        let mut moved = false;
        for from in 0..self.nodes.len() {
            for message in self.nodes[from].outgoing_messages() {
                moved = true;
                let to = usize::try_from(message.get_receiver())? - 1;
                self.nodes[to].handle_incoming(message);
            }
            let decided = self.nodes[from].get_decided_idx();
            if decided > self.read[from] {
                let entries = self.nodes[from].read_decided_suffix(self.read[from]);
                self.read[from] += entries.map_or(0, |entries| entries.len() as u64);
            }
        }
        Ok(moved)
    }
}

/// Commands a second of one round.
fn rate(
    batch: u64,
    next: &mut u64,
    mut act: impl FnMut(std::ops::Range<u64>) -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let (begun, first) = (Instant::now(), *next);
    while begun.elapsed() < ROUND {
        for _ in 0..BURST.div_ceil(batch) {
            act(*next..*next + batch)?;
            *next += batch;
        }
    }
    Ok((*next - first) as f64 / begun.elapsed().as_secs_f64())
}

/// The middle, and the middle half.
fn quartiles(mut of: Vec<f64>) -> (f64, f64, f64) {
    of.sort_by(f64::total_cmp);
    let at = |part: usize| of.get(of.len() * part / 4).or(of.last()).copied().unwrap_or_default();
    (at(2), at(1), at(3))
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => SECONDS,
    };
    println!("| batch | synod, 1/s | OmniPaxos 0.2.2, 1/s | synod over it |");
    println!("|---:|---:|---:|---:|");
    for batch in BATCHES {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut trio, mut omni) = (Trio::serving()?, Omni::serving()?);
        let (mut next, mut next_of_omni) = (0, 1);
        let begun = Instant::now();
        // The first round of each is warm-up.
        for number in 0.. {
            if number > 3 && begun.elapsed() > Duration::from_secs(seconds) {
                break;
            }
            let one = rate(batch, &mut next, |numbers| {
                let wanted = numbers.end - numbers.start;
                let put = |number| Command::Put { key: key(number), value: value() };
                let done = trio.round(numbers.map(put))? as u64;
                if done == wanted { Ok(()) } else { Err("a put was refused".into()) }
            })?;
            let other = rate(batch, &mut next_of_omni, |numbers| omni.round(numbers))?;
            if number > 0 {
                ours.push(one);
                theirs.push(other);
                ratios.push(one / other);
            }
        }
        if !trio.agrees()? {
            return Err("the states differ".into());
        }
        let (ratio, low, high) = quartiles(ratios);
        let (one, other) = (quartiles(ours).0, quartiles(theirs).0);
        println!("| {batch} | {one:.0} | {other:.0} | {ratio:.2} ({low:.2}–{high:.2}) |");
    }
    Ok(())
}
