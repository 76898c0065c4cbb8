//! The shard's side towards the cluster: it makes itself known, tells what it has finished, asks
//! how branches ended whose owner does not say, and asks the log to abort what has waited too long.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use synod_client::{
    Acks, Client, Config, Error, Participant, Refused,
    machine::{BranchIncarnation, Command, TxnId, Verdict},
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    ShardError,
    engine::{Attendance, Engine, News},
};

/// After a failure that may pass.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// The longest pause after an answer that says nothing new; the first is as after a failure.
const STALE_MAX: Duration = Duration::from_secs(2);
/// Acknowledgements of one entry in the log.
const ACKS_MAX: usize = 512;
/// Acknowledgements gather for this long: nobody waits for them, and each entry costs a sync.
const ACK_EVERY: Duration = Duration::from_millis(20);

/// Connects, however long that takes: a shard answers its owners also while there is no cluster.
pub(super) async fn connect(config: &Config) -> Result<Client, ShardError> {
    loop {
        match Client::connect(config.clone()).await {
            Ok(client) => return Ok(client),
            Err(Error::Connect(nodes)) if nodes.is_identity() => {
                return Err(Error::Connect(nodes).into());
            }
            Err(error) => passing(error).await?,
        }
    }
}

/// Who the shard is to the cluster.
pub(super) struct Own {
    pub(super) incarnation: BranchIncarnation,
    pub(super) address: SocketAddr,
    pub(super) path: PathBuf,
    pub(super) replaces: bool,
}

impl Own {
    /// Registers, unless the cluster knows another store under this name: then somebody started
    /// with the wrong directory, or the right one is lost with all that it had promised. Only a
    /// person knows which.
    pub(super) async fn introduce(
        &self,
        client: &Client,
        participant: &Participant,
    ) -> Result<(), ShardError> {
        let known = loop {
            match client.participants().await {
                Ok(known) => break known,
                Err(error) => passing(error).await?,
            }
        };
        let before = known.into_iter().find(|view| view.name == *participant.name());
        if let Some(before) = before.filter(|view| view.incarnation != self.incarnation)
            && !self.replaces
        {
            return Err(ShardError::Replaced {
                path: self.path.clone(),
                name: before.name.to_string(),
                known: before.incarnation.0,
                found: self.incarnation.0,
                unacknowledged: before.unacked,
            });
        }
        let address = self.address.to_string();
        while let Err(error) = participant.register(self.incarnation, address.clone()).await {
            passing(error).await?;
        }
        Ok(())
    }
}

/// Who attends.
pub(super) struct Attendant {
    pub(super) engine: Engine,
    pub(super) participant: Participant,
}

impl Attendant {
    /// Attends for ever. Ends only when the cluster refuses for good.
    pub(super) async fn keep(self, news: News) -> Result<(), ShardError> {
        tokio::select! {
            ended = self.acknowledge(news.finished) => ended,
            ended = self.ask_for_aborts(news.proposals) => ended,
            ended = self.attend(news.attendance) => ended,
        }
    }

    /// Puts finished commits into the log, many at once and each once.
    async fn acknowledge(
        &self,
        mut finished: mpsc::UnboundedReceiver<TxnId>,
    ) -> Result<(), ShardError> {
        let mut queue = Queue::default();
        while queue.gather(&mut finished).await {
            queue.gather_during(&mut finished, sleep(ACK_EVERY)).await;
            let txns = queue.acks.first(ACKS_MAX);
            queue.gather_during(&mut finished, self.tell_the_log(&txns)).await?;
            let mut told = queue.accepted(txns);
            while let Some(again) = self.engine.acknowledged(told) {
                sleep(RETRY_AFTER).await;
                told = again;
            }
        }
        Err(ShardError::EngineGone)
    }

    async fn tell_the_log(&self, txns: &[TxnId]) -> Result<(), ShardError> {
        while !txns.is_empty()
            && let Err(error) = self.participant.ack(txns).await
        {
            passing(error).await?;
        }
        Ok(())
    }

    /// Asks the log to abort, one after the other; what comes back is the verdict, whichever.
    async fn ask_for_aborts(
        &self,
        mut proposals: mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), ShardError> {
        let mut overdue = BTreeSet::new();
        while gather(&mut proposals, &mut overdue).await {
            let Some(txn) = overdue.pop_first() else { continue };
            match self.participant.abort_in_doubt(txn).await {
                Ok(verdict) => self.learn(txn, verdict),
                // The branch asks again after its grace.
                Err(error) => passing(error).await?,
            }
        }
        Err(ShardError::EngineGone)
    }

