use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::{Deserialize, Serialize};

use crate::clock::Age;
use crate::runs::Runs;
use crate::sessions::Standing;
use crate::table::{Digesting, Table};
use crate::{
    AbortCause, Counted, Part, ParticipantName, Rejection, RestoreError, SessionId, Timestamp,
    TxnId, Verdict,
    coding::{Decoder, Encoder},
};

/// What an ended session committed is known for thirty days: longer than any backup of a
/// participant that one would restore.
pub(crate) const HORIZON_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Commits that wait for an acknowledgement, of all sessions together.
pub(crate) const COMMITS_MAX: u64 = 1 << 18;
/// Aborts of one live session that stand on a record: its owner should have retired them. One more
/// ends the session, for an abort must never be refused: a prepared branch waits for it.
pub(crate) const ABORTS_OF_ONE_MAX: u64 = 4_096;
/// The same for all sessions together.
pub(crate) const ABORTS_MAX: u64 = 1 << 18;
/// Verdicts in one answer to a waiting participant; it waits again for more.
const NEWS_MAX: usize = 1_024;

/// How much is remembered of what has ended. All nodes of one log have the same room, or they
/// forget at different slots.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Runs of committed numbers of one session; each abort between commits splits one.
    pub runs_of_one: u64,
    /// Runs of committed numbers of all sessions together.
    pub runs: u64,
    /// Ended sessions whose commits are known.
    pub ended_owners: u64,
    /// Runs of sessions past the horizon.
    pub retired_runs: u64,
    /// Aborts of one live session that stand on a record.
    pub aborts_of_one: u64,
    /// Commits of which some part has not heard yet.
    pub commits: u64,
}

impl Default for Room {
    /// What every node has.
    fn default() -> Room {
        Room {
            runs_of_one: 1 << 16,
            runs: 1 << 20,
            ended_owners: 1 << 16,
            retired_runs: 1 << 16,
            aborts_of_one: ABORTS_OF_ONE_MAX,
            commits: COMMITS_MAX,
        }
    }
}

/// Every verdict there is, in as little as tells it.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    room: Room,
    /// Commits that some part has not acknowledged, and aborts that nothing else says.
    records: Table<TxnId, Record>,
    /// Commits that every part has acknowledged: only the numbers are left.
    committed: Runs,
    marks: Table<SessionId, Marks>,
    /// Sessions past the horizon, as runs of their numbers.
    retired: Runs,
    runs_forgotten: u64,
    sessions_retired: u64,
    /// Aborts on record. Follows from `marks`.
    aborts: u64,
    /// Commits by the parts that they wait for. Follows from `records`.
    unacked: BTreeMap<ParticipantName, BTreeSet<TxnId>>,
    /// How many commits of each stamp some part has not acknowledged. Follows from `records`.
    unacked_since: BTreeMap<Timestamp, u64>,
    /// Ended sessions with nothing unacknowledged, the first to be retired first. Follows from
    /// `marks`.
    queue: BTreeSet<(Age, SessionId)>,
}

/// A decision that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    pub(crate) decision: Decision,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Decision {
    /// With whether each part has acknowledged.
    Committed(Vec<(ParticipantName, bool)>),
    Aborted(AbortCause),
}

/// What is known of the transactions of one session beside the decisions.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Marks {
    /// Below it nothing can commit any more.
    lwm: u64,
    /// Below it what is committed is no longer known.
    forgotten: u64,
    commits: u64,
    aborts: u64,
    runs: u64,
    ended_at: Option<Age>,
}

impl Transactions {
    pub(crate) fn new(seed: u64) -> Transactions {
        Transactions {
            room: Room::default(),
            records: Table::new(seed),
            committed: Runs::new(seed.wrapping_add(1)),
            marks: Table::new(seed.wrapping_add(2)),
            retired: Runs::new(seed.wrapping_add(3)),
            runs_forgotten: 0,
            sessions_retired: 0,
            aborts: 0,
            unacked: BTreeMap::new(),
            unacked_since: BTreeMap::new(),
            queue: BTreeSet::new(),
        }
    }

