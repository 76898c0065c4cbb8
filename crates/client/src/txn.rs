//! Atomic commit, driven by its owner: the application that holds this client.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use synod_machine::{
    AbortCause, Expect, Guard, Hold, Mutation, Name, ParticipantName, TxnId,
    branch::Work,
    door::{NotApplied, Refusal},
    limits::Misuse,
    owner::Owner,
    participant_door::NoReason,
};

use crate::{
    client::Client,
    deadline::Deadline,
    error::{Error, Unreached},
    guard::LockGuard,
    session::Session,
    undecided::Undecided,
};

/// How a transaction ended. Both are answers, and for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it takes effect; the participants are being told.
    Committed {
        /// Which transaction.
        txn: TxnId,
    },
    /// None of it takes effect.
    Aborted {
        /// Which transaction.
        txn: TxnId,
        /// Why.
        why: WhyAborted,
    },
}

/// Why a transaction was aborted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhyAborted {
    /// A participant voted no.
    #[error("{participant} voted no: {reason}")]
    No {
        /// Which.
        participant: ParticipantName,
        /// Why it did.
        reason: NoReason,
    },
    /// A participant could not be reached.
    #[error("participant {0}")]
    Unreached(Unreached),
    /// A participant was asked, and its vote was not heard before the deadline.
    #[error("the vote of {participant} was not heard in time")]
    NoVote {
        /// Which.
        participant: ParticipantName,
    },
    /// A participant takes no work just now.
    #[error("{participant} takes no work: {why}")]
    NotNow {
        /// Which.
        participant: ParticipantName,
        /// Why not.
        why: NotApplied,
    },
    /// A participant refused the owner.
    #[error("{participant} refused: {why}")]
    Refused {
        /// Which.
        participant: ParticipantName,
        /// Why.
        why: Refusal,
    },
    /// A participant gave an answer that is none.
    #[error("{participant} gave an answer that is no vote; is it of another version?")]
    Nonsense {
        /// Which.
        participant: ParticipantName,
    },
    /// The log said so: a guard did not hold, somebody else proposed to abort first, or the owner's
    /// session ended. The cause, where one is recorded.
    #[error("the log decided so{}", .0.as_ref().map(|cause| format!(": {cause}"))
        .unwrap_or_default())]
    Log(Option<AbortCause>),
}

/// Collects what a transaction does, participant by participant.
#[must_use = "nothing is sent before it is prepared or committed"]
pub struct TxnBuilder {
    client: Client,
    works: BTreeMap<ParticipantName, Work>,
    multi: Option<synod_machine::Multi>,
    misuse: Option<Misuse>,
    named: Option<(Arc<Session>, TxnId)>,
}

impl TxnBuilder {
    pub(crate) fn new(client: Client) -> TxnBuilder {
        TxnBuilder { client, works: BTreeMap::new(), multi: None, misuse: None, named: None }
    }

    /// Asks a participant to do this, if the transaction commits. Each at most once.
    pub fn ask(mut self, participant: impl fmt::Display, work: Work) -> TxnBuilder {
        let name = ParticipantName::new(participant.to_string());
        if let Err(misuse) = work.check() {
            self.misuse.get_or_insert(misuse);
        }
        if self.works.insert(name, work).is_some() {
            let twice = Misuse::Contradiction("a participant is asked twice in one transaction");
            self.misuse.get_or_insert(twice);
        }
        self
    }

    /// Commits only if this holds of a key of the log, at the moment of the decision.
    pub fn require(mut self, key: impl Into<Bytes>, expect: Expect) -> TxnBuilder {
        self.multi_mut().guards.push(Guard { key: key.into(), expect });
        self
    }

    /// Commits only if the lock is held under this guard, at the moment of the decision and by what
    /// the log says.
    pub fn require_held(mut self, guard: &LockGuard) -> TxnBuilder {
        let hold = Hold::Lock { name: Name::new(guard.name()), token: guard.token() };
        self.multi_mut().holds.push(hold);
        self
    }

    /// Commits only if the name stands for this owner, at the moment of the decision.
    pub fn require_claimed(
        mut self,
        name: impl Into<String>,
        owner: impl Into<String>,
    ) -> TxnBuilder {
        let hold = Hold::Claim { name: Name::new(name), owner: owner.into() };
        self.multi_mut().holds.push(hold);
        self
    }

