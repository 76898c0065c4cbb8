//! H1: whatever comes to the log, a transaction has one verdict, for whoever asks.

use synod_machine::{
    AbortCause, Batch, Command, FenceCause, Part, Proposal, Rejection, Reply, RequestId, Room, Seq,
    SessionId, Timestamp, TxnId, Verdict,
};

use super::{Asides, LATE, commit, of};
use crate::{
    checks::transactions::verdict_of,
    violation::{Checked, demand},
};

/// So many commits of a session come after one that waits: more than most sessions have runs of.
const AFTER: u64 = 8;

impl Asides<'_> {
    pub(super) fn nothing_is_decided_early(&self) -> Checked {
        let txn = TxnId { session: SessionId::new(u64::MAX), n: 1 };
        let outcome = Proposal::Abort { cause: AbortCause::Owner };
        let reply = self.told(None, Command::Decide { txn, outcome });
        demand!(
            !matches!(reply, Reply::Verdict(_)),
            "H1",
            "{txn} is decided before its session is opened: {reply:?}"
        );
        Ok(())
    }

    pub(super) fn nothing_is_fenced_early(&self) -> Checked {
        let session = SessionId::new(u64::MAX);
        let fence = Command::Fence { session, cause: FenceCause::Operator, guard: None };
        let reply = self.told(None, fence);
        demand!(
            reply == Reply::Rejected(Rejection::UnknownSession),
            "H1",
            "session {session} is ended before it is opened: {reply:?}"
        );
        Ok(())
    }

    pub(super) fn who_comes_late_hears_what_stands(&self) -> Checked {
        let decided = self.known.verdicts.iter().find(|(txn, verdict)| {
            let live = self.machine.session_owner(txn.session).is_some();
            !live && matches!(verdict, Verdict::Committed | Verdict::Aborted)
        });
        let Some((txn, verdict)) = decided else { return Ok(()) };
        let own = RequestId { session: txn.session, seq: LATE };
        let reply = self.told(Some(own), Command::Decide { txn: *txn, outcome: commit() });
        demand!(
            reply == Reply::Verdict(*verdict),
            "H1",
            "the owner of {txn}, which is {verdict:?}, comes late and is told {reply:?}"
        );
        Ok(())
    }

    /// An owner retires what is below a number, and then, by an old request, below a lower one.
    pub(super) fn marks_stand(&self) -> Checked {
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let txn = TxnId { session, n: u64::MAX - 1 };
        let mut later = self.machine.clone();
        for (seq, below) in [(LATE, u64::MAX), (Seq::new(u64::MAX), 0)] {
            let id = Some(RequestId { session, seq });
            self.tell(&mut later, of(id, Command::Retire { below }));
        }
        let verdict = verdict_of(&later, txn);
        demand!(
            verdict == Verdict::Aborted,
            "H1",
            "{txn} was retired, and after a retire of less it is {verdict:?}"
        );
        Ok(())
    }

    /// The clock of one leader leaps.
    pub(super) fn a_leap_forgets_nothing(&self) -> Checked {
        let mut later = self.machine.clone();
        self.tell(&mut later, Batch { stamp: Timestamp(u64::MAX), requests: Vec::new() });
        for (txn, verdict) in &self.known.verdicts {
            let then = verdict_of(&later, *txn);
            demand!(
                then == *verdict,
                "H1",
                "{txn} was {verdict:?}, and after one leap of a clock it is {then:?}"
            );
        }
        Ok(())
    }

    /// The log has no room for a single run of commits. What it knows no more it says so of.
    pub(super) fn what_is_forgotten_is_retired(&self) -> Checked {
        let mut later = self.machine.clone().with_room(Room { runs: 0, ..Room::default() });
        self.tell(&mut later, Batch { stamp: Timestamp(0), requests: Vec::new() });
        for (txn, verdict) in &self.known.verdicts {
            let then = verdict_of(&later, *txn);
            demand!(
                then == *verdict || then == Verdict::Retired,
                "H1",
                "{txn} was {verdict:?}, and is {then:?} when there was no room for it"
            );
        }
        Ok(())
    }

    /// The same log, and then the session of something that it has forgotten ends.
    pub(super) fn what_is_forgotten_is_not_aborted(&self) -> Checked {
        let committed = |txn: &TxnId| self.known.verdicts.get(txn) == Some(&Verdict::Committed);
        let live = |txn: &&TxnId| self.machine.session_owner(txn.session).is_some();
        let mut txns = self.known.verdicts.keys().filter(|txn| committed(txn));
        let Some(TxnId { session, .. }) = txns.find(live).copied() else { return Ok(()) };
        let mut later = self.machine.clone().with_room(Room { runs: 0, ..Room::default() });
        self.tell(&mut later, Batch { stamp: Timestamp(0), requests: Vec::new() });
        let cause = FenceCause::Operator;
        self.tell(&mut later, of(None, Command::Fence { session, cause, guard: None }));
        let of_it = self.known.verdicts.keys().filter(|txn| txn.session == session);
        for txn in of_it.filter(|txn| committed(txn)) {
            let then = verdict_of(&later, *txn);
            demand!(
                matches!(then, Verdict::Committed | Verdict::Retired),
                "H1",
                "{txn} committed and was forgotten; its session has ended, and it is {then:?}"
            );
        }
        Ok(())
    }

    /// A commit waits for a part, and the log has no room for what its session commits after it:
    /// that is forgotten, and what waits is not. When its part has come, the others stay forgotten.
    pub(super) fn what_waits_is_not_forgotten(&self) -> Checked {
        let (Some(txn), Some((name, incarnation))) = (self.open(), self.known.stores.iter().next())
        else {
            return Ok(());
        };
        let part = Part { participant: name.clone(), incarnation: *incarnation };
        let waits = Proposal::Commit { parts: vec![part], multi: None };
        let after = (1..=AFTER).map(|n| TxnId { n: u64::MAX - 2 * (AFTER - n) - 1, ..txn });
        let after = after.map(|txn| (txn, commit()));
        let room = Room { runs_of_one: 0, ..Room::default() };
        let mut later = self.machine.clone().with_room(room);
        for ((txn, outcome), n) in [(txn, waits)].into_iter().chain(after.clone()).zip(0..) {
            let own = RequestId { session: txn.session, seq: Seq::new(LATE.get() - AFTER + n) };
            self.tell(&mut later, of(Some(own), Command::Decide { txn, outcome }));
        }
        let then = verdict_of(&later, txn);
        demand!(
            then == Verdict::Committed,
            "H1",
            "{txn} waits for {name}, and is {then:?} when there was no room for what came after it"
        );
        let ack = Command::Ack { participant: name.clone(), txns: vec![txn] };
        self.tell(&mut later, of(None, ack));
        for (after, _) in after {
            let then = verdict_of(&later, after);
            demand!(
                matches!(then, Verdict::Committed | Verdict::Retired),
                "H1",
                "{after} committed and was forgotten; since {txn} is acknowledged it is {then:?}"
            );
        }
        Ok(())
    }

    /// The log has no room for one more abort of a session. A branch that waits hears of it anyway,
    /// and whoever asks later hears the same.
    pub(super) fn an_abort_always_has_room(&self) -> Checked {
        let Some(txn) = self.open() else { return Ok(()) };
        let room = Room { aborts_of_one: 0, ..Room::default() };
        let mut later = self.machine.clone().with_room(room);
        let outcome = Proposal::Abort { cause: AbortCause::Owner };
        let told = self.tell(&mut later, of(None, Command::Decide { txn, outcome }));
        let told = told.last().map(|applied| applied.reply.clone());
        let then = verdict_of(&later, txn);
        demand!(
            told == Some(Reply::Verdict(then)) && then == Verdict::Aborted,
            "H1",
            "{txn} aborts where no abort has room: it is told {told:?}, and then is {then:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::transactions::{
        Transactions,
        asides::{
            Hears,
            stage::{DONE, OPEN, OWNER, fence, log, seen},
        },
    };

    #[test]
    fn a_decision_that_comes_early_or_late_is_seen() {
        let of_another: Hears = |mut batch| {
            let outcome = Proposal::Abort { cause: AbortCause::Owner };
            batch.requests[0].command = Command::Decide { txn: OPEN, outcome };
            batch
        };
        assert_eq!(seen(of_another, |asides| asides.nothing_is_decided_early()), Some("H1"));
        let of_what_committed: Hears =
            |_| of(None, Command::Decide { txn: DONE, outcome: commit() });
        let late = |asides: &Asides<'_>| asides.who_comes_late_hears_what_stands();
        assert_eq!(seen(of_what_committed, late), Some("H1"));
    }

    #[test]
    fn an_end_of_a_session_before_it_begins_is_seen() {
        let of_the_owner: Hears = |mut batch| {
            batch.requests[0].command = fence(OWNER);
            batch
        };
        assert_eq!(seen(of_the_owner, |asides| asides.nothing_is_fenced_early()), Some("H1"));
    }

    #[test]
    fn a_mark_that_falls_is_seen() {
        let low: Hears = |mut batch| {
            batch.requests[0].command = Command::Retire { below: 0 };
            batch
        };
        assert_eq!(seen(low, |asides| asides.marks_stand()), Some("H1"));
    }

    #[test]
    fn a_clock_that_makes_forget_is_seen() {
        let ends: Hears = |_| of(None, fence(OWNER));
        assert_eq!(seen(ends, |asides| asides.a_leap_forgets_nothing()), Some("H1"));
        let (machine, mut known) = log();
        known.verdicts.insert(TxnId { session: OWNER, n: 9 }, Verdict::InProgress);
        let check = |hears| Asides { hears, ..Asides::to(&machine, &known) };
        assert_eq!(check(|batch| batch).what_is_forgotten_is_retired(), Ok(()));
        let aborts: Hears = |_| {
            let (txn, cause) = (TxnId { session: OWNER, n: 9 }, AbortCause::Owner);
            of(None, Command::Decide { txn, outcome: Proposal::Abort { cause } })
        };
        assert!(check(aborts).what_is_forgotten_is_retired().is_err());
    }

    /// Of what never committed, somebody believes that it did.
    #[test]
    fn what_is_aborted_by_the_end_of_its_session_is_seen() {
        let (machine, mut known) = log();
        let check =
            |known: &Transactions| Asides::to(&machine, known).what_is_forgotten_is_not_aborted();
        assert_eq!(check(&known), Ok(()));
        known.verdicts.insert(TxnId { session: OWNER, n: 9 }, Verdict::Committed);
        assert_eq!(check(&known).err().map(|violation| violation.invariant), Some("H1"));
    }

    #[test]
    fn an_abort_that_finds_no_room_is_seen() {
        let check = |asides: &Asides<'_>| asides.an_abort_always_has_room();
        let nothing: Hears = |batch| Batch { requests: Vec::new(), ..batch };
        assert_eq!(seen(nothing, check), Some("H1"));
        let of_what_committed: Hears =
            |_| of(None, Command::Decide { txn: DONE, outcome: commit() });
        assert_eq!(seen(of_what_committed, check), Some("H1"));
    }

    /// Nothing is committed, and the session ends.
    #[test]
    fn what_waits_and_is_forgotten_is_seen() {
        let ends: Hears = |_| of(None, fence(OWNER));
        let check = |asides: &Asides<'_>| asides.what_waits_is_not_forgotten();
        assert_eq!(seen(ends, check), Some("H1"));
    }
}
