//! The rules of verdicts as one would say them, kept beside the machine that keeps them well.

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Command, FenceGuard, ParticipantName, Proposal, Reign, Request, SessionId, TxnId,
};

use super::Ending;

/// What the log has decided: the first of decide, fence and retire that speaks of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Book {
    /// Every transaction that there may be, with its verdict.
    pub(super) verdicts: BTreeMap<TxnId, Option<Ending>>,
    /// Who has to acknowledge a commit.
    pub(super) awaited: BTreeMap<TxnId, BTreeSet<ParticipantName>>,
    /// Requests of each live session that have reached the log.
    renewals: BTreeMap<SessionId, u64>,
    reign: Reign,
    /// Below it a log that remembers no numbers knows nothing of a session: what was undecided
    /// there is so for good.
    forgotten: BTreeMap<SessionId, u64>,
}

impl Book {
    pub(super) fn new(txns: &[TxnId]) -> Book {
        let verdicts = txns.iter().map(|txn| (*txn, None)).collect();
        let renewals = txns.iter().map(|txn| (txn.session, 0)).collect();
        Book { verdicts, renewals, ..Book::default() }
    }

    /// Whether the log has forgotten what became of this.
    pub(super) fn has_forgotten(&self, txn: TxnId) -> bool {
        self.forgotten.get(&txn.session).is_some_and(|below| txn.n < *below)
    }

    /// A log that remembers no numbers forgets with a commit that is finished everywhere all that
    /// came before it.
    pub(super) fn forget_finished(&mut self) {
        for (txn, _) in self.awaited.iter().filter(|(_, awaited)| awaited.is_empty()) {
            let below = self.forgotten.entry(txn.session).or_default();
            *below = (*below).max(txn.n + 1);
        }
    }

    /// Whether the session has not ended.
    pub(super) fn lives(&self, session: SessionId) -> bool {
        self.renewals.contains_key(&session)
    }

    /// A leader that fences a session now guards the fence with this.
    pub(super) fn guard(&self, session: SessionId) -> Option<FenceGuard> {
        let renewals = *self.renewals.get(&session)?;
        Some(FenceGuard { reign: self.reign, renewals })
    }

    /// A request that has not been here before takes its place in the log.
    pub(super) fn write(&mut self, request: &Request) {
        let own = request.id.map(|id| id.session);
        if let Some(own) = own {
            match self.renewals.get_mut(&own) {
                Some(renewals) => *renewals += 1,
                None => return,
            }
        }
        match &request.command {
            Command::Decide { txn, outcome } => self.decide(own, *txn, outcome),
            Command::Fence { session, guard, .. }
                if guard.is_none() || *guard == self.guard(*session) =>
            {
                self.end(*session);
            }
            Command::Retire { below } => {
                self.abort(|txn| Some(txn.session) == own && txn.n < *below);
            }
            Command::LeaderStart { reign } => self.reign = self.reign.max(*reign),
            Command::Ack { participant, txns } => {
                for txn in txns {
                    if let Some(awaited) = self.awaited.get_mut(txn) {
                        awaited.remove(participant);
                    }
                }
            }
            _ => {}
        }
    }

    /// A copy of a request reaches the log: a sign of life, and nothing else.
    pub(super) fn write_again(&mut self, request: &Request) {
        let own = request.id.map(|id| id.session);
        if let Some(renewals) = own.and_then(|own| self.renewals.get_mut(&own)) {
            *renewals += 1;
        }
    }

    fn decide(&mut self, own: Option<SessionId>, txn: TxnId, outcome: &Proposal) {
        if self.has_forgotten(txn) {
            return;
        }
        // A session that was never opened has no transactions.
        let Some(verdict) = self.verdicts.get_mut(&txn) else { return };
        match outcome {
            Proposal::Commit { .. } if own != Some(txn.session) => {}
            Proposal::Commit { parts, .. } if verdict.is_none() => {
                *verdict = Some(Ending::Commit);
                let parts = parts.iter().map(|part| part.participant.clone());
                self.awaited.insert(txn, parts.collect());
            }
            Proposal::Commit { .. } => {}
            Proposal::Abort { .. } => {
                verdict.get_or_insert(Ending::Abort);
            }
        }
    }

    fn end(&mut self, session: SessionId) {
        if self.renewals.remove(&session).is_some() {
            self.abort(|txn| txn.session == session);
        }
    }

    fn abort(&mut self, which: impl Fn(&TxnId) -> bool) {
        let Book { verdicts, forgotten, .. } = self;
        let known = |txn: &TxnId| forgotten.get(&txn.session).is_none_or(|below| txn.n >= *below);
        for (_, verdict) in verdicts.iter_mut().filter(|(txn, _)| which(txn) && known(txn)) {
            verdict.get_or_insert(Ending::Abort);
        }
    }
}
