use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    mem,
    ops::{Range, RangeBounds},
};

use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    RestoreError,
    coding::{Decoder, Encoder},
    leaves::Leaves,
    order::Key,
};

/// An ordered map that keeps a digest of what it holds as it changes.
///
/// The digest is the wrapping sum of one hash per row, so it depends on the rows and not on the
/// order in which they came, and a change costs one row. All state of the machine lives in such
/// tables: there is no way to change it past its digest. A clone shares its rows with the original
/// until either changes them.
///
/// A row that is changed in place is often changed again before anybody asks for the digest, as a
/// session is by each of its requests. So its hash is put off, and a few such rows are known.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    seed: u64,
    rows: Leaves<K, Row<V>>,
    /// Of the rows whose digests are known.
    sum: u64,
    /// Keys of rows whose digests are put off. Some may have gone since, and one that went and came
    /// back may stand there twice.
    put_off: Vec<K>,
}

#[derive(Clone, Debug)]
struct Row<V> {
    value: V,
    digest: Digest,
}

/// What a row adds to the sum.
#[derive(Clone, Copy, Debug)]
enum Digest {
    Known(u64),
    /// Nothing yet; its key is among those put off.
    PutOff,
}

/// So many digests are put off, and then made up for.
const PUT_OFF_MAX: usize = 64;

impl<K: Key + Serialize, V: Clone + Serialize> Table<K, V> {
    /// An empty table. The seed tells equal rows of different tables apart.
    pub(crate) fn new(seed: u64) -> Table<K, V> {
        Table { seed, rows: Leaves::new(), sum: 0, put_off: Vec::new() }
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

    /// As [`Table::get`]; what is then done at this key does not look for it again.
    pub(crate) fn seek(&mut self, key: &K) -> Option<&V> {
        self.rows.seek(key).map(|row| &row.value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let digest = row_digest(self.seed, &key, &value);
        self.sum = self.sum.wrapping_add(digest);
        let old = self.rows.insert(key, Row { value, digest: Digest::Known(digest) })?;
        self.take_out(old.digest);
        Some(old.value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.rows.remove(key)?;
        self.take_out(old.digest);
        Some(old.value)
    }

    /// Removes the rows of a range, in order.
    pub(crate) fn drain(&mut self, range: Range<K>, mut each: impl FnMut(V)) {
        let Range { mut start, end } = range;
        while let Some(key) = self.rows.first_from(&start).filter(|key| **key < end) {
            start = key.clone();
            self.remove(&start).into_iter().for_each(&mut each);
        }
    }

    /// Changes one row in place, if it is there.
    pub(crate) fn change<R>(&mut self, key: &K, how: impl FnOnce(&mut V) -> R) -> Option<R> {
        let row = self.rows.get_mut(key)?;
        let result = how(&mut row.value);
        if let Digest::Known(digest) = mem::replace(&mut row.digest, Digest::PutOff) {
            self.sum = self.sum.wrapping_sub(digest);
            self.put_off.push(key.clone());
        }
        if self.put_off.len() > PUT_OFF_MAX {
            self.catch_up();
        }
        Some(result)
    }

    fn take_out(&mut self, digest: Digest) {
        if let Digest::Known(digest) = digest {
            self.sum = self.sum.wrapping_sub(digest);
        }
    }

    /// Makes up for all that was put off.
    fn catch_up(&mut self) {
        for key in mem::take(&mut self.put_off) {
            let Some(row) = self.rows.get_mut(&key) else { continue };
            if matches!(row.digest, Digest::PutOff) {
                let digest = row_digest(self.seed, &key, &row.value);
                self.sum = self.sum.wrapping_add(digest);
                row.digest = Digest::Known(digest);
            }
        }
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
            Digesting::AsKept => self.kept(),
            Digesting::Anew => self.rows.iter().fold(0, |sum: u64, (key, row)| {
                sum.wrapping_add(row_digest(self.seed, key, &row.value))
            }),
        }
    }

    /// What was kept, and beside it what was put off.
    fn kept(&self) -> u64 {
        let keys: BTreeSet<&K> = self.put_off.iter().collect();
        keys.into_iter().fold(self.sum, |sum, key| match self.rows.get(key) {
            Some(Row { value, digest: Digest::PutOff }) => {
                sum.wrapping_add(row_digest(self.seed, key, value))
            }
            Some(_) | None => sum,
        })
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
impl<K: Key + Serialize, V: Clone + Serialize> Hash for Table<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.seed, self.kept()).hash(state);
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
        /// The digest kept is the digest of what is held, and says nothing of how it came about:
        /// with a few rows, which are changed, go and come back, and with more than are put off.
        #[test]
        fn a_table_is_digested_by_its_rows_alone(
            keys in prop::sample::select(vec![8u8, 200]),
            steps in prop::collection::vec((0u8..8, any::<u8>(), 0u8..4), 0..900),
        ) {
            let mut table = Table::new(7);
            for (act, key, value) in steps {
                let key = key % keys;
                match act {
                    0 | 1 => { table.insert(key, value); }
                    2 => { table.remove(&key); }
                    3 => table.drain(key..key.saturating_add(value), drop),
                    _ => { table.change(&key, |held| *held = held.wrapping_add(value)); }
                }
                prop_assert!(table.put_off.len() <= PUT_OFF_MAX);
            }
            prop_assert_eq!(table.digest(Digesting::AsKept), table.digest(Digesting::Anew));
            let mut other = Table::new(7);
            for (key, value) in table.iter().rev() {
                other.insert(*key, *value);
            }
            prop_assert_eq!(table.digest(Digesting::AsKept), other.digest(Digesting::AsKept));
        }
    }

    /// What is drained is what lies in the range, in order.
    #[test]
    fn a_range_is_drained_and_nothing_else() {
        let mut table = Table::new(7);
        for key in 0..200_u16 {
            table.insert(key, key);
        }
        let mut gone = Vec::new();
        table.drain(50..150, |value| gone.push(value));
        table.drain(150..150, |value| gone.push(value));
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        table.drain(10..5, |value| gone.push(value));
        assert_eq!(gone, (50..150).collect::<Vec<_>>());
        assert_eq!(
            table.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
            (0..50).chain(150..200).collect::<Vec<_>>()
        );
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
