use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

use bytes::Bytes;

use super::alarmed::Alarmed;
use super::ended::{Ended, Room};
use super::locks::Locks;
use super::{
    Alarm, Asker, Config, Counts, Durable, Durably, Input, Moment, Output, PREPARED_MAX, Work,
    Write,
};
use crate::door::{Call, Refusal};
use crate::keys::first_failing;
use crate::limits::TXNS_MAX;
use crate::participant_door::{InDoubt, NoReason, Said, Vote};
use crate::{AbortCause, Command, Entry, Mutation, Proposal, Revision, TxnId, Verdict};

/// Every branch of one participant.
#[derive(Clone, Debug)]
pub struct Branches {
    config: Config,
    revision: Revision,
    prepared: BTreeMap<TxnId, Branch>,
    locks: Locks,
    ended: Ended,
    /// Finished commits that the log may not know of; whoever attends names them.
    finished: BTreeSet<TxnId>,
    /// When each branch that is not held asks the log to abort.
    asks: BTreeSet<(Moment, TxnId)>,
    counts: Counts,
    alarmed: Alarmed,
}

/// A branch that has promised. It ends by a verdict and by nothing else.
#[derive(Clone, Debug)]
struct Branch {
    work: Work,
    since: Moment,
    /// When it asks the log to abort; `None` when the log has no answer and a person must say.
    asks_at: Option<Moment>,
}

impl Branches {
    /// What `durable` remembers: every promise with its locks. How they ended is asked, not
    /// guessed.
    pub fn recover(config: Config, durable: &Durable, now: Moment) -> Branches {
        let mut branches = Branches {
            revision: durable.revision,
            prepared: BTreeMap::new(),
            locks: Locks::default(),
            ended: Ended::recover(durable),
            finished: BTreeSet::new(),
            asks: BTreeSet::new(),
            counts: Counts::default(),
            alarmed: Alarmed::default(),
            config,
        };
        for (txn, work) in &durable.prepared {
            branches.hold(now, *txn, work.clone());
        }
        branches
    }

    /// The same with another room for what is over: for simulations and tests, which would go on
    /// for very long before they had filled that of a participant.
    #[must_use]
    pub fn with_room(mut self, room: Room) -> Branches {
        self.ended.room = room;
        self
    }

    /// Takes one input. `read` finds a key as it stands after the writes of all steps before.
    pub fn step(
        &mut self,
        now: Moment,
        input: Input,
        read: impl Fn(&Bytes) -> Option<Entry>,
    ) -> Output {
        let mut out = Output::default();
        match input {
            Input::Prepare { asker, txn, work } => {
                self.prepare(now, asker, txn, work, read, &mut out);
            }
            Input::Finish { asker, txn, verdict } => match verdict {
                Verdict::Committed => self.commit(asker, txn, read, &mut out),
                Verdict::Aborted => self.roll_back(asker, txn, &mut out),
                Verdict::Retired => self.await_a_person(asker, txn, &mut out),
                // A hint that nothing is decided: nobody may act on it.
                Verdict::InProgress => refuse(asker, &mut out),
            },
            Input::Acknowledged(txns) => {
                for txn in txns {
                    self.finished.remove(&txn);
                }
            }
            Input::Wake => self.ask_for_aborts(now, &mut out),
        }
        out
    }

    /// When to step [`Input::Wake`].
    pub fn wake_at(&self) -> Option<Moment> {
        self.asks.first().map(|(moment, _)| *moment)
    }

    /// What to ask any node, all the time: how the branches here ended, and what else is to be
    /// finished here. Feed the verdicts as [`Input::Finish`]. Held branches wait for a person.
    pub fn attend(&self) -> Call {
        let in_doubt = self.asks.iter().map(|(_, txn)| *txn).collect();
        let finished = self.finished.iter().copied().take(TXNS_MAX).collect();
        Call::Attend { participant: self.config.name.clone(), in_doubt, finished }
    }

    /// The branches that wait for a verdict.
    pub fn in_doubt(&self, now: Moment) -> Vec<InDoubt> {
        let row = |(txn, branch): (&TxnId, &Branch)| InDoubt {
            txn: *txn,
            locks: super::touched(&branch.work).count() as u32,
            waited_ms: now.0.saturating_sub(branch.since.0),
            held: branch.asks_at.is_none(),
        };
        self.prepared.iter().map(row).collect()
    }

