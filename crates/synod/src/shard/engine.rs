//! The thread that owns the shard: it takes everything that waits, has it stepped and synced as
//! one, and lets the words go that have become true by that.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use synod_client::{
    machine::{
        Command, TxnId, Verdict,
        branch::{Alarm, Asker, Input, Moment, Reader, Readers, Turn, Word},
        door::{self, NotApplied},
        participant_door::{Call, Said},
    },
    net::Reply,
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::{
    ShardError,
    books::{Books, Outcome, as_step},
    metrics::{Metrics, Standing},
};

/// Orders that may wait; beyond it a caller is told to try again. Their bytes are bounded at the
/// door, to 64 MiB: a reply holds the room of its question until it is answered, whether its caller
/// still waits or not.
const WAITING_MAX: usize = 4_096;
/// Orders that one sync covers.
const BATCH_MAX: usize = 1_024;
/// How long a caller waits before it tries again.
const RETRY_AFTER_MS: u32 = 20;
/// A branch that is younger than this has an owner that is about to end it: nobody else is asked.
const ATTEND_AFTER_MS: u64 = 100;
/// How often the thread looks whether a branch has come of that age.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the thread is told.
enum Order {
    Ask { call: Call, reply: Reply, until: Instant },
    Finish { txn: TxnId, verdict: Verdict },
    Acknowledged(Vec<TxnId>),
    Introduce { introduced: bool, done: oneshot::Sender<()> },
}

/// What a participant asks of the cluster's nodes at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attendance {
    /// Branches that wait for a verdict that no owner has brought.
    pub(super) in_doubt: Vec<TxnId>,
    /// Commits that are finished here and that the log may not know of.
    pub(super) finished: Vec<TxnId>,
}

/// What the thread wants of the cluster.
pub(super) struct News {
    /// Finished commits, to be acknowledged in the log.
    pub(super) finished: mpsc::UnboundedReceiver<TxnId>,
    /// What to put into the log; the verdict comes back as [`Engine::finish`].
    pub(super) proposals: mpsc::UnboundedReceiver<Command>,
    /// What to ask any node, all the time.
    pub(super) attendance: watch::Receiver<Attendance>,
}

/// The way to the thread. It ends with the last clone.
#[derive(Clone)]
pub(super) struct Engine {
    orders: SyncSender<Order>,
}

/// The thread itself, and why it had to end, if it had to.
pub(super) struct Running {
    pub(super) failed: oneshot::Receiver<ShardError>,
    pub(super) thread: JoinHandle<()>,
}

impl Engine {
    /// Starts the thread.
    pub(super) fn start(
        books: Books,
        metrics: Metrics,
    ) -> std::io::Result<(Engine, News, Running)> {
        let (orders, inbox) = sync_channel(WAITING_MAX);
        let (finished, finished_out) = mpsc::unbounded_channel();
        let (proposals, proposals_out) = mpsc::unbounded_channel();
        let (attendance, attendance_out) = watch::channel(Attendance::default());
        let (gone, failed) = oneshot::channel();
        let owner = Owner {
            books,
            begun: Instant::now(),
            askers: BTreeMap::new(),
            next_asker: 0,
            readers: Readers::default(),
            metrics,
            standing: Standing::default(),
            introductions: Vec::new(),
            finished,
            proposals,
            attendance,
        };
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("shard".to_owned()).spawn(move || {
            // Answers are sent from here, by tasks of the runtime.
            let _entered = runtime.enter();
            if let Err(error) = owner.run(&inbox) {
                error!(%error, "the shard stops");
                // Whoever waited for it has ended as well.
                let _ = gone.send(error);
            }
        })?;
        let news =
            News { finished: finished_out, proposals: proposals_out, attendance: attendance_out };
        Ok((Engine { orders }, news, Running { failed, thread }))
    }

