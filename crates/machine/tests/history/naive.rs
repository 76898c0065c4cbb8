use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    Answer, BranchIncarnation, Command, Entry, Expect, Guard, Machine, Multi, Mutation, Part,
    ParticipantName, Proposal, Query, Reign, Rejection, Reply, Request, RequestId, Revision, Seq,
    SessionId, TxnId, Verdict,
};

use crate::strategy::{SESSIONS, TXNS, names};

/// Everything that ever happened, in order; nothing is forgotten, everything is looked up by
/// reading it all.
#[derive(Default)]
pub(crate) struct Naive {
    /// Every write: at which revision, which key, to what.
    writes: Vec<(u64, Bytes, Option<Bytes>)>,
    revision: u64,
    opened: u64,
    ended: Vec<u64>,
    /// Every word of a session that was live.
    words: Vec<(RequestId, Seq)>,
    /// Every reply to a request that took effect, and every tombstone.
    replies: Vec<(RequestId, Option<Reply>)>,
    reign: Reign,
    registered: Vec<(ParticipantName, BranchIncarnation)>,
    /// What may rule on a transaction.
    rulings: Vec<Ruling>,
    acks: Vec<(TxnId, ParticipantName)>,
}

enum Ruling {
    Decided(TxnId, bool, Vec<Part>),
    Fenced(u64),
    Retired(u64, u64),
}

impl Naive {
    pub(crate) fn revision(&self) -> Revision {
        Revision::new(self.revision)
    }

    /// The reply and whether it is a repeat.
    pub(crate) fn apply(&mut self, request: &Request) -> (Reply, bool) {
        let Some(id) = request.id else { return (self.execute(None, &request.command), false) };
        let live = self.live(id.session);
        if id.session.get() > self.opened {
            return (Reply::Rejected(Rejection::UnknownSession), false);
        }
        if live {
            self.words.push((id, request.acked));
        }
        if id.seq < self.acked(id.session) {
            return (Reply::Rejected(Rejection::ReplyForgotten), false);
        }
        match self.replied(id) {
            Some(Some(reply)) => return (reply, true),
            Some(None) => return (Reply::Rejected(Rejection::SettledNever), false),
            None => {}
        }
        if live {
            let reply = self.execute(Some(id), &request.command);
            self.replies.push((id, Some(reply.clone())));
            return (reply, false);
        }
        match &request.command {
            Command::Decide { txn, .. } if self.verdict(*txn) != Verdict::InProgress => {
                (Reply::Verdict(self.verdict(*txn)), false)
            }
            _ => (Reply::Rejected(Rejection::SessionEnded), false),
        }
    }

    /// The first ruling on it, for ever.
    pub(crate) fn verdict(&self, txn: TxnId) -> Verdict {
        let session = txn.session.get();
        let rules = self.rulings.iter().find_map(|ruling| match ruling {
            Ruling::Decided(decided, commit, _) => (*decided == txn).then_some(*commit),
            Ruling::Fenced(fenced) => (*fenced == session).then_some(false),
            Ruling::Retired(of, below) => (*of == session && txn.n < *below).then_some(false),
        });
        match rules {
            Some(true) => Verdict::Committed,
            Some(false) => Verdict::Aborted,
            None => Verdict::InProgress,
        }
    }

    pub(crate) fn agrees_on_keys(&self, machine: &Machine) -> Result<(), TestCaseError> {
        let keys = ["a", "ab", "b"].map(|key| Bytes::from_static(key.as_bytes()));
        let mut all = Vec::new();
        for key in keys {
            let entry = self.entry(&key);
            let answer = machine.query(&Query::Get { key: key.clone() });
            let expected = Answer::Key { revision: self.revision(), entry: entry.clone() };
            prop_assert_eq!(answer, expected);
            all.extend(entry.map(|entry| (key, entry)));
        }
        let (prefix, after) = (Bytes::from_static(b"a"), None);
        let entries = all.into_iter().filter(|(key, _)| key.starts_with(b"a")).collect();
        let expected = Answer::Keys { revision: self.revision(), entries, more: false };
        prop_assert_eq!(machine.query(&Query::List { prefix, after, limit: 9 }), expected);
        Ok(())
    }

    pub(crate) fn agrees_on_request(
        &self,
        machine: &Machine,
        request: RequestId,
    ) -> Result<(), TestCaseError> {
        let known = self.replied(request).flatten();
        let known = known.filter(|_| request.seq >= self.acked(request.session));
        prop_assert_eq!(machine.query(&Query::Request { request }), Answer::Request(known));
        Ok(())
    }

