//! What stands before redb: a write-ahead log, and the facts that so far only it has.
//!
//! A batch is durable when the log has it. The database takes facts over many batches at a time, in
//! one commit, which also says how far the log is taken over. That is nobody's business who waits
//! for a batch: in earnest a thread of its own does it, and batches wait for it only when the log
//! has no more room.

use std::{
    borrow::Cow,
    mem,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle},
};

use redb::Database;

use crate::{
    StoreError,
    base::Base,
    cause::Cause,
    wal::{self, Fact, Reached, Wal},
};

/// Facts that the database takes over in one commit: a node's, or the rows of a shard.
pub(crate) trait Load: Default + Clone + Send + Sync + Extend<Self::Fact> + 'static {
    /// One of them.
    type Fact: Fact;
    /// What they stand on in the database.
    type Footing: Footing;

    /// Puts later ones behind these.
    fn append(&mut self, later: Self);

    /// Makes all of them durable in `database` as one, on top of `standing`, and tells what stands
    /// then.
    fn write(
        &self,
        database: &Database,
        standing: &Self::Footing,
    ) -> Result<Self::Footing, redb::Error>;
}

/// What a database says of itself, with how far it has taken the log over.
pub(crate) trait Footing: Copy + Send + 'static {
    /// How far.
    fn reached(&self) -> Reached;

    /// The same, and the log taken over up to there.
    fn at(self, reached: Reached) -> Self;
}

/// The log and what it alone has.
pub(crate) struct Front<L: Load> {
    wal: Wal,
    /// What stands in the database.
    below: L::Footing,
    /// What the database is taking over.
    taking: Option<Taking<L>>,
    /// What it will take over next, in order.
    waiting: L,
    /// What the next batch has to say first.
    preface: Option<L::Fact>,
    /// Whether the database had no room for what it was to take over.
    full: bool,
    /// Whether the log, or the database, has failed for good.
    broken: bool,
    /// Who takes over; nobody else than who writes, where there is none.
    hand: Option<Hand<L>>,
}

#[derive(Clone)]
struct Taking<L: Load> {
    load: Arc<L>,
    /// What it stands on, with how far the log is taken over then.
    standing: L::Footing,
}

impl<L: Load> Front<L> {
    /// A log that has nothing but what the database has, too. `preface` is said with the next
    /// batch.
    pub(crate) fn new(wal: Wal, below: L::Footing, preface: Option<L::Fact>) -> Front<L> {
        let (taking, waiting, hand) = (None, L::default(), None);
        Front { wal, below, taking, waiting, preface, full: false, broken: false, hand }
    }

    /// From now on a thread of its own takes facts over into `base`.
    pub(crate) fn get_help(&mut self, base: &Arc<Base>) -> std::io::Result<()> {
        self.hand = Some(Hand::hire(Arc::clone(base))?);
        Ok(())
    }

    /// Makes `facts` durable as one.
    pub(crate) fn write(
        &mut self,
        base: &Base,
        facts: Cow<'_, [L::Fact]>,
    ) -> Result<(), StoreError> {
        // A read may have failed that nobody else but the database was told of: the log alone would
        // go on, and be full one day with what nobody can take over.
        if self.broken || base.has_failed() {
            return Err(base.explain(Cause::Before));
        }
        self.look()?;
        if self.full {
            self.take_all(base)?;
        }
        // Added up first: what no log can hold is not copied to find that out.
        let carried = facts.iter().map(Fact::bytes).sum();
        if !self.wal.could_hold(carried) {
            return self.pass(base, facts);
        }
        let record = wal::encode(self.preface.iter().chain(&*facts));
        if !self.wal.could_hold(record.len()) {
            return self.pass(base, facts);
        }
        if self.wal.held() >= self.wal.much() {
            self.take(base)?;
        }
        while !self.wal.has_room(&record) {
            self.take(base)?;
            self.wait()?;
        }
        self.append(base, record, facts)
    }

    /// Makes `facts` durable in the log, which has room for their record.
    fn append(
        &mut self,
        base: &Base,
        record: Vec<u8>,
        facts: Cow<'_, [L::Fact]>,
    ) -> Result<(), StoreError> {
        if let Err(error) = self.wal.append(record) {
            self.broken = true;
            return Err(base.fail(format!("write to its write-ahead log: {error}")));
        }
        self.waiting.extend(self.preface.take());
        put_behind(&mut self.waiting, facts);
        Ok(())
    }

