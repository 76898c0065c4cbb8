//! C6 of commit: nothing commits after the end of its session.

use synod_machine::TxnId;

use super::Transactions;
use crate::violation::{Checked, demand};

impl Transactions {
    /// A commit is made, or told again.
    pub(super) fn goes_on(&self, txn: TxnId) -> Checked {
        demand!(
            self.parts.contains_key(&txn) || !self.fenced.contains(&txn.session),
            "C6",
            "{txn} commits after the end of its session"
        );
        Ok(())
    }
}
