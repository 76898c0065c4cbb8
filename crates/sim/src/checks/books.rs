//! P2, H5 and H7 of transactions, as their owners and whoever reads the books sees it: transfers
//! add up, all lists that transactions append to agree with one order, and a read finds what
//! anybody was told has committed before it began.

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{Revision, TxnId, Verdict};

use crate::{
    history::{
        append::{self, Appends, Fate, Read},
        bank::{self, Transfer},
    },
    violation::{Checked, Violation, demand},
};

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

    /// The revision that reads of the participant at `place` have shown.
    pub(crate) fn shown(&self, place: usize) -> Revision {
        self.shown.get(&place).copied().unwrap_or(Revision::ZERO)
    }

    /// H7: a read finds no less than another had shown before it began.
    pub(crate) fn shows(&mut self, place: usize, shown: Revision, revision: Revision) -> Checked {
        demand!(
            shown <= revision,
            "H7",
            "a read of participant {place} is of {revision}, after one of {shown}"
        );
        let highest = self.shown.entry(place).or_insert(Revision::ZERO);
        *highest = revision.max(*highest);
        Ok(())
    }

    /// H7: a read that began then finds what anybody had been told has committed.
    pub(crate) fn finds(&mut self, list: String, numbers: Vec<u64>, began_us: u64) -> Checked {
        let lacks = |(txn, begun): &(&TxnId, &Begun)| {
            matches!(begun.fate, Fate::Committed(told_us) if told_us < began_us)
                && begun.intent.lists.contains(&list)
                && !numbers.contains(&number(**txn))
        };
        let lacked = self.begun.iter().find(lacks).map(|(txn, _)| *txn);
        demand!(
            lacked.is_none(),
            "H7",
            "{list} is read without {lacked:?}, whose owner knew it committed before the read began"
        );
        self.read(list, numbers);
        Ok(())
    }

    /// Everything has come to an end, and `verdict` is what the log says.
    pub(crate) fn ended(
        &self,
        opening: &Standing,
        closing: &Standing,
        verdict: impl Fn(TxnId) -> Verdict,
    ) -> Checked {
        // Whoever heard nothing may still have committed, without anybody being answered.
        let fate = |txn: &TxnId, begun: &Begun| match (begun.fate, verdict(*txn)) {
            (Fate::Unknown, Verdict::Committed) => Fate::Committed(u64::MAX),
            (Fate::Unknown, Verdict::Aborted) => Fate::Aborted,
            (fate, _) => fate,
        };
        let transfers: Vec<Transfer> = (self.begun.iter())
            .map(|(txn, begun)| Transfer {
                fate: fate(txn, begun),
                moves: begun.intent.moves.clone(),
            })
            .collect();
        let added = bank::adds_up(&opening.accounts, &transfers, &closing.accounts);
        added.map_err(|wrong| Violation { invariant: "H5", what: wrong.to_string() })?;
        let appends: Vec<Appends> = (self.begun.iter())
            .map(|(txn, begun)| Appends {
                number: number(*txn),
                began: begun.at,
                fate: fate(txn, begun),
                lists: begun.intent.lists.clone(),
            })
            .filter(|appends| !appends.lists.is_empty())
            .collect();
        append::one_order(&appends, &closing.lists, &self.reads)
            .map_err(|wrong| Violation { invariant: "H5", what: wrong.to_string() })
    }
}