    pub(crate) fn with_room(self, room: Room) -> Transactions {
        Transactions { room, ..self }
    }

    /// The verdict of a transaction whose session stands so: a function of the history, the first
    /// of decide, fence and retire in its order. All but `InProgress` are stable.
    pub(crate) fn verdict(&self, txn: TxnId, standing: Standing) -> Verdict {
        if self.past_horizon(txn) {
            return Verdict::Retired;
        }
        if let Some(record) = self.records.get(&txn) {
            return record.decision.verdict();
        }
        if self.committed.contains(txn) {
            return Verdict::Committed;
        }
        let lwm = self.marks.get(&txn.session).map_or(0, |marks| marks.lwm);
        if standing == Standing::Ended || txn.n < lwm {
            return Verdict::Aborted;
        }
        Verdict::InProgress
    }

    /// Records a commit of a transaction that is in progress.
    pub(crate) fn commit(&mut self, txn: TxnId, parts: Vec<Part>, now: Timestamp) {
        self.mark(txn.session, |marks| marks.commits = marks.commits.saturating_add(1));
        if parts.is_empty() {
            return self.acknowledged(txn);
        }
        for part in &parts {
            self.unacked.entry(part.participant.clone()).or_default().insert(txn);
        }
        let parts = parts.into_iter().map(|part| (part.participant, false)).collect();
        let decision = Decision::Committed(parts);
        *self.unacked_since.entry(now).or_default() += 1;
        self.records.insert(txn, Record { at: now, decision });
    }

    /// Records an abort of a transaction that is in progress.
    pub(crate) fn abort(&mut self, txn: TxnId, cause: AbortCause, now: Timestamp) {
        self.mark(txn.session, |marks| marks.aborts = marks.aborts.saturating_add(1));
        self.aborts = self.aborts.saturating_add(1);
        self.records.insert(txn, Record { at: now, decision: Decision::Aborted(cause) });
    }

    /// Whether a commit may be recorded.
    pub(crate) fn has_room_for_a_commit(&self) -> Result<(), Rejection> {
        let limit = self.room.commits;
        if self.commits() >= limit {
            return Err(Rejection::TooMany { what: Counted::Commits, limit });
        }
        Ok(())
    }

    /// Whether an abort of this session may be recorded.
    pub(crate) fn has_room_for_an_abort(&self, session: SessionId) -> bool {
        let own = self.marks.get(&session).map_or(0, |marks| marks.aborts);
        own < self.room.aborts_of_one && self.aborts < ABORTS_MAX
    }

    /// A part has finished its branch, for the first time or again. With the last one only the
    /// number of the commit is kept: the record goes when no part can need it any more.
    pub(crate) fn ack(&mut self, txn: TxnId, participant: &ParticipantName) {
        if let Some(waiting) = self.unacked.get_mut(participant) {
            waiting.remove(&txn);
            if waiting.is_empty() {
                self.unacked.remove(participant);
            }
        }
        let done = self.records.change(&txn, |record| record.decision.acknowledge(participant));
        if done == Some(true) {
            let record = self.records.remove(&txn);
            self.waits_no_more(record.map(|record| record.at));
            self.acknowledged(txn);
        }
    }

    /// One commit of this stamp has been acknowledged by all.
    fn waits_no_more(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        if let Some(count) = self.unacked_since.get_mut(&at) {
            *count -= 1;
            if *count == 0 {
                self.unacked_since.remove(&at);
            }
        }
    }

    /// From here on nothing of this session below `below` can commit; aborts that this says as
    /// well are let go.
    pub(crate) fn retire(&mut self, session: SessionId, below: u64) {
        self.mark(session, |marks| marks.lwm = marks.lwm.max(below));
        if let Some(last) = below.checked_sub(1) {
            self.drop_aborts(session, last);
        }
    }

