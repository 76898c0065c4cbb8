//! The log: the real machine, held against the book after every entry.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

use synod_machine::{
    AbortCause, Answer, Applied, Batch, Command, FenceCause, Machine, Proposal, Query, Reign,
    Reply, Request, RequestId, Room, Seq, SessionId, Timestamp, TxnId, Verdict,
};

use super::{Bounds, Deed, Ending, Event, Fact, LOG, Word, book::Book};
use crate::violation::{Checked, Violation, demand};

type Effects = crate::search::stage::Effects<Word, Fact>;

/// A little more than the machine remembers the transactions of an ended session for.
const MONTH_HOURS: u64 = 31 * 24;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// The log.
#[derive(Clone, Debug)]
pub(in crate::search) struct Record {
    bounds: Bounds,
    machine: Machine,
    book: Book,
    now: Timestamp,
    /// Named requests that have been here, and what they were told.
    replies: BTreeMap<RequestId, Reply>,
    repeats: u8,
    /// Sessions that had ended when a month began.
    old: BTreeSet<SessionId>,
}

impl Record {
    /// A log in which every owner has opened its session and every participant is known.
    pub(super) fn new(bounds: Bounds) -> Record {
        let mut machine = Machine::new();
        if bounds.forgetful_log {
            machine = machine.with_room(Room { runs_of_one: 0, ..Room::default() });
        }
        let mut apply = |id, command| {
            let request = Request { id, acked: Seq::ZERO, command };
            let applied = machine.apply(Batch { stamp: Timestamp(0), requests: vec![request] });
            let refused = |applied: &Applied| matches!(applied.reply, Reply::Rejected(_));
            assert!(!applied.iter().any(refused), "{applied:?}");
        };
        for _ in bounds.txns {
            apply(None, Command::OpenSession { owner: "owner".to_owned(), ttl_ms: 1_000 });
        }
        // A session that nobody fences, and that no owner has.
        apply(None, Command::OpenSession { owner: "person".to_owned(), ttl_ms: 1_000 });
        let session = SessionId::new(bounds.txns.len() as u64 + 1);
        for party in bounds.parties() {
            let (name, incarnation) = (bounds.name(party), bounds.incarnation(party));
            let address = "host:1".to_owned();
            let id = RequestId { session, seq: Seq::new(party as u64) };
            apply(Some(id), Command::RegisterParticipant { name, incarnation, address });
        }
        let book = Book::new(&bounds.all_txns());
        let (now, replies) = (Timestamp(0), BTreeMap::new());
        Record { bounds, machine, book, now, replies, repeats: 0, old: BTreeSet::new() }
    }

    /// Whether every commit is known to be finished everywhere.
    pub(super) fn awaits(&self) -> impl Iterator<Item = TxnId> {
        let open = self.book.awaited.iter().filter(|(_, awaited)| !awaited.is_empty());
        open.map(|(txn, _)| *txn)
    }

    pub(super) fn step(&mut self, event: Event<&Word, Deed>) -> Result<Effects, Violation> {
        let mut effects = Effects::default();
        match event {
            Event::Hear(Word::Submit { from, request }) => {
                self.append(*from, request, &mut effects)?;
            }
            Event::Hear(Word::Attend { party, in_doubt, finished }) => {
                let name = self.bounds.name(*party);
                for (txn, verdict) in self.machine.news_for(&name, in_doubt, finished) {
                    self.is_true(txn, verdict)?;
                    effects.words.push((*party, Word::News { txn, verdict }));
                }
            }
            Event::Do(Deed::Fence(session)) => {
                let guard = self.book.guard(session);
                if guard.is_some() {
                    let cause = FenceCause::Expired;
                    self.put(Command::Fence { session, cause, guard }, &mut effects);
                }
            }
            Event::Do(Deed::Reign) => {
                let Reign(first, ..) = self.machine.reign();
                let reign = Reign(first + 1, 0, 0);
                self.put(Command::LeaderStart { reign }, &mut effects);
            }
            Event::Do(Deed::Stranger) => {
                let txn = TxnId { session: SessionId::new(9), n: 1 };
                let (actor, reason) = ("somebody".to_owned(), String::new());
                let cause = AbortCause::Operator { actor, reason };
                let outcome = Proposal::Abort { cause };
                self.put(Command::Decide { txn, outcome }, &mut effects);
            }
            Event::Do(Deed::Month) => self.month()?,
            Event::Hear(_) | Event::Do(_) => {}
        }
        let decided = self.book.verdicts.iter();
        effects.facts.extend(decided.filter_map(|(txn, is)| Some(Fact::Decided(*txn, (*is)?))));
        Ok(effects)
    }

    /// A leader puts something into the log of its own accord.
    fn put(&self, command: Command, effects: &mut Effects) {
        let request = Request { id: None, acked: Seq::ZERO, command };
        effects.words.push((LOG, Word::Submit { from: LOG, request }));
    }

