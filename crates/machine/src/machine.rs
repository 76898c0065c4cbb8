mod answer;
mod decide;
mod multi;
mod once;
mod serve;
mod snapshot;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
pub use snapshot::Snapshot;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::history::History;
use crate::keys::Keys;
use crate::once::Onces;
use crate::participants::Participants;
use crate::services::Services;
use crate::sessions::{Admission, Sessions, Standing};
use crate::table::{self, Digesting};
use crate::transactions::{Room, Transactions};
use crate::{
    Batch, Change, Command, FenceCause, LeaseId, ParticipantName, Reign, Rejection, Reply, Request,
    RequestId, Revision, SessionId, Touched, TxnId, Verdict,
};

// The seeds of the tables' digests.
const KEYS: u64 = 0x10;
const SESSIONS: u64 = 0x20;
const PARTICIPANTS: u64 = 0x30;
const TRANSACTIONS: u64 = 0x40;
const AUDIT: u64 = 0x50;
const HISTORY: u64 = 0x80;
const ONCES: u64 = 0xf0;

/// A digest of everything the machine holds; equal states have equal digests on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateHash(pub u64);

/// What one request of a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its reply: the first one, when this is a repeat.
    pub reply: Reply,
    /// Whether it was a repeat of a request applied before.
    pub repeated: bool,
}

/// The state that every node holds.
///
/// Whatever a batch holds, applying it neither panics nor depends on anything else: what makes no
/// sense is answered with a [`Rejection`].
#[derive(Clone, Debug)]
pub struct Machine {
    clock: Clock,
    revision: Revision,
    reign: Reign,
    keys: Keys,
    sessions: Sessions,
    participants: Participants,
    transactions: Transactions,
    audit: Audit,
    services: Services,
    onces: Onces,
    history: History,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// The machine before the first batch.
    pub fn new() -> Machine {
        Machine {
            clock: Clock::default(),
            revision: Revision::ZERO,
            reign: Reign::default(),
            keys: Keys::new(KEYS),
            sessions: Sessions::new(SESSIONS),
            participants: Participants::new(PARTICIPANTS),
            transactions: Transactions::new(TRANSACTIONS),
            audit: Audit::new(AUDIT),
            services: Services::new(),
            onces: Onces::new(ONCES),
            history: History::new(HISTORY),
        }
    }

    /// The same state with another room for what has ended: for simulations and tests, whose
    /// machines would be years old before they had filled that of a node.
    #[must_use]
    pub fn with_room(self, room: Room) -> Machine {
        Machine { transactions: self.transactions.with_room(room), ..self }
    }

    /// Applies one batch; one result per request, in order.
    pub fn apply(&mut self, batch: Batch) -> Vec<Applied> {
        self.clock.tell(batch.stamp);
        let applied = batch.requests.into_iter().map(|request| self.apply_one(request)).collect();
        self.sessions.sweep(self.clock.age);
        self.transactions.sweep(self.clock.age, |among| self.sessions.is_any_live(among));
        self.onces.sweep(self.clock.age);
        self.history.sweep();
        applied
    }

    /// The revision of the last mutating request.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The digest of the present state, kept as it changes.
    pub fn hash(&self) -> StateHash {
        self.digest(Digesting::AsKept)
    }

    /// The digest computed anew from everything held: equal to [`Machine::hash`], or there is a
    /// bug.
    pub fn hash_anew(&self) -> StateHash {
        self.digest(Digesting::Anew)
    }

    /// The reign that last started.
    pub fn reign(&self) -> Reign {
        self.reign
    }

    /// The verdict of a transaction: what any node may say, however far behind, since all but
    /// `InProgress` are said once and for ever.
    pub fn verdict(&self, txn: TxnId) -> Verdict {
        self.transactions.verdict(txn, self.sessions.standing(txn.session))
    }

    /// What [`Attend`](crate::door::Call::Attend) waits for: those of `in_doubt` that are decided,
    /// and commits this participant has not acknowledged that are neither there nor in `finished`.
    pub fn news_for(
        &self,
        participant: &ParticipantName,
        in_doubt: &[TxnId],
        finished: &[TxnId],
    ) -> Vec<(TxnId, Verdict)> {
        let standing = |session| self.sessions.standing(session);
        self.transactions.news_for(participant, in_doubt, finished, standing)
    }

    /// Whether a session of this number was ever opened, as far as this machine has come.
    pub fn knows_of(&self, session: SessionId) -> bool {
        self.sessions.standing(session) != Standing::Unopened
    }

    /// Who opened a session that has not ended.
    pub fn session_owner(&self, session: SessionId) -> Option<&str> {
        self.sessions.owner(session)
    }

