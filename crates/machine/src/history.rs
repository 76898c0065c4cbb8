mod change;
mod rows;

use crate::limits::REPLY_BYTES_MAX;
use crate::table::Digesting;
use crate::{
    Answer, Entry, RestoreError, Revision,
    coding::{Decoder, Encoder},
};
use bytes::Bytes;
use serde::Serialize;

pub use change::{Change, Interest, Touched};

use change::{Glimpse, Set};
use rows::{Rows, read};

/// Revisions whose changes are known at most.
pub(crate) const REVISIONS_MAX: u64 = 100_000;
/// And bytes of them, as a node holds them in memory.
pub(crate) const BYTES_MAX: u64 = 32 << 20;
/// Revisions that one answer looks at, so that none takes long, however rare what it looks for.
const LOOKED_AT_MAX: usize = 4_096;

/// What changed at the latest revisions, so that whoever was away for a while can go on where it
/// was, on any node. Every node forgets alike: the window is part of the state.
#[derive(Clone, Debug)]
pub(crate) struct History {
    rows: Rows,
    /// Of the request that is being applied, in stored form. Empty between requests.
    open: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Everything up to here is forgotten.
    forgotten: Revision,
}

impl History {
    pub(crate) fn new(seed: u64) -> History {
        History::of(Rows::new(seed), Revision::ZERO)
    }

    fn of(rows: Rows, forgotten: Revision) -> History {
        History { rows, open: Vec::new(), ends: Vec::new(), forgotten }
    }

    /// A request changes something.
    pub(crate) fn note(&mut self, change: Change) {
        write(&change, &mut self.open, &mut self.ends);
    }

    /// The change of most requests, [`Change::Put`], without a copy of it.
    pub(crate) fn note_put(&mut self, key: &Bytes, entry: &Entry) {
        write(&Set::Put { key, entry }, &mut self.open, &mut self.ends);
    }

    /// What the request changed, it changed at this revision.
    pub(crate) fn close(&mut self, at: Revision) {
        if !self.ends.is_empty() {
            self.rows.push(at, &self.open, &self.ends);
            self.open.clear();
            self.ends.clear();
        }
    }

    /// Lets go of the oldest while there is too much.
    pub(crate) fn sweep(&mut self) {
        while self.rows.len() > REVISIONS_MAX || self.rows.bytes() > BYTES_MAX {
            self.forget_first();
        }
    }

    /// Forgets everything up to `upto`.
    pub(crate) fn compact(&mut self, upto: Revision) {
        while self.rows.first().is_some_and(|first| first <= upto) {
            self.forget_first();
        }
        self.forgotten = self.forgotten.max(upto);
    }