    /// Whether it has promised and not heard its verdict.
    pub fn is_prepared(&self, txn: TxnId) -> bool {
        self.prepared.contains_key(&txn)
    }

    /// The transaction that is prepared here and writes this key if it commits: it may have
    /// committed already, and somebody may have been told so.
    pub fn writer(&self, key: &Bytes) -> Option<TxnId> {
        self.locks.writer(key)
    }

    /// As [`Branches::writer`], of all keys that begin with `prefix` and come after `after`.
    pub fn writers(&self, prefix: &Bytes, after: Option<&Bytes>) -> BTreeSet<TxnId> {
        self.locks.writers(prefix, after)
    }

    /// The participant's own revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How it stands.
    pub fn counts(&self) -> Counts {
        Counts {
            in_doubt: self.prepared.len() as u64,
            held: self.prepared.values().filter(|branch| branch.asks_at.is_none()).count() as u64,
            locked: self.locks.len(),
            unacknowledged: self.finished.len() as u64,
            ..self.counts
        }
    }

    fn prepare(
        &mut self,
        now: Moment,
        asker: Asker,
        txn: TxnId,
        work: Work,
        read: impl Fn(&Bytes) -> Option<Entry>,
        out: &mut Output,
    ) {
        let yes = Said::Vote(Vote::Yes { incarnation: self.config.incarnation });
        match self.prepared.get(&txn) {
            // The first prepare may still be on its way to the disk: this yes waits for it too.
            Some(branch) if branch.work == work => return out.durably.then_say(asker, yes),
            Some(_) => {
                let reason = NoReason::Misuse("it is prepared with other work".to_owned());
                return out.at_once.push((asker, Said::Vote(Vote::No { reason })));
            }
            None => {}
        }
        if let Err(reason) = self.can_promise(txn, &work, read) {
            self.counts.refused = self.counts.refused.saturating_add(1);
            self.ended.bury(txn, reason.clone());
            return out.at_once.push((asker, Said::Vote(Vote::No { reason })));
        }
        if super::touched(&work).next().is_none() {
            return out.at_once.push((asker, Said::Vote(Vote::ReadOnly)));
        }
        out.durably.write(Write::Prepared { txn, work: work.clone() });
        out.durably.then_say(asker, yes);
        self.hold(now, txn, work);
    }

    /// Whether a commit could be done later, whatever happens until then.
    fn can_promise(
        &self,
        txn: TxnId,
        work: &Work,
        read: impl Fn(&Bytes) -> Option<Entry>,
    ) -> Result<(), NoReason> {
        if let Some(reason) = self.ended.refusal(txn) {
            return Err(reason);
        }
        work.check().map_err(|misuse| NoReason::Misuse(misuse.to_string()))?;
        if self.prepared.len() >= PREPARED_MAX {
            return Err(NoReason::TooMany { limit: PREPARED_MAX as u64 });
        }
        if let Some((by, key)) = self.locks.conflict(work) {
            return Err(NoReason::Locked { by, key });
        }
        match first_failing(&work.guards, read) {
            Some(place) => Err(NoReason::GuardFailed { place }),
            None => Ok(()),
        }
    }

    fn commit(
        &mut self,
        asker: Option<Asker>,
        txn: TxnId,
        read: impl Fn(&Bytes) -> Option<Entry>,
        out: &mut Output,
    ) {
        if let Some(work) = self.release(txn) {
            self.mutate(work.mutations, read, &mut out.durably);
            out.durably.write(Write::Ended { txn });
            self.ended.apply(txn, &mut out.durably);
            self.counts.committed = self.counts.committed.saturating_add(1);
        } else if !self.ended.applied(txn) {
            // Not "not found, so it must have been done": that is how promises get lost. Whether
            // what is forgotten was done here nobody can say, and most often the log knows already.
            if !self.ended.is_forgotten(txn) {
                self.alarm(Alarm::NeverPrepared { txn }, out);
            }
            return answer(asker, Said::Unproven, out);
        }
        self.finished.insert(txn);
        out.durably.then_acknowledge(txn);
        if let Some(asker) = asker {
            out.durably.then_say(asker, Said::Finished);
        }
    }

