//! What stands before redb: a write-ahead log, and the facts that so far only it has.
//!
//! A batch is durable when the log has it. The database takes facts over many batches at a time, in
//! one commit, which also says how far the log is taken over. That is nobody's business who waits
//! for a batch: in earnest a thread of its own does it, and batches wait for it only when the log
//! has no more room.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle},
};

use synod_paxos::{Decree, Slot, Write};

use crate::{
    StoreError,
    base::Base,
    cause::Cause,
    facts::Standing,
    record::Kind,
    wal::{self, Reached, Wal},
};

/// The log and what it alone has.
pub(crate) struct Front {
    wal: Wal,
    /// What stands in the database.
    below: Standing,
    /// What the database is taking over.
    taking: Option<Taking>,
    /// What it will take over next, in order.
    waiting: Vec<Write>,
    /// What the next batch has to say first.
    preface: Option<Write>,
    /// Whether the database had no room for what it was to take over.
    full: bool,
    /// Whether the log, or the database, has failed for good.
    broken: bool,
    /// Who takes over; nobody else than who writes, where there is none.
    hand: Option<Hand>,
}

#[derive(Clone)]
struct Taking {
    facts: Arc<Vec<Write>>,
    /// What they stand on, with how far the log is taken over then.
    standing: Standing,
}

impl Front {
    /// A log that has nothing but what the database has, too. `preface` is said with the next
    /// batch.
    pub(crate) fn new(wal: Wal, below: Standing, preface: Option<Write>) -> Front {
        let (taking, waiting, hand) = (None, Vec::new(), None);
        Front { wal, below, taking, waiting, preface, full: false, broken: false, hand }
    }

    /// From now on a thread of its own takes facts over into `base`.
    pub(crate) fn get_help(&mut self, base: &Arc<Base>) -> std::io::Result<()> {
        self.hand = Some(Hand::hire(Arc::clone(base))?);
        Ok(())
    }

    /// Makes `writes` durable as one.
    pub(crate) fn write(&mut self, base: &Base, writes: &[Write]) -> Result<(), StoreError> {
        if self.broken {
            return Err(base.explain(Cause::Before));
        }
        self.look()?;
        if self.full {
            self.take_all(base)?;
        }
        let record = wal::encode(self.preface.iter().chain(writes));
        if !self.wal.could_hold(&record) {
            return self.pass(base, writes);
        }
        if self.wal.held() >= self.wal.much() {
            self.take(base)?;
        }
        while !self.wal.has_room(&record) {
            self.take(base)?;
            self.wait()?;
        }
        if let Err(error) = self.wal.append(record) {
            self.broken = true;
            return Err(base.fail(format!("write to its write-ahead log: {error}")));
        }
        self.waiting.extend(self.preface.take());
        self.waiting.extend(writes.iter().cloned());
        Ok(())
    }

    /// What stands in slots from `first` to `upto` and is not in the database, or is there as it
    /// was before.
    pub(crate) fn above(&self, first: Slot, upto: Slot) -> BTreeMap<Slot, (Kind, Decree)> {
        let taking = self.taking.iter().flat_map(|taking| taking.facts.iter());
        let found = taking.chain(&self.waiting).filter_map(|write| match write {
            Write::Accepted { slot, ballot, decree } => {
                Some((*slot, (Kind::Vote(*ballot), decree.clone())))
            }
            Write::Chosen { slot, decree } => Some((*slot, (Kind::Chosen, decree.clone()))),
            Write::Promised { .. }
            | Write::ChosenUpto { .. }
            | Write::Trimmed { .. }
            | Write::Probe { .. } => None,
        });
        found.filter(|(slot, _)| (first..=upto).contains(slot)).collect()
    }

    /// Writes what no log can hold into the database itself, behind all that came before.
    fn pass(&mut self, base: &Base, writes: &[Write]) -> Result<(), StoreError> {
        self.take_all(base)?;
        let Reached { number, at } = self.wal.last();
        let standing = Standing { reached: Reached { number: number + 1, at }, ..self.below };
        let facts: Vec<Write> = self.preface.iter().chain(writes).cloned().collect();
        self.below = base.write(&standing, &facts)?;
        self.wal.take(self.below.reached);
        self.preface = None;
        Ok(())
    }