    /// Hands over a caller's question; answered by the thread, and not done once its caller waits
    /// no more.
    pub(super) fn ask(&self, call: Call, within: Duration, reply: Reply) {
        let until = Instant::now() + within;
        match self.orders.try_send(Order::Ask { call, reply, until }) {
            Ok(()) => {}
            Err(TrySendError::Full(Order::Ask { reply, .. })) => {
                let overloaded = NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS };
                answer(reply, &Said::NotApplied(overloaded));
            }
            // The thread is gone and the process is about to follow; the caller's stream ends.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// A verdict that the log has given. It is told again when it does not arrive: the log is asked
    /// as long as there is doubt.
    pub(super) fn finish(&self, txn: TxnId, verdict: Verdict) {
        let _ = self.orders.try_send(Order::Finish { txn, verdict });
    }

    /// The cluster knows the shard by this store, or by another. Durable when this returns.
    pub(super) async fn introduce(&self, introduced: bool) -> Result<(), ShardError> {
        let (orders, (done, is_done)) = (self.orders.clone(), oneshot::channel());
        let order = move || drop(orders.send(Order::Introduce { introduced, done }));
        // It waits where the queue is full. Both ends are dropped when the thread is gone.
        let _never_panics = tokio::task::spawn_blocking(order).await;
        is_done.await.map_err(|_| ShardError::EngineGone)
    }

    /// The log knows that these are finished here. They are given back while there is no room to
    /// tell so: the log does not tell it again.
    pub(super) fn acknowledged(&self, txns: Vec<TxnId>) -> Option<Vec<TxnId>> {
        match self.orders.try_send(Order::Acknowledged(txns)) {
            Err(TrySendError::Full(Order::Acknowledged(txns))) => Some(txns),
            // The thread is gone and the process is about to follow.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

struct Owner {
    books: Books,
    begun: Instant,
    askers: BTreeMap<Asker, Reply>,
    next_asker: u64,
    readers: Readers<Reply>,
    metrics: Metrics,
    standing: Standing,
    introductions: Vec<(bool, oneshot::Sender<()>)>,
    finished: mpsc::UnboundedSender<TxnId>,
    proposals: mpsc::UnboundedSender<Command>,
    attendance: watch::Sender<Attendance>,
}

impl Owner {
    fn run(mut self, inbox: &Receiver<Order>) -> Result<(), ShardError> {
        loop {
            let due_in = self.books.due_in(Instant::now(), self.readers_due_in(LOOK_EVERY));
            let first = match inbox.recv_timeout(due_in) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
            };
            let waiting = first.into_iter().chain(inbox.try_iter()).take(BATCH_MAX);
            let (steps, reads) = self.sort(waiting);
            let outcome = self.books.step(self.now(), steps)?;
            self.tell(outcome);
            self.introduce()?;
            if self.books.due_in(Instant::now(), LOOK_EVERY).is_zero() {
                self.sync()?;
            }
            self.read(reads)?;
            self.publish();
        }
    }

    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    fn moment(&self, at: Instant) -> Moment {
        let passed = at.saturating_duration_since(self.begun);
        Moment(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }

    /// When the first read that waits waits no longer; `most` when that is later.
    fn readers_due_in(&self, most: Duration) -> Duration {
        let now = self.now();
        let left = |until: Moment| Duration::from_millis(until.0.saturating_sub(now.0));
        self.readers.first_until().map_or(most, |until| left(until).min(most))
    }

    /// What changes the branches apart from what only reads.
    fn sort(&mut self, orders: impl Iterator<Item = Order>) -> (Vec<Input>, Vec<Reader<Reply>>) {
        let (mut steps, mut reads) = (Vec::new(), Vec::new());
        let now = Instant::now();
        for order in orders {
            match order {
                // Its owner has given it up by now: locks taken for it would be held for nobody.
                Order::Ask { call: Call::Prepare { .. }, reply, until } if until <= now => {
                    answer(reply, &Said::NotApplied(NotApplied::Deadline));
                }
                Order::Ask { call, reply, until } => match as_step(call, Asker(self.next_asker)) {
                    Ok(step) => {
                        steps.push(step);
                        self.askers.insert(Asker(self.next_asker), reply);
                        self.next_asker += 1;
                    }
                    Err(call) => {
                        let until = self.moment(until);
                        reads.push(Reader { call, reply, until });
                    }
                },
                Order::Finish { txn, verdict } => {
                    steps.push(Input::Finish { asker: None, txn, verdict });
                }
                Order::Acknowledged(txns) => steps.push(Input::Acknowledged(txns)),
                Order::Introduce { introduced, done } => {
                    self.introductions.push((introduced, done));
                }
            }
        }
        if self.books.branches().wake_at().is_some_and(|moment| moment <= self.now()) {
            steps.push(Input::Wake);
        }
        (steps, reads)
    }

    fn introduce(&mut self) -> Result<(), ShardError> {
        for (introduced, done) in std::mem::take(&mut self.introductions) {
            let outcome = self.books.introduce(introduced)?;
            self.tell(outcome);
            // Whoever waited for it has ended as well.
            let _ = done.send(());
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), ShardError> {
        let (_, outcome) = self.books.sync()?;
        self.tell(outcome);
        Ok(())
    }

    fn tell(&mut self, outcome: Outcome) {
        if let Some(took) = outcome.synced_in {
            self.metrics.store_sync(took);
        }
        self.standing.turn(&self.metrics, outcome.prepared, outcome.ended);
        for word in outcome.words {
            match word {
                Word::Said { to, said } => {
                    self.metrics.said(&said);
                    if let Some(reply) = self.askers.remove(&to) {
                        answer(reply, &said);
                    }
                }
                // Whoever acknowledges and proposes has ended, and so does this process.
                Word::Acknowledge(txn) => drop(self.finished.send(txn)),
            }
        }
        for proposal in outcome.proposals {
            let _ = self.proposals.send(proposal);
        }
        outcome.alarms.iter().for_each(tell_operator);
    }

    /// Answers what may be read by now. What has ended is read, so it is synced first.
    fn read(&mut self, new: Vec<Reader<Reply>>) -> Result<(), ShardError> {
        let turns = self.readers.turns(new, self.books.branches(), self.now());
        if turns.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let (durable, outcome) = self.books.sync()?;
        for turn in turns {
            match turn {
                Turn::Read(Reader { call, reply, .. }) => answer(reply, &durable.read(now, &call)?),
                Turn::Not(reply, why) => answer(reply, &Said::NotApplied(why)),
            }
        }
        self.tell(outcome);
        Ok(())
    }

    /// Tells how it stands; and what to ask the cluster, when that has changed.
    fn publish(&self) {
        let branches = self.books.branches();
        let waiting = branches.in_doubt(self.now());
        self.metrics.tick(branches.counts(), &waiting, self.readers.count());
        let overdue = waiting.iter().filter(|row| !row.held && row.waited_ms >= ATTEND_AFTER_MS);
        let finished = match branches.attend() {
            door::Call::Attend { finished, .. } => finished,
            _ => Vec::new(),
        };
        let now = Attendance { in_doubt: overdue.map(|row| row.txn).collect(), finished };
        self.attendance.send_if_modified(|before| {
            // What is finished changes with every commit and is news to nobody who waits.
            let changed = before.in_doubt != now.in_doubt;
            *before = now;
            changed
        });
    }
}

fn tell_operator(alarm: &Alarm) {
    match alarm {
        Alarm::Held { txn } => {
            warn!(%txn, "the log no longer knows how this ended; its locks wait for a person");
        }
        Alarm::NeverPrepared { txn } => {
            error!(%txn, "committed, and never prepared here: a promise was lost");
        }
        Alarm::Contradicted { txn } => {
            error!(%txn, "applied here, and somebody says that it aborted");
        }
    }
}

pub(super) fn answer(reply: Reply, said: &Said) {
    match postcard::to_stdvec(said) {
        Ok(bytes) => reply.send(bytes.into()),
        Err(error) => error!(%error, "an answer cannot be encoded"),
    }
}

#[cfg(test)]
mod tests {
    use synod_client::machine::SessionId;

    use super::*;

    /// What the log knows to be finished it tells once: it is kept until there is room for it.
    #[test]
    fn what_there_is_no_room_for_is_given_back() {
        let (orders, inbox) = sync_channel(1);
        let engine = Engine { orders };
        let txns = |n| vec![TxnId { session: SessionId::new(1), n }];
        assert_eq!(engine.acknowledged(txns(1)), None);
        assert_eq!(engine.acknowledged(txns(2)), Some(txns(2)));
        assert!(matches!(inbox.recv(), Ok(Order::Acknowledged(told)) if told == txns(1)));
        assert_eq!(engine.acknowledged(txns(2)), None);
        drop(inbox);
        assert_eq!(engine.acknowledged(txns(3)), None, "nobody is there to be told");
    }
}