    /// The session has ended: everything undecided is aborted by rule.
    pub(crate) fn fence(&mut self, session: SessionId, now: Age) {
        self.drop_aborts(session, u64::MAX);
        let vacuous = |marks: &Marks| marks.runs == 0 && marks.commits == 0 && marks.forgotten == 0;
        if self.marks.get(&session).is_some_and(vacuous) {
            self.marks.remove(&session);
        }
        self.marks.change(&session, |marks| marks.ended_at = Some(now));
        self.enqueue(session);
    }

    /// Retires what sessions committed that ended before the horizon, or the oldest when there are
    /// too many. `is_any_live` says whether any of some sessions has not ended.
    pub(crate) fn sweep(&mut self, now: Age, is_any_live: impl Fn(Range<SessionId>) -> bool) {
        while let Some(&(at, session)) = self.queue.first() {
            let old = now.since(at) >= HORIZON_MS;
            let many = self.queue.len() as u64 > self.room.ended_owners;
            if !old && !many && self.committed.len() <= self.room.runs {
                return;
            }
            self.queue.remove(&(at, session));
            self.retire_session(session, &is_any_live);
        }
        while self.committed.len() > self.room.runs {
            let Some(session) = self.committed.lowest_session() else { return };
            self.forget_lowest(session);
        }
    }

    /// What a waiting participant should hear of: decided ones of `in_doubt`, and commits that
    /// wait for it and that it did not name.
    pub(crate) fn news_for(
        &self,
        participant: &ParticipantName,
        in_doubt: &[TxnId],
        finished: &[TxnId],
        standing: impl Fn(SessionId) -> Standing,
    ) -> Vec<(TxnId, Verdict)> {
        let asked = in_doubt.iter().map(|&txn| (txn, self.verdict(txn, standing(txn.session))));
        let decided = asked.filter(|(_, verdict)| *verdict != Verdict::InProgress);
        let named: BTreeSet<&TxnId> = in_doubt.iter().chain(finished).collect();
        let waiting = self.unacked.get(participant).into_iter().flatten();
        let unnamed = waiting.filter(|txn| !named.contains(txn));
        decided.chain(unnamed.map(|&txn| (txn, Verdict::Committed))).take(NEWS_MAX).collect()
    }

    /// Whether a commit waits for this participant.
    pub(crate) fn awaits(&self, txn: TxnId, participant: &ParticipantName) -> bool {
        self.unacked.get(participant).is_some_and(|txns| txns.contains(&txn))
    }

    pub(crate) fn record(&self, txn: TxnId) -> Option<&Record> {
        self.records.get(&txn)
    }

