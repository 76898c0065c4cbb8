//! Phase 2, in the background: whoever may hold a prepared branch is told the verdict, at once and
//! again for a while. What is not told in time is found out by the participants themselves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use synod_machine::{ParticipantName, TxnId, Verdict, owner::Owner, participant_door::Said};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    backoff::Backoff,
    core::{Core, done},
    deadline::Deadline,
    party::Party,
    session::Session,
    shard::Heard,
};

/// How long a participant is told again. One that is away for longer asks when it is back.
const TELL_PATIENCE: Duration = Duration::from_secs(5);
/// The first pause before telling again.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a `Retire` is repeated; the next one says the same and more.
const RETIRE_PATIENCE: Duration = Duration::from_secs(5);

/// Counts a transaction that is being finished, from its first word to its last.
pub(crate) struct Finishing(Arc<Core>);

impl Finishing {
    pub(crate) fn begin(core: &Arc<Core>) -> Finishing {
        core.finishing.send_modify(|count| *count += 1);
        Finishing(Arc::clone(core))
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        self.0.finishing.send_modify(|count| *count -= 1);
    }
}

/// Tells everyone who was asked, and then counts the transaction as over.
pub(crate) async fn finish(
    core: &Arc<Core>,
    session: &Arc<Session>,
    mut owner: Owner,
    asked: &BTreeMap<ParticipantName, Arc<Party>>,
) {
    let mut telling = JoinSet::new();
    for (name, verdict) in owner.to_tell() {
        let Some(party) = asked.get(&name) else { continue };
        let (core, party, txn) = (Arc::clone(core), Arc::clone(party), owner.txn());
        telling.spawn(async move { (name, tell(&core, &party, txn, verdict).await) });
    }
    while let Some(joined) = telling.join_next().await {
        if let Ok((name, true)) = joined {
            owner.finished(&name);
        }
    }
    // No commit of it is proposed any more, by anybody.
    if let Some(retire) = session.end_txn(owner.txn()) {
        let patience = Deadline::after(RETIRE_PATIENCE);
        let _next_time = core.submit_in(session, retire, done, patience).await;
    }
}

/// Whether it said that it has finished.
async fn tell(core: &Core, party: &Party, txn: TxnId, verdict: Verdict) -> bool {
    let deadline = Deadline::after(TELL_PATIENCE);
    let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
    while !deadline.passed() {
        match core.tell_verdict(party, txn, verdict, deadline).await {
            Heard::Said(Said::Finished) => return true,
            Heard::Said(Said::NotApplied(_)) | Heard::Unsent(_) | Heard::Lost => {}
            Heard::Said(said) => {
                tracing::warn!(%txn, participant = %party.name(), ?said, "not finished");
                return false;
            }
        }
        sleep(pause.next()).await;
    }
    false
}
