//! H4: what a participant has promised stands until its branch ends, also over restarts.

use synod_machine::{SessionId, TxnId, branch::Durable};

use super::Transactions;
use crate::{
    sights::Sight,
    violation::{Checked, demand},
};

/// Below every transaction.
const FIRST: TxnId = TxnId { session: SessionId::ZERO, n: 0 };

impl Transactions {
    /// The end of a branch is durable: it had been promised.
    pub(super) fn was_open(&mut self, place: usize, txn: TxnId) -> Checked {
        let was_open = self.open.remove(&(place, txn));
        demand!(was_open, "H4", "participant {place} ends {txn}, which is not open");
        Ok(())
    }

    /// A participant starts from what is durable: every promise is there, and no other.
    pub(crate) fn recovered(&mut self, place: usize, durable: &Durable) -> Checked {
        let open = self.open.range((place, FIRST)..).take_while(|(at, _)| *at == place);
        let open: Vec<TxnId> = open.map(|(_, txn)| *txn).collect();
        let found: Vec<TxnId> = durable.prepared.keys().copied().collect();
        demand!(
            open == found,
            "H4",
            "participant {place} starts with {found:?} prepared; it had promised {open:?}"
        );
        if !found.is_empty() {
            self.seen.see(Sight::DoubtAtStart);
        }
        Ok(())
    }
}