    /// A participant hears of every commit that waits for it, and of those it asked about.
    pub(crate) fn agrees_on_news(&self, machine: &Machine) -> Result<(), TestCaseError> {
        for name in names() {
            let asked: Vec<TxnId> =
                (1..=TXNS).map(|n| TxnId { session: SessionId::new(1), n }).collect();
            let decided = asked.iter().map(|txn| (*txn, self.verdict(*txn)));
            let mut expected: Vec<_> =
                decided.filter(|(_, verdict)| *verdict != Verdict::InProgress).collect();
            for session in 2..=SESSIONS {
                for n in 1..=TXNS {
                    let txn = TxnId { session: SessionId::new(session), n };
                    if self.awaits(txn, &name) {
                        expected.push((txn, Verdict::Committed));
                    }
                }
            }
            prop_assert_eq!(machine.news_for(&name, &asked, &[]), expected);
        }
        Ok(())
    }

    fn live(&self, session: SessionId) -> bool {
        session.get() <= self.opened && !self.ended.contains(&session.get())
    }

    fn acked(&self, session: SessionId) -> Seq {
        let of = self.words.iter().filter(|(id, _)| id.session == session);
        of.map(|(_, acked)| *acked).max().unwrap_or_default()
    }

    fn replied(&self, id: RequestId) -> Option<Option<Reply>> {
        let found = self.replies.iter().find(|(of, _)| *of == id);
        found.map(|(_, reply)| reply.clone())
    }

    fn entry(&self, key: &Bytes) -> Option<Entry> {
        let of = || self.writes.iter().filter(|(_, written, _)| written == key);
        let born = of().rposition_of_last_delete();
        let life: Vec<_> = of().skip(born).collect();
        let (create, last) = (life.first()?, life.last()?);
        Some(Entry {
            value: last.2.clone()?,
            create: Revision::new(create.0),
            modified: Revision::new(last.0),
            version: life.len() as u64,
            lease: None,
        })
    }

    fn holds(&self, guard: &Guard) -> bool {
        match (&guard.expect, self.entry(&guard.key)) {
            (Expect::Absent, entry) => entry.is_none(),
            (Expect::Present, entry) => entry.is_some(),
            (Expect::Revision(at), entry) => entry.is_some_and(|entry| entry.modified == *at),
            (Expect::Value(value), entry) => entry.is_some_and(|entry| entry.value == *value),
        }
    }

    fn mutate(&mut self, mutations: &[Mutation]) {
        let changing: Vec<_> = mutations
            .iter()
            .filter_map(|mutation| match mutation {
                Mutation::Put { key, value } => Some((key.clone(), Some(value.clone()))),
                Mutation::Delete { key } => self.entry(key).map(|_| (key.clone(), None)),
            })
            .collect();
        if !changing.is_empty() {
            self.revision += 1;
        }
        for (key, value) in changing {
            self.writes.push((self.revision, key, value));
        }
    }

    fn execute(&mut self, id: Option<RequestId>, command: &Command) -> Reply {
        let own = id.map_or(0, |id| id.session.get());
        let done = Reply::Done(self.revision());
        match command {
            Command::OpenSession { .. } => {
                self.opened += 1;
                Reply::Session(SessionId::new(self.opened))
            }
            Command::CloseSession => self.end(own),
            Command::Put { key, value } => {
                self.mutate(&[Mutation::Put { key: key.clone(), value: value.clone() }]);
                Reply::Written(self.revision())
            }
            Command::Delete { key } => {
                let existed = self.entry(key).is_some();
                self.mutate(&[Mutation::Delete { key: key.clone() }]);
                Reply::Deleted { existed, revision: self.revision() }
            }
            Command::Cas { key, expect, value } => {
                if !self.holds(&Guard { key: key.clone(), expect: expect.clone() }) {
                    return Reply::Mismatch(self.entry(key));
                }
                self.execute(id, &Command::Put { key: key.clone(), value: value.clone() })
            }
            Command::Multi(multi) => self.multi(multi),
            Command::Settle { request } => self.settle(id, *request),
            Command::RegisterParticipant { name, incarnation, .. } => {
                self.registered.push((name.clone(), *incarnation));
                done
            }
            Command::Decide { txn, outcome } => self.decide(own, *txn, outcome),
            Command::Fence { session, guard, .. } => {
                if session.get() > self.opened {
                    return Reply::Rejected(Rejection::UnknownSession);
                }
                let spoken = self.words.iter().filter(|(id, _)| id.session == *session).count();
                let holds = guard.is_none_or(|guard| {
                    guard.reign == self.reign && guard.renewals == spoken as u64
                });
                if self.live(*session) && !holds {
                    return Reply::Rejected(Rejection::FenceOverruled);
                }
                self.end(session.get())
            }
            Command::Ack { participant, txns } => {
                self.acks.extend(
                    txns.iter()
                        .map(|txn| (*txn, participant.clone()))
                        .filter(|(txn, name)| self.awaits(*txn, name))
                        .collect::<Vec<_>>(),
                );
                done
            }
            Command::Retire { below } => {
                self.rulings.push(Ruling::Retired(own, *below));
                done
            }
            Command::LeaderStart { reign } => {
                self.reign = self.reign.max(*reign);
                done
            }
            Command::ForgetParticipant { txn, participant, .. } => {
                if !self.awaits(*txn, participant) {
                    let name = participant.as_str().to_owned();
                    return Reply::Rejected(Rejection::NotAwaited(name));
                }
                self.acks.push((*txn, participant.clone()));
                done
            }
            _ => panic!("the services have models of their own"),
        }
    }