    /// Sessions that have not ended: (session, ttl in ms, renewals).
    pub fn live_sessions(&self) -> impl Iterator<Item = (SessionId, u64, u64)> + '_ {
        let live = self.sessions.live_after(SessionId::ZERO);
        live.map(|(id, session)| (id, session.ttl_ms, session.renewals))
    }

    /// Who was granted a lease that has not ended.
    pub fn lease_owner(&self, lease: LeaseId) -> Option<&str> {
        self.services.leases.owner(lease)
    }

    /// Whether a lease of this number was ever granted, as far as this machine has come.
    pub fn knows_of_lease(&self, lease: LeaseId) -> bool {
        self.services.leases.was_granted(lease)
    }

    /// Leases that have not ended: (lease, ttl in ms, uses).
    pub fn live_leases(&self) -> impl Iterator<Item = (LeaseId, u64, u64)> + '_ {
        self.services.leases.live()
    }

    /// What the changes after a revision are of, and at which each came to be. As far as that is
    /// known: not of those up to [`Machine::forgotten`].
    pub fn touched_since(&self, after: Revision) -> impl Iterator<Item = (Revision, Touched<'_>)> {
        self.history.touched_since(after)
    }

    /// What changed up to this revision is known no more.
    pub fn forgotten(&self) -> Revision {
        self.history.forgotten()
    }

    /// What changed after a revision and at which, as far as that is known.
    pub fn changes_since(&self, after: Revision) -> impl Iterator<Item = (Revision, Change)> {
        self.history.since(after)
    }

    fn apply_one(&mut self, request: Request) -> Applied {
        let applied = self.admit(request);
        self.history.close(self.revision);
        applied
    }

    fn admit(&mut self, request: Request) -> Applied {
        let id = match (request.check_name(), request.id) {
            (Err(misuse), _) => return fresh(Reply::Rejected(misuse.into())),
            (Ok(()), None) => return fresh(self.execute(None, request.command)),
            (Ok(()), Some(id)) => id,
        };
        match self.sessions.admit(id, request.acked) {
            Admission::Fresh => {
                let reply = self.execute(Some(id), request.command);
                self.sessions.keep(id, reply.clone());
                fresh(reply)
            }
            Admission::Repeat(reply) => Applied { reply, repeated: true },
            Admission::Refused(late @ (Rejection::SessionEnded | Rejection::Forgotten)) => {
                fresh(self.refuse_late(&request.command, late))
            }
            Admission::Refused(rejection) => fresh(Reply::Rejected(rejection)),
            Admission::Overrun => {
                self.end(id.session, FenceCause::Overrun);
                fresh(Reply::Rejected(Rejection::SessionEnded))
            }
        }
    }

    /// An owner that was replaced and resumes, however late, must learn what became of its
    /// transaction: its commit meets the fence and is told what stands.
    fn refuse_late(&self, command: &Command, late: Rejection) -> Reply {
        match command {
            Command::Decide { txn, .. } => match self.verdict(*txn) {
                Verdict::InProgress => Reply::Rejected(late),
                verdict => Reply::Verdict(verdict),
            },
            _ => Reply::Rejected(late),
        }
    }

    fn execute(&mut self, id: Option<RequestId>, command: Command) -> Reply {
        if let Err(misuse) = command.check() {
            return Reply::Rejected(misuse.into());
        }
        let own = id.map_or(SessionId::ZERO, |id| id.session);
        match command {
            Command::OpenSession { owner, ttl_ms } => match self.sessions.open(owner, ttl_ms) {
                Ok(session) => Reply::Session(session),
                Err(rejection) => Reply::Rejected(rejection),
            },
            Command::CloseSession => self.end(own, FenceCause::Closed),
            Command::Put { key, value } => {
                self.revision = self.revision.next();
                self.keys.put((key, value), None, self.revision, &mut self.history);
                Reply::Written(self.revision)
            }
            Command::Delete { key } => self.delete(&key),
            Command::Cas { key, expect, value } => {
                if !expect.holds(self.keys.get(&key)) {
                    return Reply::Mismatch(self.keys.get(&key).cloned());
                }
                self.execute(id, Command::Put { key, value })
            }
            Command::Multi(multi) => self.multi(own, multi).unwrap_or_else(Reply::Rejected),
            Command::Settle { request } => self.settle(id, request),
            Command::RegisterParticipant { name, incarnation, address } => {
                self.register(name, incarnation, address)
            }
            Command::Decide { txn, outcome } => self.decide(own, txn, outcome),
            Command::Fence { session, cause, guard } => self.fence(session, cause, guard),
            Command::Ack { participant, txns } => self.ack(&participant, &txns),
            Command::Retire { below } => {
                self.transactions.retire(own, below);
                self.done()
            }
            Command::LeaderStart { reign } => {
                self.reign = self.reign.max(reign);
                self.done()
            }
            Command::ForgetParticipant { txn, participant, actor, reason } => {
                self.forget_participant(txn, participant, actor, reason)
            }
            Command::Lease(command) => self.lease(own, command).unwrap_or_else(Reply::Rejected),
            Command::Lock(command) => self.lock(own, command).unwrap_or_else(Reply::Rejected),
            Command::Claim(command) => self.claim(own, command).unwrap_or_else(Reply::Rejected),
            Command::Register(command) => {
                self.propose(own, command).unwrap_or_else(Reply::Rejected)
            }
            Command::Counter(command) => self.count(own, command).unwrap_or_else(Reply::Rejected),
            Command::Barrier(command) => self.meet(own, command).unwrap_or_else(Reply::Rejected),
            Command::Journal(command) => self.journal(own, command).unwrap_or_else(Reply::Rejected),
            Command::Election(command) => self.elect(own, command).unwrap_or_else(Reply::Rejected),
            Command::Once(once) => self.once(id, once).unwrap_or_else(Reply::Rejected),
            Command::Compact { upto } => {
                self.history.compact(upto.min(self.revision));
                self.done()
            }
        }
    }

    fn digest(&self, how: Digesting) -> StateHash {
        let counters = (self.clock, self.revision, self.reign);
        let tables = [self.keys.digest(how), self.participants.digest(how), self.audit.digest(how)];
        let (sessions, txns) = (self.sessions.digest(how), self.transactions.digest(how));
        let (services, history) = (self.services.digest(how), self.history.digest(how));
        let onces = self.onces.digest(how);
        StateHash(table::digest(0, &(counters, tables, sessions, txns, services, onces, history)))
    }

    /// It is so, as of this revision.
    fn done(&self) -> Reply {
        Reply::Done(self.revision)
    }
}

fn fresh(reply: Reply) -> Applied {
    Applied { reply, repeated: false }
}
