//! H: one verdict to a transaction, and every participant obeys it.

mod asides;
mod late;
mod rare;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Answer, Batch, BranchIncarnation, Command, FenceCause, Machine, Part, ParticipantName,
    Proposal, Query, Reply, Request, Room, Seq, SessionId, Timestamp, TxnId, Verdict,
    branch::{Durable, Write},
    owner::Numbers,
    participant_door::Vote,
};

use self::asides::Asides;
use super::order::{Effect, same_state};
use crate::{
    sights::{Sight, Sights},
    txn::participant_name,
    violation::{Checked, demand},
};

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
    /// An owner has begun a transaction: were it time to retire those that are over, this is none.
    pub(crate) fn begins(&self, txn: TxnId, numbers: &Numbers) -> Checked {
        let mut later = numbers.clone();
        let others = (0..RETIRES_IN).map(|_| later.begin()).collect::<Vec<_>>();
        others.into_iter().for_each(|other| later.end(other));
        let retired = later.retire();
        demand!(
            !matches!(retired, Some(Command::Retire { below }) if below > txn.n),
            "H1",
            "{txn} is open and its owner would submit {retired:?}"
        );
        Ok(())
    }

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

    /// A vote leaves a participant.
    pub(crate) fn votes(&mut self, place: usize, txn: TxnId, vote: &Vote) -> Checked {
        self.voted(vote);
        let promises = matches!(vote, Vote::Yes { .. });
        demand!(
            !promises || self.prepared.contains(&(place, txn)),
            "H2",
            "participant {place} votes yes to {txn} before its prepare is durable"
        );
        Ok(())
    }

    /// A participant is about to tell the log that it has finished a commit.
    pub(crate) fn acknowledges(&self, place: usize, txn: TxnId) -> Checked {
        demand!(
            self.applied.contains(&(place, txn)),
            "H6",
            "participant {place} acknowledges {txn} before its commit is durable"
        );
        Ok(())
    }

    /// A participant says that it has finished what it was told: no crash takes that back.
    pub(crate) fn finishes(&self, place: usize, txn: TxnId) -> Checked {
        demand!(
            !self.open.contains(&(place, txn)),
            "H6",
            "participant {place} says that it has finished {txn} before that is durable"
        );
        Ok(())
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

    fn ends(
        &mut self,
        machine: &Machine,
        place: usize,
        txn: TxnId,
        told: Option<Verdict>,
    ) -> Checked {
        let chosen = verdict_of(machine, txn);
        let rightly = match told {
            Some(Verdict::Committed) => chosen == Verdict::Committed,
            Some(Verdict::Aborted) => {
                chosen == Verdict::Aborted
                    || chosen == Verdict::InProgress && self.given_up.contains(&txn)
            }
            Some(Verdict::InProgress | Verdict::Retired) | None => false,
        };
        let Some(told) = told.filter(|_| rightly) else {
            demand!(
                false,
                "H3",
                "participant {place} ends {txn} on {told:?}; the log says {chosen:?}"
            );
            return Ok(());
        };
        let first = *self.acted.entry((place, txn)).or_insert(told);
        demand!(first == told, "H3", "participant {place} ends {txn} on {told:?} after {first:?}");
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
                    let was_open = self.open.remove(&(place, *txn));
                    demand!(was_open, "H4", "participant {place} ends {txn}, which is not open");
                    if self.acted.get(&(place, *txn)) == Some(&Verdict::Committed) {
                        let first = self.applied.insert((place, *txn));
                        demand!(first, "H3", "participant {place} applies {txn} twice");
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A participant starts from what is durable: every promise is there, and no other.
    pub(crate) fn recovered(&mut self, place: usize, durable: &Durable) -> Checked {
        let open = self.open.range((place, FIRST)..).take_while(|(at, _)| *at == place);
        let open: Vec<TxnId> = open.map(|(_, txn)| *txn).collect();
        let found: Vec<TxnId> = durable.prepared.keys().copied().collect();
        demand!(
            open == found,
            "H4",
            "participant {place} starts with {found:?} prepared; it had promised {open:?}"
        );
        if !found.is_empty() {
            self.seen.see(Sight::DoubtAtStart);
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
        demand!(
            !self.given_up.contains(&txn),
            "H3",
            "{txn} commits although its owner gave it up before proposing"
        );
        demand!(
            self.parts.contains_key(&txn) || !self.fenced.contains(&txn.session),
            "C6",
            "{txn} commits after the end of its session"
        );
        self.all_prepared(txn, parts)?;
        for part in parts.iter().filter(|_| !self.parts.contains_key(&txn)) {
            let store = self.stores.get(&part.participant);
            demand!(
                store == Some(&part.incarnation),
                "H2",
                "{txn} commits by the yes of {} from {:?}, which votes from {store:?} by now",
                part.participant,
                part.incarnation
            );
        }
        self.parts.entry(txn).or_insert_with(|| parts.to_vec());
        let names = || parts.iter().map(|part| part.participant.clone()).collect();
        self.unacked.entry(txn).or_insert_with(names);
        Ok(())
    }

    /// The record of a commit stands until its last part has acknowledged.
    fn stand_recorded(&self, acked: BTreeSet<&TxnId>, machine: &Machine) -> Checked {
        for txn in acked {
            let Some(unacked) = self.unacked.get(txn) else { continue };
            let Answer::Txn(view) = machine.query(&Query::Txn { txn: *txn }) else { continue };
            let awaited = view.parts.into_iter().filter(|(_, acked)| !acked);
            let awaited: BTreeSet<ParticipantName> = awaited.map(|(name, _)| name).collect();
            demand!(
                awaited == *unacked,
                "H6",
                "{txn} waits for {unacked:?} to finish, and the log for {awaited:?}"
            );
        }
        Ok(())
    }

    fn all_prepared(&self, txn: TxnId, parts: &[Part]) -> Checked {
        for part in parts {
            let promised = self
                .prepared
                .iter()
                .any(|(place, of)| *of == txn && participant_name(*place) == part.participant);
            demand!(
                promised,
                "H2",
                "{txn} is to commit and {} has no durable prepare",
                part.participant
            );
        }
        Ok(())
    }

    /// No verdict changes.
    fn look(&mut self, machine: &Machine) -> Checked {
        let open: Vec<TxnId> = self.verdicts.keys().copied().collect();
        if open.is_empty() {
            return Ok(());
        }
        let Answer::Verdicts(now) = machine.query(&Query::Verdicts { txns: open }) else {
            demand!(false, "H1", "a question for verdicts is answered otherwise");
            return Ok(());
        };
        for ((txn, before), now) in self.verdicts.iter_mut().zip(now) {
            demand!(
                *before == Verdict::InProgress || *before == now,
                "H1",
                "{txn} was {before:?} and is {now:?}"
            );
            match (*before, now) {
                (Verdict::InProgress, Verdict::Committed) => self.seen.see(Sight::Committed),
                (Verdict::InProgress, Verdict::Aborted) => self.seen.see(Sight::Aborted),
                (_, _) => {}
            }
            *before = now;
        }
        Ok(())
    }

    fn awaits_a_part(&self, session: SessionId) -> bool {
        self.unacked.iter().any(|(txn, names)| txn.session == session && !names.is_empty())
    }

    /// One session that has transactions goes on, and all others end, also those that have none.
    fn after_the_end_of_others(&self, machine: &Machine) -> Checked {
        let sessions: BTreeSet<SessionId> = self.verdicts.keys().map(|txn| txn.session).collect();
        let sessions = sessions.into_iter().filter(|id| machine.session_owner(*id).is_some());
        let sessions: Vec<SessionId> = sessions.collect();
        let Some(stays) = sessions.get(sessions.len() / 2) else { return Ok(()) };
        let ends = machine.live_sessions().map(|(session, _, _)| session);
        let ends = ends.filter(|session| session != stays).map(|session| Request {
            id: None,
            acked: Seq::ZERO,
            command: Command::Fence { session, cause: FenceCause::Expired, guard: None },
        });
        let mut later = machine.clone();
        later.apply(Batch { stamp: Timestamp(0), requests: ends.collect() });
        self.after_the_horizon(&later)
    }

    fn after_the_horizon(&self, machine: &Machine) -> Checked {
        // It forgets which sessions are past it as soon as there are two runs of them.
        let room = Room { retired_runs: 1, ..Room::default() };
        let mut later = machine.clone().with_room(room);
        let mut restored = same_state::is_restored(machine)?.with_room(room);
        // A leap of the stamps ages the log by an hour at most.
        for hour in (0..HORIZON_HOURS).rev() {
            let stamp = Timestamp(u64::MAX - hour * HOUR_MS);
            for machine in [&mut later, &mut restored] {
                machine.apply(Batch { stamp, requests: Vec::new() });
            }
        }
        same_state::is_the_same_later(&restored, &later)?;
        for txn in self.verdicts.keys() {
            let (before, then) = (verdict_of(machine, *txn), verdict_of(&later, *txn));
            demand!(
                then == before || then == Verdict::Retired && before != Verdict::InProgress,
                "H1",
                "{txn} was {before:?} and is {then:?} when the horizon has passed"
            );
            demand!(
                !self.awaits_a_part(txn.session) || then == before,
                "H1",
                "a commit of its session waits for a part, and {txn} was {before:?} and is \
                 {then:?} past the horizon"
            );
            let ended = later.session_owner(txn.session).is_none();
            demand!(
                ended || then == before,
                "H1",
                "the session of {txn} has not ended, and it was {before:?} and is {then:?} past \
                 the horizon of others"
            );
            demand!(
                !ended
                    || self.awaits_a_part(txn.session)
                    || before != Verdict::Committed
                    || then == Verdict::Retired,
                "I1",
                "{txn} is {then:?} still, long after the end of its session"
            );
        }
        Ok(())
    }

    /// Everything has come to an end: no promise is open, and each commit is done everywhere. What
    /// is known of it may be forgotten when the horizon has passed, and never told otherwise.
    pub(crate) fn ended(&self, machine: &Machine) -> Checked {
        self.after_the_horizon(machine)?;
        self.after_the_end_of_others(machine)?;
        demand!(self.open.is_empty(), "L3", "still open: {:?}", self.open);
        for (txn, parts) in &self.parts {
            let done = self.applied.iter().filter(|(_, of)| of == txn).count();
            demand!(
                done == parts.len(),
                "H5",
                "{txn} committed with {} parts, of which {done} are done",
                parts.len()
            );
        }
        Ok(())
    }
}

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// For longer the log need not know what an ended session committed.
const HORIZON_HOURS: u64 = 31 * 24;

/// After so many transactions at the latest, an owner retires those that are over.
const RETIRES_IN: u64 = 100;

/// Below every transaction.
const FIRST: TxnId = TxnId { session: SessionId::ZERO, n: 0 };

/// Somebody hears of a verdict: it is the one that the log has made.
pub(crate) fn told(machine: &Machine, txn: TxnId, verdict: Verdict) -> Checked {
    let chosen = verdict_of(machine, txn);
    demand!(
        verdict == Verdict::InProgress || verdict == chosen,
        "H1",
        "{txn} is said to be {verdict:?}; the log says {chosen:?}"
    );
    Ok(())
}

pub(crate) use late::{branch_keeps_its_word, guards_hold, owner_stands};

pub(super) fn verdict_of(machine: &Machine, txn: TxnId) -> Verdict {
    match machine.query(&Query::Verdicts { txns: vec![txn] }) {
        Answer::Verdicts(verdicts) => verdicts.first().copied().unwrap_or(Verdict::InProgress),
        _ => Verdict::InProgress,
    }
}
