use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::limits::REPLY_BYTES_MAX;
use crate::table::{Digesting, Table};
use crate::{
    Answer, BarrierNews, ClaimView, Entry, Holder, Name, Office, Position, RestoreError, Revision,
    coding::{Decoder, Encoder},
};

/// Revisions whose changes are known at most.
pub(crate) const REVISIONS_MAX: u64 = 100_000;
/// And bytes of them, as a node holds them in memory.
pub(crate) const BYTES_MAX: u64 = 32 << 20;
/// Revisions that one answer looks at, so that none takes long, however rare what it looks for.
const LOOKED_AT_MAX: usize = 4_096;
/// Bytes of a change besides its names and values: itself, its row and three allocations.
const CHANGE_BYTES: u64 = 240;

/// What a watch is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Interest {
    /// Keys that begin with this.
    Keys {
        /// With what.
        prefix: Bytes,
    },
    /// One lock.
    Lock {
        /// Which.
        name: Name,
    },
    /// One claim.
    Claim {
        /// Which.
        name: Name,
    },
    /// One register.
    Register {
        /// Which.
        name: Name,
    },
    /// One counter.
    Counter {
        /// Which.
        name: Name,
    },
    /// One barrier.
    Barrier {
        /// Which.
        name: Name,
    },
    /// What is appended to one journal.
    Journal {
        /// Which.
        name: Name,
    },
    /// How one election stands.
    Election {
        /// Which.
        name: Name,
    },
}

/// One thing that changed at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A key was set.
    Put {
        /// Which.
        key: Bytes,
        /// As it stands since.
        entry: Entry,
    },
    /// A key was removed.
    Deleted {
        /// Which.
        key: Bytes,
    },
    /// A lock came to another, or to nobody.
    Lock {
        /// Which.
        name: Name,
        /// Who has it since.
        holder: Option<Holder>,
    },
    /// A claim came to be, hangs on another lease, or is over.
    Claim {
        /// Which.
        name: Name,
        /// As it stands since.
        claim: Option<ClaimView>,
    },
    /// Something was chosen in a register.
    Register {
        /// Which.
        name: Name,
        /// What.
        value: Bytes,
    },
    /// A counter was counted, set or removed.
    Counter {
        /// Which.
        name: Name,
        /// What it is since, if it is still there.
        value: Option<i64>,
    },
    /// What those who wait at a barrier wait for.
    Barrier {
        /// Which.
        name: Name,
        /// What.
        news: BarrierNews,
    },
    /// An entry was appended to a journal.
    Journal {
        /// Which.
        name: Name,
        /// Where it stands.
        position: Position,
    },
    /// Somebody was granted, has left or proclaims something; or a person ordered something.
    Election {
        /// In which.
        name: Name,
        /// As it stands since.
        office: Office,
    },
}

/// What changed at the latest revisions, so that whoever was away for a while can go on where it
/// was, on any node. Every node forgets alike: the window is part of the state.
#[derive(Clone, Debug)]
pub(crate) struct History {
    rows: Table<Revision, Vec<Change>>,
    /// Of the request that is being applied. Empty between requests.
    open: Vec<Change>,
    /// Everything up to here is forgotten.
    forgotten: Revision,
    /// Follows from `rows`.
    bytes: u64,
}

impl History {
    pub(crate) fn new(seed: u64) -> History {
        History { rows: Table::new(seed), open: Vec::new(), forgotten: Revision::ZERO, bytes: 0 }
    }

    /// A request changes something.
    pub(crate) fn note(&mut self, change: Change) {
        self.bytes = self.bytes.saturating_add(change.bytes());
        self.open.push(change);
    }

    /// What the request changed, it changed at this revision.
    pub(crate) fn close(&mut self, at: Revision) {
        if !self.open.is_empty() {
            self.rows.insert(at, std::mem::take(&mut self.open));
        }
    }

    /// Lets go of the oldest while there is too much.
    pub(crate) fn sweep(&mut self) {
        while (self.rows.len() > REVISIONS_MAX || self.bytes > BYTES_MAX) && self.forget_first() {}
    }

    /// Forgets everything up to `upto`.
    pub(crate) fn compact(&mut self, upto: Revision) {
        while self.rows.iter().next().is_some_and(|(at, _)| *at <= upto) && self.forget_first() {}
        self.forgotten = self.forgotten.max(upto);
    }

