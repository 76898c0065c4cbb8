//! H2: nobody but its owner, who has everybody's yes, commits a transaction.

use synod_machine::{Command, Reply, RequestId, TxnId, Verdict};

use super::{Asides, LATE, commit};
use crate::violation::{Checked, demand};

impl Asides<'_> {
    pub(super) fn only_owners_commit(&self) -> Checked {
        let another = |txn: &TxnId| {
            let mut others = self.machine.live_sessions().map(|(session, _, _)| session);
            others.find(|session| *session != txn.session)
        };
        let Some((txn, session)) = self.open().and_then(|txn| Some((txn, another(&txn)?))) else {
            return Ok(());
        };
        let id = Some(RequestId { session, seq: LATE });
        let reply = self.told(id, Command::Decide { txn, outcome: commit() });
        demand!(
            !matches!(reply, Reply::Verdict(Verdict::Committed)),
            "H2",
            "{txn} commits for somebody that is not its owner"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::transactions::asides::{
        Hears,
        stage::{OWNER, seen},
    };

    #[test]
    fn a_commit_of_a_stranger_is_seen() {
        let of_the_owner: Hears = |mut batch| {
            batch.requests[0].id = Some(RequestId { session: OWNER, seq: LATE });
            batch
        };
        assert_eq!(seen(of_the_owner, |asides| asides.only_owners_commit()), Some("H2"));
    }
}