    fn append(&mut self, from: usize, request: &Request, effects: &mut Effects) -> Checked {
        let known = request.id.and_then(|id| self.replies.get(&id).cloned());
        if known.is_some() && self.repeats == self.bounds.repeats {
            return Ok(());
        }
        let requests = vec![request.clone()];
        let applied = self.machine.apply(Batch { stamp: self.now, requests });
        let [Applied { reply, .. }] = &applied[..] else {
            demand!(false, "C3", "one request has {} replies", applied.len());
            return Ok(());
        };
        match known {
            Some(first) => {
                demand!(*reply == first, "C10", "{request:?}: {reply:?} after {first:?}");
                // Once the session has ended, a copy is not even a sign of life.
                self.repeats += u8::from(request.id.is_some_and(|id| self.book.lives(id.session)));
                self.book.write_again(request);
            }
            None => {
                let live = request.id.is_some_and(|id| self.book.lives(id.session));
                if live && let Some(id) = request.id {
                    self.replies.insert(id, reply.clone());
                }
                self.book.write(request);
                if self.bounds.forgetful_log {
                    self.book.forget_finished();
                }
            }
        }
        self.answer(from, request, reply.clone(), effects)?;
        self.follows_the_book()
    }

    fn answer(
        &self,
        from: usize,
        request: &Request,
        reply: Reply,
        effects: &mut Effects,
    ) -> Checked {
        let owners = LOG + 1..self.bounds.first_party();
        match &request.command {
            Command::Decide { txn, .. } => {
                if let Reply::Verdict(verdict) = reply {
                    self.is_true(*txn, verdict)?;
                    demand!(
                        verdict != Verdict::InProgress,
                        "C7",
                        "{txn}: a decision is answered with a hint"
                    );
                }
                if owners.contains(&from) {
                    effects.words.push((from, Word::Answer { txn: *txn, reply }));
                } else if let (Reply::Verdict(verdict), true) = (reply, from != LOG) {
                    effects.words.push((from, Word::News { txn: *txn, verdict }));
                }
            }
            Command::Ack { txns, .. } => {
                effects.words.push((from, Word::Noted { txns: txns.clone() }));
            }
            _ => {}
        }
        Ok(())
    }

    /// A month passes, and whatever is over may be forgotten.
    fn month(&mut self) -> Checked {
        let sessions = self.book.verdicts.keys().map(|txn| txn.session);
        self.old.extend(sessions.filter(|session| !self.book.lives(*session)));
        for _ in 0..MONTH_HOURS {
            self.now = Timestamp(self.now.0 + HOUR_MS);
            self.machine.apply(Batch { stamp: self.now, requests: Vec::new() });
        }
        self.follows_the_book()
    }

    /// C1, C6, C8, C9: after each entry the machine says what the book says.
    fn follows_the_book(&self) -> Checked {
        for txn in self.book.verdicts.keys() {
            self.is_true(*txn, self.machine.verdict(*txn))?;
            let decided = self.book.verdicts[txn].is_some();
            let open = self.machine.verdict(*txn) == Verdict::InProgress;
            demand!(!(decided && open), "C1", "{txn} is decided, and the machine calls it open");
            self.awaits_who_it_should(*txn)?;
        }
        let never = TxnId { session: SessionId::new(9), n: 1 };
        let verdict = self.machine.verdict(never);
        demand!(
            verdict == Verdict::InProgress,
            "C1",
            "{never} is {verdict:?}, and its session was never opened"
        );
        let (kept, anew) = (self.machine.hash(), self.machine.hash_anew());
        demand!(kept == anew, "C2", "the digest kept is {kept:?}, computed anew {anew:?}");
        Ok(())
    }

    /// No answer but the true one, and none but *retired* in its place once it is old.
    fn is_true(&self, txn: TxnId, verdict: Verdict) -> Checked {
        let decided = self.book.verdicts.get(&txn).copied().flatten();
        let holds = match verdict {
            Verdict::InProgress => true,
            Verdict::Retired => {
                let old = self.old.contains(&txn.session)
                    && self.awaits().all(|of| of.session != txn.session);
                old || self.book.has_forgotten(txn)
            }
            Verdict::Committed | Verdict::Aborted => Ending::of(verdict) == decided,
        };
        demand!(holds, "C8", "{txn} is said to be {verdict:?}; the log has decided {decided:?}");
        Ok(())
    }

    /// C8: a commit stands on record, and is told, for as long as somebody has to finish it.
    fn awaits_who_it_should(&self, txn: TxnId) -> Checked {
        let Answer::Txn(view) = self.machine.query(&Query::Txn { txn }) else { return Ok(()) };
        for party in self.bounds.parties() {
            let name = self.bounds.name(party);
            let awaited = self.book.awaited.get(&txn).is_some_and(|names| names.contains(&name));
            let told = self.machine.news_for(&name, &[], &[]);
            let told = told.contains(&(txn, Verdict::Committed));
            let kept = view.parts.contains(&(name.clone(), false));
            demand!(
                told == awaited && kept == awaited,
                "C8",
                "{txn}: {name} has to finish it: {awaited}; it is on record: {kept}, told: {told}"
            );
        }
        Ok(())
    }
}

/// Time is no part of what a log is: whatever has become old is noted.
impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Record { bounds: _, now: _, machine, book, replies, repeats, old } = self;
        (machine.hash(), book, replies, repeats, old).hash(state);
    }
}
