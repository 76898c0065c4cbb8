//! H3: branches end on the chosen verdict, once, and never on *in progress*.

use std::fmt;

use synod_machine::{Machine, TxnId, Verdict};

use super::{Transactions, verdict_of};
use crate::violation::{Checked, Violation, demand};

impl Transactions {
    /// A participant ends a branch, in a step that told it this.
    pub(super) fn ends(
        &mut self,
        machine: &Machine,
        place: usize,
        txn: TxnId,
        told: Option<Verdict>,
    ) -> Checked {
        let chosen = verdict_of(machine, txn);
        let rightly = match told {
            Some(Verdict::Committed) => chosen == Verdict::Committed,
            Some(Verdict::Aborted) => {
                chosen == Verdict::Aborted
                    || chosen == Verdict::InProgress && self.given_up.contains(&txn)
            }
            Some(Verdict::InProgress | Verdict::Retired) | None => false,
        };
        let Some(told) = told.filter(|_| rightly) else {
            demand!(
                false,
                "H3",
                "participant {place} ends {txn} on {told:?}; the log says {chosen:?}"
            );
            return Ok(());
        };
        let first = *self.acted.entry((place, txn)).or_insert(told);
        demand!(first == told, "H3", "participant {place} ends {txn} on {told:?} after {first:?}");
        Ok(())
    }

    /// The end of a branch is durable: its commit is done.
    pub(super) fn is_done_once(&mut self, place: usize, txn: TxnId) -> Checked {
        if self.acted.get(&(place, txn)) == Some(&Verdict::Committed) {
            let first = self.applied.insert((place, txn));
            demand!(first, "H3", "participant {place} applies {txn} twice");
        }
        Ok(())
    }

    /// A commit is made: branches have not been ended by an owner that gave it up.
    pub(super) fn was_not_given_up(&self, txn: TxnId) -> Checked {
        demand!(
            !self.given_up.contains(&txn),
            "H3",
            "{txn} commits although its owner gave it up before proposing"
        );
        Ok(())
    }
}

/// A participant calls for a person. In a universe whose disks keep what was synced there is no
/// reason to.
pub(crate) fn needs_a_person(place: usize, alarm: &impl fmt::Debug) -> Checked {
    let what = format!("participant {place} calls for a person: {alarm:?}");
    Err(Violation { invariant: "H3", what })
}
