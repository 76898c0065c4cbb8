use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Asker, Work};
use crate::participant_door::Said;
use crate::{Entry, Revision, SessionId, TxnId};

/// One fact for the participant's store. Facts of one sync go into one transaction of it, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// A promise: the branch is prepared with this work.
    Prepared {
        /// Of which transaction.
        txn: TxnId,
        /// What to do if it commits.
        work: Work,
    },
    /// The branch has ended: it is prepared no longer.
    Ended {
        /// Of which transaction.
        txn: TxnId,
    },
    /// A key as it stands now; `None` when it is gone.
    Key {
        /// Which.
        key: Bytes,
        /// What it is.
        entry: Option<Entry>,
    },
    /// The participant's revision.
    Revision(Revision),
    /// Transactions `first` to `last` of the session are applied; `None` removes the row, which
    /// another has taken in.
    Run {
        /// Whose.
        session: SessionId,
        /// The row's key, with the session.
        first: u64,
        /// The row.
        last: Option<u64>,
    },
    /// Transactions of the session below this one are over, applied or not; `None` removes it.
    Floor {
        /// Whose.
        session: SessionId,
        /// The first that is not.
        below: Option<u64>,
    },
    /// All transactions of sessions below this one are over.
    SessionsBelow(SessionId),
}

/// What the store holds beside the keys, and [`Branches::recover`](super::Branches::recover)
/// needs. A store in memory is one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The participant's revision.
    pub revision: Revision,
    /// Prepared branches.
    pub prepared: BTreeMap<TxnId, Work>,
    /// Applied transactions: (session, first) to last.
    pub runs: BTreeMap<(SessionId, u64), u64>,
    /// See [`Write::Floor`].
    pub floors: BTreeMap<SessionId, u64>,
    /// See [`Write::SessionsBelow`].
    pub sessions_below: SessionId,
}

impl Durable {
    /// What it holds after a write. Keys are the store's own.
    pub fn write(&mut self, write: &Write) {
        match write {
            Write::Prepared { txn, work } => {
                self.prepared.insert(*txn, work.clone());
            }
            Write::Ended { txn } => {
                self.prepared.remove(txn);
            }
            Write::Key { .. } => {}
            Write::Revision(revision) => self.revision = *revision,
            Write::Run { session, first, last } => {
                put_or_remove(&mut self.runs, (*session, *first), *last);
            }
            Write::Floor { session, below } => put_or_remove(&mut self.floors, *session, *below),
            Write::SessionsBelow(session) => self.sessions_below = *session,
        }
    }
}

fn put_or_remove<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(rows.insert(key, value)),
        None => drop(rows.remove(&key)),
    }
}

/// What is spoken once the facts before it are durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// An answer.
    Said {
        /// To whom.
        to: Asker,
        /// What.
        said: Said,
    },
    /// The log may hear that this commit is finished here. Gather these into one
    /// [`Command::Ack`](crate::Command::Ack), submit it until it is done, and step
    /// [`Input::Acknowledged`](super::Input::Acknowledged).
    Acknowledge(TxnId),
}

/// Facts, and the words that rely on them, sealed: [`Durably::synced`] consumes the batch, so no
/// word can leave before the disk has the facts. A batch without facts still waits behind those
/// before it.
#[must_use = "facts that are dropped are promises broken"]
#[derive(Debug, Default)]
pub struct Durably {
    writes: Vec<Write>,
    words: Vec<Word>,
}

impl Durably {
    /// The facts, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether there is neither fact nor word.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.words.is_empty()
    }

    /// Puts a later batch behind this one, so that one sync covers both.
    pub fn merge(&mut self, later: Durably) {
        self.writes.extend(later.writes);
        self.words.extend(later.words);
    }

    /// Opens the envelope. Only for whoever has just synced [`Durably::writes`].
    pub fn synced(self) -> Vec<Word> {
        self.words
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    pub(super) fn then_say(&mut self, to: Asker, said: Said) {
        self.words.push(Word::Said { to, said });
    }

    pub(super) fn then_acknowledge(&mut self, txn: TxnId) {
        self.words.push(Word::Acknowledge(txn));
    }
}
