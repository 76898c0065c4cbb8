//! The thread that owns the shard: it takes everything that waits, steps it into one transaction of the
//! file, syncs once, and only then lets the words go that rely on it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    time::{Duration, Instant},
};

use bytes::Bytes;
use synod_client::{
    machine::{
        Command, ParticipantName, TxnId, Verdict,
        branch::{self, Alarm, Asker, Branches, Durable, Durably, Input, Moment, Word},
        door::{self, NotApplied},
        participant_door::{Call, Info, Said},
    },
    net::Reply,
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::{ShardError, store::Store};

/// Orders that may wait; beyond it a caller is told to try again.
const WAITING_MAX: usize = 4_096;
/// Orders that one sync covers.
const BATCH_MAX: usize = 1_024;
/// How long a caller waits before it tries again.
const RETRY_AFTER_MS: u32 = 20;
/// A branch that is younger than this has an owner that is about to end it: nobody else is asked.
const ATTEND_AFTER_MS: u64 = 100;
/// How often the thread looks whether a branch has come of that age.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of one page of a scan.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What the thread is told.
enum Order {
    Ask { call: Call, reply: Reply },
    Finish { txn: TxnId, verdict: Verdict },
    Acknowledged(Vec<TxnId>),
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

impl Engine {
    /// Starts the thread. The receiver is told why it had to end.
    pub(super) fn start(
        store: Store,
        durable: &Durable,
        name: ParticipantName,
        in_doubt_grace: Duration,
    ) -> Result<(Engine, News, oneshot::Receiver<ShardError>), ShardError> {
        let (orders, inbox) = sync_channel(WAITING_MAX);
        let (finished, finished_out) = mpsc::unbounded_channel();
        let (proposals, proposals_out) = mpsc::unbounded_channel();
        let (attendance, attendance_out) = watch::channel(Attendance::default());
        let (gone, gone_out) = oneshot::channel();
        let path = store.path().to_path_buf();
        let config = branch::Config {
            name: name.clone(),
            incarnation: store.incarnation(),
            in_doubt_grace_ms: u64::try_from(in_doubt_grace.as_millis()).unwrap_or(u64::MAX),
        };
        let thread = Thread {
            branches: Branches::recover(config, durable, Moment(0)),
            store,
            name,
            begun: Instant::now(),
            askers: BTreeMap::new(),
            next_asker: 0,
            finished,
            proposals,
            attendance,
        };
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("shard".to_owned())
            .spawn(move || {
                // Answers are sent from here, by tasks of the runtime.
                let _entered = runtime.enter();
                if let Err(error) = thread.run(&inbox) {
                    error!(%error, "the shard stops");
                    // Whoever waited for it has ended as well.
                    let _ = gone.send(error);
                }
            })
            .map_err(|source| ShardError::Io { path, source })?;
        let news =
            News { finished: finished_out, proposals: proposals_out, attendance: attendance_out };
        Ok((Engine { orders }, news, gone_out))
    }

    /// Hands over a caller's question; answered by the thread.
    pub(super) fn ask(&self, call: Call, reply: Reply) {
        match self.orders.try_send(Order::Ask { call, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(Order::Ask { reply, .. })) => {
                let overloaded = NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS };
                answer(reply, &Said::NotApplied(overloaded));
            }
            // The thread is gone and the process is about to follow; the caller's stream ends.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// A verdict that the log has given.
    pub(super) fn finish(&self, txn: TxnId, verdict: Verdict) {
        self.tell(Order::Finish { txn, verdict });
    }

    /// The log knows that these are finished here.
    pub(super) fn acknowledged(&self, txns: Vec<TxnId>) {
        self.tell(Order::Acknowledged(txns));
    }

    /// Both are told again when they do not arrive: the log is asked as long as there is doubt.
    fn tell(&self, order: Order) {
        let _ = self.orders.try_send(order);
    }
}

struct Thread {
    branches: Branches,
    store: Store,
    name: ParticipantName,
    begun: Instant,
    askers: BTreeMap<Asker, Reply>,
    next_asker: u64,
    finished: mpsc::UnboundedSender<TxnId>,
    proposals: mpsc::UnboundedSender<Command>,
    attendance: watch::Sender<Attendance>,
}

impl Thread {
    fn run(mut self, inbox: &Receiver<Order>) -> Result<(), ShardError> {
        loop {
            let first = match inbox.recv_timeout(LOOK_EVERY) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let waiting = first.into_iter().chain(inbox.try_iter()).take(BATCH_MAX);
            let (steps, reads) = self.sort(waiting);
            self.step_all(steps)?;
            for (call, reply) in reads {
                answer(reply, &self.read(call)?);
            }
            self.publish();
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// What changes the branches apart from what only reads.
    fn sort(&mut self, orders: impl Iterator<Item = Order>) -> (Vec<Input>, Vec<(Call, Reply)>) {
        let (mut steps, mut reads) = (Vec::new(), Vec::new());
        for order in orders {
            match order {
                Order::Ask { call: Call::Prepare { txn, work }, reply } => {
                    steps.push(Input::Prepare { asker: self.seat(reply), txn, work });
                }
                Order::Ask { call: Call::Finish { txn, verdict }, reply } => {
                    steps.push(Input::Finish { asker: Some(self.seat(reply)), txn, verdict });
                }
                Order::Ask { call, reply } => reads.push((call, reply)),
                Order::Finish { txn, verdict } => {
                    steps.push(Input::Finish { asker: None, txn, verdict });
                }
                Order::Acknowledged(txns) => steps.push(Input::Acknowledged(txns)),
            }
        }
        if self.branches.wake_at().is_some_and(|moment| moment <= self.now()) {
            steps.push(Input::Wake);
        }
        (steps, reads)
    }

    fn seat(&mut self, reply: Reply) -> Asker {
        self.next_asker += 1;
        self.askers.insert(Asker(self.next_asker), reply);
        Asker(self.next_asker)
    }

    /// Steps everything into one transaction, syncs it, and opens what was sealed behind it.
    fn step_all(&mut self, steps: Vec<Input>) -> Result<(), ShardError> {
        if steps.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut writing = self.store.write()?;
        let mut durably = Durably::default();
        let (mut at_once, mut alarms) = (Vec::new(), Vec::new());
        for input in steps {
            let failed = RefCell::new(None);
            let read = |key: &Bytes| {
                writing.key(key).unwrap_or_else(|error| {
                    *failed.borrow_mut() = Some(error);
                    None
                })
            };
            let out = self.branches.step(now, input, read);
            if let Some(error) = failed.into_inner() {
                // What was concluded from a key that could not be read must not be believed.
                return Err(error);
            }
            for fact in out.durably.writes() {
                writing.put(fact)?;
            }
            durably.merge(out.durably);
            at_once.extend(out.at_once);
            alarms.extend(out.alarms);
            for proposal in out.propose {
                // Whoever proposes has ended, and so does this process.
                let _ = self.proposals.send(proposal);
            }
        }
        writing.sync()?;
        for word in durably.synced() {
            match word {
                Word::Said { to, said } => self.say(to, &said),
                Word::Acknowledge(txn) => drop(self.finished.send(txn)),
            }
        }
        for (to, said) in at_once {
            self.say(to, &said);
        }
        alarms.iter().for_each(tell_operator);
        Ok(())
    }

    fn say(&mut self, to: Asker, said: &Said) {
        if let Some(reply) = self.askers.remove(&to) {
            answer(reply, said);
        }
    }

    fn read(&self, call: Call) -> Result<Said, ShardError> {
        let revision = self.branches.revision();
        Ok(match call {
            Call::Get { key } => Said::Key { revision, entry: self.store.get(&key)? },
            Call::Scan { prefix, after, limit } => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let (entries, more) =
                    self.store.scan(&prefix, after.as_deref(), limit, PAGE_BYTES_MAX)?;
                Said::Keys { revision, entries, more }
            }
            Call::InDoubt => Said::InDoubt(self.branches.in_doubt(self.now())),
            Call::Info => {
                let counts = self.branches.counts();
                Said::Info(Info {
                    name: self.name.clone(),
                    incarnation: self.store.incarnation(),
                    revision,
                    in_doubt: counts.in_doubt,
                    held: counts.held,
                    keys: self.store.count()?,
                    committed: counts.committed,
                    aborted: counts.aborted,
                })
            }
            Call::Prepare { .. } | Call::Finish { .. } => {
                unreachable!("these were sorted out: they step the branches")
            }
        })
    }

    /// Tells what to ask the cluster, when that has changed.
    fn publish(&self) {
        let old_enough = |row: &synod_client::machine::participant_door::InDoubt| {
            !row.held && row.waited_ms >= ATTEND_AFTER_MS
        };
        let in_doubt = self.branches.in_doubt(self.now());
        let in_doubt = in_doubt.iter().filter(|row| old_enough(row)).map(|row| row.txn).collect();
        let finished = match self.branches.attend() {
            door::Call::Attend { finished, .. } => finished,
            _ => Vec::new(),
        };
        let now = Attendance { in_doubt, finished };
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
