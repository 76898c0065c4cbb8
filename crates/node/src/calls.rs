//! Calls that wait for an answer.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    time::{Duration, Instant},
};

use synod_machine::door::{Call, NotApplied, Said};
use synod_net::{Name, Reply};
use synod_replica::ClientId;
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

/// What a caller is told to wait when this node has too many callers.
const RETRY_AFTER_MS: u32 = 50;

/// Whoever has waited this long may have left. What is answered sooner, as nearly all is, is not
/// worth a task that listens for that.
const PATIENT: Duration = Duration::from_millis(20);

/// What is asked, for metrics and for what a stopping node says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Op {
    Submit,
    KeepAlive,
    Read,
    Attend,
    Status,
    Renew,
    HandOver,
    Watch,
}

impl Op {
    pub(crate) fn of(call: &Call) -> Op {
        match call {
            Call::Submit(_) => Op::Submit,
            Call::KeepAlive { .. } => Op::KeepAlive,
            Call::Read { .. } => Op::Read,
            Call::Attend { .. } => Op::Attend,
            Call::Status => Op::Status,
            Call::Renew { .. } => Op::Renew,
            Call::HandOver { .. } => Op::HandOver,
            Call::Watch { .. } | Call::WatchAny { .. } => Op::Watch,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Op::Submit => "submit",
            Op::KeepAlive => "keep_alive",
            Op::Read => "read",
            Op::Attend => "attend",
            Op::Status => "status",
            Op::Renew => "renew",
            Op::HandOver => "hand_over",
            Op::Watch => "watch",
        }
    }
}

/// The way back to whoever asked.
#[derive(Debug)]
pub(crate) enum Way {
    /// A client.
    Client(Reply),
    /// A page of this node.
    Page(oneshot::Sender<Said>),
}

impl Way {
    /// Says it; a caller that is gone is no error.
    pub(crate) fn say(self, said: Said) {
        match self {
            Way::Client(reply) => say(reply, &said),
            Way::Page(page) => drop(page.send(said)),
        }
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) op: Op,
    pub(crate) began: Instant,
    pub(crate) way: Way,
    caller: Name,
    /// Held for its end.
    _listening: Option<Listening>,
}

/// Listens for its caller's leaving, until it is dropped.
#[derive(Debug)]
struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Calls {
    next: u64,
    max: usize,
    per_caller_max: usize,
    waiting: BTreeMap<ClientId, Waiting>,
    per_caller: HashMap<Name, usize>,
    /// Up to here, those who still wait are listened for.
    listened: ClientId,
}

impl Calls {
    pub(crate) fn new(max: usize, per_caller_max: usize) -> Calls {
        let (waiting, per_caller) = (BTreeMap::new(), HashMap::new());
        Calls { next: 0, max, per_caller_max, waiting, per_caller, listened: ClientId(0) }
    }

    /// Takes a call in, under a name that is never used twice.
    pub(crate) fn open(&mut self, caller: &Name, op: Op, way: Way) -> Result<ClientId, Way> {
        let of_caller = self.per_caller.get(caller).copied().unwrap_or(0);
        if self.waiting.len() >= self.max || of_caller >= self.per_caller_max {
            return Err(way);
        }
        self.next = self.next.checked_add(1).expect("2^64 calls in one process's life");
        let client = ClientId(self.next);
        let (began, caller) = (Instant::now(), caller.clone());
        let waiting = Waiting { op, began, way, caller: caller.clone(), _listening: None };
        self.waiting.insert(client, waiting);
        self.per_caller.insert(caller, of_caller + 1);
        Ok(client)
    }

    /// Has everybody listened for who has waited for a while by now: `gone` hears of who leaves.
    pub(crate) fn listen(&mut self, now: Instant, gone: &mpsc::UnboundedSender<ClientId>) {
        let later = (Bound::Excluded(self.listened), Bound::Unbounded);
        // Names grow, and so the oldest come first.
        for (client, waiting) in self.waiting.range_mut(later) {
            if now.saturating_duration_since(waiting.began) < PATIENT {
                return;
            }
            self.listened = *client;
            if let Way::Client(reply) = &waiting.way {
                let (left, gone, client) = (reply.gone(), gone.clone(), *client);
                let listening = tokio::spawn(async move {
                    left.await;
                    let _driver_is_gone = gone.send(client);
                });
                waiting._listening = Some(Listening(listening.abort_handle()));
            }
        }
    }

    /// Takes a call out, to be answered or because its caller is gone.
    pub(crate) fn close(&mut self, client: ClientId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&client)?;
        if let Some(count) = self.per_caller.get_mut(&waiting.caller) {
            *count -= 1;
            if *count == 0 {
                self.per_caller.remove(&waiting.caller);
            }
        }
        Some(waiting)
    }

    /// Takes out every call for which `pick` holds.
    pub(crate) fn close_all(&mut self, pick: impl Fn(Op) -> bool) -> Vec<(ClientId, Waiting)> {
        let picked = self.waiting.iter().filter(|(_, waiting)| pick(waiting.op));
        let picked: Vec<ClientId> = picked.map(|(client, _)| *client).collect();
        picked.into_iter().filter_map(|client| Some((client, self.close(client)?))).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.waiting.len()
    }
}

/// What is said when there are too many.
pub(crate) fn overloaded() -> Said {
    Said::NotApplied(NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS })
}

/// Answers at once.
pub(crate) fn say(reply: Reply, said: &Said) {
    match postcard::to_allocvec(said) {
        Ok(bytes) => reply.send(bytes.into()),
        Err(error) => tracing::error!(%error, "an answer could not be encoded"),
    }
}
