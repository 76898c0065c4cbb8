use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::order::{Key, Keys};

/// Rows that a leaf holds at most. With more, a clone costs less and the first change of a shared
/// leaf more: at this size, for a million small rows, a third of a millisecond and ten
/// microseconds.
const LEAF_ROWS_MAX: usize = 64;

/// An ordered map in leaves that its clones share, until one of them changes a leaf: then that leaf
/// alone is copied. So a clone of a million rows is some ten thousand counts, and whoever holds it
/// sees one moment for as long as it likes, while the original goes on.
///
/// A leaf gives up its first row as cheaply as its last: many tables grow at one end and are
/// forgotten at the other.
#[derive(Clone, Debug)]
pub(crate) struct Leaves<K, V> {
    /// In the order of keys; none of them is empty.
    leaves: Vec<Arc<Leaf<K, V>>>,
    /// One for each leaf, above all keys of the leaf before it and not above its own: the leaf of a
    /// key is found without looking into others.
    bounds: Keys<K>,
    count: usize,
    /// The row that was dealt with last: where the next one is looked for first. Any place is as
    /// good as any other but for the time it takes.
    last: Place,
}

/// Rows that stand next to each other: a value for each key.
#[derive(Clone, Debug)]
struct Leaf<K, V> {
    keys: Keys<K>,
    values: VecDeque<V>,
}

/// A place among the rows: before this row of this leaf.
type Place = (usize, usize);

