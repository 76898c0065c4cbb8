//! C12 of commit: what is forced is on record, and what nobody waits for cannot be forced.

use synod_machine::{
    Act, Answer, BranchIncarnation, Command, Query, Rejection, Reply, RequestId, SessionId, TxnId,
};

use super::{Asides, LATE, of};
use crate::violation::{Checked, demand};

impl Asides<'_> {
    /// A person ends the wait for a part that nobody waits for.
    pub(super) fn who_does_not_wait_is_not_forgotten(&self) -> Checked {
        let Some(participant) = self.known.stores.keys().next().cloned() else { return Ok(()) };
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let own = Some(RequestId { session, seq: LATE });
        let txn = TxnId { session: SessionId::new(u64::MAX), n: 1 };
        let (actor, reason) = ("an operator".to_owned(), "it is gone".to_owned());
        let forget = Command::ForgetParticipant { txn, participant, actor, reason };
        let reply = self.told(own, forget);
        demand!(
            matches!(reply, Reply::Rejected(Rejection::NotAwaited(_))),
            "C12",
            "the wait for a part of {txn} is ended, and there is none: {reply:?}"
        );
        Ok(())
    }

    /// A person ends the wait for a part, and a participant comes with another store.
    pub(super) fn what_is_forced_is_on_record(&self) -> Checked {
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let own = RequestId { session, seq: LATE };
        let mut waits = self.known.unacked.iter();
        let waits = waits.find_map(|(txn, names)| Some((*txn, names.first()?.clone())));
        if let Some((txn, name)) = waits {
            let (actor, reason) = ("an operator".to_owned(), "it is gone".to_owned());
            let participant = name.clone();
            let forget = Command::ForgetParticipant { txn, participant, actor, reason };
            let told = self.is_on_record_after(own, forget, |act| {
                matches!(act, Act::Forgot { txn: of, participant, .. }
                    if *of == txn && *participant == name)
            });
            demand!(told, "C12", "{txn} would wait for {name} no more; nothing tells of it");
        }
        if let Some(name) = self.known.stores.keys().next().cloned() {
            let (incarnation, address) = (BranchIncarnation(u64::MAX), "another:1".to_owned());
            let replaced =
                Command::RegisterParticipant { name: name.clone(), incarnation, address };
            let told = self.is_on_record_after(own, replaced, |act| {
                matches!(act, Act::Replaced { participant, is, .. }
                    if *participant == name && *is == incarnation)
            });
            demand!(told, "C12", "{name} would vote from another store; nothing tells of it");
        }
        Ok(())
    }

    fn is_on_record_after(
        &self,
        own: RequestId,
        command: Command,
        tells: impl Fn(&Act) -> bool,
    ) -> bool {
        let mut later = self.machine.clone();
        self.tell(&mut later, of(Some(own), command));
        match later.query(&Query::Audit) {
            Answer::Audit(entries) => entries.iter().any(|entry| tells(&entry.act)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use synod_machine::{Batch, Part, Proposal, Seq, Verdict};

    use super::*;
    use crate::checks::transactions::{
        Transactions,
        asides::{
            Hears,
            stage::{OPEN, OWNER, STORE, fence, log, seen, shard},
        },
    };

    #[test]
    fn an_end_of_a_wait_that_is_none_is_seen() {
        let of_it: Hears = |_| of(None, fence(OWNER));
        let forgets = |asides: &Asides<'_>| asides.who_does_not_wait_is_not_forgotten();
        assert_eq!(seen(of_it, forgets), Some("C12"));
    }

    /// A commit that waits for a part, and its participant.
    #[test]
    fn what_is_forced_and_not_on_record_is_seen() {
        let (mut machine, mut known) = log();
        let parts = vec![Part { participant: shard(), incarnation: STORE }];
        let id = Some(RequestId { session: OWNER, seq: Seq::new(3) });
        let outcome = Proposal::Commit { parts, multi: None };
        machine.apply(of(id, Command::Decide { txn: OPEN, outcome }));
        known.verdicts.insert(OPEN, Verdict::Committed);
        let check = |hears: Hears, known: &Transactions| {
            let asides = Asides { hears, ..Asides::to(&machine, known) };
            asides.what_is_forced_is_on_record().err().map(|violation| violation.invariant)
        };
        let nothing: Hears = |batch| Batch { requests: Vec::new(), ..batch };
        assert_eq!((check(|batch| batch, &known), check(nothing, &known)), (None, Some("C12")));
        known.unacked.insert(OPEN, BTreeSet::from([shard()]));
        assert_eq!(check(|batch| batch, &known), None);
        known.stores.clear();
        assert_eq!(check(nothing, &known), Some("C12"));
    }
}
