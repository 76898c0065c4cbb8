use std::collections::BTreeSet;

use crate::{Command, SessionId, TxnId};

/// Numbers between two retires: each retire is a command, so not one a transaction; each abort by
/// somebody else is a record until then, so not too many.
const RETIRE_EVERY: u64 = 64;

/// Counts an owner's transactions, without asking anybody, and says when those below a number are
/// all over, so that the log can forget their aborts.
#[derive(Clone, Debug)]
pub struct Numbers {
    session: SessionId,
    next: u64,
    open: BTreeSet<u64>,
    retired: u64,
}

impl Numbers {
    /// The transactions of a session that has had none.
    pub fn new(session: SessionId) -> Numbers {
        Numbers { session, next: 1, open: BTreeSet::new(), retired: 1 }
    }

    /// A transaction that never was and never will be again.
    pub fn begin(&mut self) -> TxnId {
        let n = self.next;
        self.next = n.checked_add(1).expect("2^64 transactions cannot be counted");
        self.open.insert(n);
        TxnId { session: self.session, n }
    }

    /// It has its verdict, or its owner has given it up for good; no commit of it will be proposed
    /// from here on.
    pub fn end(&mut self, txn: TxnId) {
        self.open.remove(&txn.n);
    }

    /// What to submit now and then, when enough have ended. It also tells branches that nobody
    /// spoke to any more that they are aborted.
    pub fn retire(&mut self) -> Option<Command> {
        let below = self.open.first().copied().unwrap_or(self.next);
        if below.saturating_sub(self.retired) < RETIRE_EVERY {
            return None;
        }
        self.retired = below;
        Some(Command::Retire { below })
    }
}