    /// Recorded decisions after this one.
    pub(crate) fn records_after(&self, after: TxnId) -> impl Iterator<Item = TxnId> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.records.range((Excluded(after), Unbounded)).map(|(txn, _)| *txn)
    }

    /// Commits that a participant has not acknowledged.
    pub(crate) fn unacked(&self, participant: &ParticipantName) -> u64 {
        self.unacked.get(participant).map_or(0, |txns| txns.len() as u64)
    }

    /// When the oldest commit was decided that some participant has not acknowledged.
    pub(crate) fn oldest_unacked(&self) -> Option<Timestamp> {
        self.unacked_since.first_key_value().map(|(at, _)| *at)
    }

    /// Commits that some participant has not acknowledged, recorded aborts.
    pub(crate) fn records_count(&self) -> (u64, u64) {
        (self.commits(), self.aborts)
    }

    fn commits(&self) -> u64 {
        self.records.len().saturating_sub(self.aborts)
    }

    pub(crate) fn runs_count(&self) -> u64 {
        self.committed.len()
    }

    /// Runs forgotten because there were too many, sessions past the horizon.
    pub(crate) fn forgotten(&self) -> (u64, u64) {
        (self.runs_forgotten, self.sessions_retired)
    }

    pub(crate) fn digest(&self, how: Digesting) -> impl Serialize + use<> {
        let tables = [self.records.digest(how), self.marks.digest(how)];
        let runs = [self.committed.digest(how), self.retired.digest(how)];
        (tables, runs, self.runs_forgotten, self.sessions_retired)
    }

    /// The same without what follows from the rest: cheap, and enough to encode.
    pub(crate) fn rows(&self) -> Transactions {
        Transactions {
            room: self.room,
            records: self.records.clone(),
            committed: self.committed.clone(),
            marks: self.marks.clone(),
            retired: self.retired.clone(),
            runs_forgotten: self.runs_forgotten,
            sessions_retired: self.sessions_retired,
            aborts: 0,
            unacked: BTreeMap::new(),
            unacked_since: BTreeMap::new(),
            queue: BTreeSet::new(),
        }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&(self.runs_forgotten, self.sessions_retired))?;
        self.records.encode(to)?;
        self.committed.encode(to)?;
        self.marks.encode(to)?;
        self.retired.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Transactions, RestoreError> {
        let mut transactions = Transactions::new(seed);
        (transactions.runs_forgotten, transactions.sessions_retired) = from.take()?;
        transactions.records = Table::restore(seed, from)?;
        transactions.committed = Runs::decode(seed.wrapping_add(1), from)?;
        transactions.marks = Table::restore(seed.wrapping_add(2), from)?;
        transactions.retired = Runs::decode(seed.wrapping_add(3), from)?;
        transactions.follow();
        Ok(transactions)
    }

    /// Finds what follows from the rows.
    fn follow(&mut self) {
        for (txn, record) in self.records.iter() {
            match record.decision {
                Decision::Committed(_) => *self.unacked_since.entry(record.at).or_default() += 1,
                Decision::Aborted(_) => self.aborts += 1,
            }
            for participant in record.decision.waits_for() {
                self.unacked.entry(participant.clone()).or_default().insert(*txn);
            }
        }
        let sessions: Vec<SessionId> = self.marks.iter().map(|(session, _)| *session).collect();
        sessions.into_iter().for_each(|session| self.enqueue(session));
    }

    /// A decision on record is never past the horizon: some part may still need it, and no other
    /// answer may be given while it does.
    fn past_horizon(&self, txn: TxnId) -> bool {
        let forgotten = self.marks.get(&txn.session).map_or(0, |marks| marks.forgotten);
        let past = txn.n < forgotten || self.retired.contains(session_row(txn.session.get()));
        past && !self.records.contains(&txn)
    }

    /// Every part has acknowledged: the number is all that is kept.
    fn acknowledged(&mut self, txn: TxnId) {
        let before = self.committed.len();
        if txn.n >= self.marks.get(&txn.session).map_or(0, |marks| marks.forgotten) {
            self.committed.insert(txn);
        }
        let after = self.committed.len();
        let runs = self.mark(txn.session, |marks| {
            marks.commits = marks.commits.saturating_sub(1);
            marks.runs = marks.runs.saturating_add(after).saturating_sub(before);
            marks.runs
        });
        if runs > self.room.runs_of_one {
            self.forget_lowest(txn.session);
        }
        self.enqueue(txn.session);
    }

    /// Lets go of the oldest run of a session: from here on `Retired` is the answer below its end.
    fn forget_lowest(&mut self, session: SessionId) {
        let Some((first, last)) = self.committed.lowest(session) else { return };
        self.committed.remove(session, first);
        self.mark(session, |marks| {
            // No number below what was forgotten has come since.
            marks.forgotten = last.saturating_add(1);
            marks.runs = marks.runs.saturating_sub(1);
        });
        self.runs_forgotten = self.runs_forgotten.saturating_add(1);
    }

    /// Forgets the aborts on record up to `last`: retire or fence says the same from here on.
    fn drop_aborts(&mut self, session: SessionId, last: u64) {
        if self.marks.get(&session).is_none_or(|marks| marks.aborts == 0) {
            return;
        }
        let upto = TxnId { session, n: 0 }..=TxnId { session, n: last };
        let aborted = |record: &Record| matches!(record.decision, Decision::Aborted(_));
        let covered = self.records.range(upto).filter(|(_, record)| aborted(record));
        let covered: Vec<TxnId> = covered.map(|(txn, _)| *txn).collect();
        for txn in &covered {
            self.records.remove(txn);
        }
        let dropped = covered.len() as u64;
        self.aborts = self.aborts.saturating_sub(dropped);
        self.mark(session, |marks| marks.aborts = marks.aborts.saturating_sub(dropped));
    }

    fn retire_session(
        &mut self,
        session: SessionId,
        is_any_live: &impl Fn(Range<SessionId>) -> bool,
    ) {
        self.committed.remove_session(session);
        self.marks.remove(&session);
        self.retired.insert(session_row(session.get()));
        self.sessions_retired = self.sessions_retired.saturating_add(1);
        if self.retired.len() > self.room.retired_runs {
            self.join_lowest_retired(is_any_live);
        }
    }

    /// Counts the sessions between the two lowest runs of retired ones as retired too. They
    /// committed nothing that is still known, so `Aborted` becomes `Retired`: less is said, nothing
    /// else. Sessions that may still commit, or whose commits are known, are left alone.
    fn join_lowest_retired(&mut self, is_any_live: impl Fn(Range<SessionId>) -> bool) {
        let mut lowest = self.retired.of(SessionId::ZERO);
        let (Some((first, end)), Some((next, last))) = (lowest.next(), lowest.next()) else {
            return;
        };
        drop(lowest);
        let gap = SessionId::new(end)..SessionId::new(next);
        let live = is_any_live(gap.clone());
        if !live && self.marks.range(gap).next().is_none() {
            self.retired.remove(SessionId::ZERO, next);
            self.retired.restore(SessionId::ZERO, first, last);
        }
    }

    /// An ended session waits for the horizon from when its last commit is acknowledged.
    fn enqueue(&mut self, session: SessionId) {
        if let Some(Marks { commits: 0, ended_at: Some(at), .. }) = self.marks.get(&session) {
            self.queue.insert((*at, session));
        }
    }

    fn mark<R>(&mut self, session: SessionId, how: impl FnOnce(&mut Marks) -> R) -> R {
        if !self.marks.contains(&session) {
            self.marks.insert(session, Marks::default());
        }
        self.marks.change(&session, how).expect("the row was inserted if it was not there")
    }
}