    /// Asks any node, all the time; anew when the branches in doubt are others.
    async fn attend(&self, mut attendance: watch::Receiver<Attendance>) -> Result<(), ShardError> {
        let mut repeats = Repeats::default();
        loop {
            let Attendance { in_doubt, finished } = attendance.borrow_and_update().clone();
            tokio::select! {
                heard = self.participant.attend(&in_doubt, &finished) => match heard {
                    Ok(news) => {
                        for (txn, verdict) in &news {
                            self.learn(*txn, *verdict);
                        }
                        match repeats.pause_after(news) {
                            // What was just learned is on its way to the disk; the next question
                            // should not ask for it again.
                            None => sleep(ACK_EVERY).await,
                            Some(pause) => {
                                self.participant.ask_another();
                                rest(pause, &mut attendance).await;
                            }
                        }
                    }
                    Err(error) => passing(error).await?,
                },
                changed = others(&mut attendance) => if changed.is_err() {
                    return Err(ShardError::EngineGone);
                },
            }
        }
    }

    /// A hint that nothing is decided is nothing to act on.
    fn learn(&self, txn: TxnId, verdict: Verdict) {
        if verdict != Verdict::InProgress {
            debug!(%txn, ?verdict, "learned");
            self.engine.finish(txn, verdict);
        }
    }
}

/// Finished commits on their way to the log and back to the branches.
#[derive(Default)]
struct Queue {
    acks: Acks,
    /// The log has accepted these a moment ago; the branches name them until they know.
    known: BTreeSet<TxnId>,
}

impl Queue {
    /// Waits while there is nothing; `false` when there will be nothing any more.
    async fn gather(&mut self, finished: &mut mpsc::UnboundedReceiver<TxnId>) -> bool {
        if !self.acks.is_empty() || !self.known.is_empty() {
            return true;
        }
        let first = finished.recv().await;
        first.into_iter().for_each(|txn| self.add(txn));
        first.is_some()
    }

    /// Takes in what is finished while something else goes on: without a quorum that takes hours,
    /// and owners tell the same again and again.
    async fn gather_during<T>(
        &mut self,
        finished: &mut mpsc::UnboundedReceiver<TxnId>,
        doing: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(doing);
        loop {
            tokio::select! {
                biased;
                Some(txn) = finished.recv() => self.add(txn),
                done = &mut doing => return done,
            }
        }
    }

    fn add(&mut self, txn: TxnId) {
        if !self.acks.add(txn) {
            self.known.insert(txn);
        }
    }

    /// What the branches are to be told when the log has accepted these.
    fn accepted(&mut self, txns: Vec<TxnId>) -> Vec<TxnId> {
        self.acks.accepted(&txns);
        self.known.extend(txns);
        std::mem::take(&mut self.known).into_iter().collect()
    }
}

/// Resolves when other branches are in doubt than those that were asked about, and not before the
/// question about these could be answered: under a load they are others all the time.
async fn others(
    attendance: &mut watch::Receiver<Attendance>,
) -> Result<(), watch::error::RecvError> {
    sleep(RETRY_AFTER).await;
    attendance.changed().await
}

/// Leaves the cluster alone for so long; less when other branches come to be in doubt meanwhile.
async fn rest(pause: Duration, attendance: &mut watch::Receiver<Attendance>) {
    sleep(RETRY_AFTER).await;
    // An engine that is gone is seen when the next question is asked.
    let _other = timeout(pause.saturating_sub(RETRY_AFTER), attendance.changed()).await;
}

/// Tells news from what was told before: a node that lags behind names again what was acknowledged
/// since, and the log names for ever what this store has never promised.
#[derive(Default)]
struct Repeats {
    last: BTreeMap<TxnId, Verdict>,
    pause: Duration,
}

impl Repeats {
    /// How long to leave the cluster alone after an answer in which everything was told before;
    /// `None` when there was something new, or nothing at all, for which it had waited.
    fn pause_after(&mut self, news: Vec<(TxnId, Verdict)>) -> Option<Duration> {
        if news.is_empty() {
            return None;
        }
        if news.iter().all(|(txn, verdict)| self.last.get(txn) == Some(verdict)) {
            self.pause = (self.pause * 2).clamp(RETRY_AFTER, STALE_MAX);
            return Some(self.pause);
        }
        *self = Repeats { last: news.into_iter().collect(), pause: Duration::ZERO };
        None
    }
}

/// Takes in what is proposed, each once: branches ask again and again while no answer comes, and
/// without a quorum none comes for hours. Waits while there is nothing; `false` when there will be
/// nothing any more.
async fn gather(
    proposals: &mut mpsc::UnboundedReceiver<Command>,
    overdue: &mut BTreeSet<TxnId>,
) -> bool {
    if overdue.is_empty() {
        match proposals.recv().await {
            Some(proposal) => overdue.extend(decided_by(&proposal)),
            None => return false,
        }
    }
    while let Ok(proposal) = proposals.try_recv() {
        overdue.extend(decided_by(&proposal));
    }
    true
}

fn decided_by(proposal: &Command) -> Option<TxnId> {
    match proposal {
        Command::Decide { txn, .. } => Some(*txn),
        _ => None,
    }
}

