//! Questions that change nothing.

use super::Machine;
use crate::limits::{NAME_BYTES_MAX, REPLY_BYTES_MAX};
use crate::services::{
    elections::CANDIDATES_MAX, locks::WAITERS_SHOWN_MAX, registers::REGISTER_BYTES_MAX,
};
use crate::transactions::{Decision, Record};
use crate::{
    Answer, Census, LeaseId, ParticipantView, Query, SessionId, SessionView, Timestamp, TxnId,
    TxnView,
};

/// Rows of people's tables in one answer, so that it fits a frame whatever the names in it.
const ROWS_MAX: usize = REPLY_BYTES_MAX / (4 * NAME_BYTES_MAX);
/// Locks in one answer: each may show as many who wait as are shown at all.
const LOCKS_MAX: usize = REPLY_BYTES_MAX / (WAITERS_SHOWN_MAX * NAME_BYTES_MAX);
/// Elections in one answer: each shows all who stand, by two names and some numbers.
const ELECTIONS_MAX: usize = REPLY_BYTES_MAX / (CANDIDATES_MAX as usize * 3 * NAME_BYTES_MAX);
/// Registers in one answer, whatever stands in them.
const REGISTERS_MAX: usize = REPLY_BYTES_MAX / REGISTER_BYTES_MAX;
/// Transactions in one answer: each may name [`PARTS_MAX`](crate::limits::PARTS_MAX) participants.
const TXN_BYTES_MAX: usize = crate::limits::PARTS_MAX * (NAME_BYTES_MAX + 8);

impl Machine {
    /// Answers from the present state.
    pub fn query(&self, query: &Query) -> Answer {
        match query {
            Query::Get { key } => {
                Answer::Key { revision: self.revision, entry: self.keys.get(key).cloned() }
            }
            Query::List { prefix, after, limit } => {
                let (entries, more) = self.keys.list(prefix, after.as_ref(), *limit);
                Answer::Keys { revision: self.revision, entries, more }
            }
            Query::Verdicts { txns } => {
                Answer::Verdicts(txns.iter().map(|txn| self.verdict(*txn)).collect())
            }
            Query::Txn { txn } => Answer::Txn(self.txn_view(*txn)),
            Query::Txns { after, limit } => self.txns(*after, *limit),
            Query::Participants => Answer::Participants(self.participant_views()),
            Query::Sessions { after, limit } => self.session_views(*after, *limit),
            Query::Request { request } => Answer::Request(self.sessions.reply(*request).cloned()),
            Query::Audit => Answer::Audit(self.audit.entries()),
            Query::Census => Answer::Census(self.census()),
            Query::Lease { lease } => Answer::Lease(self.services.leases.view(*lease)),
            Query::Leases { after, limit } => {
                let all = self.services.leases.views_after(after.unwrap_or(LeaseId::ZERO));
                let (leases, more) = cut(all, *limit, ROWS_MAX);
                Answer::Leases { leases, more }
            }
            Query::Lock { name } => {
                Answer::Lock { revision: self.revision, lock: self.services.locks.view(name) }
            }
            Query::Locks { prefix, after, limit } => {
                let all = self.services.locks.views(prefix, after.as_ref());
                let (locks, more) = cut(all, *limit, LOCKS_MAX);
                Answer::Locks { revision: self.revision, locks, more }
            }
            Query::Changes { interest, after } => {
                self.history.after(interest, *after, self.revision)
            }
            Query::Claim { name } => {
                Answer::Claim { revision: self.revision, claim: self.services.claims.view(name) }
            }
            Query::Claims { prefix, after, limit } => {
                let all = self.services.claims.views(prefix, after.as_ref());
                let (claims, more) = cut(all, *limit, ROWS_MAX);
                Answer::Claims { revision: self.revision, claims, more }
            }
            Query::Register { name } => {
                let register = self.services.registers.view(name);
                Answer::Register { revision: self.revision, register }
            }
            Query::Registers { prefix, after, limit } => {
                let all = self.services.registers.views(prefix, after.as_ref());
                let (registers, more) = cut(all, *limit, REGISTERS_MAX);
                Answer::Registers { revision: self.revision, registers, more }
            }
            Query::Counter { name } => {
                let counter = self.services.counters.view(name);
                Answer::Counter { revision: self.revision, counter }
            }
            Query::Counters { prefix, after, limit } => {
                let all = self.services.counters.views(prefix, after.as_ref());
                let (counters, more) = cut(all, *limit, ROWS_MAX);
                Answer::Counters { revision: self.revision, counters, more }
            }
            Query::Barrier { name } => {
                let barrier = self.services.barriers.view(name);
                Answer::Barrier { revision: self.revision, barrier }
            }
            Query::Barriers { prefix, after, limit } => {
                let all = self.services.barriers.views(prefix, after.as_ref());
                let (barriers, more) = cut(all, *limit, ROWS_MAX);
                Answer::Barriers { revision: self.revision, barriers, more }
            }
            Query::Journal { name, after, limit } => {
                let journals = &self.services.journals;
                let (entries, more) = journals.read(name, *after, *limit);
                let (revision, journal) = (self.revision, journals.view(name));
                Answer::Journal { revision, journal, entries, more }
            }
            Query::Journals { prefix, after, limit } => {
                let all = self.services.journals.views(prefix, after.as_ref());
                let (journals, more) = cut(all, *limit, ROWS_MAX);
                Answer::Journals { revision: self.revision, journals, more }
            }
            Query::Offsets { name } => {
                let offsets = self.services.journals.offsets(name).collect();
                Answer::Offsets { revision: self.revision, offsets }
            }
            Query::Election { name } => {
                let election = self.services.elections.view(name, self.clock.now).map(Box::new);
                Answer::Election { revision: self.revision, election }
            }
            Query::Elections { prefix, after, limit } => {
                let elections = &self.services.elections;
                let all = elections.views(prefix, after.as_ref(), self.clock.now);
                let (elections, more) = cut(all, *limit, ELECTIONS_MAX);
                Answer::Elections { revision: self.revision, elections, more }
            }
        }
    }

