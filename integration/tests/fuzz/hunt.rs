//! Mutating what is right until something breaks.

use std::{
    collections::BTreeSet,
    env,
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
};

use fastrand::Rng;
use serde::{Serialize, de::DeserializeOwned};
use synod_client::machine::{self, door, participant_door};

/// Runs of each target in `cargo test`, for targets that cost microseconds.
const RUNS: u64 = 20_000;

/// Changes to one input, at most.
const CHANGES_MAX: usize = 6;

/// Bytes that mean something to somebody: ends of varints, lengths, signs.
const TELLING: [u8; 8] = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, b'"'];

/// Tries in which samples grow, and the bytes of one that change: kinds stand at its beginning.
const GROWING_TRIES: u32 = 20_000;
const GROWING_BYTES: usize = 24;
/// What may stand behind them: nothing is longer that holds nothing.
const REST_BYTES: usize = 256;
/// More kinds than any choice has.
const KINDS_MAX: u8 = 40;

/// What came of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Taken,
    Refused,
}

impl Judged {
    pub(crate) fn of<T, E>(result: &Result<T, E>) -> Judged {
        if result.is_ok() { Judged::Taken } else { Judged::Refused }
    }
}

/// Runs `judge` over mutations of `corpus`: as often as `SYNOD_FUZZ_RUNS` says, and in `cargo test`
/// the more seldom the more one run costs. It panics when something is wrong; that both judgements
/// occur shows that the mutations are worth something.
pub(crate) fn hunt(
    target: &str,
    cost: u64,
    corpus: &[Vec<u8>],
    mut judge: impl FnMut(&[u8]) -> Judged,
) {
    let (runs, seed) = (number("SYNOD_FUZZ_RUNS", RUNS / cost), number("SYNOD_FUZZ_SEED", 1));
    for sample in corpus {
        assert_eq!(judge(sample), Judged::Taken, "{target}: {} is right", hex(sample));
    }
    let mut rng = Rng::with_seed(seed);
    let (mut taken, mut refused) = (0_u64, 0_u64);
    for run in 0..runs.max(1) {
        let bytes = mutated(corpus, &mut rng);
        match catch_unwind(AssertUnwindSafe(|| judge(&bytes))) {
            Ok(Judged::Taken) => taken += 1,
            Ok(Judged::Refused) => refused += 1,
            Err(_) => panic!("{target}: run {run} of seed {seed}, bytes {}", hex(&bytes)),
        }
    }
    println!("{target}: {taken} taken, {refused} refused, seed {seed}");
    assert!(taken > 0 && refused > 0, "{target}: {taken} taken, {refused} refused");
}

/// Samples of every kind of value that `T` has, kinds within kinds among them: what small numbers
/// decode to, and what comes of changing one of those numbers, if it has a shape of its own. So
/// whoever adds a kind need not add a sample.
pub(crate) fn grown<T: Serialize + DeserializeOwned + Debug>() -> Vec<Vec<u8>> {
    let (mut rng, mut shapes, mut samples) = (Rng::with_seed(1), BTreeSet::new(), Vec::new());
    for _ in 0..GROWING_TRIES {
        let mut bytes: Vec<u8> = rng.choice(&samples).cloned().unwrap_or_default();
        bytes.truncate(GROWING_BYTES);
        bytes.resize(REST_BYTES + GROWING_BYTES, 0);
        for _ in 0..rng.u8(1..=2) {
            bytes[rng.usize(0..GROWING_BYTES)] = rng.u8(0..KINDS_MAX);
        }
        if let Ok((value, _)) = postcard::take_from_bytes::<T>(&bytes)
            && shapes.insert(shape(&value))
        {
            samples.push(postcard::to_allocvec(&value).unwrap());
        }
    }
    samples
}

/// A value's names and no numbers, texts or lengths: `Put { key: , value: }`.
fn shape(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let named = text
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| word.starts_with(char::is_uppercase));
    let mut shape = Vec::new();
    for word in named {
        if shape.last() != Some(&word) {
            shape.push(word);
        }
    }
    shape.join(" ")
}

/// Whoever adds a kind counts it here, and sees that it grows.
#[test]
fn samples_of_every_kind_grow() {
    fn kinds<T: Serialize + DeserializeOwned + Debug>() -> usize {
        grown::<T>().iter().map(|sample| sample[0]).collect::<BTreeSet<_>>().len()
    }
    let said = [kinds::<synod_replica::Word>(), kinds::<synod_replica::Carried>()];
    assert_eq!((said, kinds::<synod_paxos::Message>()), ([3, 3], 20));
    assert_eq!([kinds::<machine::Command>(), kinds::<machine::Reply>()], [24, 19]);
    assert_eq!([kinds::<machine::Query>(), kinds::<machine::Answer>()], [28, 29]);
    assert_eq!([kinds::<machine::Rejection>(), kinds::<machine::Change>()], [19, 9]);
    assert_eq!([kinds::<door::Call>(), kinds::<door::Said>()], [9, 12]);
    assert_eq!([kinds::<participant_door::Call>(), kinds::<participant_door::Said>()], [6, 9]);
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(4_096).map(|byte| format!("{byte:02x}")).collect()
}

fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[rng.usize(0..corpus.len())].clone();
    for _ in 0..rng.usize(1..=CHANGES_MAX) {
        change(&mut bytes, corpus, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(0..=bytes.len());
    let here = at.min(bytes.len().saturating_sub(1));
    match rng.u8(0..8) {
        0 => {
            if let Some(byte) = bytes.get_mut(here) {
                *byte ^= 1 << rng.u8(0..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(here) {
                *byte = TELLING[rng.usize(0..TELLING.len())];
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(here) {
                *byte = byte.wrapping_add(rng.u8(0..3)).wrapping_sub(1);
            }
        }
        3 => bytes.truncate(at),
        4 => bytes.insert(at, rng.u8(..)),
        // A number or a length of ten bytes: nearly 2^64.
        5 => drop(bytes.splice(at..at, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1])),
        6 => {
            let end = rng.usize(at..=bytes.len().min(at + 64));
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let other = &corpus[rng.usize(0..corpus.len())];
            let from = rng.usize(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