    /// Commits only if this is held still, whoever holds it, at the moment of the decision: for
    /// holders that are not of this process.
    pub fn require_hold(mut self, hold: Hold) -> TxnBuilder {
        self.multi_mut().holds.push(hold);
        self
    }

    /// Sets a key of the log in the moment in which it commits.
    pub fn put(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> TxnBuilder {
        let put = Mutation::Put { key: key.into(), value: value.into() };
        self.multi_mut().mutations.push(put);
        self
    }

    /// Removes a key of the log in the moment in which it commits.
    pub fn delete(mut self, key: impl Into<Bytes>) -> TxnBuilder {
        self.multi_mut().mutations.push(Mutation::Delete { key: key.into() });
        self
    }

    /// Another deadline for each of its steps.
    pub fn deadline(mut self, within: std::time::Duration) -> TxnBuilder {
        self.client = self.client.within(within);
        self
    }

    /// Its name, for whoever may have to ask later how it ended: known before anything of it is
    /// sent to a participant. Opens a session if there is none.
    pub async fn id(&mut self) -> Result<TxnId, Error> {
        self.name(self.client.deadline()).await
    }

    /// Phase 1: asks every participant, all at once, to make its share durable and lock it. What is
    /// prepared waits for [`Prepared::decide`]; when that is dropped instead, everything is
    /// aborted.
    pub async fn prepare(self) -> Result<Prepared, Error> {
        let deadline = self.client.deadline();
        self.prepare_by(deadline).await
    }

    /// Both phases with one deadline: prepares, decides, and tells the participants in the
    /// background.
    pub async fn commit(self) -> Result<Outcome, Error> {
        let deadline = self.client.deadline();
        let prepared = self.prepare_by(deadline).await?;
        prepared.undecided.decide(deadline).await
    }

    async fn prepare_by(mut self, deadline: Deadline) -> Result<Prepared, Error> {
        self.check()?;
        let txn = self.name(deadline).await?;
        let Some((session, _)) = self.named.take() else {
            return Err(Misuse::Contradiction("a transaction is prepared once").into());
        };
        let mut owner = Owner::begin(txn, self.works.keys().cloned());
        if let Some(multi) = self.multi.take() {
            owner = owner.with_multi(multi);
        }
        let core = Arc::clone(&self.client.core);
        let mut undecided = Undecided::new(core, session, owner);
        undecided.gather_votes(&self.works, deadline).await?;
        Ok(Prepared { undecided, client: self.client.clone() })
    }

    fn check(&self) -> Result<(), Misuse> {
        match &self.misuse {
            Some(misuse) => return Err(misuse.clone()),
            None if self.works.is_empty() && self.multi.is_none() => {
                return Err(Misuse::Contradiction("a transaction that does nothing"));
            }
            None => {}
        }
        self.multi.as_ref().map_or(Ok(()), synod_machine::Multi::check)
    }

    async fn name(&mut self, deadline: Deadline) -> Result<TxnId, Error> {
        if let Some((_, txn)) = &self.named {
            return Ok(*txn);
        }
        let session = self.client.core.session(deadline).await?;
        let txn = session.begin_txn();
        self.named = Some((session, txn));
        Ok(txn)
    }

    fn multi_mut(&mut self) -> &mut synod_machine::Multi {
        self.multi.get_or_insert_default()
    }
}

impl Drop for TxnBuilder {
    /// A transaction that was named and never prepared must not hold back those after it.
    fn drop(&mut self) {
        if let Some((session, txn)) = self.named.take() {
            let _retire_later = session.end_txn(txn);
        }
    }
}

impl fmt::Debug for TxnBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxnBuilder")
            .field("participants", &self.works.len())
            .finish_non_exhaustive()
    }
}

/// A transaction between its votes and its decision: participants hold locks for it. Dropped, it is
/// aborted.
#[derive(Debug)]
#[must_use = "participants hold locks until it is decided or dropped"]
pub struct Prepared {
    undecided: Undecided,
    client: Client,
}

impl Prepared {
    /// Which transaction.
    pub fn id(&self) -> TxnId {
        self.undecided.txn()
    }

    /// Why it cannot commit any more, if so: some participant did not vote for it.
    pub fn refused(&self) -> Option<&WhyAborted> {
        self.undecided.refused()
    }

    /// Phase 2: puts the commit into the log, unless a participant did not vote for it, and answers
    /// with the verdict. The participants are told in the background, also when this future is
    /// dropped.
    pub async fn decide(self) -> Result<Outcome, Error> {
        self.undecided.decide(self.client.deadline()).await
    }
}
