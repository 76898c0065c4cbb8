//! H6: the record of a commit outlives its last part: it stands until all have acknowledged, and
//! who acknowledges has finished, durably.

use std::collections::BTreeSet;

use synod_machine::{Answer, Machine, ParticipantName, Query, TxnId};

use super::Transactions;
use crate::violation::{Checked, demand};

impl Transactions {
    /// A participant is about to tell the log that it has finished a commit.
    pub(crate) fn acknowledges(&self, place: usize, txn: TxnId) -> Checked {
        demand!(
            self.applied.contains(&(place, txn)),
            "H6",
            "participant {place} acknowledges {txn} before its commit is durable"
        );
        Ok(())
    }

    /// A participant says that it has finished what it was told: no crash takes that back.
    pub(crate) fn finishes(&self, place: usize, txn: TxnId) -> Checked {
        demand!(
            !self.open.contains(&(place, txn)),
            "H6",
            "participant {place} says that it has finished {txn} before that is durable"
        );
        Ok(())
    }

    /// The record of a commit stands until its last part has acknowledged.
    pub(super) fn stand_recorded(&self, acked: BTreeSet<&TxnId>, machine: &Machine) -> Checked {
        for txn in acked {
            let Some(unacked) = self.unacked.get(txn) else { continue };
            let Answer::Txn(view) = machine.query(&Query::Txn { txn: *txn }) else { continue };
            let awaited = view.parts.into_iter().filter(|(_, acked)| !acked);
            let awaited: BTreeSet<ParticipantName> = awaited.map(|(name, _)| name).collect();
            demand!(
                awaited == *unacked,
                "H6",
                "{txn} waits for {unacked:?} to finish, and the log for {awaited:?}"
            );
        }
        Ok(())
    }
}
