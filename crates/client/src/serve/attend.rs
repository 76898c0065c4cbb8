//! Finds out the verdicts of branches that no owner came back for, and tells the log what is
//! finished.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use synod_machine::{TxnId, Verdict, limits::TXNS_MAX};
use tokio::time::{Instant, sleep};

use super::{Post, ResourceManager};
use crate::backoff::Backoff;

/// How long a node keeps the participant waiting when there is no news. New branches are asked
/// about after it at the latest; there is no hurry, for their owner has just prepared them.
const ATTEND: Duration = Duration::from_secs(2);
/// A branch that is in doubt for longer asks for an abort, through the log. Longer than an
/// election, and than any owner that is alive takes.
const GRACE: Duration = Duration::from_secs(10);
/// The first pause after something could not be done.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Two things that do not wait for each other: while owners go on committing there is always
/// something to acknowledge.
pub(super) async fn keep<R: ResourceManager>(post: Arc<Post<R>>) {
    tokio::select! {
        never = acknowledge(&post) => match never {},
        never = attend(Arc::clone(&post)) => match never {},
    }
}

/// Tells the log what is finished, whenever something is.
async fn acknowledge<R: ResourceManager>(post: &Post<R>) -> Infallible {
    let mut pause = rested();
    loop {
        let finished = post.unacknowledged();
        if finished.is_empty() {
            post.finished.notified().await;
        } else if post.participant.ack(&finished).await.is_ok() {
            post.state().acks.accepted(&finished);
            pause = rested();
        } else {
            sleep(pause.next()).await;
        }
    }
}

async fn attend<R: ResourceManager>(post: Arc<Post<R>>) -> Infallible {
    let mut attendance = Attendance { post, since: BTreeMap::new(), pause: rested() };
    loop {
        if attendance.round().await {
            attendance.pause = rested();
        } else {
            sleep(attendance.pause.next()).await;
        }
    }
}

struct Attendance<R> {
    post: Arc<Post<R>>,
    /// Since when each branch is seen to be in doubt.
    since: BTreeMap<TxnId, Instant>,
    pause: Backoff,
}

impl<R: ResourceManager> Attendance<R> {
    /// Whether all went well: then the next may begin at once.
    async fn round(&mut self) -> bool {
        let Ok(in_doubt) = self.post.manager.in_doubt().await else { return false };
        self.watch(&in_doubt);
        let mut well = self.hear(&in_doubt).await;
        for txn in self.overdue() {
            // Without a quorum each takes a whole deadline, and nobody would listen meanwhile to
            // what was decided before. One that cannot be finished holds up no other.
            let Some(verdict) = self.abort(txn).await else { return false };
            well &= self.obey(txn, verdict).await;
        }
        well
    }

    fn watch(&mut self, in_doubt: &[TxnId]) {
        self.since.retain(|txn, _| in_doubt.contains(txn));
        for txn in in_doubt {
            self.since.entry(*txn).or_insert_with(Instant::now);
        }
    }

    /// Waits for news.
    async fn hear(&self, in_doubt: &[TxnId]) -> bool {
        let in_doubt = &in_doubt[..in_doubt.len().min(TXNS_MAX)];
        let finished = self.post.unacknowledged();
        let participant = self.post.participant.within(ATTEND);
        let began = Instant::now();
        let Ok(mut news) = participant.attend(in_doubt, &finished).await else { return false };
        // A node that has nothing to say and does not wait is not asked again at once; nor is one
        // that says only what it should know to be acknowledged.
        let stale = !news.is_empty() && self.was_acknowledged(&news, began);
        if stale {
            self.post.participant.ask_another();
        }
        let waited = !news.is_empty() || began.elapsed() >= ATTEND / 2;
        let mut well = waited && !stale;
        // What was finished since it was asked is no news; the log is being told.
        if !stale && !news.is_empty() {
            self.keep_unknown(&mut news);
            if news.is_empty() {
                sleep(PAUSE).await;
            }
        }
        for (txn, verdict) in news {
            well &= self.obey(txn, verdict).await;
        }
        well
    }

    /// Whether the log had heard of all of it before it was asked.
    fn was_acknowledged(&self, news: &[(TxnId, Verdict)], asked: Instant) -> bool {
        let mut state = self.post.state();
        news.iter().all(|(txn, _)| state.acks.accepted_at(*txn).is_some_and(|at| at < asked))
    }

    fn keep_unknown(&self, news: &mut Vec<(TxnId, Verdict)>) {
        let waiting = self.post.unacknowledged();
        let mut state = self.post.state();
        news.retain(|(txn, _)| {
            waiting.binary_search(txn).is_err() && !state.acks.was_accepted(*txn)
        });
    }

    fn overdue(&self) -> Vec<TxnId> {
        let overdue = self.since.iter().filter(|(_, since)| since.elapsed() >= GRACE);
        overdue.map(|(txn, _)| *txn).collect()
    }

    /// Asks the log to abort; what it says, if it says anything.
    async fn abort(&self, txn: TxnId) -> Option<Verdict> {
        let asked = self.post.participant.abort_in_doubt(txn).await;
        if let Err(error) = &asked {
            tracing::debug!(%txn, %error, "in doubt, and the log gives no verdict");
        }
        asked.ok()
    }

    async fn obey(&self, txn: TxnId, verdict: Verdict) -> bool {
        match self.post.finish(txn, verdict).await {
            Some(Ok(())) => true,
            Some(Err(why)) => {
                tracing::warn!(%txn, %why, "not finished just now");
                false
            }
            None => {
                tracing::warn!(%txn, ?verdict, "in doubt, and only a person can end it");
                false
            }
        }
    }
}

impl<R: ResourceManager> Post<R> {
    /// In their order.
    fn unacknowledged(&self) -> Vec<TxnId> {
        self.state().acks.first(TXNS_MAX)
    }
}

fn rested() -> Backoff {
    Backoff::new(PAUSE, PAUSE_MAX)
}
