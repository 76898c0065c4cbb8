use std::time::{Duration, Instant};

use std::collections::BTreeMap;

use synod_client::{Lease, LockGuard, machine::Position};
use tokio::task::JoinSet;

use super::{Op, Pace, Work, alarm::Alarm, outcome::Errors};
use crate::{
    BenchError,
    callers::{Answered, Caller},
    quantiles::Spans,
};

/// No lease runs out while it is measured.
const TTL: Duration = Duration::from_secs(600);
/// The journal that all clients append to.
const JOURNAL: &str = "bench";
/// It is trimmed after so many entries, or after so many bytes of them: well below what one client
/// may have in journals (65 536 entries, 64 MiB), and so seldom that nobody notices.
const TRIM_ENTRIES: u64 = 16_384;
const TRIM_BYTES: u64 = 16 << 20;

/// One client of a trial.
#[derive(Debug)]
pub(super) struct Hand {
    number: usize,
    caller: Caller,
    work: Work,
    rng: fastrand::Rng,
    lock: Option<Locker>,
    /// Trims of the journal that are under way, beside what is measured.
    trims: JoinSet<Result<(), BenchError>>,
}

/// What a client of locks has.
#[derive(Debug)]
struct Locker {
    lease: Lease,
    held: Option<LockGuard>,
}

/// What one client did in a round.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) spans: BTreeMap<Op, Spans>,
    /// How late requests were sent that could have been sent when they were due: the generator's
    /// own lateness.
    pub(super) late: Option<Spans>,
    pub(super) errors: Errors,
    pub(super) took: Duration,
}

impl Hand {
    pub(super) async fn new(
        number: usize,
        caller: Caller,
        work: &Work,
    ) -> Result<Hand, BenchError> {
        let lock = match caller.client().filter(|_| work.mix.has(Op::Lock)) {
            Some(client) => Some(Locker { lease: client.lease(TTL).await?, held: None }),
            None => None,
        };
        let rng = fastrand::Rng::with_seed(number as u64 + 1);
        Ok(Hand { number, caller, work: work.clone(), rng, lock, trims: JoinSet::new() })
    }

    /// Asks again and again until `length` is over, in an open loop by that alarm, and waits for
    /// what it has asked.
    pub(super) async fn work(
        &mut self,
        clients: usize,
        pace: Pace,
        (begun, length): (Instant, Duration),
        alarm: &Alarm,
    ) -> Result<Done, BenchError> {
        let mut done = Done::default();
        for number in 0.. {
            let due = match pace.due(self.number, clients, number) {
                None => Instant::now(),
                Some(after) if after >= length => break,
                Some(after) => until(begun + after, alarm, &mut done).await,
            };
            if pace == Pace::Closed && due.duration_since(begun) >= length {
                break;
            }
            let (op, answered) = self.ask().await?;
            let span = due.elapsed();
            match answered {
                Answered::Done => done.spans.entry(op).or_default().add(span),
                Answered::NotApplied => done.errors.not_applied += 1,
                Answered::Unknown => done.errors.unknown += 1,
                Answered::Refused => done.errors.refused += 1,
            }
        }
        done.took = begun.elapsed();
        Ok(done)
    }

    async fn ask(&mut self) -> Result<(Op, Answered), BenchError> {
        let op = self.work.mix.draw(&mut self.rng);
        let (rng, value) = (&mut self.rng, self.work.value.clone());
        Ok(match op {
            Op::Put => (op, self.caller.put(self.work.key(rng), value).await?),
            Op::Get => (op, self.caller.get(self.work.key(rng)).await?),
            Op::Append => {
                let (answered, position) = self.caller.append(JOURNAL, value).await?;
                position.into_iter().for_each(|position| self.trim(position));
                (op, answered)
            }
            Op::Commit => {
                let key = self.work.key(rng);
                let over = self.work.participants_of(self.number);
                (op, self.caller.commit(&key, &value, over).await?)
            }
            Op::Multi => {
                let key = self.work.key(rng);
                (op, self.caller.multi(&key, &value, self.work.at_once).await?)
            }
            Op::Lock | Op::Unlock => self.lock().await?,
        })
    }

    /// Whoever appends the entry at which the journal is long enough removes all before it, while
    /// he goes on: a journal that is full appends nothing, and that is not what is measured.
    fn trim(&mut self, appended: Position) {
        let entries = TRIM_BYTES / (self.work.value.len() as u64).max(1);
        let entries = entries.clamp(1, TRIM_ENTRIES);
        let client = self.caller.client().filter(|_| appended.get().is_multiple_of(entries));
        if let Some(client) = client {
            let journal = client.journal(JOURNAL);
            self.trims.spawn(async move { Ok(journal.trim(appended).await.map(|_| ())?) });
        }
    }

    /// Takes its lock or lets go of it, in turn.
    async fn lock(&mut self) -> Result<(Op, Answered), BenchError> {
        let (Some(locker), Some(client)) = (&mut self.lock, self.caller.client()) else {
            return Err(BenchError::Cluster("only synod has locks that can be compared".into()));
        };
        if let Some(guard) = locker.held.take() {
            return Ok((Op::Unlock, Answered::of(guard.release().await)?.0));
        }
        let name = format!("bench/{}", self.number);
        let asked = client.lock(name).on(&locker.lease).await;
        let (answered, locked) = Answered::of(asked)?;
        locker.held = locked.and_then(synod_client::Locked::guard);
        Ok((Op::Lock, answered))
    }

    /// Gives back what it holds. Others may share its connection, so that stays.
    pub(super) async fn give_back(&mut self) -> Result<(), BenchError> {
        while let Some(trimmed) = self.trims.join_next().await {
            trimmed.map_err(|error| BenchError::Cluster(error.to_string()))??;
        }
        if let Some(locker) = self.lock.take() {
            drop(locker.held);
            locker.lease.revoke().await?;
        }
        Ok(())
    }

    pub(super) async fn close(self) {
        self.caller.close().await;
    }
}

/// Waits until a request is due, if it is not yet.
async fn until(due: Instant, alarm: &Alarm, done: &mut Done) -> Instant {
    if Instant::now() < due {
        alarm.at(due).await;
        done.late.get_or_insert_default().add(due.elapsed());
    }
    due
}
