//! Calls that wait for an answer.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use synod_machine::door::{Call, NotApplied, Said};
use synod_net::{Name, Reply};
use synod_replica::ClientId;
use tokio::sync::{mpsc, oneshot};

/// What a caller is told to wait when this node has too many callers.
const RETRY_AFTER_MS: u32 = 50;

/// What is asked, for metrics and for what a stopping node says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Op {
    Submit,
    KeepAlive,
    Read,
    Attend,
    Status,
    Renew,
    StepAside,
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
            Call::StepAside => Op::StepAside,
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
            Op::StepAside => "step_aside",
            Op::Watch => "watch",
        }
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) op: Op,
    pub(crate) began: Instant,
    caller: Name,
    answer: oneshot::Sender<Said>,
}

impl Waiting {
    /// Answers; a caller that is gone is no error.
    pub(crate) fn answer(self, said: Said) {
        let _gone = self.answer.send(said);
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
}

impl Calls {
    pub(crate) fn new(max: usize, per_caller_max: usize) -> Calls {
        Calls { next: 0, max, per_caller_max, waiting: BTreeMap::new(), per_caller: HashMap::new() }
    }

    /// Takes a call in, under a name that is never used twice.
    pub(crate) fn open(
        &mut self,
        caller: &Name,
        op: Op,
        answer: oneshot::Sender<Said>,
    ) -> Result<ClientId, oneshot::Sender<Said>> {
        let of_caller = self.per_caller.get(caller).copied().unwrap_or(0);
        if self.waiting.len() >= self.max || of_caller >= self.per_caller_max {
            return Err(answer);
        }
        self.next = self.next.checked_add(1).expect("2^64 calls in one process's life");
        let client = ClientId(self.next);
        let waiting = Waiting { op, began: Instant::now(), caller: caller.clone(), answer };
        self.waiting.insert(client, waiting);
        self.per_caller.insert(caller.clone(), of_caller + 1);
        Ok(client)
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

/// Carries the answer back to one caller, or tells that the caller is gone.
pub(crate) fn carry(
    mut reply: Reply,
    answer: oneshot::Receiver<Said>,
    client: ClientId,
    gone: mpsc::UnboundedSender<ClientId>,
) {
    // One task a call. It ends with the answer, with the caller, or with the driver, which drops
    // every sender; so there are never more than there are calls.
    tokio::spawn(async move {
        tokio::select! {
            biased;
            said = answer => {
                if let Ok(said) = said {
                    say(reply, &said);
                }
            }
            () = reply.gone() => {
                let _driver_is_gone = gone.send(client);
            }
        }
    });
}

/// Answers at once.
pub(crate) fn say(reply: Reply, said: &Said) {
    match postcard::to_allocvec(said) {
        Ok(bytes) => reply.send(bytes.into()),
        Err(error) => tracing::error!(%error, "an answer could not be encoded"),
    }
}
