use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Change;
use crate::table::Digesting;
use crate::{
    RestoreError, Revision,
    coding::{Decoder, Encoder},
};

/// A piece takes no further row once it holds so many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes of a change besides its own.
const MARK_BYTES: u64 = size_of::<Mark>() as u64;

/// Revisions with their changes, each change in its stored form, one after the other in pieces that
/// clones share: what a change takes in memory is its bytes and a mark, whatever it is made of, and
/// nothing is read back until somebody asks for it. New ones come at one end and old ones go at the
/// other.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    seed: u64,
    /// The oldest first; none of them is empty.
    pieces: VecDeque<Arc<Piece>>,
    /// Marks of the first piece that are forgotten.
    gone: usize,
    /// Rows.
    count: u64,
    /// What they take in memory.
    bytes: u64,
    /// The wrapping sum of one hash per row: it depends on the rows, not on their pieces.
    sum: u64,
    /// Where a row is put together to be hashed. Empty between uses.
    row: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// Where a change ends; it begins where the one before it ends. Changes of one row have one
/// revision and stand in one piece.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Revision,
    end: usize,
}

/// What changed at one revision, as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) at: Revision,
    marks: &'a [Mark],
    start: usize,
    bytes: &'a [u8],
}

impl Rows {
    pub(super) fn new(seed: u64) -> Rows {
        let (pieces, row) = (VecDeque::new(), Vec::new());
        Rows { seed, pieces, gone: 0, count: 0, bytes: 0, sum: 0, row }
    }

    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a revision above all others; `ends` tells where each of its changes ends in `changes`.
    pub(super) fn push(&mut self, at: Revision, changes: &[u8], ends: &[usize]) {
        self.sum = self.sum.wrapping_add(self.digest_of(at, ends.len(), changes));
        self.count += 1;
        self.bytes = self.bytes.saturating_add(weight(changes.len(), ends.len()));
        match self.pieces.back_mut() {
            Some(last) if last.bytes.len() < PIECE_BYTES => Arc::make_mut(last),
            Some(_) | None => {
                self.pieces.push_back(Arc::default());
                Arc::make_mut(self.pieces.back_mut().expect("one was just put there"))
            }
        }
        .push(at, changes, ends);
    }

    /// The oldest revision.
    pub(super) fn first(&self) -> Option<Revision> {
        self.pieces.front().map(|piece| piece.marks[self.gone].at)
    }

    /// Forgets the oldest revision; which it was.
    pub(super) fn pop_first(&mut self) -> Option<Revision> {
        let piece = Arc::clone(self.pieces.front()?);
        let row = piece.row(self.gone);
        let changes = row.whole();
        self.sum = self.sum.wrapping_sub(self.digest_of(row.at, row.marks.len(), changes));
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(weight(changes.len(), row.marks.len()));
        self.gone += row.marks.len();
        if self.gone == piece.marks.len() {
            self.pieces.pop_front();
            self.gone = 0;
        }
        Some(row.at)
    }