impl<K: Key, V: Clone> Leaves<K, V> {
    pub(crate) fn new() -> Leaves<K, V> {
        Leaves { leaves: Vec::new(), bounds: Keys::new(), count: 0, last: (0, 0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let (leaf, row) = self.find(key).ok()?;
        Some(&self.leaves[leaf].values[row])
    }

    /// As [`Leaves::get`]; whatever is then done at this key does not look for it again.
    pub(crate) fn seek(&mut self, key: &K) -> Option<&V> {
        let (leaf, row) = self.look_up(key).ok()?;
        Some(&self.leaves[leaf].values[row])
    }

    /// The first key that is not below `from`.
    pub(crate) fn first_from(&mut self, from: &K) -> Option<&K> {
        let (leaf, row) = match self.look_up(from) {
            Ok(place) | Err(place) => place,
        };
        let here = self.leaves.get(leaf).and_then(|rows| rows.key(row));
        here.or_else(|| self.leaves.get(leaf + 1).and_then(|rows| rows.key(0)))
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (leaf, row) = self.look_up(key).ok()?;
        Some(&mut Arc::make_mut(&mut self.leaves[leaf]).values[row])
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (leaf, row) = match self.look_up(&key) {
            Ok((leaf, row)) => {
                let held = &mut Arc::make_mut(&mut self.leaves[leaf]).values[row];
                return Some(std::mem::replace(held, value));
            }
            Err(place) => place,
        };
        self.count += 1;
        let Some(shared) = self.leaves.get_mut(leaf) else {
            self.bounds.insert(leaf, key.clone());
            self.leaves.push(Arc::new(Leaf::of(key, value)));
            return None;
        };
        if key < self.bounds.all()[leaf] {
            self.bounds.replace(leaf, key.clone());
        }
        let rows = Arc::make_mut(shared);
        rows.keys.insert(row, key);
        rows.values.insert(row, value);
        self.last = (leaf, row);
        if rows.len() > LEAF_ROWS_MAX {
            // Keys that only grow leave full leaves behind them.
            let at = if row + 1 == rows.len() { row } else { rows.len() / 2 };
            let upper = rows.split_off(at);
            self.bounds.insert(leaf + 1, upper.keys.all()[0].clone());
            self.leaves.insert(leaf + 1, Arc::new(upper));
        }
        None
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (leaf, row) = self.look_up(key).ok()?;
        self.count -= 1;
        let rows = Arc::make_mut(&mut self.leaves[leaf]);
        rows.keys.remove(row);
        let removed = rows.values.remove(row);
        if rows.len() == 0 {
            self.leaves.remove(leaf);
            self.bounds.remove(leaf);
        }
        removed
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.between((0, 0), (self.leaves.len(), 0))
    }

    /// The rows of a range; none when its end lies before its start.
    pub(crate) fn range(
        &self,
        range: impl RangeBounds<K>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let start = match range.start_bound() {
            Bound::Included(first) => self.place(|key| key < first),
            Bound::Excluded(before) => self.place(|key| key <= before),
            Bound::Unbounded => (0, 0),
        };
        let end = match range.end_bound() {
            Bound::Included(last) => self.place(|key| key <= last),
            Bound::Excluded(after) => self.place(|key| key < after),
            Bound::Unbounded => (self.leaves.len(), 0),
        };
        self.between(start, end)
    }

    fn between(&self, start: Place, end: Place) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let whole = self.leaves.iter().enumerate().take(end.0 + 1).skip(start.0);
        whole.flat_map(move |(leaf, rows)| {
            let upto = if leaf == end.0 { end.1 } else { rows.len() };
            let from = if leaf == start.0 { start.1 } else { 0 };
            let range = from.min(upto)..upto;
            rows.keys.all().range(range.clone()).zip(rows.values.range(range))
        })
    }

    /// Finds a key, and remembers where that was.
    fn look_up(&mut self, key: &K) -> Result<Place, Place> {
        let found = self.find(key);
        self.last = match found {
            Ok(place) => place,
            Err((leaf, row)) => (leaf, row.saturating_sub(1)),
        };
        found
    }

    /// Where a key is; else where it would have to go.
    fn find(&self, key: &K) -> Result<Place, Place> {
        if let Some(found) = self.near(key) {
            return found;
        }
        let below = self.bounds.count_below(key);
        let is_bound = self.bounds.all().get(below) == Some(key);
        let leaf = if is_bound { below } else { below.saturating_sub(1) };
        let Some(rows) = self.leaves.get(leaf) else { return Err((leaf, 0)) };
        let row = rows.keys.count_below(key);
        if rows.key(row) == Some(key) { Ok((leaf, row)) } else { Err((leaf, row)) }
    }

    /// The same if it is at the last place or just behind it, as with requests of one session, one
    /// after the other.
    fn near(&self, key: &K) -> Option<Result<Place, Place>> {
        let (leaf, row) = self.last;
        let rows = self.leaves.get(leaf)?;
        match rows.key(row)?.cmp(key) {
            Ordering::Equal => return Some(Ok((leaf, row))),
            Ordering::Greater => return None,
            Ordering::Less => {}
        }
        let next = match rows.key(row + 1) {
            Some(next) => next.cmp(key),
            // What is not below the next leaf's bound belongs there.
            None if self.bounds.all().get(leaf + 1).is_some_and(|bound| bound <= key) => {
                return None;
            }
            None => Ordering::Greater,
        };
        match next {
            Ordering::Greater => Some(Err((leaf, row + 1))),
            Ordering::Equal => Some(Ok((leaf, row + 1))),
            Ordering::Less => None,
        }
    }

    /// The place behind all keys that lie `before` something.
    fn place(&self, before: impl Fn(&K) -> bool) -> Place {
        match self.bounds.all().partition_point(&before).checked_sub(1) {
            Some(leaf) => (leaf, self.leaves[leaf].keys.all().partition_point(before)),
            None => (0, 0),
        }
    }
}

impl<K: Key, V> Leaf<K, V> {
    fn of(key: K, value: V) -> Leaf<K, V> {
        let mut keys = Keys::new();
        keys.insert(0, key);
        Leaf { keys, values: VecDeque::from([value]) }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn key(&self, row: usize) -> Option<&K> {
        self.keys.all().get(row)
    }

    /// Takes out the rows from this one on.
    fn split_off(&mut self, row: usize) -> Leaf<K, V> {
        Leaf { keys: self.keys.split_off(row), values: self.values.split_off(row) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn rows(leaves: &Leaves<u16, u16>) -> Vec<(u16, u16)> {
        leaves.iter().map(|(key, value)| (*key, *value)).collect()
    }

    fn model_rows(model: &BTreeMap<u16, u16>) -> Vec<(u16, u16)> {
        model.iter().map(|(key, value)| (*key, *value)).collect()
    }

    /// Each bound lies above the leaf before it, and not above its own.
    fn assert_bounds(leaves: &Leaves<u16, u16>) {
        let bounds = leaves.bounds.all();
        assert_eq!(bounds.len(), leaves.leaves.len());
        for (bound, rows) in bounds.iter().zip(&leaves.leaves) {
            assert!(Some(bound) <= rows.key(0));
        }
        for (rows, next) in leaves.leaves.iter().zip(bounds.iter().skip(1)) {
            assert!(rows.key(rows.len() - 1) < Some(next));
        }
    }

    proptest! {
        /// Leaves are a map: whatever is done to them, a `BTreeMap` comes to the same. And a clone
        /// stays what it was.
        #[test]
        fn leaves_are_a_map_whose_clones_stand_still(
            steps in prop::collection::vec((0u8..9, 0u16..600, any::<u16>()), 0..1_500),
            copied in 0usize..1_500,
            ranges in prop::collection::vec((0u16..620, 0u16..620), 8),
        ) {
            let (mut leaves, mut model) = (Leaves::new(), BTreeMap::new());
            let mut copy = None;
            for (place, (act, key, value)) in steps.into_iter().enumerate() {
                if place == copied {
                    copy = Some((leaves.clone(), model.clone()));
                }
                match act {
                    0..5 => prop_assert_eq!(leaves.insert(key, value), model.insert(key, value)),
                    5 | 6 => prop_assert_eq!(leaves.remove(&key), model.remove(&key)),
                    7 => {
                        let first = model.range(key..).next().map(|(key, _)| key);
                        prop_assert_eq!(leaves.first_from(&key), first);
                        prop_assert_eq!(leaves.seek(&key), model.get(&key));
                    }
                    _ => {
                        let (here, there) = (leaves.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(here.is_some(), there.is_some());
                        if let (Some(here), Some(there)) = (here, there) {
                            (*here, *there) = (value, value);
                        }
                    }
                }
                prop_assert_eq!(leaves.get(&key), model.get(&key));
                prop_assert_eq!(leaves.len(), model.len());
            }
            prop_assert_eq!(rows(&leaves), model_rows(&model));
            assert_bounds(&leaves);
            for (from, upto) in ranges {
                let (from, upto) = (from.min(upto), from.max(upto));
                let here: Vec<_> = leaves.range(from..upto).collect();
                let there: Vec<_> = model.range(from..upto).collect();
                prop_assert_eq!(here, there);
                let here: Vec<_> = leaves.range(from..=upto).rev().collect();
                let there: Vec<_> = model.range(from..=upto).rev().collect();
                prop_assert_eq!(here, there);
                let after = (Bound::Excluded(from), Bound::Unbounded);
                let here: Vec<_> = leaves.range(after).collect();
                let there: Vec<_> = model.range(after).collect();
                prop_assert_eq!(here, there);
            }
            if let Some((leaves, model)) = copy {
                prop_assert_eq!(rows(&leaves), model_rows(&model));
            }
        }
    }

    /// A change copies one leaf; the rest is shared still.
    #[test]
    fn a_change_copies_one_leaf_and_no_more() {
        let mut leaves = Leaves::new();
        for key in 0..10_000_u16 {
            leaves.insert(key, 0);
        }
        assert_eq!(leaves.leaves.len(), 10_000_usize.div_ceil(LEAF_ROWS_MAX), "leaves are full");
        let copy = leaves.clone();
        leaves.insert(5_000, 1);
        let shared = leaves.leaves.iter().zip(&copy.leaves).filter(|(a, b)| Arc::ptr_eq(a, b));
        assert_eq!(shared.count(), copy.leaves.len() - 1);
        assert_eq!(copy.get(&5_000), Some(&0));
    }

    /// An upside-down range is empty.
    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        let mut leaves = Leaves::new();
        for key in 0..1_000_u16 {
            leaves.insert(key, ());
        }
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let upside_down = 700..300;
        assert_eq!(leaves.range(upside_down).count(), 0);
    }
}
