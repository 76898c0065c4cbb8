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

/// What a shard knows and what it has written down of it. After an error the two differ, and the
/// process must end.
pub(super) struct Books {
    name: ParticipantName,
    store: Store,
    branches: Branches,
}

/// What is to be done once a batch is durable.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Words that relied on what is durable now, and words that relied on nothing.
    pub(super) words: Vec<Word>,
    /// To be put into the log.
    pub(super) proposals: Vec<Command>,
    /// For an operator.
    pub(super) alarms: Vec<Alarm>,
    /// Branches that are prepared now.
    pub(super) prepared: Vec<TxnId>,
    /// Branches that ended, and how.
    pub(super) ended: Vec<(TxnId, Verdict)>,
    /// How long the disk took, if anything was written.
    pub(super) synced_in: Option<Duration>,
}

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
        Books { name, branches: Branches::recover(config, durable, now), store }
    }

    /// Steps everything into one batch of rows, syncs it, and only then opens what was
    /// sealed behind it: one sync, however many votes.
    pub(super) fn step_all(
        &mut self,
        now: Moment,
        steps: Vec<Input>,
    ) -> Result<Outcome, ShardError> {
        let mut outcome = Outcome::default();
        if steps.is_empty() {
            return Ok(outcome);
        }
        let mut durably = Durably::default();
        let mut wrote = false;
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
            let out = self.branches.step(now, input, read);
            if let Some(error) = failed.into_inner() {
                // What was concluded from a key that could not be read must not be believed.
                return Err(error);
            }
            for fact in out.durably.writes() {
                self.store.put(fact);
                wrote = true;
                match fact {
                    Write::Prepared { txn, .. } => outcome.prepared.push(*txn),
                    Write::Ended { .. } => outcome.ended.extend(finish),
                    _ => {}
                }
            }
            durably.merge(out.durably);
            let at_once = out.at_once.into_iter().map(|(to, said)| Word::Said { to, said });
            outcome.words.extend(at_once);
            outcome.proposals.extend(out.propose);
            outcome.alarms.extend(out.alarms);
        }
        let begun = Instant::now();
        self.store.sync()?;
        outcome.synced_in = wrote.then(|| begun.elapsed());
        outcome.words.extend(durably.synced());
        Ok(outcome)
    }

    /// Answers a question that changes nothing, from what is durable.
    pub(super) fn read(&self, now: Moment, call: &Call) -> Result<Said, ShardError> {
        let revision = self.branches.revision();
        Ok(match call {
            Call::Get { key, .. } => Said::Key { revision, entry: self.store.get(key)? },
            Call::Scan { prefix, after, limit, .. } => {
                let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
                let page = self.store.scan(prefix, after.as_deref(), limit, PAGE_BYTES_MAX)?;
                Said::Keys { revision, entries: page.0, more: page.1 }
            }
            Call::InDoubt => Said::InDoubt(self.branches.in_doubt(now)),
            Call::Info => self.info()?,
            Call::Prepare { .. } | Call::Finish { .. } => {
                unreachable!("what changes something is stepped")
            }
        })
    }

    pub(super) fn branches(&self) -> &Branches {
        &self.branches
    }

    fn info(&self) -> Result<Said, ShardError> {
        let counts = self.branches.counts();
        Ok(Said::Info(Info {
            name: self.name.clone(),
            incarnation: self.store.incarnation(),
            revision: self.branches.revision(),
            in_doubt: counts.in_doubt,
            held: counts.held,
            keys: self.store.count()?,
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