    /// What changed after a revision, as far as one answer goes. `now` is the state's revision.
    pub(crate) fn after(&self, interest: &Interest, after: Revision, now: Revision) -> Answer {
        if after < self.forgotten {
            return Answer::Gap { forgotten: self.forgotten };
        }
        let (mut changes, mut bytes) = (Vec::new(), 0usize);
        let mut rows = self.rows.after(after).enumerate();
        let mut upto = after;
        let all = loop {
            let Some((looked_at, row)) = rows.next() else { break true };
            let concerned = || {
                let is_of = |change: &&[u8]| interest.is_of_glimpse(&read::<Glimpse<'_>>(change));
                row.changes().filter(is_of)
            };
            let of_row = concerned().map(<[u8]>::len).fold(0, usize::saturating_add);
            let full = bytes.saturating_add(of_row) > REPLY_BYTES_MAX;
            if (full && !changes.is_empty()) || looked_at >= LOOKED_AT_MAX {
                break false;
            }
            upto = row.at;
            if of_row > 0 {
                bytes = bytes.saturating_add(of_row);
                changes.push((row.at, concerned().map(read::<Change>).collect()));
            }
        };
        // Nothing lies between the last row and the state's revision.
        let upto = if all { upto.max(now) } else { upto };
        Answer::Changes { changes, upto }
    }

    /// Everything up to here is forgotten.
    pub(crate) fn forgotten(&self) -> Revision {
        self.forgotten
    }

    /// What the changes after a revision are of, without a copy of what it came to.
    pub(crate) fn touched_since(
        &self,
        after: Revision,
    ) -> impl Iterator<Item = (Revision, Touched<'_>)> {
        let rows = self.rows.after(after);
        rows.flat_map(|row| row.changes().map(move |change| (row.at, read::<Glimpse<'_>>(change))))
            .map(|(at, glimpse)| (at, glimpse.into()))
    }

    /// The changes after a revision, all of them.
    pub(crate) fn since(&self, after: Revision) -> impl Iterator<Item = (Revision, Change)> {
        let rows = self.rows.after(after);
        rows.flat_map(|row| row.changes().map(move |change| (row.at, read(change))))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn digest(&self, how: Digesting) -> (Revision, u64) {
        (self.forgotten, self.rows.digest(how))
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&self.forgotten)?;
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<History, RestoreError> {
        let forgotten = from.take()?;
        Ok(History::of(Rows::restore(seed, from)?, forgotten))
    }

    fn forget_first(&mut self) {
        self.forgotten = self.rows.pop_first().unwrap_or(self.forgotten);
    }
}

/// Writes a change behind others, and where it ends.
fn write(change: &impl Serialize, bytes: &mut Vec<u8>, ends: &mut Vec<usize>) {
    let written = postcard::to_extend(change, std::mem::take(bytes));
    *bytes = written.expect("a Vec takes every byte, and every sequence of ours knows its length");
    ends.push(bytes.len());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Entry;

    fn put(history: &mut History, at: u64, key: &'static str, bytes: usize) {
        let (key, value) = (Bytes::from(key), Bytes::from(vec![0; bytes]));
        let at = Revision::new(at);
        let entry = Entry { value, create: at, modified: at, version: 1, lease: None };
        history.note(Change::Put { key, entry });
        history.close(at);
    }

    fn keys(prefix: &'static str) -> Interest {
        Interest::Keys { prefix: prefix.into() }
    }

    /// Follows a watch to its end; the revisions that it was told of.
    fn follow(history: &History, interest: &Interest, now: u64) -> (Vec<u64>, usize) {
        let (mut told, mut after, mut answers) = (Vec::new(), Revision::ZERO, 0);
        while after < Revision::new(now) {
            answers += 1;
            let Answer::Changes { changes, upto } =
                history.after(interest, after, Revision::new(now))
            else {
                panic!("nothing is forgotten")
            };
            assert!(upto > after, "an answer gets on");
            assert!(changes.iter().all(|(at, _)| *at > after && *at <= upto));
            told.extend(changes.iter().map(|(at, _)| at.get()));
            after = upto;
        }
        (told, answers)
    }

    /// However rare what is watched, one answer looks only so far, and the next goes on there.
    #[test]
    fn a_rare_change_is_found_in_several_answers() {
        let mut history = History::new(1);
        for at in 1..=10_000 {
            put(&mut history, at, if at == 9_000 { "rare" } else { "common" }, 1);
        }
        let (told, answers) = follow(&history, &keys("rare"), 10_000);
        assert_eq!((told, answers), (vec![9_000], 3));
        let (told, _) = follow(&history, &keys("common"), 10_000);
        assert_eq!(told.len(), 9_999);
    }

    /// An answer carries whole revisions, as many as fit, and one that fits none alone.
    #[test]
    fn an_answer_carries_whole_revisions_as_many_as_fit() {
        let mut history = History::new(1);
        for at in 1..=6 {
            put(&mut history, at, "k", REPLY_BYTES_MAX / 2);
        }
        for part in 0..3 {
            let value = Bytes::from(vec![part; REPLY_BYTES_MAX / 2]);
            let at = Revision::new(7);
            let entry = Entry { value, create: at, modified: at, version: 1, lease: None };
            history.note(Change::Put { key: Bytes::from(vec![b'k', part]), entry });
        }
        history.close(Revision::new(7));
        let (told, answers) = follow(&history, &keys("k"), 7);
        assert_eq!((told, answers), ((1..=7).collect(), 7));
    }

    /// What is forgotten is a gap, to whoever had not been told of it and to nobody else.
    #[test]
    fn the_window_moves_on_and_tells() {
        let mut history = History::new(1);
        let many = REVISIONS_MAX + 10;
        for at in 1..=many {
            put(&mut history, at, "k", 1);
            history.sweep();
        }
        assert_eq!(history.len(), REVISIONS_MAX);
        let after = |at| history.after(&keys("k"), Revision::new(at), Revision::new(many));
        assert_eq!(after(9), Answer::Gap { forgotten: Revision::new(10) });
        assert!(matches!(after(10), Answer::Changes { changes, .. } if changes[0].0.get() == 11));
    }

    /// Large values move the window on as well as many do.
    #[test]
    fn the_window_is_bounded_in_bytes() {
        let mut history = History::new(1);
        for at in 1..=100 {
            put(&mut history, at, "k", 1 << 20);
            history.sweep();
        }
        assert_eq!(history.len(), 31);
        assert!(history.rows.bytes() <= BYTES_MAX);
    }
}
