//! H4: what a participant has promised stands, and no other work instead of it.

use synod_machine::TxnId;

use super::{After, put};
use crate::violation::Checked;

impl After<'_> {
    /// It is asked to prepare other work under the same number.
    pub(super) fn no_other_work_is_promised(&self, txn: TxnId) -> Checked {
        self.is_refused(txn, put(b"another"), "H4")
    }
}