    fn end(&mut self, session: u64) -> Reply {
        self.rulings.push(Ruling::Fenced(session));
        self.ended.push(session);
        Reply::Done(self.revision())
    }

    fn multi(&mut self, multi: &Multi) -> Reply {
        if written_twice(&multi.mutations) {
            return Reply::Rejected(Rejection::Misuse("a key is written twice".to_owned()));
        }
        let failed = multi.guards.iter().position(|guard| !self.holds(guard));
        if failed.is_none() {
            self.mutate(&multi.mutations);
        }
        let reads = multi.reads.iter().map(|key| self.entry(key)).collect();
        match failed {
            Some(failed) => Reply::MultiRefused { failed: failed as u32, reads },
            None => Reply::MultiDone { revision: self.revision(), reads },
        }
    }

    fn settle(&mut self, own: Option<RequestId>, request: RequestId) -> Reply {
        if own == Some(request) {
            let why = "a request cannot settle itself".to_owned();
            return Reply::Rejected(Rejection::Misuse(why));
        }
        if request.session.get() > self.opened {
            return Reply::Rejected(Rejection::UnknownSession);
        }
        if request.seq < self.acked(request.session) {
            return Reply::Rejected(Rejection::ReplyForgotten);
        }
        match self.replied(request) {
            Some(Some(Reply::SettledApplied(_) | Reply::SettledNever)) => {
                let why = "a settle is answered by asking it again".to_owned();
                Reply::Rejected(Rejection::Misuse(why))
            }
            Some(Some(reply)) => {
                let first = reply.into_first().expect("a settle's reply was refused above");
                Reply::SettledApplied(Box::new(first))
            }
            Some(None) => Reply::SettledNever,
            None => {
                if self.live(request.session) {
                    self.replies.push((request, None));
                }
                Reply::SettledNever
            }
        }
    }

    fn decide(&mut self, own: u64, txn: TxnId, outcome: &Proposal) -> Reply {
        let misuse = |why: &str| Reply::Rejected(Rejection::Misuse(why.to_owned()));
        if let Proposal::Commit { parts, multi } = outcome {
            if parts.len() == 2 && parts[0].participant == parts[1].participant {
                return misuse("a participant is named twice");
            }
            if multi.as_ref().is_some_and(|multi| written_twice(&multi.mutations)) {
                return misuse("a key is written twice");
            }
        }
        if txn.session.get() > self.opened {
            return Reply::Rejected(Rejection::UnknownSession);
        }
        if matches!(outcome, Proposal::Commit { .. }) && own != txn.session.get() {
            return Reply::Rejected(Rejection::NotTheOwner);
        }
        if self.verdict(txn) == Verdict::InProgress {
            let (commit, parts) = match outcome {
                Proposal::Abort { .. } => (false, vec![]),
                Proposal::Commit { parts, multi } => {
                    let multi = multi.clone().unwrap_or_default();
                    let stand = parts.iter().all(|part| self.votes_from(part));
                    let commit = stand && multi.guards.iter().all(|guard| self.holds(guard));
                    if commit {
                        self.mutate(&multi.mutations);
                    }
                    (commit, parts.clone())
                }
            };
            self.rulings.push(Ruling::Decided(txn, commit, parts));
        }
        Reply::Verdict(self.verdict(txn))
    }

    fn votes_from(&self, part: &Part) -> bool {
        let now = self.registered.iter().rev().find(|(name, _)| *name == part.participant);
        now.is_some_and(|(_, incarnation)| *incarnation == part.incarnation)
    }

    fn awaits(&self, txn: TxnId, name: &ParticipantName) -> bool {
        let part_of = self.rulings.iter().any(|ruling| match ruling {
            Ruling::Decided(of, true, parts) => {
                *of == txn && parts.iter().any(|part| part.participant == *name)
            }
            Ruling::Decided(_, false, _) | Ruling::Fenced(_) | Ruling::Retired(..) => false,
        });
        part_of && !self.acks.contains(&(txn, name.clone()))
    }
}

fn written_twice(mutations: &[Mutation]) -> bool {
    let keys: BTreeMap<&Bytes, ()> = mutations.iter().map(|one| (one.key(), ())).collect();
    keys.len() < mutations.len()
}

/// How many writes of a key lie before its present life.
trait Lives {
    fn rposition_of_last_delete(self) -> usize;
}

impl<'a, I: Iterator<Item = &'a (u64, Bytes, Option<Bytes>)>> Lives for I {
    fn rposition_of_last_delete(self) -> usize {
        let deletes = self.enumerate().filter(|(_, (_, _, value))| value.is_none());
        deletes.last().map_or(0, |(place, _)| place + 1)
    }
}