    fn roll_back(&mut self, asker: Option<Asker>, txn: TxnId, out: &mut Output) {
        if self.ended.applied(txn) {
            self.alarm(Alarm::Contradicted { txn }, out);
            return answer(asker, Said::Unproven, out);
        }
        if self.release(txn).is_some() {
            out.durably.write(Write::Ended { txn });
            self.counts.aborted = self.counts.aborted.saturating_add(1);
        }
        // The abort may have overtaken its prepare, which then holds no locks.
        self.ended.bury(txn, NoReason::Ended);
        if let Some(asker) = asker {
            out.durably.then_say(asker, Said::Finished);
        }
    }

    /// The log does not know any more how it ended: the locks are held until a person says.
    fn await_a_person(&mut self, asker: Option<Asker>, txn: TxnId, out: &mut Output) {
        if let Some(branch) = self.prepared.get_mut(&txn)
            && let Some(moment) = branch.asks_at.take()
        {
            self.asks.remove(&(moment, txn));
            out.alarms.push(Alarm::Held { txn });
        }
        answer(asker, Said::Unproven, out);
    }

    /// The log says again and again what it waits for: a person is called the first time.
    fn alarm(&mut self, alarm: Alarm, out: &mut Output) {
        if self.alarmed.is_new(alarm) {
            out.alarms.push(alarm);
        }
    }

    /// Whoever has waited for its grace asks the log to abort, again and again, and obeys what
    /// comes back. It never aborts by itself.
    fn ask_for_aborts(&mut self, now: Moment, out: &mut Output) {
        let again = now.after_ms(self.config.in_doubt_grace_ms.max(1));
        while let Some(&(moment, txn)) = self.asks.first() {
            if moment > now {
                return;
            }
            self.asks.remove(&(moment, txn));
            self.asks.insert((again, txn));
            if let Some(branch) = self.prepared.get_mut(&txn) {
                branch.asks_at = Some(again);
            }
            let cause = AbortCause::InDoubtGrace { participant: self.config.name.clone() };
            out.propose.push(Command::Decide { txn, outcome: Proposal::Abort { cause } });
        }
    }

    fn hold(&mut self, now: Moment, txn: TxnId, work: Work) {
        let asks_at = now.after_ms(self.config.in_doubt_grace_ms);
        self.locks.take(txn, &work);
        self.asks.insert((asks_at, txn));
        self.prepared.insert(txn, Branch { work, since: now, asks_at: Some(asks_at) });
    }

    fn release(&mut self, txn: TxnId) -> Option<Work> {
        let branch = self.prepared.remove(&txn)?;
        if let Some(moment) = branch.asks_at {
            self.asks.remove(&(moment, txn));
        }
        self.locks.release(txn, &branch.work);
        Some(branch.work)
    }

    /// One revision for all that changes.
    fn mutate(
        &mut self,
        mutations: Vec<Mutation>,
        read: impl Fn(&Bytes) -> Option<Entry>,
        durably: &mut Durably,
    ) {
        let at = self.revision.next();
        let mut changed = false;
        for mutation in mutations {
            let before = read(mutation.key());
            let (key, entry) = match mutation {
                Mutation::Put { key, value } => {
                    (key, Some(Entry::written(before.as_ref(), value, at)))
                }
                Mutation::Delete { .. } if before.is_none() => continue,
                Mutation::Delete { key } => (key, None),
            };
            changed = true;
            durably.write(Write::Key { key, entry });
        }
        if changed {
            self.revision = at;
            durably.write(Write::Revision(at));
        }
    }
}

fn refuse(asker: Option<Asker>, out: &mut Output) {
    let why = "nobody may act on a transaction in progress".to_owned();
    answer(asker, Said::Refused(Refusal::Misuse(why)), out);
}

fn answer(asker: Option<Asker>, said: Said, out: &mut Output) {
    out.at_once.extend(asker.map(|asker| (asker, said)));
}

/// What it has promised and done. Moments, counts and alarms are left out: they say when it asks,
/// and how much a person sees.
impl Hash for Branches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Branches { config: _, asks: _, counts: _, alarmed: _, revision, prepared, .. } = self;
        let Branches { locks, ended, finished, .. } = self;
        (revision, prepared, locks, ended, finished).hash(state);
    }
}

impl Hash for Branch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Branch { work, since: _, asks_at } = self;
        (work, asks_at.is_some()).hash(state);
    }
}
