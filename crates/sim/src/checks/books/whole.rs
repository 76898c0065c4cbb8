//! H5 of the books: all parts of a transaction are done, or none. Transfers add up, and all lists
//! that transactions append to agree with one order.

use synod_machine::{TxnId, Verdict};

use super::{Begun, Books, Standing, number};
use crate::{
    history::{
        append::{self, Appends, Fate},
        bank::{self, Transfer},
    },
    violation::{Checked, Violation},
};

impl Books {
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
