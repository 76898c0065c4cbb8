//! The shard's side towards the cluster: it makes itself known, tells what it has finished, asks
//! how branches ended whose owner does not say, and asks the log to abort what has waited too long.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

use synod_client::{
    Client, Config, Error, Participant, Refused,
    machine::{BranchIncarnation, Command, TxnId, Verdict},
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::{debug, warn};

use super::{
    ShardError,
    engine::{Attendance, Engine, News},
};

/// After a failure that may pass.
const RETRY_AFTER: Duration = Duration::from_millis(100);
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

    /// Puts finished commits into the log, many at once.
    async fn acknowledge(
        &self,
        mut finished: mpsc::UnboundedReceiver<TxnId>,
    ) -> Result<(), ShardError> {
        let mut txns = Vec::new();
        while finished.recv_many(&mut txns, ACKS_MAX).await > 0 {
            sleep(ACK_EVERY).await;
            while txns.len() < ACKS_MAX
                && let Ok(txn) = finished.try_recv()
            {
                txns.push(txn);
            }
            while let Err(error) = self.participant.ack(&txns).await {
                passing(error).await?;
            }
            let mut told = std::mem::take(&mut txns);
            while let Some(again) = self.engine.acknowledged(told) {
                sleep(RETRY_AFTER).await;
                told = again;
            }
        }
        Err(ShardError::EngineGone)
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
        loop {
            let Attendance { in_doubt, finished } = attendance.borrow_and_update().clone();
            tokio::select! {
                heard = self.participant.attend(&in_doubt, &finished) => match heard {
                    Ok(verdicts) => {
                        for (txn, verdict) in verdicts {
                            self.learn(txn, verdict);
                        }
                        // What was just learned is on its way to the disk; the next question
                        // should not ask for it again.
                        sleep(ACK_EVERY).await;
                    }
                    Err(error) => passing(error).await?,
                },
                changed = attendance.changed() => if changed.is_err() {
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

    use super::*;

    /// A branch that asks every ten seconds for as long as the cluster is away is asked for once.
    #[tokio::test]
    async fn what_is_proposed_again_and_again_waits_once() {
        let (sender, mut proposals) = mpsc::unbounded_channel();
        let txn = |n| TxnId { session: SessionId::new(1), n };
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
