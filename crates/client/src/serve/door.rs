//! Where owners ask.

use std::{any::Any, convert::Infallible, panic::resume_unwind, sync::Arc};

use synod_machine::{
    TxnId, Verdict,
    branch::Work,
    door::{NotApplied, Refusal},
    participant_door::{Ask, Call, InDoubt, Info, Said, Vote},
};
use synod_net::{Asked, Role, Who};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, JoinSet},
};

use super::{Post, ResourceManager, Share};
use crate::wire::{decode, encode};

/// Questions that are answered at once; more wait on their streams.
const ASKED_MAX: usize = 1_024;
/// What an owner is told to wait when something could not be done just now.
const RETRY_AFTER_MS: u32 = 100;

/// Answers for as long as there are callers and it is not closed, and panics when its manager does:
/// what a manager that has panicked promises, nobody here can answer for. Nothing is being answered
/// any more when it has ended.
pub(super) async fn keep<R: ResourceManager>(
    post: Arc<Post<R>>,
    mut asked: mpsc::Receiver<Asked>,
    mut closing: oneshot::Receiver<Infallible>,
) {
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            // Before the next question, which it may not be let in for.
            biased;
            Some(answered) = answering.join_next() => if let Some(panic) = panic(answered) {
                answering.shutdown().await;
                resume_unwind(panic);
            },
            _closing = &mut closing => return answering.shutdown().await,
            another = asked.recv(), if answering.len() < ASKED_MAX => {
                let Some(asked) = another else { return answering.shutdown().await };
                let post = Arc::clone(&post);
                answering.spawn(async move {
                    let said = answer(&post, &asked).await;
                    asked.reply.send(encode(&said));
                });
            }
        }
    }
}

fn panic(answered: Result<(), JoinError>) -> Option<Box<dyn Any + Send>> {
    answered.err()?.try_into_panic().ok()
}

async fn answer<R: ResourceManager>(post: &Post<R>, asked: &Asked) -> Said {
    let Some(ask) = decode::<Ask>(&asked.body) else {
        return Said::Refused(Refusal::Malformed("it is no call of a participant".to_owned()));
    };
    if let Some(refusal) = refuse(&asked.from.who, &ask.call) {
        return Said::Refused(refusal);
    }
    if let Err(misuse) = ask.call.check() {
        return Said::Refused(misuse.into());
    }
    match ask.call {
        Call::Prepare { txn, work } => prepare(post, txn, work).await,
        Call::Finish { txn, verdict } => finish(post, txn, verdict).await,
        Call::InDoubt => in_doubt(post).await,
        Call::Info => info(post).await,
        Call::Get { .. } | Call::Scan { .. } => {
            Said::Refused(Refusal::Misuse("this participant's keys are its own".to_owned()))
        }
    }
}

/// Only whoever may write may have work done, or say how it ended.
pub(super) fn refuse(who: &Who, call: &Call) -> Option<Refusal> {
    let has = match who {
        Who::Client { role: Role::Write | Role::Admin, .. } => return None,
        Who::Client { role, .. } => format!("{role:?}").to_lowercase(),
        Who::Node(_) => "node".to_owned(),
    };
    match call {
        Call::Prepare { .. } | Call::Finish { .. } => {
            Some(Refusal::Role { has, needs: "write".to_owned() })
        }
        Call::InDoubt | Call::Info | Call::Get { .. } | Call::Scan { .. } => None,
    }
}

async fn prepare<R: ResourceManager>(post: &Post<R>, txn: TxnId, work: Work) -> Said {
    if let Err(misuse) = work.check() {
        return Said::Refused(misuse.into());
    }
    Said::Vote(match post.vote(txn, work).await {
        Ok(Share::Prepared) => Vote::Yes { incarnation: post.manager.incarnation() },
        Ok(Share::ReadOnly) => Vote::ReadOnly,
        Err(reason) => Vote::No { reason },
    })
}

async fn finish<R: ResourceManager>(post: &Post<R>, txn: TxnId, verdict: Verdict) -> Said {
    match post.finish(txn, verdict).await {
        Some(Ok(())) => Said::Finished,
        Some(Err(why)) => not_now(&why),
        None => Said::Refused(Refusal::Misuse("nobody may act on that verdict".to_owned())),
    }
}

async fn in_doubt<R: ResourceManager>(post: &Post<R>) -> Said {
    match post.manager.in_doubt().await {
        Ok(mut txns) => {
            txns.sort_unstable();
            let branch = |txn| InDoubt { txn, locks: 0, waited_ms: 0, held: false };
            Said::InDoubt(txns.into_iter().map(branch).collect())
        }
        Err(why) => not_now(&why),
    }
}

async fn info<R: ResourceManager>(post: &Post<R>) -> Said {
    let in_doubt = post.manager.in_doubt().await;
    Said::Info(Info {
        name: post.participant.name().clone(),
        incarnation: post.manager.incarnation(),
        revision: synod_machine::Revision::ZERO,
        in_doubt: in_doubt.map_or(0, |txns| txns.len() as u64),
        held: 0,
        keys: 0,
        committed: 0,
        aborted: 0,
    })
}

fn not_now(why: &super::Again) -> Said {
    tracing::warn!(%why, "not done just now");
    Said::NotApplied(NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS })
}
