//! Transactions as their owners and whoever reads the books see them: what they wanted, what they
//! heard, and what they found.

pub(crate) mod known;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{Revision, TxnId, Verdict};

use crate::history::append::{Fate, Read};

/// What owners have wanted, and what they have heard.
#[derive(Debug, Default)]
pub(crate) struct Books {
    begun: BTreeMap<TxnId, Begun>,
    reads: Vec<Read>,
    /// The highest revision of each participant that a read has shown.
    shown: BTreeMap<usize, Revision>,
}

/// What a transaction is to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// How much each account gains.
    pub(crate) moves: BTreeMap<String, i64>,
    /// The lists that it appends its number to.
    pub(crate) lists: BTreeSet<String>,
}

#[derive(Debug)]
struct Begun {
    at: u64,
    intent: Intent,
    fate: Fate,
}

/// What stands at all participants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) accounts: BTreeMap<String, i64>,
    pub(crate) lists: BTreeMap<String, Vec<u64>>,
}

/// The number that a transaction appends.
pub(crate) fn number(txn: TxnId) -> u64 {
    txn.session.get() << 32 | txn.n
}

impl Books {
    /// A transaction begins.
    pub(crate) fn begins(&mut self, txn: TxnId, intent: Intent, now: u64) {
        self.begun.insert(txn, Begun { at: now, intent, fate: Fate::Unknown });
    }

    /// Its owner hears the verdict, or has given it up before it was proposed.
    pub(crate) fn told(&mut self, txn: TxnId, verdict: Verdict, now: u64) {
        let Some(begun) = self.begun.get_mut(&txn) else { return };
        begun.fate = match (verdict, begun.fate) {
            (Verdict::Committed, Fate::Unknown) => Fate::Committed(now),
            (Verdict::Aborted, _) => Fate::Aborted,
            (_, known) => known,
        };
    }

    /// Somebody looks at a list.
    pub(crate) fn read(&mut self, list: String, numbers: Vec<u64>) {
        self.reads.push(Read { list, numbers });
    }
}