/// Waits a little after a failure that may pass; any other ends the shard. What the log rejects may
/// pass: it rejects one command, not the participant.
async fn passing(error: Error) -> Result<(), ShardError> {
    match error {
        Error::Refused { why: Refused::Door(_) }
        | Error::Misuse(_)
        | Error::Credentials(_)
        | Error::WrongCluster { .. } => Err(error.into()),
        passing => {
            warn!(error = %passing, "the cluster does not answer; trying again");
            sleep(RETRY_AFTER).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_client::machine::{AbortCause, ParticipantName, Proposal, SessionId};

    use tokio::task::yield_now;

    use super::*;

    fn txn(n: u64) -> TxnId {
        TxnId { session: SessionId::new(1), n }
    }

    /// A commit comes from its owner and from the log, and again from a node that lags behind.
    /// (Each time it was acknowledged in the log; and without a quorum the repeats piled up.)
    #[tokio::test]
    async fn what_is_finished_again_and_again_is_acknowledged_once() {
        let (sender, mut finished) = mpsc::unbounded_channel();
        let mut queue = Queue::default();
        sender.send(txn(1)).unwrap();
        assert!(queue.gather(&mut finished).await);
        let told = queue.acks.first(ACKS_MAX);
        assert_eq!(told, [txn(1)]);
        // The log takes its time.
        let answer = async {
            for n in (1..=3).cycle().take(3_000) {
                sender.send(txn(n)).unwrap();
                yield_now().await;
            }
        };
        queue.gather_during(&mut finished, answer).await;
        assert_eq!(finished.len(), 0, "they pile up");
        assert_eq!(queue.accepted(told), [txn(1)]);
        let told = queue.acks.first(ACKS_MAX);
        assert_eq!(told, [txn(2), txn(3)]);
        assert_eq!(queue.accepted(told), [txn(2), txn(3)]);
        // Of what the log has just accepted the branches hear alone.
        sender.send(txn(2)).unwrap();
        assert!(queue.gather(&mut finished).await);
        assert!(queue.acks.is_empty());
        assert_eq!(queue.accepted(Vec::new()), [txn(2)]);
        drop(sender);
        assert!(!queue.gather(&mut finished).await);
    }

    /// The log names again and again what a store that took the place of a lost one never promised.
    /// (It was asked 45 times a second, for ever.)
    #[test]
    fn an_answer_that_says_nothing_new_is_followed_by_a_pause() {
        let mut repeats = Repeats::default();
        let news = |ns: &[u64]| ns.iter().map(|n| (txn(*n), Verdict::Committed)).collect();
        assert_eq!(repeats.pause_after(news(&[1, 2])), None);
        let pauses: Vec<_> = (0..7).map(|_| repeats.pause_after(news(&[1, 2]))).collect();
        let expected = [100, 200, 400, 800, 1_600, 2_000, 2_000].map(Duration::from_millis);
        assert_eq!(pauses, expected.map(Some));
        // Another node may lack less of it.
        assert_eq!(repeats.pause_after(news(&[2])), Some(STALE_MAX));
        assert_eq!(repeats.pause_after(news(&[1])), Some(STALE_MAX));
        assert_eq!(repeats.pause_after(news(&[])), None);
        assert_eq!(repeats.pause_after(news(&[1, 3])), None, "one of them is new");
        assert_eq!(repeats.pause_after(news(&[1, 3])), Some(RETRY_AFTER));
        assert_eq!(repeats.pause_after(vec![(txn(3), Verdict::Aborted)]), None);
    }

    /// Under a load other branches are in doubt all the time. (The question was left each time
    /// before a node could answer, and nobody heard what owners that had died had left.)
    #[tokio::test(start_paused = true)]
    async fn a_question_is_not_left_before_it_could_be_answered() {
        let (tell, mut attendance) = watch::channel(Attendance::default());
        let begun = tokio::time::Instant::now();
        tell.send_replace(Attendance { in_doubt: vec![txn(1)], ..Attendance::default() });
        others(&mut attendance).await.unwrap();
        assert_eq!(begun.elapsed(), RETRY_AFTER);
        drop(tell);
        assert!(others(&mut attendance).await.is_err());
    }

    /// A branch that asks every ten seconds for as long as the cluster is away is asked for once.
    #[tokio::test]
    async fn what_is_proposed_again_and_again_waits_once() {
        let (sender, mut proposals) = mpsc::unbounded_channel();
        for n in (1..=3).cycle().take(3_000) {
            let cause = AbortCause::InDoubtGrace { participant: ParticipantName::new("east") };
            let outcome = Proposal::Abort { cause };
            sender.send(Command::Decide { txn: txn(n), outcome }).unwrap();
        }
        let mut overdue = BTreeSet::new();
        assert!(gather(&mut proposals, &mut overdue).await);
        assert_eq!(overdue.pop_first(), Some(txn(1)));
        assert!(gather(&mut proposals, &mut overdue).await);
        assert_eq!(overdue.into_iter().collect::<Vec<_>>(), [txn(2), txn(3)]);
        drop(sender);
        assert!(!gather(&mut proposals, &mut BTreeSet::new()).await);
    }
}
