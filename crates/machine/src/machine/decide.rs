//! Commands that end something: sessions, requests, transactions.

use bytes::Bytes;

use super::Machine;
use crate::sessions::Standing;
use crate::{
    AbortCause, Act, BranchIncarnation, FenceCause, FenceGuard, Multi, Part, ParticipantName,
    Proposal, Rejection, Reply, RequestId, SessionId, TxnId, Verdict,
};

impl Machine {
    /// The first of decide, fence and retire in log order is the verdict; a later decide is told
    /// what stands and changes nothing.
    pub(super) fn decide(&mut self, own: SessionId, txn: TxnId, outcome: Proposal) -> Reply {
        if self.sessions.standing(txn.session) == Standing::Unopened {
            return Reply::Rejected(Rejection::UnknownSession);
        }
        let for_the_owner = matches!(outcome, Proposal::Commit { .. });
        if for_the_owner && own != txn.session {
            return Reply::Rejected(Rejection::NotTheOwner);
        }
        match self.verdict(txn) {
            Verdict::InProgress => {}
            stands @ (Verdict::Committed | Verdict::Aborted | Verdict::Retired) => {
                return Reply::Verdict(stands);
            }
        }
        match outcome {
            Proposal::Commit { parts, multi } => self.decide_commit(own, txn, parts, multi),
            Proposal::Abort { cause } => self.decide_abort(txn, cause),
        }
    }

    /// A commit that can never be is an abort, on record at once: its branches are prepared and
    /// hear of it now, not after their grace. That is safe since the owner itself proposes, and
    /// anybody may propose to abort what is in progress.
    fn decide_commit(
        &mut self,
        own: SessionId,
        txn: TxnId,
        parts: Vec<Part>,
        multi: Option<Multi>,
    ) -> Reply {
        if let Some(participant) = self.participants.lost_vote(&parts).cloned() {
            return self.decide_abort(txn, AbortCause::LostVote { participant });
        }
        let multi = multi.unwrap_or_default();
        if !self.may_ride(own, &multi) {
            return self.decide_abort(txn, AbortCause::Guard);
        }
        if let Err(rejection) = self.transactions.has_room_for_a_commit() {
            return Reply::Rejected(rejection);
        }
        // Its conditions hold and there are no reads, so this cannot be refused.
        self.keys.multi(multi, None, &mut self.revision, &mut self.history);
        self.transactions.commit(txn, parts, self.clock.now);
        Reply::Verdict(Verdict::Committed)
    }

    /// Where no more aborts of a session can be recorded, its end says the same of all of them: a
    /// prepared branch that asks is never left waiting for want of room.
    fn decide_abort(&mut self, txn: TxnId, cause: AbortCause) -> Reply {
        if let AbortCause::Operator { actor, reason } = &cause {
            let (actor, reason) = (actor.clone(), reason.clone());
            self.audit.note(self.clock.now, Act::Aborted { txn, actor, reason });
        }
        if self.transactions.has_room_for_an_abort(txn.session) {
            self.transactions.abort(txn, cause, self.clock.now);
        } else {
            self.end(txn.session, FenceCause::Overrun);
        }
        Reply::Verdict(Verdict::Aborted)
    }

    /// A leader's fence is void when another reigns by now, or when the session has spoken since:
    /// what the leader took for silence was not.
    pub(super) fn fence(
        &mut self,
        session: SessionId,
        cause: FenceCause,
        guard: Option<FenceGuard>,
    ) -> Reply {
        let renewals = match self.sessions.standing(session) {
            Standing::Unopened => return Reply::Rejected(Rejection::UnknownSession),
            Standing::Ended => return self.done(),
            Standing::Live => self.sessions.renewals(session),
        };
        let holds =
            |guard: FenceGuard| guard.reign == self.reign && Some(guard.renewals) == renewals;
        if !guard.is_none_or(holds) {
            return Reply::Rejected(Rejection::FenceOverruled);
        }
        if cause == FenceCause::Operator {
            self.audit.note(self.clock.now, Act::Fenced { session });
        }
        self.end(session, cause)
    }

    /// Ends a session and, by rule, every undecided transaction of it.
    pub(super) fn end(&mut self, session: SessionId, cause: FenceCause) -> Reply {
        if self.sessions.end(session, cause, self.clock.age) {
            self.transactions.fence(session, self.clock.age);
        }
        self.done()
    }

    pub(super) fn settle(&mut self, own: Option<RequestId>, request: RequestId) -> Reply {
        if own == Some(request) {
            let why = "a request cannot settle itself".to_owned();
            return Reply::Rejected(Rejection::Misuse(why));
        }
        self.sessions.settle(request)
    }

    pub(super) fn ack(&mut self, participant: &ParticipantName, txns: &[TxnId]) -> Reply {
        if !self.participants.contains(participant) {
            let name = participant.as_str().to_owned();
            return Reply::Rejected(Rejection::UnknownParticipant(name));
        }
        for txn in txns {
            self.transactions.ack(*txn, participant);
        }
        self.done()
    }

    /// The entry is on record before its effect.
    pub(super) fn forget_participant(
        &mut self,
        txn: TxnId,
        participant: ParticipantName,
        actor: String,
        reason: String,
    ) -> Reply {
        if !self.transactions.awaits(txn, &participant) {
            return Reply::Rejected(Rejection::NotAwaited(participant.as_str().to_owned()));
        }
        let who = participant.clone();
        self.audit.note(self.clock.now, Act::Forgot { txn, participant: who, actor, reason });
        self.transactions.ack(txn, &participant);
        self.done()
    }

    pub(super) fn register(
        &mut self,
        name: ParticipantName,
        incarnation: BranchIncarnation,
        address: String,
    ) -> Reply {
        match self.participants.register(name.clone(), incarnation, address) {
            Err(rejection) => return Reply::Rejected(rejection),
            Ok(None) => {}
            Ok(Some(was)) => {
                let unacked = self.transactions.unacked(&name);
                let replaced = Act::Replaced { participant: name, was, is: incarnation, unacked };
                self.audit.note(self.clock.now, replaced);
            }
        }
        self.done()
    }

    pub(super) fn delete(&mut self, key: &Bytes) -> Reply {
        let existed = self.keys.delete(key, &mut self.history);
        if existed {
            self.revision = self.revision.next();
        }
        Reply::Deleted { existed, revision: self.revision }
    }
}