impl Decision {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Decision::Committed(_) => Verdict::Committed,
            Decision::Aborted(_) => Verdict::Aborted,
        }
    }

    /// The parts of a commit that have not acknowledged it.
    fn waits_for(&self) -> impl Iterator<Item = &ParticipantName> {
        let parts = match self {
            Decision::Committed(parts) => parts.as_slice(),
            Decision::Aborted(_) => &[],
        };
        parts.iter().filter(|(_, acked)| !acked).map(|(participant, _)| participant)
    }

    /// Notes an acknowledgement; whether it was the last one of a commit.
    fn acknowledge(&mut self, participant: &ParticipantName) -> bool {
        let Decision::Committed(parts) = self else { return false };
        for (part, acked) in parts.iter_mut() {
            *acked |= part == participant;
        }
        parts.iter().all(|(_, acked)| *acked)
    }
}

/// Retired sessions are runs of numbers too, under a session that never is.
fn session_row(number: u64) -> TxnId {
    TxnId { session: SessionId::ZERO, n: number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::{Decoder, Encoder};

    /// Counts that no history comes to are no reason to fall. (A fuzzer made two sessions of more
    /// aborts than there are numbers.)
    #[test]
    fn counts_that_do_not_add_up_are_survived() {
        let mut transactions = Transactions::new(7);
        for session in [1, 2].map(SessionId::new) {
            transactions.mark(session, |marks| marks.aborts = u64::MAX);
        }
        let mut bytes = Vec::new();
        let mut sink = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok::<(), std::convert::Infallible>(())
        };
        let mut to = Encoder::new(&mut sink);
        let Ok(()) = transactions.encode(&mut to).and_then(|()| to.flush());
        let restored = Transactions::restore(7, &mut Decoder::new(&bytes)).unwrap();
        assert_eq!(restored.aborts, 0, "there is none on record");
    }
}