    /// Has the database take over everything, and waits for it.
    fn take_all(&mut self, base: &Base) -> Result<(), StoreError> {
        while self.taking.is_some() || !self.waiting.is_empty() {
            self.take(base)?;
            self.wait()?;
        }
        Ok(())
    }

    /// Has the database take over what waits, unless it is at it.
    fn take(&mut self, base: &Base) -> Result<(), StoreError> {
        if self.taking.is_some() || self.waiting.is_empty() {
            return Ok(());
        }
        let facts = Arc::new(mem::take(&mut self.waiting));
        let standing = Standing { reached: self.wal.last(), ..self.below };
        let taking = self.taking.insert(Taking { facts, standing }).clone();
        match &self.hand {
            // One that is gone is found out when its word is waited for.
            Some(hand) => {
                let _gone = hand.jobs.send(taking);
                Ok(())
            }
            None => self.taken(base.write(&taking.standing, &taking.facts)),
        }
    }

    /// Hears what came of it if that is known by now. A full disk is remembered.
    fn look(&mut self) -> Result<(), StoreError> {
        let Some(hand) = self.hand.as_ref().filter(|_| self.taking.is_some()) else {
            return Ok(());
        };
        match hand.done.try_recv() {
            Ok(result) => match self.taken(result) {
                Err(StoreError::DiskFull { .. }) => Ok(()),
                other => other,
            },
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => {
                let gone = Err(hand.is_gone());
                self.taken(gone)
            }
        }
    }

    /// Waits for the end of it.
    fn wait(&mut self) -> Result<(), StoreError> {
        let Some(hand) = self.hand.as_ref().filter(|_| self.taking.is_some()) else {
            return Ok(());
        };
        let result = hand.done.recv().unwrap_or_else(|_| Err(hand.is_gone()));
        self.taken(result)
    }

    /// Notes how it went. What was not taken over waits on, before everything later.
    fn taken(&mut self, result: Result<Standing, StoreError>) -> Result<(), StoreError> {
        let taking = self.taking.take();
        match result {
            Ok(standing) => {
                self.wal.take(standing.reached);
                self.below = standing;
                self.full = false;
                Ok(())
            }
            Err(error) => {
                self.full = matches!(error, StoreError::DiskFull { .. });
                // Whoever is told of it ends; nobody is told afterwards that all is well.
                self.broken = !self.full;
                let facts = taking.into_iter().flat_map(|taking| {
                    Arc::try_unwrap(taking.facts).unwrap_or_else(|shared| shared.to_vec())
                });
                self.waiting = facts.chain(mem::take(&mut self.waiting)).collect();
                Err(error)
            }
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.hand.take());
        // Nobody is left to hear of an error; everything acknowledged was synced before.
        let _ = self.wal.close();
    }
}

/// A thread that has the database take facts over.
struct Hand {
    base: Arc<Base>,
    jobs: Sender<Taking>,
    done: Receiver<Result<Standing, StoreError>>,
    thread: Option<JoinHandle<()>>,
}

impl Hand {
    fn hire(base: Arc<Base>) -> std::io::Result<Hand> {
        let (jobs, to_do) = mpsc::channel::<Taking>();
        let (done, results) = mpsc::channel();
        let its_base = Arc::clone(&base);
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            for Taking { facts, standing } in to_do {
                let result = its_base.write(&standing, &facts);
                // Whoever asked counts the facts among its own again, if it has to.
                drop(facts);
                if done.send(result).is_err() {
                    return;
                }
            }
        })?;
        Ok(Hand { base, jobs, done: results, thread: Some(thread) })
    }

    fn is_gone(&self) -> StoreError {
        self.base.fail("commit, for its thread has ended".into())
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let (nobody, _) = mpsc::channel();
        self.jobs = nobody;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told of by itself, and there is nothing left to be done.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