    /// The revisions after this one, in order.
    pub(super) fn after(&self, after: Revision) -> impl Iterator<Item = Row<'_>> {
        let piece = self.pieces.partition_point(|piece| piece.last() <= after);
        let from = self.pieces.get(piece).map_or(0, |first| {
            let known = first.marks.partition_point(|mark| mark.at <= after);
            if piece == 0 { known.max(self.gone) } else { known }
        });
        let starts = std::iter::once(from).chain(std::iter::repeat(0));
        let pieces = self.pieces.range(piece..).zip(starts);
        pieces.flat_map(|(piece, from)| piece.rows(from))
    }

    pub(super) fn digest(&self, how: Digesting) -> u64 {
        match how {
            Digesting::AsKept => self.sum,
            Digesting::Anew => {
                let mut scratch = Rows::new(self.seed);
                let digests = self.after(Revision::ZERO);
                digests.fold(0, |sum: u64, row| {
                    sum.wrapping_add(scratch.digest_of(row.at, row.marks.len(), row.whole()))
                })
            }
        }
    }

    /// Writes the number of rows, and each with its changes.
    pub(super) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&self.count)?;
        self.after(Revision::ZERO).try_for_each(|row| {
            to.put(&(row.at, row.marks.len()))?;
            to.put_as_is(row.whole())
        })
    }

    /// What was written: revisions grow, none is without a change, and every change is one.
    pub(super) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Rows, RestoreError> {
        let mut rows = Rows::new(seed);
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let count: u64 = from.take()?;
        let mut last = Revision::ZERO;
        for _ in 0..count {
            let (at, changes): (Revision, Vec<Change>) = from.take()?;
            if at <= last || changes.is_empty() {
                return Err(RestoreError::Malformed { left: from.left() });
            }
            last = at;
            bytes.clear();
            ends.clear();
            for change in &changes {
                super::write(change, &mut bytes, &mut ends);
            }
            rows.push(at, &bytes, &ends);
        }
        Ok(rows)
    }

    /// The hash of a row in its stored form: its revision, how many changes, and they.
    fn digest_of(&mut self, at: Revision, count: usize, changes: &[u8]) -> u64 {
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        row = postcard::to_extend(&(at, count), row).expect("a Vec takes every byte");
        row.extend_from_slice(changes);
        let digest = xxh3_64_with_seed(&row, self.seed);
        self.row = row;
        digest
    }
}

impl Piece {
    fn push(&mut self, at: Revision, changes: &[u8], ends: &[usize]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(changes);
        self.marks.extend(ends.iter().map(|end| Mark { at, end: start + end }));
        if self.bytes.len() >= PIECE_BYTES {
            self.bytes.shrink_to_fit();
            self.marks.shrink_to_fit();
        }
    }

    fn last(&self) -> Revision {
        self.marks.last().map_or(Revision::ZERO, |mark| mark.at)
    }

    /// The row whose first change has this mark.
    fn row(&self, mark: usize) -> Row<'_> {
        let at = self.marks[mark].at;
        let marks = &self.marks[mark..];
        let marks = &marks[..marks.partition_point(|mark| mark.at == at)];
        let start = if mark == 0 { 0 } else { self.marks[mark - 1].end };
        Row { at, marks, start, bytes: &self.bytes }
    }

    fn rows(&self, from: usize) -> impl Iterator<Item = Row<'_>> {
        let mut next = from;
        std::iter::from_fn(move || {
            let row = (next < self.marks.len()).then(|| self.row(next))?;
            next += row.marks.len();
            Some(row)
        })
    }
}

impl<'a> Row<'a> {
    /// Its changes, each in its stored form.
    pub(super) fn changes(self) -> impl Iterator<Item = &'a [u8]> {
        let starts = std::iter::once(self.start).chain(self.marks.iter().map(|mark| mark.end));
        starts.zip(self.marks).map(move |(start, mark)| &self.bytes[start..mark.end])
    }

    fn whole(self) -> &'a [u8] {
        let end = self.marks.last().map_or(self.start, |mark| mark.end);
        &self.bytes[self.start..end]
    }
}

fn weight(bytes: usize, changes: usize) -> u64 {
    (bytes as u64).saturating_add((changes as u64).saturating_mul(MARK_BYTES))
}

