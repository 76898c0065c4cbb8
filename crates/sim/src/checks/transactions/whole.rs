//! H5: a transaction that has committed is done by all of its parts.

use super::Transactions;
use crate::violation::{Checked, demand};

impl Transactions {
    /// Everything has come to an end.
    pub(super) fn all_parts_are_done(&self) -> Checked {
        for (txn, parts) in &self.parts {
            let done = self.applied.iter().filter(|(_, of)| of == txn).count();
            demand!(
                done == parts.len(),
                "H5",
                "{txn} committed with {} parts, of which {done} are done",
                parts.len()
            );
        }
        Ok(())
    }
}
