//! Finds out the verdicts of branches that no owner came back for, and tells the log what is
//! finished.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

pub(super) async fn keep<R: ResourceManager>(post: Arc<Post<R>>) {
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
        let mut well = self.acknowledge().await;
        well &= self.hear(&in_doubt).await;
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

    async fn acknowledge(&self) -> bool {
        let finished: Vec<TxnId> = self.unacknowledged();
        if finished.is_empty() {
            return true;
        }
        let told = self.post.participant.ack(&finished).await.is_ok();
        if told {
            self.post.state().acks.accepted(&finished);
        }
        told
    }

    /// Waits for news, or for something to acknowledge.
    async fn hear(&self, in_doubt: &[TxnId]) -> bool {
        let in_doubt = &in_doubt[..in_doubt.len().min(TXNS_MAX)];
        let finished = self.unacknowledged();
        let participant = self.post.participant.within(ATTEND);
        let began = Instant::now();
        let news = tokio::select! {
            news = participant.attend(in_doubt, &finished) => news,
            () = self.post.finished.notified() => return true,
        };
        let Ok(news) = news else { return false };
        // A node that has nothing to say and does not wait is not asked again at once; nor is one
        // that says only what it should know to be acknowledged.
        let stale = !news.is_empty() && self.was_acknowledged(&news);
        if stale {
            self.post.participant.ask_another();
        }
        let waited = !news.is_empty() || began.elapsed() >= ATTEND / 2;
        let mut well = waited && !stale;
        for (txn, verdict) in news {
            well &= self.obey(txn, verdict).await;
        }
        well
    }

    fn was_acknowledged(&self, news: &[(TxnId, Verdict)]) -> bool {
        let mut state = self.post.state();
        news.iter().all(|(txn, _)| state.acks.was_accepted(*txn))
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

    fn unacknowledged(&self) -> Vec<TxnId> {
        self.post.state().acks.first(TXNS_MAX)
    }
}

fn rested() -> Backoff {
    Backoff::new(PAUSE, PAUSE_MAX)
}
