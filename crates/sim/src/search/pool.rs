use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use xxhash_rust::xxh3::Xxh3;

/// The place of a value in its pool. Equal values have equal keys, and only they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u32);

/// Values, each kept once. What a world is made of is kept in pools, so that a world is a handful
/// of numbers, millions of them fit into memory, and equal worlds are equal numbers.
///
/// Values are told apart by 128 bits of hash: among a thousand million of them the chance that two
/// share one is below 10^-20.
#[derive(Debug)]
pub(super) struct Pool<T> {
    values: Vec<T>,
    keys: HashMap<u128, Key>,
}

impl<T: Hash> Pool<T> {
    pub(super) fn new() -> Pool<T> {
        Pool { values: Vec::new(), keys: HashMap::new() }
    }

    /// The key of a value. Of values with equal hashes the first is the one that stays.
    pub(super) fn keep(&mut self, value: T) -> Key {
        let next = Key(u32::try_from(self.values.len()).expect("a search has 2^32 values at most"));
        let key = *self.keys.entry(fingerprint(&value)).or_insert(next);
        if key == next {
            self.values.push(value);
        }
        key
    }

    pub(super) fn get(&self, key: Key) -> &T {
        &self.values[key.0 as usize]
    }
}

fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = Wide(Xxh3::new());
    value.hash(&mut hasher);
    hasher.0.digest128()
}

/// Takes in everything and gives out 128 bits.
struct Wide(Xxh3);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.digest()
    }
}

/// For maps under keys, which nobody chooses to our harm: a multiplication a number.
pub(super) type Quick = BuildHasherDefault<Mixer>;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mixer(u64);

impl Mixer {
    /// An odd number whose bits look like chance: 2^64 divided by the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(Mixer::FACTOR);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        (self.0 ^ (self.0 >> 29)).wrapping_mul(Mixer::FACTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value is kept once, and found again under its key.
    #[test]
    fn equal_values_have_one_key() {
        let mut pool = Pool::new();
        let (a, b) = (pool.keep("a"), pool.keep("b"));
        assert_ne!(a, b);
        assert_eq!(pool.keep("a"), a);
        assert_eq!((pool.values.len(), *pool.get(b)), (2, "b"));
    }
}