/// Reads from the front of what was written here, or was checked when it came from elsewhere.
pub(super) fn read<'a, T: Deserialize<'a>>(change: &'a [u8]) -> T {
    let (read, _) = postcard::take_from_bytes(change).expect("rows hold what was written to them");
    read
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::history::write;

    /// What is done to rows: a revision with changes whose keys are so long, or the oldest goes.
    fn steps() -> impl Strategy<Value = Vec<Option<Vec<usize>>>> {
        let lengths = prop::collection::vec(0usize..40_000, 1..4);
        prop::collection::vec(prop::option::weighted(0.7, lengths), 0..40)
    }

    fn told(rows: &Rows, after: Revision) -> Vec<(Revision, Vec<Change>)> {
        rows.after(after).map(|row| (row.at, row.changes().map(read).collect())).collect()
    }

    fn restored(rows: &Rows) -> Rows {
        let mut bytes = Vec::new();
        let mut sink = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok::<(), std::convert::Infallible>(())
        };
        let mut to = Encoder::new(&mut sink);
        rows.encode(&mut to).unwrap();
        to.flush().unwrap();
        let mut from = Decoder::new(&bytes);
        let rows = Rows::restore(rows.seed, &mut from).unwrap();
        assert_eq!(from.left(), 0);
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whatever pieces they lie in: after every revision exactly what is left after it, the
        /// digest kept is the one of what is left, what is written is read back, and a clone keeps
        /// to its moment.
        #[test]
        fn rows_are_a_map_of_what_is_left(
            steps in steps(),
            moment in 0u64..40,
            afters in prop::collection::vec(0u64..82, 5),
        ) {
            let (mut rows, mut model) = (Rows::new(7), BTreeMap::new());
            let mut then = None;
            for (place, step) in (1u64..).zip(steps) {
                if place == moment {
                    then = Some((rows.clone(), model.clone()));
                }
                match step {
                    Some(lengths) => {
                        // Not every revision changes something that is kept.
                        let at = Revision::new(2 * place);
                        let key = |length| Bytes::from(vec![b'k'; length]);
                        let of = |length| Change::Deleted { key: key(length) };
                        let changes: Vec<Change> = lengths.into_iter().map(of).collect();
                        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
                        changes.iter().for_each(|one| write(one, &mut bytes, &mut ends));
                        rows.push(at, &bytes, &ends);
                        model.insert(at, changes);
                    }
                    None => {
                        let first = model.pop_first().map(|(at, _)| at);
                        prop_assert_eq!(rows.pop_first(), first);
                    }
                }
                prop_assert_eq!(rows.first(), model.keys().next().copied());
            }
            for (rows, model) in then.into_iter().chain([(rows, model)]) {
                for after in afters.iter().copied().map(Revision::new) {
                    let left = model.range(after.next()..).map(|(at, row)| (*at, row.clone()));
                    prop_assert_eq!(told(&rows, after), left.collect::<Vec<_>>());
                }
                prop_assert_eq!(rows.len(), model.len() as u64);
                prop_assert_eq!(rows.digest(Digesting::AsKept), rows.digest(Digesting::Anew));
                let copy = restored(&rows);
                prop_assert_eq!(copy.digest(Digesting::AsKept), rows.digest(Digesting::AsKept));
                prop_assert_eq!(copy.bytes(), rows.bytes());
                prop_assert_eq!(told(&copy, Revision::ZERO), told(&rows, Revision::ZERO));
            }
        }
    }

    /// Rows stand in order, each with something in it.
    #[test]
    fn rows_out_of_order_and_empty_ones_are_refused() {
        let change = || vec![Change::Deleted { key: "k".into() }];
        let restore = |rows: &[(Revision, Vec<Change>)]| {
            let bytes = postcard::to_allocvec(&(rows.len() as u64)).unwrap();
            let bytes =
                rows.iter().fold(bytes, |bytes, row| postcard::to_extend(row, bytes).unwrap());
            Rows::restore(7, &mut Decoder::new(&bytes)).map(|rows| rows.len())
        };
        let at = Revision::new;
        assert_eq!(restore(&[(at(1), change()), (at(2), change())]), Ok(2));
        let refused = |rows: &[_]| matches!(restore(rows), Err(RestoreError::Malformed { .. }));
        assert!(refused(&[(at(2), change()), (at(2), change())]));
        assert!(refused(&[(at(1), Vec::new())]));
    }
}
