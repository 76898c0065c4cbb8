//! What the log answers to what comes to it out of turn: a copy of its machine is asked.

use synod_machine::{
    AbortCause, Act, Answer, Applied, Batch, BranchIncarnation, Command, FenceCause, Machine,
    Proposal, Query, Rejection, Reply, Request, RequestId, Room, Seq, SessionId, Timestamp, TxnId,
    Verdict,
};

use super::{Transactions, verdict_of};
use crate::violation::{Checked, demand};

/// A number that no request of a universe has.
const LATE: Seq = Seq::new(u64::MAX - 1);

/// More requests than a session may have open.
const OPEN_MAX: u64 = 1_100;

/// What comes to a copy of what it is told: that, but in the tests of these checks.
type Hears = fn(Batch) -> Batch;

/// The log at one moment, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asides<'t> {
    known: &'t Transactions,
    machine: &'t Machine,
    hears: Hears,
}

impl<'t> Asides<'t> {
    pub(super) fn to(machine: &'t Machine, known: &'t Transactions) -> Asides<'t> {
        Asides { known, machine, hears: |batch| batch }
    }

    /// Whatever comes to the log now, what is decided stands, and only an owner commits.
    pub(super) fn stand(&self) -> Checked {
        self.only_owners_commit()?;
        self.nothing_is_decided_early()?;
        self.nothing_is_fenced_early()?;
        self.nobody_settles_itself()?;
        self.who_does_not_wait_is_not_forgotten()?;
        self.a_commit_without_room_is_none()?;
        self.who_comes_late_hears_what_stands()?;
        self.news_is_what_is_decided()?;
        self.marks_stand()?;
        self.stamps_only_rise()?;
        self.a_leap_forgets_nothing()?;
        self.what_is_forgotten_is_retired()?;
        self.an_abort_always_has_room()?;
        self.what_is_forced_is_on_record()?;
        self.what_was_told_never_is_never()
    }

    fn only_owners_commit(&self) -> Checked {
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

    fn nothing_is_decided_early(&self) -> Checked {
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

    fn nothing_is_fenced_early(&self) -> Checked {
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

    /// A request asks what became of itself: whatever it were told, it would have taken effect.
    fn nobody_settles_itself(&self) -> Checked {
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let request = RequestId { session, seq: LATE };
        let reply = self.told(Some(request), Command::Settle { request });
        demand!(
            matches!(reply, Reply::Rejected(Rejection::Misuse(_))),
            "F2",
            "request {request} settles itself, and is told {reply:?}"
        );
        Ok(())
    }

    /// A person ends the wait for a part that nobody waits for.
    fn who_does_not_wait_is_not_forgotten(&self) -> Checked {
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

    /// The log has no room for one more commit that waits for its parts: there is none.
    fn a_commit_without_room_is_none(&self) -> Checked {
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

    /// A transaction that is in progress, of a session that lives.
    fn open(&self) -> Option<TxnId> {
        let open = self.known.verdicts.iter().find(|(txn, verdict)| {
            **verdict == Verdict::InProgress && self.machine.session_owner(txn.session).is_some()
        });
        open.map(|(txn, _)| *txn)
    }

    fn who_comes_late_hears_what_stands(&self) -> Checked {
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

    /// Who attends hears of what is decided as it is, and of every commit that waits for it.
    fn news_is_what_is_decided(&self) -> Checked {
        let verdicts = &self.known.verdicts;
        let txns: Vec<TxnId> = verdicts.keys().copied().collect();
        for name in self.known.stores.keys() {
            let told = self.machine.news_for(name, &txns, &[]);
            let wrong = told.into_iter().find(|(txn, verdict)| {
                *verdict == Verdict::InProgress || verdicts.get(txn) != Some(verdict)
            });
            demand!(wrong.is_none(), "H3", "{name} is told as news: {wrong:?}");
            let news = self.machine.news_for(name, &[], &[]);
            for (txn, _) in self.known.unacked.iter().filter(|(_, names)| names.contains(name)) {
                demand!(
                    news.contains(&(*txn, Verdict::Committed)),
                    "C11",
                    "{txn} waits for {name}, which does not hear of it"
                );
            }
        }
        Ok(())
    }

    /// An owner retires what is below a number, and then, by an old request, below a lower one.
    fn marks_stand(&self) -> Checked {
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

    /// The clock of one leader is behind.
    fn stamps_only_rise(&self) -> Checked {
        let mut later = self.machine.clone();
        self.tell(&mut later, Batch { stamp: Timestamp(0), requests: Vec::new() });
        demand!(
            later.hash() == self.machine.hash(),
            "F3",
            "a stamp from before changes what the log has made of the ones it had"
        );
        Ok(())
    }

    /// The clock of one leader leaps.
    fn a_leap_forgets_nothing(&self) -> Checked {
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
    fn what_is_forgotten_is_retired(&self) -> Checked {
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

    /// The log has no room for one more abort of a session. A branch that waits hears of it anyway,
    /// and whoever asks later hears the same.
    fn an_abort_always_has_room(&self) -> Checked {
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

    /// A session has as many requests open as it may, and one more is refused. When there is room
    /// again, a late copy of that one is no request; nor is one that was acknowledged ever said to
    /// have had no effect.
    fn what_was_told_never_is_never(&self) -> Checked {
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let ask = |seq: u64, acked: u64| Request {
            id: Some(RequestId { session, seq: Seq::new(seq) }),
            acked: Seq::new(acked),
            command: Command::Retire { below: 0 },
        };
        let (first, mut later) = (LATE.get() - OPEN_MAX, self.machine.clone());
        let asked: Vec<Request> = (first..LATE.get()).map(|seq| ask(seq, first)).collect();
        let told = self.tell(&mut later, Batch { stamp: Timestamp(0), requests: asked });
        let refused = told.iter().position(|applied| {
            matches!(applied.reply, Reply::Rejected(Rejection::TooManyOpen { .. }))
        });
        let Some(refused) = refused.map(|place| first + place as u64) else { return Ok(()) };
        let requests = vec![ask(LATE.get(), refused), ask(refused, refused)];
        let again = self.tell(&mut later, Batch { stamp: Timestamp(0), requests });
        let again = again.last().map(|applied| applied.reply.clone());
        demand!(
            again == Some(Reply::Rejected(Rejection::SettledNever)),
            "F2",
            "request {refused} of session {session} was refused, and then told {again:?}"
        );
        let request = RequestId { session, seq: Seq::new(first) };
        let settled = self.tell(&mut later, of(None, Command::Settle { request }));
        let settled = settled.last().map(|applied| applied.reply.clone());
        demand!(
            settled != Some(Reply::SettledNever),
            "F2",
            "request {first} of session {session} took effect, and is settled as never"
        );
        Ok(())
    }

    /// A person ends the wait for a part, and a participant comes with another store.
    fn what_is_forced_is_on_record(&self) -> Checked {
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

    /// What a copy answers.
    fn told(&self, id: Option<RequestId>, command: Command) -> Reply {
        self.tell(&mut self.machine.clone(), of(id, command)).remove(0).reply
    }

    fn tell(&self, copy: &mut Machine, batch: Batch) -> Vec<Applied> {
        copy.apply((self.hears)(batch))
    }
}

fn of(id: Option<RequestId>, command: Command) -> Batch {
    Batch { stamp: Timestamp(0), requests: vec![Request { id, acked: Seq::ZERO, command }] }
}

fn commit() -> Proposal {
    Proposal::Commit { parts: Vec::new(), multi: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use synod_machine::{BranchIncarnation, Part, ParticipantName};

    use super::*;

    const OWNER: SessionId = SessionId::new(1);
    const ENDED: SessionId = SessionId::new(3);
    const STORE: BranchIncarnation = BranchIncarnation(1);
    const OPEN: TxnId = TxnId { session: OWNER, n: 1 };
    const DONE: TxnId = TxnId { session: OWNER, n: 2 };
    const GONE: TxnId = TxnId { session: ENDED, n: 1 };

    /// A log with an open transaction, one that committed, and one whose session ended; and what a
    /// bystander knows of it.
    fn log() -> (Machine, Transactions) {
        let (mut machine, mut known) = (Machine::new(), Transactions::default());
        for _ in 0..3 {
            let open = Command::OpenSession { owner: "an owner".to_owned(), ttl_ms: 10_000 };
            machine.apply(of(None, open));
        }
        let id = Some(RequestId { session: OWNER, seq: Seq::new(1) });
        machine.apply(of(id, Command::Decide { txn: DONE, outcome: commit() }));
        machine.apply(of(None, fence(ENDED)));
        let (name, address) = (shard(), "here:1".to_owned());
        let register = Command::RegisterParticipant { name, incarnation: STORE, address };
        machine.apply(of(Some(RequestId { session: OWNER, seq: Seq::new(2) }), register));
        known.verdicts.extend([
            (OPEN, Verdict::InProgress),
            (DONE, Verdict::Committed),
            (GONE, Verdict::Aborted),
        ]);
        known.stores.insert(shard(), STORE);
        (machine, known)
    }

    fn fence(session: SessionId) -> Command {
        Command::Fence { session, cause: FenceCause::Expired, guard: None }
    }

    fn shard() -> ParticipantName {
        ParticipantName::new("shard")
    }

    /// What is seen of a log that mishears; of one that does not, nothing.
    fn seen(hears: Hears, check: impl Fn(&Asides<'_>) -> Checked) -> Option<&'static str> {
        let (machine, known) = log();
        let asides = Asides::to(&machine, &known);
        assert_eq!(asides.stand(), Ok(()));
        assert_eq!(check(&asides), Ok(()));
        check(&Asides { hears, ..asides }).err().map(|violation| violation.invariant)
    }

    /// The same of what somebody does not know as it is.
    fn unknown(lie: impl Fn(&mut Transactions)) -> Option<&'static str> {
        let (machine, mut known) = log();
        lie(&mut known);
        let checked = Asides::to(&machine, &known).news_is_what_is_decided();
        checked.err().map(|violation| violation.invariant)
    }

    #[test]
    fn a_commit_of_a_stranger_is_seen() {
        let of_the_owner: Hears = |mut batch| {
            batch.requests[0].id = Some(RequestId { session: OWNER, seq: LATE });
            batch
        };
        assert_eq!(seen(of_the_owner, |asides| asides.only_owners_commit()), Some("H2"));
    }

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

    /// Each hears another word than it was told: of a session that lives, of another request, of
    /// nothing, and of a log with room.
    #[test]
    fn what_is_done_though_it_is_void_is_seen() {
        let of_the_owner: Hears = |mut batch| {
            batch.requests[0].command = fence(OWNER);
            batch
        };
        assert_eq!(seen(of_the_owner, |asides| asides.nothing_is_fenced_early()), Some("H1"));
        let of_another: Hears = |mut batch| {
            batch.requests[0].id = Some(RequestId { session: OWNER, seq: LATE });
            batch
        };
        assert_eq!(seen(of_another, |asides| asides.nobody_settles_itself()), Some("F2"));
        let of_it: Hears = |_| of(None, fence(OWNER));
        let forgets = |asides: &Asides<'_>| asides.who_does_not_wait_is_not_forgotten();
        assert_eq!(seen(of_it, forgets), Some("C12"));
        let commits = |asides: &Asides<'_>| asides.a_commit_without_room_is_none();
        assert_eq!(seen(of_it, commits), Some("I1"));
    }

    #[test]
    fn news_of_what_is_not_so_and_news_that_does_not_come_are_seen() {
        assert_eq!(unknown(|_| {}), None);
        let open = |known: &mut Transactions| {
            known.verdicts.insert(DONE, Verdict::InProgress);
        };
        assert_eq!(unknown(open), Some("H3"));
        let waits = |known: &mut Transactions| {
            known.unacked.insert(DONE, BTreeSet::from([shard()]));
        };
        assert_eq!(unknown(waits), Some("C11"));
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
    fn a_clock_that_turns_back_or_makes_forget_is_seen() {
        let later: Hears = |batch| Batch { stamp: Timestamp(77), ..batch };
        assert_eq!(seen(later, |asides| asides.stamps_only_rise()), Some("F3"));
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

    #[test]
    fn a_request_that_was_refused_and_takes_effect_is_seen() {
        // A copy under another number is another request.
        let another: Hears = |mut batch| {
            if let [_, Request { id: Some(id), .. }] = &mut batch.requests[..] {
                id.seq = Seq::new(u64::MAX);
            }
            batch
        };
        let check = |asides: &Asides<'_>| asides.what_was_told_never_is_never();
        assert_eq!(seen(another, check), Some("F2"));
        // A settle of what was never asked.
        let strange: Hears = |mut batch| {
            for request in &mut batch.requests {
                if let Command::Settle { request } = &mut request.command {
                    request.seq = Seq::new(u64::MAX);
                }
            }
            batch
        };
        assert_eq!(seen(strange, check), Some("F2"));
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
