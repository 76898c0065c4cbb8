//! A participant made of anything that can promise: the door where owners ask it, and the
//! attendance that finds the verdicts owners left behind.

mod attend;
mod door;
mod ended;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use synod_machine::{
    BranchIncarnation, Outcome, TxnId, Verdict, branch::Work, limits::Misuse,
    participant_door::NoReason,
};
use synod_net::{Asked, Server};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
};

use self::ended::Ended;
use crate::{acks::Acks, error::Error, participant::Participant};

/// What a database, queue or file store implements to take part in transactions. (*Consensus on
/// Transaction Commit* calls it a resource manager.) Calls about one transaction never overlap.
pub trait ResourceManager: Send + Sync + 'static {
    /// The store it promises from: drawn when the store is made, the same for its whole life.
    fn incarnation(&self) -> BranchIncarnation;

    /// Makes a share of a transaction durable and locks what it touches, or refuses. Asked again
    /// with the same id it answers the same. Once `Prepared` was said, only
    /// [`finish`](Self::finish) ends it.
    ///
    /// What has ended must be refused, with [`NoReason::Ended`]: a copy of the question may come
    /// late, and promised again its work would be done twice. The last few thousand transactions
    /// are refused before this is asked; after a restart, and of older ones, only the store knows.
    fn vote(&self, txn: TxnId, work: Work) -> impl Future<Output = Result<Share, NoReason>> + Send;

    /// Applies or undoes, durably. May come several times, and `Aborted` for what was never
    /// prepared. `Ok` lets the cluster forget.
    fn finish(
        &self,
        txn: TxnId,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), Again>> + Send;

    /// The transactions that it has prepared and not finished, as its store says.
    fn in_doubt(&self) -> impl Future<Output = Result<Vec<TxnId>, Again>> + Send;
}

/// What a yes stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Its share is durable and locked.
    Prepared,
    /// It has nothing to do and holds nothing, whatever the outcome.
    ReadOnly,
}

/// It could not be done just now, and will be asked for again. Says why, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Again(pub String);

/// It has stopped by itself. Says why: what the manager panicked with, most likely.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the participant takes part no more: {0}")]
pub struct Stopped(String);

/// A participant that is being served; it stops when this is dropped.
///
/// It stops by itself when its manager panics, whoever asked it and for what: a door that went on
/// to promise would promise what nobody here ends. [`Serving::stopped`] tells.
pub struct Serving {
    address: SocketAddr,
    server: Arc<Server>,
    guarding: JoinSet<()>,
    /// Dropped when it is closed.
    open: oneshot::Sender<Infallible>,
    stopped: watch::Receiver<Option<Stopped>>,
}

impl Serving {
    /// Where owners are heard.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it stops by itself, which it should not; what is prepared stays so until it is
    /// served again.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.stopped.clone();
        let why = stopped.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| Stopped("its runtime is shutting down".to_owned()))
    }

    /// Says goodbye to owners and stops. What is prepared stays so, and nothing is under way at the
    /// manager any more.
    pub async fn close(self) {
        let Serving { open, mut guarding, server, .. } = self;
        // First, for a door that closes under it would be its end.
        drop(open);
        while guarding.join_next().await.is_some() {}
        server.close().await;
    }
}

/// The two sides of a participant.
struct Sides {
    both: JoinSet<()>,
    attendance: AbortHandle,
    /// Dropped when the door is to close.
    door_open: oneshot::Sender<Infallible>,
}

impl Sides {
    fn begin<R: ResourceManager>(post: Arc<Post<R>>, asked: mpsc::Receiver<Asked>) -> Sides {
        let (door_open, closing) = oneshot::channel();
        let mut both = JoinSet::new();
        both.spawn(door::keep(Arc::clone(&post), asked, closing));
        let attendance = both.spawn(attend::keep(post));
        Sides { both, attendance, door_open }
    }

    /// When this returns neither is at anything.
    async fn end(mut self) {
        self.attendance.abort();
        drop(self.door_open);
        while self.both.join_next().await.is_some() {}
    }
}

