//! The branches and their file, kept in step.

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use bytes::Bytes;
use synod_client::machine::{
    Command, ParticipantName, TxnId, Verdict,
    branch::{Alarm, Asker, Branches, Config, Durable, Durably, Input, Moment, Word, Write},
    participant_door::{Call, Info, Said},
};

use super::{ShardError, store::Store};

/// Bytes of one page of a scan.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// How long what nobody waits for stays un-synced, so that it shares the sync of a vote that comes
/// soon. The owner of a transaction has had its answer by the time its branches end.
const LINGER: Duration = Duration::from_millis(2);

/// What a shard knows and what it has written down of it. After an error the two differ, and the
/// process must end.
pub(super) struct Books {
    name: ParticipantName,
    store: Store,
    branches: Branches,
    pending: Pending,
}

/// What was stepped since the last sync, and is true for nobody else before the next one.
#[derive(Default)]
struct Pending {
    durably: Durably,
    prepared: Vec<TxnId>,
    ended: Vec<(TxnId, Verdict)>,
    /// Since when something waits, and whether somebody waits for it.
    since: Option<Instant>,
    hurry: bool,
}

/// What is to be done after a step, or after a sync.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Of a step: words that rely on nothing that is not durable. Of a sync: those that relied on
    /// it.
    pub(super) words: Vec<Word>,
    /// To be put into the log.
    pub(super) proposals: Vec<Command>,
    /// For an operator.
    pub(super) alarms: Vec<Alarm>,
    /// Branches that are durably prepared now.
    pub(super) prepared: Vec<TxnId>,
    /// Branches that durably ended, and how.
    pub(super) ended: Vec<(TxnId, Verdict)>,
    /// How long the disk took, if anything was written.
    pub(super) synced_in: Option<Duration>,
}

/// Books of which every word is durable: what a reader is told.
pub(super) struct Synced<'b>(&'b Books);

impl Books {
    pub(super) fn open(
        store: Store,
        durable: &Durable,
        name: ParticipantName,
        in_doubt_grace_ms: u64,
        now: Moment,
    ) -> Books {
        let incarnation = store.incarnation();
        let config = Config { name: name.clone(), incarnation, in_doubt_grace_ms };
        let branches = Branches::recover(config, durable, now);
        Books { name, branches, store, pending: Pending::default() }
    }

    /// Steps inputs. What they promise or end counts for those that follow, for it is durable no
    /// later than they are; whoever is to hear of it hears of it after [`Books::sync`].
    pub(super) fn step(&mut self, now: Moment, steps: Vec<Input>) -> Result<Outcome, ShardError> {
        let mut outcome = Outcome::default();
        for input in steps {
            let failed = RefCell::new(None);
            let store = &self.store;
            let read = |key: &Bytes| {
                store.key(key).unwrap_or_else(|error| {
                    *failed.borrow_mut() = Some(error);
                    None
                })
            };
            let finish = match &input {
                Input::Finish { txn, verdict, .. } => Some((*txn, *verdict)),
                Input::Prepare { .. } | Input::Acknowledged(_) | Input::Wake => None,
            };
            let votes = matches!(input, Input::Prepare { .. });
            let out = self.branches.step(now, input, read);
            if let Some(error) = failed.into_inner() {
                // What was concluded from a key that could not be read must not be believed.
                return Err(error);
            }
            for fact in out.durably.writes() {
                self.store.put(fact);
                match fact {
                    Write::Prepared { txn, .. } => self.pending.prepared.push(*txn),
                    Write::Ended { .. } => self.pending.ended.extend(finish),
                    _ => {}
                }
            }
            if !out.durably.is_empty() {
                self.pending.since.get_or_insert_with(Instant::now);
                self.pending.hurry |= votes;
            }
            self.pending.durably.merge(out.durably);
            let at_once = out.at_once.into_iter().map(|(to, said)| Word::Said { to, said });
            outcome.words.extend(at_once);
            outcome.proposals.extend(out.propose);
            outcome.alarms.extend(out.alarms);
        }
        Ok(outcome)
    }

    /// How long the next sync may wait; `most` when that is longer.
    pub(super) fn due_in(&self, now: Instant, most: Duration) -> Duration {
        match self.pending.since {
            Some(_) if self.pending.hurry => Duration::ZERO,
            Some(since) => (since + LINGER).saturating_duration_since(now).min(most),
            None => most,
        }
    }

    /// Makes everything durable that was stepped, by one sync, and only then opens what was sealed
    /// behind it.
    pub(super) fn sync(&mut self) -> Result<(Synced<'_>, Outcome), ShardError> {
        let Pending { durably, prepared, ended, .. } = std::mem::take(&mut self.pending);
        let wrote = !durably.writes().is_empty();
        let begun = Instant::now();
        self.store.sync()?;
        let synced_in = wrote.then(|| begun.elapsed());
        let words = durably.synced();
        Ok((Synced(self), Outcome { words, prepared, ended, synced_in, ..Outcome::default() }))
    }

    /// Writes down whether the cluster knows the shard by this store.
    pub(super) fn introduce(&mut self, introduced: bool) -> Result<Outcome, ShardError> {
        let (_, outcome) = self.sync()?;
        self.store.set_introduced(introduced)?;
        Ok(outcome)
    }

    pub(super) fn branches(&self) -> &Branches {
        &self.branches
    }
}

impl Synced<'_> {
    /// Answers a question that changes nothing.
    pub(super) fn read(&self, now: Moment, call: &Call) -> Result<Said, ShardError> {
        let Synced(Books { store, branches, .. }) = self;
        let revision = branches.revision();
        Ok(match call {
            Call::Get { key, .. } => Said::Key { revision, entry: store.get(key)? },
            Call::Scan { prefix, after, limit, .. } => {
                let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
                let page = store.scan(prefix, after.as_deref(), limit, PAGE_BYTES_MAX)?;
                Said::Keys { revision, entries: page.0, more: page.1 }
            }
            Call::InDoubt => Said::InDoubt(branches.in_doubt(now)),
            Call::Info => self.info()?,
            Call::Prepare { .. } | Call::Finish { .. } => {
                unreachable!("what changes something is stepped")
            }
        })
    }

    fn info(&self) -> Result<Said, ShardError> {
        let Synced(Books { name, store, branches, .. }) = self;
        let counts = branches.counts();
        Ok(Said::Info(Info {
            name: name.clone(),
            incarnation: store.incarnation(),
            revision: branches.revision(),
            in_doubt: counts.in_doubt,
            held: counts.held,
            keys: store.count()?,
            committed: counts.committed,
            aborted: counts.aborted,
        }))
    }
}

/// The call as something to step, if it changes anything; else the call.
pub(super) fn as_step(call: Call, asker: Asker) -> Result<Input, Call> {
    match call {
        Call::Prepare { txn, work } => Ok(Input::Prepare { asker, txn, work }),
        Call::Finish { txn, verdict } => Ok(Input::Finish { asker: Some(asker), txn, verdict }),
        call @ (Call::InDoubt | Call::Get { .. } | Call::Scan { .. } | Call::Info) => Err(call),
    }
}
