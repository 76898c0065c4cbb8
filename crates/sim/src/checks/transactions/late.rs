//! What comes twice, late, or against what came before changes nothing: a copy of an owner, or of a
//! participant, is told.

mod closed;
mod obeyed;
mod promised;
mod unchanged;
mod whole;

use bytes::Bytes;
use synod_machine::{
    BranchIncarnation, Mutation, ParticipantName, TxnId, Verdict,
    branch::{Asker, Branches, Config, Input, Moment, Output, Work},
    owner::{Owner, Phase},
    participant_door::{Said, Vote},
};

pub(crate) use self::whole::guards_hold;
use crate::violation::{Checked, Violation};

/// Somebody that no participant has heard of.
const ASKER: Asker = Asker(u64::MAX);

/// An owner hears a vote again, and another one, of each of these participants; and first, where it
/// has no verdict, what is none, and a no; and it gives up.
pub(crate) fn owner_stands<'n>(
    owner: &Owner,
    names: impl Iterator<Item = &'n ParticipantName>,
) -> Checked {
    if let Phase::Voting | Phase::Proposed = owner.phase() {
        obeyed::an_owner_waits(owner)?;
        closed::a_no_ends_it(owner)?;
    }
    let names: Vec<&ParticipantName> = names.collect();
    obeyed::what_is_over_is_not_proposed(owner, &names)?;
    unchanged::votes_are(owner, &names)
}

/// A participant has done a step that `input` asked for.
pub(crate) fn branch_keeps_its_word(branches: &Branches, now: Moment, input: &Input) -> Checked {
    closed::nothing_else_is_locked(branches)?;
    let after = After { branches, now };
    match input {
        Input::Prepare { txn, work, .. } if branches.is_prepared(*txn) => {
            after.a_promise(*txn, work)
        }
        Input::Prepare { txn, work, .. } if !is_nothing(work) => after.a_no(*txn),
        Input::Finish { txn, verdict: Verdict::Aborted, .. } => after.an_abort(*txn),
        Input::Finish { txn, verdict: Verdict::Committed, .. } => after.a_commit(*txn),
        _ => Ok(()),
    }
}

/// A participant as it is after a step.
struct After<'b> {
    branches: &'b Branches,
    now: Moment,
}

impl After<'_> {
    /// It has promised: it ends that by a verdict and by nothing else, and promises no other work
    /// instead. What it never heard of is not done, and what is guarded is not written. Whoever
    /// scans waits for it.
    fn a_promise(&self, txn: TxnId, work: &Work) -> Checked {
        self.only_a_verdict_ends_it(txn)?;
        self.scans_wait(txn, work)?;
        self.no_other_work_is_promised(txn)?;
        let unheard = TxnId { session: txn.session, n: u64::MAX };
        self.what_is_unheard_is_not_done(unheard)?;
        self.what_is_guarded_is_not_written(unheard)
    }

    fn is_refused(&self, txn: TxnId, work: Work, invariant: &'static str) -> Checked {
        let prepare = Input::Prepare { asker: ASKER, txn, work: work.clone() };
        let Output { durably, at_once, .. } = self.given(prepare);
        let no = |said: &Said| matches!(said, Said::Vote(Vote::No { .. }));
        match at_once.iter().any(|(_, said)| no(said)) && durably.writes().is_empty() {
            true => Ok(()),
            false => Err(Violation {
                invariant,
                what: format!("{txn} would be prepared with {work:?}: {at_once:?}"),
            }),
        }
    }

    fn finish(&self, txn: TxnId, verdict: Verdict) -> Output {
        self.given(Input::Finish { asker: Some(ASKER), txn, verdict })
    }

    fn given(&self, input: Input) -> Output {
        self.branches.clone().step(self.now, input, |_| None)
    }
}

/// Nothing is written, and nobody hears that it is finished, neither who asks nor the log.
fn says_no(out: &Output) -> bool {
    out.durably.is_empty() && out.at_once.iter().all(|(_, said)| *said == Said::Unproven)
}

/// Another participant than any.
fn nobody() -> Config {
    let (name, incarnation) = (ParticipantName::new("nobody"), BranchIncarnation(u64::MAX));
    Config { name, incarnation, in_doubt_grace_ms: 1_000 }
}

fn put(key: &[u8]) -> Work {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::from_static(b"of a copy"));
    Work { guards: Vec::new(), mutations: vec![Mutation::Put { key, value }] }
}

/// Such work is voted on as read only, which binds nobody.
fn is_nothing(work: &Work) -> bool {
    work.guards.is_empty() && work.mutations.is_empty()
}

fn is_same(one: &Owner, other: &Owner) -> bool {
    crate::checks::hash(one) == crate::checks::hash(other)
}
