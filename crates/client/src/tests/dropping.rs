//! Any future may be dropped at any await: what follows is as if it had been heard or had not, and
//! the session goes on.
//!
//! Every call is polled to its k-th await, for every k there is, and dropped there.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use synod_machine::{Answer, Query, Verdict, branch::Work};
use tokio::task::yield_now;

use crate::{
    Client, Outcome,
    testing::{Kind, SHARDS, Stage, Twist},
};

/// More awaits than any call here has.
const POLLS_MAX: usize = 500;

/// Polls a future so many times, letting everything else take a step in between, and the clock
/// every other time; `None` when it was dropped.
async fn leave_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match poll % 2 {
            0 => yield_now().await,
            _ => tokio::time::advance(Duration::from_millis(1)).await,
        }
    }
    None
}

/// Runs `scene` with every number of polls at which its future can be left, and once to its end.
async fn at_every_await<F: Future<Output = bool>>(mut scene: impl FnMut(usize) -> F) {
    for polls in 0..POLLS_MAX {
        if scene(polls).await {
            assert!(polls > 3, "after {polls} polls there was nothing left to leave");
            return;
        }
    }
    panic!("the call did not end within {POLLS_MAX} polls");
}

/// Waits until everything in the background has come to rest.
async fn settle_down() {
    tokio::time::sleep(Duration::from_secs(30)).await;
}

/// A session in which nothing is left open acknowledges all that went before.
async fn assert_nothing_is_open(stage: &Stage, client: &Client) {
    stage.end_script();
    client.kv().put("probe", "1").await.unwrap();
    client.kv().put("probe", "2").await.unwrap();
    let last = stage.submits().pop().unwrap();
    assert_eq!(last.id.unwrap().seq, last.acked, "something before it is still open");
}

#[tokio::test(start_paused = true)]
async fn a_put_may_be_left_at_every_await() {
    for twists in [
        vec![],
        vec![Twist::Lost],
        vec![Twist::DoneAndLost],
        vec![Twist::DoneAndSilence],
        vec![Twist::Silence],
    ] {
        at_every_await(async |polls| {
            let stage = Stage::new();
            let client = stage.client().await;
            for twist in twists.clone() {
                stage.next(Kind::Submit, twist);
            }
            let hasty = client.within(Duration::from_millis(40));
            let put = leave_after(polls, hasty.kv().put("a", "1")).await;
            settle_down().await;
            let entry = client.kv().get("a").await.unwrap();
            let version = entry.map_or(0, |entry| entry.version);
            assert!(version <= 1, "left after {polls} polls: done {version} times");
            assert!(put.is_none() || version == 1 || matches!(put, Some(Err(_))));
            if put.is_none() {
                assert_nothing_is_open(&stage, &client).await;
            }
            put.is_some()
        })
        .await;
    }
}

/// What was left before its fate was known never takes effect later: it is settled.
#[tokio::test(start_paused = true)]
async fn a_put_that_was_left_does_not_happen_after_it_was_found_not_to_have() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("b", "1").await.unwrap();
    stage.next(Kind::Submit, Twist::Late(Duration::from_secs(60)));
    assert!(leave_after(20, client.kv().put("a", "1")).await.is_none());
    settle_down().await;
    assert_eq!(client.kv().get("a").await.unwrap(), None);
    settle_down().await;
    settle_down().await;
    assert_eq!(client.kv().get("a").await.unwrap(), None, "it came late and took effect");
}

#[tokio::test(start_paused = true)]
async fn reads_and_status_may_be_left_at_every_await() {
    at_every_await(async |polls| {
        let stage = Stage::new();
        let client = stage.client().await;
        let reading = async {
            client.kv().get("a").await.unwrap();
            client.kv().get_stale("a").await.unwrap();
            client.status_all().await;
            client.leader().await.unwrap();
        };
        let read = leave_after(polls, reading).await;
        client.kv().put("a", "1").await.unwrap();
        read.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn connecting_may_be_left_at_every_await() {
    at_every_await(async |polls| {
        let stage = Stage::new();
        let connected = leave_after(polls, stage.try_client()).await;
        stage.client().await.kv().put("a", "1").await.unwrap();
        connected.is_some()
    })
    .await;
}

/// *Transactions* §5, "owner dies": whatever moment the owner leaves at, every participant hears
/// one verdict, and it is the log's.
#[tokio::test(start_paused = true)]
async fn a_transaction_may_be_left_at_every_await() {
    at_every_await(async |polls| {
        let stage = Stage::new();
        let client = stage.client().await;
        let txn = client.txn().ask(SHARDS[0], Work::default()).ask(SHARDS[1], Work::default());
        let outcome = leave_after(polls, txn.put("moved", "1").commit()).await;
        settle_down().await;
        assert_one_verdict(&stage, polls);
        if let Some(outcome) = &outcome {
            assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{outcome:?}");
        }
        assert_nothing_is_open(&stage, &client).await;
        outcome.is_some()
    })
    .await;
}

fn assert_one_verdict(stage: &Stage, polls: usize) {
    let mut told = Vec::new();
    for name in SHARDS {
        let shard = stage.shard(name);
        assert_eq!(shard.prepared, [], "{name} was left in doubt after {polls} polls");
        told.extend(shard.told);
    }
    for (txn, verdict) in &told {
        assert_eq!(*verdict, told[0].1, "after {polls} polls");
        let Answer::Verdicts(log) = stage.query(&Query::Verdicts { txns: vec![*txn] }) else {
            panic!("no verdicts")
        };
        let committed = log[0] == Verdict::Committed;
        assert_eq!(*verdict == Verdict::Committed, committed, "after {polls} polls");
    }
    let Answer::Key { entry, .. } = stage.query(&Query::Get { key: "moved".into() }) else {
        panic!("no key")
    };
    let committed = told.iter().any(|(_, verdict)| *verdict == Verdict::Committed);
    assert_eq!(entry.is_some(), committed, "after {polls} polls");
}
