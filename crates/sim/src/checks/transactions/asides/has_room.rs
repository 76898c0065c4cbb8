//! I1: the log keeps no more commits that wait for their parts than it has room for.

use synod_machine::{Command, Rejection, Reply, RequestId, Room, Verdict};

use super::{Asides, LATE, commit, of};
use crate::{
    checks::transactions::verdict_of,
    violation::{Checked, demand},
};

impl Asides<'_> {
    /// The log has no room for one more commit that waits for its parts: there is none.
    pub(super) fn a_commit_without_room_is_none(&self) -> Checked {
        let Some(txn) = self.open() else { return Ok(()) };
        let mut later = self.machine.clone().with_room(Room { commits: 0, ..Room::default() });
        let own = Some(RequestId { session: txn.session, seq: LATE });
        let told = self.tell(&mut later, of(own, Command::Decide { txn, outcome: commit() }));
        let told = told.last().map(|applied| applied.reply.clone());
        let then = verdict_of(&later, txn);
        demand!(
            matches!(told, Some(Reply::Rejected(Rejection::TooMany { .. })))
                && then == Verdict::InProgress,
            "I1",
            "{txn} commits where no commit has room: it is told {told:?}, and then is {then:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::transactions::asides::{
        Hears,
        stage::{OWNER, fence, seen},
    };

    #[test]
    fn a_commit_that_is_not_refused_is_seen() {
        let of_it: Hears = |_| of(None, fence(OWNER));
        let commits = |asides: &Asides<'_>| asides.a_commit_without_room_is_none();
        assert_eq!(seen(of_it, commits), Some("I1"));
    }
}