    /// What changed after a revision, as far as one answer goes. `now` is the state's revision.
    pub(crate) fn after(&self, interest: &Interest, after: Revision, now: Revision) -> Answer {
        if after < self.forgotten {
            return Answer::Gap { forgotten: self.forgotten };
        }
        let (mut changes, mut bytes) = (Vec::new(), 0u64);
        let mut rows = self.rows.range((Excluded(after), Unbounded)).enumerate();
        let mut upto = after;
        let all = loop {
            let Some((looked_at, (at, row))) = rows.next() else { break true };
            let concerned = row.iter().filter(|change| interest.is_of(change));
            let of_row = concerned.clone().map(Change::bytes).fold(0, u64::saturating_add);
            let full = bytes.saturating_add(of_row) > REPLY_BYTES_MAX as u64;
            if (full && !changes.is_empty()) || looked_at >= LOOKED_AT_MAX {
                break false;
            }
            upto = *at;
            if of_row > 0 {
                bytes = bytes.saturating_add(of_row);
                changes.push((*at, concerned.cloned().collect()));
            }
        };
        // Nothing lies between the last row and the state's revision.
        let upto = if all { upto.max(now) } else { upto };
        Answer::Changes { changes, upto }
    }

    /// The changes after a revision, all of them.
    pub(crate) fn since(&self, after: Revision) -> impl Iterator<Item = (Revision, &Change)> {
        let rows = self.rows.range((Excluded(after), Unbounded));
        rows.flat_map(|(at, changes)| changes.iter().map(|change| (*at, change)))
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
        let rows: Table<Revision, Vec<Change>> = Table::restore(seed, from)?;
        let changes = rows.iter().flat_map(|(_, changes)| changes);
        let bytes = changes.map(Change::bytes).fold(0, u64::saturating_add);
        Ok(History { rows, open: Vec::new(), forgotten, bytes })
    }

    fn forget_first(&mut self) -> bool {
        let Some(first) = self.rows.iter().next().map(|(at, _)| *at) else { return false };
        let gone = self.rows.remove(&first).unwrap_or_default();
        let bytes = gone.iter().map(Change::bytes).fold(0, u64::saturating_add);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.forgotten = first;
        true
    }
}

impl Interest {
    /// Whether it is about this.
    pub fn is_of(&self, change: &Change) -> bool {
        match (self, change) {
            (Interest::Keys { prefix }, Change::Put { key, .. } | Change::Deleted { key }) => {
                key.starts_with(prefix)
            }
            (Interest::Lock { name }, Change::Lock { name: changed, .. })
            | (Interest::Claim { name }, Change::Claim { name: changed, .. })
            | (Interest::Register { name }, Change::Register { name: changed, .. })
            | (Interest::Counter { name }, Change::Counter { name: changed, .. })
            | (Interest::Barrier { name }, Change::Barrier { name: changed, .. })
            | (Interest::Journal { name }, Change::Journal { name: changed, .. })
            | (Interest::Election { name }, Change::Election { name: changed, .. }) => {
                name == changed
            }
            (
                Interest::Keys { .. }
                | Interest::Lock { .. }
                | Interest::Claim { .. }
                | Interest::Register { .. }
                | Interest::Counter { .. }
                | Interest::Barrier { .. }
                | Interest::Journal { .. }
                | Interest::Election { .. },
                _,
            ) => false,
        }
    }
}

impl Change {
    /// The interest in exactly what changed; of keys there is one for every prefix.
    pub fn named(&self) -> Option<Interest> {
        Some(match self {
            Change::Put { .. } | Change::Deleted { .. } => return None,
            Change::Lock { name, .. } => Interest::Lock { name: name.clone() },
            Change::Claim { name, .. } => Interest::Claim { name: name.clone() },
            Change::Register { name, .. } => Interest::Register { name: name.clone() },
            Change::Counter { name, .. } => Interest::Counter { name: name.clone() },
            Change::Barrier { name, .. } => Interest::Barrier { name: name.clone() },
            Change::Journal { name, .. } => Interest::Journal { name: name.clone() },
            Change::Election { name, .. } => Interest::Election { name: name.clone() },
        })
    }

    /// Bytes that it takes in memory, about.
    fn bytes(&self) -> u64 {
        let held = match self {
            Change::Put { key, entry } => key.len().saturating_add(entry.value.len()),
            Change::Deleted { key } => key.len(),
            Change::Lock { name, holder } => {
                let owner = holder.as_ref().map_or(0, |holder| holder.owner.len());
                name.as_str().len().saturating_add(owner)
            }
            Change::Claim { name, claim } => {
                let texts =
                    |claim: &ClaimView| claim.owner.len().saturating_add(claim.client.len());
                // The view names it again.
                let name = name.as_str().len().saturating_mul(2);
                name.saturating_add(claim.as_ref().map_or(0, texts))
            }
            Change::Election { name, office } => {
                name.as_str().len().saturating_add(office.weight())
            }
            Change::Register { name, value } => name.as_str().len().saturating_add(value.len()),
            Change::Counter { name, .. }
            | Change::Barrier { name, .. }
            | Change::Journal { name, .. } => name.as_str().len(),
        };
        CHANGE_BYTES.saturating_add(held as u64)
    }
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
        assert!(history.bytes <= BYTES_MAX);
    }
}