    /// How much is held, and how much has been forgotten.
    pub fn census(&self) -> Census {
        let (commits_unacked, aborts) = self.transactions.records_count();
        let (runs_forgotten, sessions_retired) = self.transactions.forgotten();
        let (barriers, arrivals) = self.services.barriers.count();
        let (journals, journal_entries) = self.services.journals.count();
        let (elections, candidates) = self.services.elections.count();
        Census {
            keys: self.keys.len(),
            sessions: self.sessions.live_count(),
            sessions_ended: self.sessions.ended_count(),
            replies: self.sessions.replies_count(),
            commits_unacked,
            aborts,
            runs: self.transactions.runs_count(),
            replies_forgotten: self.sessions.forgotten(),
            runs_forgotten,
            sessions_retired,
            leases: self.services.leases.len(),
            contenders: self.services.locks.len(),
            history: self.history.len(),
            claims: self.services.claims.len(),
            registers: self.services.registers.len(),
            counters: self.services.counters.len(),
            barriers,
            arrivals,
            journals,
            journal_entries,
            elections,
            candidates,
        }
    }

    /// When the oldest commit was decided that some participant has not acknowledged, by the stamp
    /// of its batch.
    pub fn oldest_unacked(&self) -> Option<Timestamp> {
        self.transactions.oldest_unacked()
    }

    fn txn_view(&self, txn: TxnId) -> TxnView {
        let record = self.transactions.record(txn);
        let (parts, cause) = match record.map(|record| &record.decision) {
            Some(Decision::Committed(parts)) => (parts.clone(), None),
            Some(Decision::Aborted(cause)) => (Vec::new(), Some(cause.clone())),
            None => (Vec::new(), None),
        };
        let decided_at_ms = record.map(|Record { at, .. }| at.0);
        TxnView { txn, verdict: self.verdict(txn), parts, decided_at_ms, cause }
    }

    fn txns(&self, after: Option<TxnId>, limit: u32) -> Answer {
        let after = after.unwrap_or(TxnId { session: SessionId::ZERO, n: 0 });
        let all = self.transactions.records_after(after).map(|txn| self.txn_view(txn));
        let (txns, more) = cut(all, limit, REPLY_BYTES_MAX / TXN_BYTES_MAX);
        Answer::Txns { txns, more }
    }

    fn session_views(&self, after: Option<SessionId>, limit: u32) -> Answer {
        let live = self.sessions.live_after(after.unwrap_or(SessionId::ZERO));
        let all = live.map(|(id, session)| SessionView {
            session: id,
            owner: session.owner.clone(),
            ttl_ms: session.ttl_ms,
            renewals: session.renewals,
        });
        let (sessions, more) = cut(all, limit, ROWS_MAX);
        Answer::Sessions { sessions, more }
    }

    fn participant_views(&self) -> Vec<ParticipantView> {
        let view = |(name, incarnation, address): (&crate::ParticipantName, _, &String)| {
            let unacked = self.transactions.unacked(name);
            ParticipantView { name: name.clone(), incarnation, address: address.clone(), unacked }
        };
        self.participants.iter().map(view).collect()
    }
}

/// The first rows, as many as were asked for and fit; and whether there are more.
fn cut<T>(mut rows: impl Iterator<Item = T>, limit: u32, most: usize) -> (Vec<T>, bool) {
    let limit = most.min(limit as usize);
    let page: Vec<T> = rows.by_ref().take(limit).collect();
    (page, rows.next().is_some())
}