/// Door and attendance need each other: when one ends, so does the other, and nobody is let in any
/// more.
async fn guard(
    mut sides: Sides,
    closing: oneshot::Receiver<Infallible>,
    server: Weak<Server>,
    stopped: watch::Sender<Option<Stopped>>,
) {
    let ended = tokio::select! {
        ended = sides.both.join_next() => ended,
        _closing = closing => return sides.end().await,
    };
    let why = match ended {
        Some(Err(panicked)) => panicked.to_string(),
        Some(Ok(())) | None => "its door is closed".to_owned(),
    };
    tracing::error!(%why, "the participant takes part no more");
    sides.end().await;
    if let Some(server) = server.upgrade() {
        server.close().await;
    }
    stopped.send_replace(Some(Stopped(why)));
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What door and attendance share.
struct Post<R> {
    manager: R,
    participant: Participant,
    turns: Turns,
    state: Mutex<State>,
    /// A commit was finished: there is something to acknowledge.
    finished: Notify,
}

#[derive(Default)]
struct State {
    /// Commits that are finished: those that the log is to hear of, and for a moment those that it
    /// has just heard of.
    acks: Acks,
    ended: Ended,
}

impl Participant {
    /// Listens at `listen` and takes part with `manager`, until the returned value is dropped.
    /// Owners find it at the address on which it listens.
    pub async fn serve<R: ResourceManager>(
        self,
        manager: R,
        listen: SocketAddr,
    ) -> Result<Serving, Error> {
        if listen.ip().is_unspecified() {
            let why = "owners cannot reach an address that stands for all; name one (`serve_as`)";
            return Err(Misuse::Contradiction(why).into());
        }
        self.serve_at(manager, listen, None).await
    }

    /// As [`Participant::serve`], where owners reach it at another address than it listens on.
    pub async fn serve_as<R: ResourceManager>(
        self,
        manager: R,
        listen: SocketAddr,
        address: impl Into<String>,
    ) -> Result<Serving, Error> {
        self.serve_at(manager, listen, Some(address.into())).await
    }

    async fn serve_at<R: ResourceManager>(
        self,
        manager: R,
        listen: SocketAddr,
        address: Option<String>,
    ) -> Result<Serving, Error> {
        let (server, asked) = self.client.core.route.wire.listen(listen).await?;
        let known_as = address.unwrap_or_else(|| server.address().to_string());
        self.register(manager.incarnation(), known_as).await?;
        let post = Arc::new(Post {
            manager,
            participant: self,
            turns: Turns::default(),
            state: Mutex::default(),
            finished: Notify::new(),
        });
        let (address, server) = (server.address(), Arc::new(server));
        let sides = Sides::begin(post, asked);
        let ((open, closing), (stop, stopped)) = (oneshot::channel(), watch::channel(None));
        let mut guarding = JoinSet::new();
        guarding.spawn(guard(sides, closing, Arc::downgrade(&server), stop));
        Ok(Serving { address, server, guarding, open, stopped })
    }
}

impl<R: ResourceManager> Post<R> {
    async fn vote(&self, txn: TxnId, work: Work) -> Result<Share, NoReason> {
        let turn = self.turns.of(txn);
        let _alone = turn.lock().await;
        if self.state().ended.contains(txn) {
            return Err(NoReason::Ended);
        }
        self.manager.vote(txn, work).await
    }

    /// `None`: nobody may act on this verdict.
    async fn finish(&self, txn: TxnId, verdict: Verdict) -> Option<Result<(), Again>> {
        let outcome = match verdict {
            Verdict::Committed => Outcome::Committed,
            Verdict::Aborted => Outcome::Aborted,
            Verdict::InProgress | Verdict::Retired => return None,
        };
        let turn = self.turns.of(txn);
        let _alone = turn.lock().await;
        let done = self.manager.finish(txn, outcome).await;
        if done.is_ok() {
            self.note_finished(txn, outcome);
        }
        Some(done)
    }

    fn note_finished(&self, txn: TxnId, outcome: Outcome) {
        let mut state = self.state();
        state.ended.note(txn);
        if outcome == Outcome::Committed && state.acks.add(txn) {
            self.finished.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

/// One turn at a time for each transaction.
#[derive(Default)]
struct Turns(Mutex<BTreeMap<TxnId, Weak<AsyncMutex<()>>>>);

impl Turns {
    fn of(&self, txn: TxnId) -> Arc<AsyncMutex<()>> {
        let mut turns = self.0.lock().expect("nothing panics while it is held");
        if let Some(turn) = turns.get(&txn).and_then(Weak::upgrade) {
            return turn;
        }
        // Nobody waits for these any more.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(AsyncMutex::new(()));
        turns.insert(txn, Arc::downgrade(&turn));
        turn
    }
}