    /// What is not in the database, or is there as it was before: the older first.
    pub(crate) fn held(&self) -> impl Iterator<Item = &L> {
        self.taking.iter().map(|taking| &*taking.load).chain([&self.waiting])
    }

    /// Writes what no log can hold into the database itself, behind all that came before.
    fn pass(&mut self, base: &Base, facts: Cow<'_, [L::Fact]>) -> Result<(), StoreError> {
        self.take_all(base)?;
        let Reached { number, at } = self.wal.last();
        let standing = self.below.at(Reached { number: number + 1, at });
        let mut load = L::default();
        load.extend(self.preface.clone());
        put_behind(&mut load, facts);
        let written = base.write(|database| load.write(database, &standing));
        // What failed may be durable or not: the number of this record is not given out again.
        self.broken = written.as_ref().is_err_and(|error| !is_full(error));
        self.below = written?;
        self.wal.take(self.below.reached());
        self.preface = None;
        // Were that commit lost, nothing would tell of it but a later record.
        let nothing: &[L::Fact] = &[];
        self.append(base, wal::encode(nothing.iter()), Cow::Borrowed(nothing))
    }

    /// Has the database take over everything, and waits for it.
    fn take_all(&mut self, base: &Base) -> Result<(), StoreError> {
        while self.taking.is_some() || self.wal.held() > 0 {
            self.take(base)?;
            self.wait()?;
        }
        Ok(())
    }

    /// Has the database take over what waits, unless it is at it.
    fn take(&mut self, base: &Base) -> Result<(), StoreError> {
        // A record may have nothing in it, and take room nevertheless.
        if self.taking.is_some() || self.wal.held() == 0 {
            return Ok(());
        }
        let load = Arc::new(mem::take(&mut self.waiting));
        let standing = self.below.at(self.wal.last());
        let taking = self.taking.insert(Taking { load, standing }).clone();
        match &self.hand {
            // One that is gone is found out when its word is waited for.
            Some(hand) => {
                let _gone = hand.jobs.send(taking);
                Ok(())
            }
            None => self.taken(taking.write(base)),
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
    fn taken(&mut self, result: Result<L::Footing, StoreError>) -> Result<(), StoreError> {
        let taking = self.taking.take();
        match result {
            Ok(standing) => {
                self.wal.take(standing.reached());
                self.below = standing;
                self.full = false;
                Ok(())
            }
            Err(error) => {
                self.full = is_full(&error);
                // Whoever is told of it ends; nobody is told afterwards that all is well.
                self.broken = !self.full;
                let load = taking.map(|taking| Arc::unwrap_or_clone(taking.load));
                let later = mem::replace(&mut self.waiting, load.unwrap_or_default());
                self.waiting.append(later);
                Err(error)
            }
        }
    }
}

fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::DiskFull { .. })
}

/// Facts that nobody else has are moved; others cost no list of their own.
fn put_behind<L: Load>(load: &mut L, facts: Cow<'_, [L::Fact]>) {
    match facts {
        Cow::Borrowed(facts) => load.extend(facts.iter().cloned()),
        Cow::Owned(facts) => load.extend(facts),
    }
}

impl<L: Load> Taking<L> {
    fn write(&self, base: &Base) -> Result<L::Footing, StoreError> {
        base.write(|database| self.load.write(database, &self.standing))
    }
}

impl<L: Load> Drop for Front<L> {
    fn drop(&mut self) {
        drop(self.hand.take());
        // Nobody is left to hear of an error; everything acknowledged was synced before.
        let _ = self.wal.close();
    }
}

/// A thread that has the database take facts over.
struct Hand<L: Load> {
    base: Arc<Base>,
    jobs: Sender<Taking<L>>,
    done: Receiver<Result<L::Footing, StoreError>>,
    thread: Option<JoinHandle<()>>,
}

impl<L: Load> Hand<L> {
    fn hire(base: Arc<Base>) -> std::io::Result<Hand<L>> {
        let (jobs, to_do) = mpsc::channel::<Taking<L>>();
        let (done, results) = mpsc::channel();
        let its_base = Arc::clone(&base);
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            for taking in to_do {
                let result = taking.write(&its_base);
                // Whoever asked counts the facts among its own again, if it has to.
                drop(taking);
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

impl<L: Load> Drop for Hand<L> {
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
