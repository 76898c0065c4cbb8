use std::{
    hash::{Hash, Hasher},
    ops::RangeBounds,
};

use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    RestoreError,
    coding::{Decoder, Encoder},
    leaves::Leaves,
};

/// An ordered map that keeps a digest of what it holds as it changes.
///
/// The digest is the wrapping sum of one hash per row, so it depends on the rows and not on the
/// order in which they came, and a change costs one row. All state of the machine lives in such
/// tables: there is no way to change it past its digest. A clone shares its rows with the original
/// until either changes them.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    seed: u64,
    rows: Leaves<K, Row<V>>,
    sum: u64,
}

#[derive(Clone, Debug)]
struct Row<V> {
    value: V,
    digest: u64,
}

impl<K: Ord + Clone + Serialize, V: Clone + Serialize> Table<K, V> {
    /// An empty table. The seed tells equal rows of different tables apart.
    pub(crate) fn new(seed: u64) -> Table<K, V> {
        Table { seed, rows: Leaves::new(), sum: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|row| &row.value)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.rows.get(key).is_some()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let digest = row_digest(self.seed, &key, &value);
        self.sum = self.sum.wrapping_add(digest);
        let old = self.rows.insert(key, Row { value, digest })?;
        self.sum = self.sum.wrapping_sub(old.digest);
        Some(old.value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.rows.remove(key)?;
        self.sum = self.sum.wrapping_sub(old.digest);
        Some(old.value)
    }

    /// Changes one row in place, if it is there.
    pub(crate) fn change<R>(&mut self, key: &K, how: impl FnOnce(&mut V) -> R) -> Option<R> {
        let row = self.rows.get_mut(key)?;
        let result = how(&mut row.value);
        let digest = row_digest(self.seed, key, &row.value);
        self.sum = self.sum.wrapping_sub(row.digest).wrapping_add(digest);
        row.digest = digest;
        Some(result)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter().map(unrow)
    }

    pub(crate) fn range(
        &self,
        range: impl RangeBounds<K>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range).map(unrow)
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        match how {
            Digesting::AsKept => self.sum,
            Digesting::Anew => self.rows.iter().fold(0, |sum: u64, (key, row)| {
                sum.wrapping_add(row_digest(self.seed, key, &row.value))
            }),
        }
    }

    /// Writes the number of rows and each in the order of keys.
    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&self.len())?;
        self.iter().try_for_each(|row| to.put(&row))
    }

    /// The table that was written. One state has one encoding: rows stand in order, each key once.
    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Table<K, V>, RestoreError>
    where
        K: DeserializeOwned,
        V: DeserializeOwned,
    {
        let mut table = Table::new(seed);
        let count: u64 = from.take()?;
        let mut last: Option<K> = None;
        for _ in 0..count {
            let (key, value): (K, V) = from.take()?;
            if last.is_some_and(|last| last >= key) {
                return Err(RestoreError::Malformed { left: from.left() });
            }
            last = Some(key.clone());
            table.insert(key, value);
        }
        Ok(table)
    }
}

/// The digest says it all.
impl<K, V> Hash for Table<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.seed, self.sum).hash(state);
    }
}

/// Whether to trust the digest that was kept, or to compute it from the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Digesting {
    AsKept,
    Anew,
}

/// Most rows fit in so many bytes, and then their digest needs no memory.
const ROW_BYTES: usize = 512;

/// The hash of one value in its stored form.
pub(crate) fn digest(seed: u64, value: &impl Serialize) -> u64 {
    let mut room = [0; ROW_BYTES];
    if let Ok(bytes) = postcard::to_slice(value, &mut room) {
        return xxh3_64_with_seed(bytes, seed);
    }
    let bytes = postcard::to_extend(value, Vec::with_capacity(2 * ROW_BYTES))
        .expect("a Vec takes every byte, and every sequence of ours knows its length");
    xxh3_64_with_seed(&bytes, seed)
}

fn row_digest(seed: u64, key: &impl Serialize, value: &impl Serialize) -> u64 {
    digest(seed, &(key, value))
}

fn unrow<'a, K, V>((key, row): (&'a K, &'a Row<V>)) -> (&'a K, &'a V) {
    (key, &row.value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The digest kept is the digest of what is held, and says nothing of how it came about.
        #[test]
        fn a_table_is_digested_by_its_rows_alone(steps in prop::collection::vec(
            (0u8..3, 0u8..8, 0u8..4), 0..64)) {
            let mut table = Table::new(7);
            for (act, key, value) in steps {
                match act {
                    0 => { table.insert(key, value); }
                    1 => { table.remove(&key); }
                    _ => { table.change(&key, |held| *held = held.wrapping_add(value)); }
                }
            }
            prop_assert_eq!(table.digest(Digesting::AsKept), table.digest(Digesting::Anew));
            let mut other = Table::new(7);
            for (key, value) in table.iter().rev() {
                other.insert(*key, *value);
            }
            prop_assert_eq!(table.digest(Digesting::AsKept), other.digest(Digesting::AsKept));
        }
    }

    /// However long a row is, its digest is that of its stored form.
    #[test]
    fn a_long_row_is_digested_like_a_short_one() {
        for bytes in [0, 1, 100, ROW_BYTES - 2, ROW_BYTES - 1, ROW_BYTES, 100_000] {
            let value = vec![7_u8; bytes];
            let stored = postcard::to_allocvec(&value).unwrap();
            assert_eq!(digest(3, &value), xxh3_64_with_seed(&stored, 3), "{bytes}");
        }
    }

    /// A row that moves from one key, or one table, to another is another state.
    #[test]
    fn a_digest_knows_the_key_and_the_table_of_a_row() {
        let digest_of = |seed, key: u8, value: u8| {
            let mut table = Table::new(seed);
            table.insert(key, value);
            table.digest(Digesting::AsKept)
        };
        assert_ne!(digest_of(1, 1, 2), digest_of(1, 2, 2));
        assert_ne!(digest_of(1, 1, 2), digest_of(2, 1, 2));
        assert_ne!(digest_of(1, 1, 2), digest_of(1, 1, 3));
    }
}
