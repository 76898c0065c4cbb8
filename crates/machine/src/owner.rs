//! The owner's half of atomic commit, as a value: whom it asked, who voted, when it may decide, and
//! whom to tell.
//!
//! The driver asks every participant of [`Owner::to_ask`] to prepare, puts the votes in, proposes
//! what [`Owner::proposal`] hands out once all have voted yes, puts the log's verdict in, and tells
//! it to everyone of [`Owner::to_tell`].
//!
//! Up to the proposal the owner may give up by itself: it never proposes to commit afterwards, so
//! nobody can, and if it dies its fence says the same. From the moment a proposal *may* have left,
//! only the log knows, and giving up is a question to it.

mod numbers;
#[cfg(test)]
mod tests;

pub use numbers::Numbers;

use std::collections::BTreeMap;

use crate::participant_door::Vote;
use crate::{
    AbortCause, BranchIncarnation, Command, Multi, Part, ParticipantName, Proposal, TxnId, Verdict,
};

/// One transaction as its owner sees it.
#[derive(Clone, Debug, Hash)]
pub struct Owner {
    txn: TxnId,
    multi: Option<Multi>,
    branches: BTreeMap<ParticipantName, Branch>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Branch {
    vote: Option<Stance>,
    /// It said that it has finished.
    finished: bool,
}

/// A vote, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stance {
    Yes(BranchIncarnation),
    ReadOnly,
    No,
    Unknown,
}

/// How far an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Votes are out. It may still give up by itself.
    Voting,
    /// A commit may be in the log. Only the log knows.
    Proposed,
    /// The verdict, for ever.
    Committed,
    /// The verdict, for ever: the log's, or the owner's own before it ever proposed to commit.
    Aborted,
}

/// What giving up comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It is over: tell those of [`Owner::to_tell`].
    Over,
    /// The commit may be in the log already. Put this into the log and obey the verdict.
    AskTheLog(Command),
}

impl Owner {
    /// A transaction over these participants, none of which has been asked.
    pub fn begin(txn: TxnId, participants: impl IntoIterator<Item = ParticipantName>) -> Owner {
        let unasked = Branch { vote: None, finished: false };
        let branches = participants.into_iter().map(|name| (name, unasked)).collect();
        Owner { txn, multi: None, branches, phase: Phase::Voting }
    }

    /// Commits only if these guards hold in the log, and writes with the same revision.
    #[must_use]
    pub fn with_multi(self, multi: Multi) -> Owner {
        Owner { multi: Some(multi), ..self }
    }

    /// Which transaction.
    pub fn txn(&self) -> TxnId {
        self.txn
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Participants whose vote is awaited.
    pub fn to_ask(&self) -> impl Iterator<Item = &ParticipantName> {
        let voting = self.phase == Phase::Voting;
        let awaited =
            self.branches.iter().filter(move |(_, branch)| voting && branch.vote.is_none());
        awaited.map(|(name, _)| name)
    }

    /// Takes a vote. Anything but yes ends a transaction that was not proposed; `Unknown` is for a
    /// vote that will not be asked for again. The first vote of a participant counts: it answers a
    /// transaction once, and what comes later is a late copy. So none ends what was proposed, for
    /// that has everybody's. After the end a vote says only whether the participant holds anything.
    /// Votes of strangers are nothing.
    pub fn vote(&mut self, participant: &ParticipantName, vote: &Vote) {
        let Some(branch) = self.branches.get_mut(participant) else { return };
        if branch.vote.is_some() {
            return;
        }
        let stance = Stance::of(vote);
        branch.vote = Some(stance);
        match stance {
            Stance::Yes(_) | Stance::ReadOnly => {}
            Stance::No | Stance::Unknown => self.phase = Phase::Aborted,
        }
    }

    /// The commit to propose, once every participant has voted for it; from here on the owner
    /// cannot give up by itself. Asked again it is the same command: send it under the same
    /// request id until the log answers.
    pub fn proposal(&mut self) -> Option<Command> {
        match self.phase {
            Phase::Voting | Phase::Proposed => {}
            Phase::Committed | Phase::Aborted => return None,
        }
        let parts = self.parts()?;
        self.phase = Phase::Proposed;
        let outcome = Proposal::Commit { parts, multi: self.multi.clone() };
        Some(Command::Decide { txn: self.txn, outcome })
    }

    /// The deadline has passed, or nobody wants it any more.
    pub fn give_up(&mut self) -> GivenUp {
        match self.phase {
            Phase::Voting => self.phase = Phase::Aborted,
            Phase::Proposed => {
                let outcome = Proposal::Abort { cause: AbortCause::Owner };
                return GivenUp::AskTheLog(Command::Decide { txn: self.txn, outcome });
            }
            Phase::Committed | Phase::Aborted => {}
        }
        GivenUp::Over
    }

    /// Takes the log's verdict; `InProgress` and `Retired` say nothing that one may act on.
    pub fn learn(&mut self, verdict: Verdict) {
        let phase = match verdict {
            Verdict::Committed => Phase::Committed,
            Verdict::Aborted => Phase::Aborted,
            Verdict::InProgress | Verdict::Retired => return,
        };
        let stands = match self.phase {
            // Nobody else proposes to commit.
            Phase::Voting => phase == Phase::Aborted,
            Phase::Proposed => true,
            Phase::Committed | Phase::Aborted => self.phase == phase,
        };
        assert!(stands, "transaction {}: {:?} and then {phase:?}", self.txn, self.phase);
        self.phase = phase;
    }

    /// Whom to tell what, until each has said that it is finished: everyone that may hold a
    /// prepared branch. Nobody while the verdict is open.
    pub fn to_tell(&self) -> Vec<(ParticipantName, Verdict)> {
        let (verdict, may_hold): (_, fn(Option<Stance>) -> bool) = match self.phase {
            Phase::Voting | Phase::Proposed => return Vec::new(),
            Phase::Committed => (Verdict::Committed, |vote| matches!(vote, Some(Stance::Yes(_)))),
            Phase::Aborted => {
                (Verdict::Aborted, |vote| !matches!(vote, Some(Stance::No | Stance::ReadOnly)))
            }
        };
        let waiting =
            self.branches.iter().filter(|(_, branch)| !branch.finished && may_hold(branch.vote));
        waiting.map(|(name, _)| (name.clone(), verdict)).collect()
    }

    /// A participant has finished what it was told.
    pub fn finished(&mut self, participant: &ParticipantName) {
        if let Some(branch) = self.branches.get_mut(participant) {
            branch.finished = true;
        }
    }

    /// Exactly those who must finish it: all that voted yes, if nobody is missing. Nobody has voted
    /// no: that has ended it.
    fn parts(&self) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for (name, branch) in &self.branches {
            match branch.vote? {
                Stance::Yes(incarnation) => {
                    parts.push(Part { participant: name.clone(), incarnation });
                }
                Stance::ReadOnly | Stance::No | Stance::Unknown => {}
            }
        }
        Some(parts)
    }
}

impl Stance {
    fn of(vote: &Vote) -> Stance {
        match vote {
            Vote::Yes { incarnation } => Stance::Yes(*incarnation),
            Vote::ReadOnly => Stance::ReadOnly,
            Vote::No { .. } => Stance::No,
            Vote::Unknown => Stance::Unknown,
        }
    }
}
