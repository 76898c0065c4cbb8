//! H: one verdict to a transaction, and every participant obeys it.

mod asides;
pub(crate) mod closed;
mod horizon;
mod in_session;
mod late;
pub(crate) mod obeyed;
pub(crate) mod one_verdict;
mod promised;
mod rare;
mod recorded;
mod unanimous;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Answer, BranchIncarnation, Command, Machine, Part, ParticipantName, Proposal, Query, Reply,
    SessionId, TxnId, Verdict, branch::Write,
};

use self::asides::Asides;
pub(crate) use self::{
    late::{branch_keeps_its_word, guards_hold, owner_stands},
    one_verdict::told,
};
use super::order::Effect;
use crate::{sights::Sights, violation::Checked};

/// Between looks at all verdicts, when nothing that is chosen speaks of transactions.
const LOOK_EVERY_SLOTS: u64 = 32;

/// What was promised, decided and done.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// Every transaction that anybody has heard of, with its verdict once it has one.
    verdicts: BTreeMap<TxnId, Verdict>,
    /// Promises that a disk was ever asked to keep.
    wanted: BTreeSet<(usize, TxnId)>,
    /// Promises that have ever been durable.
    prepared: BTreeSet<(usize, TxnId)>,
    /// Promises that no durable end has followed.
    open: BTreeSet<(usize, TxnId)>,
    /// On which verdict a participant has ended its branch, durably or not.
    acted: BTreeMap<(usize, TxnId), Verdict>,
    /// Commits that are durably done.
    applied: BTreeSet<(usize, TxnId)>,
    /// Transactions whose owners will never propose to commit them.
    given_up: BTreeSet<TxnId>,
    /// Who must finish a committed transaction.
    parts: BTreeMap<TxnId, Vec<Part>>,
    /// And who of them has not told the log.
    unacked: BTreeMap<TxnId, BTreeSet<ParticipantName>>,
    /// From which store each participant votes, by the log.
    stores: BTreeMap<ParticipantName, BranchIncarnation>,
    /// What a participant has asked the log to abort, and after how many reigns.
    doubted: BTreeMap<TxnId, usize>,
    /// Sessions that the log has ended.
    fenced: BTreeSet<SessionId>,
    slots: u64,
    pub(crate) seen: Sights,
}

impl Transactions {
    /// An owner gives up before it has proposed to commit.
    pub(crate) fn given_up(&mut self, txn: TxnId) {
        self.given_up.insert(txn);
    }

    /// An owner is about to put a decision into the log.
    pub(crate) fn proposes(&mut self, command: &Command) -> Checked {
        let Command::Decide { txn, outcome } = command else { return Ok(()) };
        self.verdicts.entry(*txn).or_insert(Verdict::InProgress);
        match outcome {
            Proposal::Commit { parts, .. } => self.all_prepared(*txn, parts),
            Proposal::Abort { .. } => Ok(()),
        }
    }

    /// A participant asks its disk for facts, in a step that brought it `verdict`.
    pub(crate) fn asked(
        &mut self,
        machine: &Machine,
        place: usize,
        verdict: Option<(TxnId, Verdict)>,
        writes: &[Write],
    ) -> Checked {
        for write in writes {
            match write {
                Write::Prepared { txn, .. } => {
                    self.verdicts.entry(*txn).or_insert(Verdict::InProgress);
                    self.wanted.insert((place, *txn));
                }
                Write::Ended { txn } => {
                    let told = verdict.filter(|(of, _)| of == txn).map(|(_, verdict)| verdict);
                    self.ends(machine, place, *txn, told)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Facts of a participant have become durable.
    pub(crate) fn synced(&mut self, place: usize, writes: &[Write]) -> Checked {
        for write in writes {
            match write {
                Write::Prepared { txn, .. } => {
                    self.prepared.insert((place, *txn));
                    self.open.insert((place, *txn));
                }
                Write::Ended { txn } => {
                    self.was_open(place, *txn)?;
                    self.is_done_once(place, *txn)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A slot has joined the chosen prefix; `machine` has applied it.
    pub(crate) fn applied(&mut self, effect: &Effect, machine: &Machine) -> Checked {
        self.slots += 1;
        let is_turn = self.slots.is_multiple_of(LOOK_EVERY_SLOTS);
        let mut speaks = is_turn;
        let mut acked: BTreeSet<&TxnId> = BTreeSet::new();
        for (request, result) in effect.batch.requests.iter().zip(&effect.results) {
            speaks |= matches!(
                request.command,
                Command::Decide { .. }
                    | Command::Fence { .. }
                    | Command::CloseSession
                    | Command::Retire { .. }
                    | Command::Ack { .. }
                    | Command::OpenSession { .. }
            );
            if let (Command::Ack { participant, txns }, Reply::Done(_)) =
                (&request.command, &result.reply)
            {
                acked.extend(txns);
                for waiting in txns {
                    if let Some(unacked) = self.unacked.get_mut(waiting) {
                        unacked.remove(participant);
                    }
                }
            }
            if let (Command::RegisterParticipant { name, incarnation, .. }, Reply::Done(_)) =
                (&request.command, &result.reply)
                && !result.repeated
            {
                self.stores.insert(name.clone(), *incarnation);
            }
            self.decided(&request.command, &result.reply, result.repeated);
            if let Command::Decide { txn, outcome: Proposal::Commit { parts, .. } } =
                &request.command
                && result.reply == Reply::Verdict(Verdict::Committed)
            {
                self.committed(*txn, parts)?;
            }
        }
        self.stand_recorded(acked, machine)?;
        if speaks {
            self.look(machine)?;
        }
        let ended = effect.batch.requests.iter().filter_map(|request| match request.command {
            Command::Fence { session, .. } => Some(session),
            _ => None,
        });
        if ended.into_iter().any(|session| self.awaits_a_part(session)) {
            self.after_the_horizon(machine)?;
        }
        if is_turn { Asides::to(machine, self).stand() } else { Ok(()) }
    }

    fn committed(&mut self, txn: TxnId, parts: &[Part]) -> Checked {
        self.was_not_given_up(txn)?;
        self.goes_on(txn)?;
        self.all_prepared(txn, parts)?;
        if !self.parts.contains_key(&txn) {
            self.all_of_their_stores(txn, parts)?;
        }
        self.parts.entry(txn).or_insert_with(|| parts.to_vec());
        let names = || parts.iter().map(|part| part.participant.clone()).collect();
        self.unacked.entry(txn).or_insert_with(names);
        Ok(())
    }

    /// Everything has come to an end: no promise is open, and each commit is done everywhere. What
    /// is known of it may be forgotten when the horizon has passed, and never told otherwise.
    pub(crate) fn ended(&self, machine: &Machine) -> Checked {
        self.after_the_horizon(machine)?;
        self.after_the_end_of_others(machine)?;
        self.none_is_open()?;
        self.all_parts_are_done()
    }
}

pub(super) fn verdict_of(machine: &Machine, txn: TxnId) -> Verdict {
    match machine.query(&Query::Verdicts { txns: vec![txn] }) {
        Answer::Verdicts(verdicts) => verdicts.first().copied().unwrap_or(Verdict::InProgress),
        _ => Verdict::InProgress,
    }
}
