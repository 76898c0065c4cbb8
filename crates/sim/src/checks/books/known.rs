//! H7: a read at a participant finds whatever anybody was told has committed before it began, and
//! no less than another read had shown by then; and what it finds is durable.

use std::fmt;

use synod_machine::{Revision, TxnId};

use super::{Begun, Books, number};
use crate::{
    history::append::Fate,
    violation::{Checked, Violation, demand},
};

impl Books {
    /// The revision that reads of the participant at `place` have shown.
    pub(crate) fn shown(&self, place: usize) -> Revision {
        self.shown.get(&place).copied().unwrap_or(Revision::ZERO)
    }

    /// A read finds no less than another had shown before it began.
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

    /// A read that began then finds what anybody had been told has committed.
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
}

/// A participant reads out what is of this revision.
pub(crate) fn is_durable(place: usize, revision: Revision, durable: Revision) -> Checked {
    demand!(
        revision <= durable,
        "H7",
        "participant {place} reads out {revision}, and {durable} is durable"
    );
    Ok(())
}

/// An auditor hears of a participant what is no answer.
pub(crate) fn is_no_answer(place: usize, of: usize, said: &impl fmt::Debug) -> Checked {
    let what = format!("auditor {place}: participant {of} says {said:?}");
    Err(Violation { invariant: "H7", what })
}
