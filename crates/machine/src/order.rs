//! Keys in their order, found without a look at most of them.

use std::cmp::Ordering;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::{LeaseId, Name, ParticipantName, Position, RequestId, Revision, SessionId, TxnId};

/// What tables are ordered by.
pub(crate) trait Key: Ord + Clone {
    /// Whether comparing keys leads elsewhere in memory, to their bytes.
    const HAS_BYTES: bool = false;

    /// Bytes in whose order keys are: of two keys whose bytes differ the one with the lower bytes
    /// is the lower.
    fn bytes(&self) -> &[u8] {
        &[]
    }
}

/// Keys, none of them twice, and beside them eight bytes of each: those that come after what all of
/// them begin with. Most comparisons need no more, and these bytes stand side by side, where those
/// of the keys are anywhere in memory.
#[derive(Clone, Debug)]
pub(crate) struct Keys<K> {
    keys: VecDeque<K>,
    /// One for each key, if keys have bytes.
    heads: VecDeque<u64>,
    /// All keys begin with so many bytes, or more, that are the same in all.
    shared: usize,
}

impl<K: Key> Keys<K> {
    pub(crate) fn new() -> Keys<K> {
        Keys { keys: VecDeque::new(), heads: VecDeque::new(), shared: 0 }
    }

    pub(crate) fn all(&self) -> &VecDeque<K> {
        &self.keys
    }

    /// How many of them are below `key`.
    pub(crate) fn count_below(&self, key: &K) -> usize {
        let (mut lower, mut upper) = self.alike(key);
        while lower < upper {
            let middle = lower.midpoint(upper);
            match self.keys[middle] < *key {
                true => lower = middle + 1,
                false => upper = middle,
            }
        }
        lower
    }

    /// Where the keys are that have to be compared with `key`: all before are below it, and all
    /// behind are above.
    fn alike(&self, key: &K) -> (usize, usize) {
        let Some(first) = self.keys.front().filter(|_| K::HAS_BYTES) else {
            return (0, self.keys.len());
        };
        let (bytes, prefix) = (key.bytes(), &first.bytes()[..self.shared]);
        let begins = &bytes[..self.shared.min(bytes.len())];
        match begins.cmp(prefix) {
            Ordering::Less => return (0, 0),
            Ordering::Greater => return (self.keys.len(), self.keys.len()),
            Ordering::Equal => {}
        }
        let head = head(bytes, self.shared);
        let lower = self.heads.partition_point(|other| *other < head);
        (lower, self.heads.partition_point(|other| *other <= head))
    }

    /// Puts one in, where it belongs.
    pub(crate) fn insert(&mut self, place: usize, key: K) {
        self.keys.insert(place, key);
        if K::HAS_BYTES {
            self.heads.insert(place, 0);
            self.look_at(place);
        }
    }

    /// Puts one in the place of another.
    pub(crate) fn replace(&mut self, place: usize, key: K) {
        self.keys[place] = key;
        if K::HAS_BYTES {
            self.look_at(place);
        }
    }

    pub(crate) fn remove(&mut self, place: usize) {
        self.keys.remove(place);
        self.heads.remove(place);
    }

    /// Takes out those from this place on.
    pub(crate) fn split_off(&mut self, place: usize) -> Keys<K> {
        let heads = if K::HAS_BYTES { self.heads.split_off(place) } else { VecDeque::new() };
        Keys { keys: self.keys.split_off(place), heads, shared: self.shared }
    }

    /// A key is new in its place.
    fn look_at(&mut self, place: usize) {
        let bytes = self.keys[place].bytes();
        let other = if place == 0 { self.keys.back() } else { self.keys.front() };
        let other = other.map_or(&[][..], Key::bytes);
        let alike = bytes.iter().zip(other).take_while(|(one, other)| one == other).count();
        // With the first key that differs earlier all have to be looked at, which happens no
        // oftener than a key has bytes.
        if self.keys.len() == 1 || alike < self.shared {
            self.shared = alike;
            self.heads = self.keys.iter().map(|key| head(key.bytes(), alike)).collect();
        } else {
            self.heads[place] = head(bytes, self.shared);
        }
    }
}

/// Eight bytes, in whose order keys are that begin alike: what is not there comes before all that
/// is.
fn head(bytes: &[u8], shared: usize) -> u64 {
    let rest = bytes.get(shared..).unwrap_or_default();
    match rest.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut short = [0; 8];
            short[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(short)
        }
    }
}

impl Key for Bytes {
    const HAS_BYTES: bool = true;

    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Key for String {
    const HAS_BYTES: bool = true;

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Key for Name {
    const HAS_BYTES: bool = true;

    fn bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl Key for ParticipantName {
    const HAS_BYTES: bool = true;

    fn bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

/// What comes first of two tells, unless it is the same in both.
impl<K: Key, L: Ord + Clone> Key for (K, L) {
    const HAS_BYTES: bool = K::HAS_BYTES;

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Key for LeaseId {}
impl Key for Position {}
impl Key for RequestId {}
impl Key for Revision {}
impl Key for SessionId {}
impl Key for TxnId {}
impl Key for u64 {}
#[cfg(test)]
impl Key for u8 {}
#[cfg(test)]
impl Key for u16 {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Bytes> {
        // Few letters, zero among them, and a beginning that most have: many keys begin alike, and
        // one is often the beginning of another.
        let letters = prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'a', 255]), 0..12);
        (prop::bool::weighted(0.9), letters).prop_map(|(usual, letters)| {
            let begins: &[u8] = if usual { b"begins/" } else { b"" };
            Bytes::from([begins, &letters].concat())
        })
    }

    proptest! {
        /// A look at the heads comes to the same as one at the keys.
        #[test]
        fn keys_are_found_by_their_heads(
            steps in prop::collection::vec((0_u8..8, key()), 0..200),
            asked in prop::collection::vec(key(), 20),
        ) {
            let mut keys = Keys::new();
            for (act, key) in steps {
                let place = keys.keys.partition_point(|other| other < &key);
                let is_there = keys.keys.get(place) == Some(&key);
                match (act, place.checked_sub(1)) {
                    (0, Some(below)) => keys.remove(below),
                    (1, Some(below)) if !is_there => keys.replace(below, key),
                    (2, _) if place > 20 => keys = keys.split_off(place),
                    _ if is_there => {}
                    _ => keys.insert(place, key),
                }
                prop_assert!(keys.keys.iter().is_sorted() && keys.heads.iter().is_sorted());
                prop_assert_eq!(keys.keys.len(), keys.heads.len());
            }
            for key in asked.iter().chain(&keys.keys) {
                let below = keys.keys.partition_point(|other| other < key);
                prop_assert_eq!(keys.count_below(key), below, "{:?}", keys);
            }
        }
    }

    /// What all begin with tells nothing of where one belongs, and is not looked at again.
    #[test]
    fn heads_begin_where_keys_differ() {
        let mut keys = Keys::new();
        for (place, number) in (100..200).enumerate() {
            keys.insert(place, Bytes::from(format!("a long way to the first difference/{number}")));
        }
        assert_eq!(keys.shared, "a long way to the first difference/1".len());
        assert!(keys.heads.iter().is_sorted_by(|one, next| one < next));
    }
}
