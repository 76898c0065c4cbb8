//! What the log answers to what comes to it out of turn: a copy of its machine is asked.

mod closed;
mod has_room;
mod obeyed;
mod on_record;
mod one_verdict;
mod silence;
#[cfg(test)]
mod stage;
mod true_answers;
mod unanimous;

use synod_machine::{
    Applied, Batch, Command, Machine, Proposal, Reply, Request, RequestId, Seq, Timestamp, TxnId,
    Verdict,
};

use super::Transactions;
use crate::violation::Checked;

/// A number that no request of a universe has.
const LATE: Seq = Seq::new(u64::MAX - 1);

/// What comes to a copy of what it is told: that, but in the tests of these checks.
type Hears = fn(Batch) -> Batch;

/// The log at one moment, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asides<'t> {
    known: &'t Transactions,
    machine: &'t Machine,
    hears: Hears,
}

impl<'t> Asides<'t> {
    pub(super) fn to(machine: &'t Machine, known: &'t Transactions) -> Asides<'t> {
        Asides { known, machine, hears: |batch| batch }
    }

    /// Whatever comes to the log now, what is decided stands, and only an owner commits.
    pub(super) fn stand(&self) -> Checked {
        self.only_owners_commit()?;
        self.nothing_is_decided_early()?;
        self.nothing_is_fenced_early()?;
        self.nobody_settles_itself()?;
        self.who_does_not_wait_is_not_forgotten()?;
        self.a_commit_without_room_is_none()?;
        self.who_comes_late_hears_what_stands()?;
        self.news_is_what_is_decided()?;
        self.marks_stand()?;
        self.stamps_only_rise()?;
        self.a_leap_forgets_nothing()?;
        self.what_is_forgotten_is_retired()?;
        self.what_is_forgotten_is_not_aborted()?;
        self.what_waits_is_not_forgotten()?;
        self.an_abort_always_has_room()?;
        self.what_is_forced_is_on_record()?;
        self.what_was_told_never_is_never()
    }

    /// Who attends hears of what is decided as it is, and of every commit that waits for it.
    fn news_is_what_is_decided(&self) -> Checked {
        let txns: Vec<TxnId> = self.known.verdicts.keys().copied().collect();
        for name in self.known.stores.keys() {
            self.no_other_verdict_is_news(name, &txns)?;
            self.every_commit_is_news(name)?;
        }
        Ok(())
    }

    /// A transaction that is in progress, of a session that lives.
    fn open(&self) -> Option<TxnId> {
        let open = self.known.verdicts.iter().find(|(txn, verdict)| {
            **verdict == Verdict::InProgress && self.machine.session_owner(txn.session).is_some()
        });
        open.map(|(txn, _)| *txn)
    }

    /// What a copy answers.
    fn told(&self, id: Option<RequestId>, command: Command) -> Reply {
        self.tell(&mut self.machine.clone(), of(id, command)).remove(0).reply
    }

    fn tell(&self, copy: &mut Machine, batch: Batch) -> Vec<Applied> {
        copy.apply((self.hears)(batch))
    }
}

fn of(id: Option<RequestId>, command: Command) -> Batch {
    Batch { stamp: Timestamp(0), requests: vec![Request { id, acked: Seq::ZERO, command }] }
}

fn commit() -> Proposal {
    Proposal::Commit { parts: Vec::new(), multi: None }
}
