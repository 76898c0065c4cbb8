//! The shard's side towards the cluster: it makes itself known, tells what it has finished, asks how
//! branches ended whose owner does not say, and asks the log to abort what has waited too long.

use std::{net::SocketAddr, time::Duration};

use synod_client::{
    Error, Participant,
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

/// Who attends.
pub(super) struct Attendant {
    pub(super) engine: Engine,
    pub(super) participant: Participant,
    pub(super) incarnation: BranchIncarnation,
    pub(super) address: SocketAddr,
}

impl Attendant {
    /// Registers, tells `ready`, and attends for ever. Ends only when the cluster refuses for good.
    pub(super) async fn keep(
        self,
        news: News,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), ShardError> {
        let address = self.address.to_string();
        while let Err(error) = self.participant.register(self.incarnation, address.clone()).await {
            passing(error).await?;
        }
        ready(self.address);
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
            self.engine.acknowledged(std::mem::take(&mut txns));
        }
        Ok(())
    }

    /// Asks the log to abort, one after the other; what comes back is the verdict, whichever.
    async fn ask_for_aborts(
        &self,
        mut proposals: mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), ShardError> {
        while let Some(proposal) = proposals.recv().await {
            let Command::Decide { txn, .. } = proposal else { continue };
            match self.participant.abort_in_doubt(txn).await {
                Ok(verdict) => self.learn(txn, verdict),
                // The branch asks again after its grace.
                Err(error) => passing(error).await?,
            }
        }
        Ok(())
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

/// Waits a little after a failure that may pass; any other ends the shard.
async fn passing(error: Error) -> Result<(), ShardError> {
    match error {
        Error::Refused { .. } | Error::Misuse(_) | Error::WrongCluster { .. } => Err(error.into()),
        passing => {
            warn!(error = %passing, "the cluster does not answer; trying again");
            sleep(RETRY_AFTER).await;
            Ok(())
        }
    }
}
