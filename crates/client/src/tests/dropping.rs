//! Any future may be dropped at any await: what follows is as if it had been heard or had not, and
//! the session goes on.
//!
//! Every call is polled to its k-th await, for every k there is, and dropped there.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use synod_machine::{Answer, BranchIncarnation, Expect, Query, TxnId, Verdict, branch::Work};
use tokio::task::yield_now;

use crate::{
    Client, Error, Outcome, TxnBuilder,
    stage::{Kind, SHARDS, Stage, Twist},
};

/// More awaits than any call here has.
const POLLS_MAX: usize = 500;

/// Polls a future so many times, letting everything else take a step in between, and the clock
/// every other time; `None` when it was dropped.
pub(super) async fn leave_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
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
pub(super) async fn at_every_await<F: Future<Output = bool>>(mut scene: impl FnMut(usize) -> F) {
    for polls in 0..POLLS_MAX {
        if scene(polls).await {
            assert!(polls > 3, "after {polls} polls there was nothing left to leave");
            return;
        }
    }
    panic!("the call did not end within {POLLS_MAX} polls");
}

/// Waits until everything in the background has come to rest.
pub(super) async fn settle_down() {
    tokio::time::sleep(Duration::from_secs(30)).await;
}

/// What may happen to a word that a call waits for, so that it is left in every state it can be in.
pub(super) fn twists() -> [Vec<Twist>; 6] {
    [
        vec![],
        vec![Twist::Lost],
        vec![Twist::DoneAndLost],
        vec![Twist::DoneAndSilence],
        vec![Twist::Silence],
        vec![Twist::DoneAndLost, Twist::Lost],
    ]
}

/// A call that is not answered gives up before it has been polled too often.
pub(super) fn hasty(client: &Client) -> Client {
    client.within(Duration::from_millis(40))
}

/// A session in which nothing is left open acknowledges all that went before.
pub(super) async fn assert_nothing_is_open(stage: &Stage, client: &Client) {
    stage.end_script();
    client.kv().put("probe", "1").await.unwrap();
    client.kv().put("probe", "2").await.unwrap();
    let last = stage.submits().pop().unwrap();
    assert_eq!(last.id.unwrap().seq, last.acked, "something before it is still open");
}

/// Each kind of write, with each of its words lost on either way: done once or not at all, and
/// nothing is left open.
#[tokio::test(start_paused = true)]
async fn a_write_may_be_left_at_every_await() {
    for kind in [Kind::OpenSession, Kind::Submit] {
        for twists in twists() {
            for write in [put, cas, multi] {
                at_every_await(async |polls| write_left(polls, kind, &twists, write).await).await;
            }
        }
    }
}

type Write = fn(Client) -> Pin<Box<dyn Future<Output = Result<(), Error>>>>;

fn put(client: Client) -> Pin<Box<dyn Future<Output = Result<(), Error>>>> {
    Box::pin(async move { client.kv().put("a", "1").await.map(drop) })
}

fn cas(client: Client) -> Pin<Box<dyn Future<Output = Result<(), Error>>>> {
    Box::pin(async move { client.kv().cas("a", Expect::Absent, "1").await.map(drop) })
}

fn multi(client: Client) -> Pin<Box<dyn Future<Output = Result<(), Error>>>> {
    Box::pin(async move { client.kv().multi().put("a", "1").read("a").await.map(drop) })
}

async fn write_left(polls: usize, kind: Kind, twists: &[Twist], write: Write) -> bool {
    let stage = Stage::new();
    let client = stage.client().await;
    for twist in twists {
        stage.next(kind, twist.clone());
    }
    let written = leave_after(polls, write(hasty(&client))).await;
    settle_down().await;
    let entry = client.kv().get("a").await.unwrap();
    let version = entry.map_or(0, |entry| entry.version);
    let story = format!("{twists:?} of {kind:?}, left after {polls} polls, {written:?}");
    assert!(version <= 1, "{story}: done {version} times");
    match &written {
        Some(Ok(())) => assert_eq!(version, 1, "{story}"),
        Some(Err(Error::NotApplied { .. })) => assert_eq!(version, 0, "{story}"),
        Some(Err(Error::Unknown { request })) => {
            let applied = client.settle(*request).await.unwrap();
            let applied = matches!(applied, crate::Settled::Applied(_));
            assert_eq!(applied, version == 1, "{story}");
        }
        Some(Err(error)) => panic!("{story}: {error}"),
        None => assert_nothing_is_open(&stage, &client).await,
    }
    written.is_some()
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
            client.kv().get("a").stale().await.unwrap();
            client.kv().get("a").nearby().await.unwrap();
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

/// Whoever asks what became of a request may go away too: the next one is answered all the same.
#[tokio::test(start_paused = true)]
async fn settling_may_be_left_at_every_await() {
    for twists in twists() {
        at_every_await(async |polls| {
            let stage = Stage::new();
            let (owner, other) = (stage.client().await, stage.client().await);
            owner.kv().put("b", "1").await.unwrap();
            stage.next(Kind::Submit, Twist::DoneAndSilence);
            stage.next(Kind::Settle, Twist::Silence);
            let unknown = hasty(&owner).kv().put("a", "1").await;
            let Err(Error::Unknown { request }) = unknown else { panic!("{unknown:?}") };
            for twist in twists.clone() {
                stage.next(Kind::Settle, twist);
            }
            let left = leave_after(polls, hasty(&other).settle(request)).await;
            stage.end_script();
            assert!(!matches!(left, Some(Err(Error::NotApplied { .. } | Error::Unknown { .. }))));
            let settled = other.settle(request).await.unwrap();
            assert!(matches!(settled, crate::Settled::Applied(_)), "{settled:?}");
            left.is_some()
        })
        .await;
    }
}

/// The client's background ends with it, at whatever await its end is left.
#[tokio::test(start_paused = true)]
async fn closing_may_be_left_at_every_await() {
    at_every_await(async |polls| {
        let stage = Stage::new();
        let client = stage.client().await;
        client.kv().put("a", "1").await.unwrap();
        let closed = leave_after(polls, client.close()).await;
        drop(client);
        settle_down().await;
        let before = stage.heard().len();
        settle_down().await;
        assert_eq!(stage.heard().len(), before, "left after {polls} polls, it goes on");
        closed.is_some()
    })
    .await;
}

/// What a participant does towards the log may be done again, so leaving it costs nothing.
#[tokio::test(start_paused = true)]
async fn the_participants_side_may_be_left_at_every_await() {
    for kind in [Kind::OpenSession, Kind::Submit, Kind::Unnamed, Kind::Attend] {
        for twists in twists() {
            at_every_await(async |polls| {
                let stage = Stage::new();
                let client = stage.client().await;
                let txn = client.txn().id().await.unwrap();
                for twist in twists.clone() {
                    stage.next(kind, twist);
                }
                let east = hasty(&client).participant("east");
                let left = leave_after(polls, participate(&east, txn)).await;
                stage.end_script();
                settle_down().await;
                participate(&client.participant("east"), txn).await.unwrap();
                // Of an unknown one somebody was told, and may ask about it.
                if !matches!(left, Some(Err(Error::Unknown { .. }))) {
                    assert_nothing_is_open(&stage, &client).await;
                }
                left.is_some()
            })
            .await;
        }
    }
}

async fn participate(east: &crate::Participant, txn: TxnId) -> Result<(), Error> {
    east.register(BranchIncarnation(1), "east:1").await?;
    assert_eq!(east.abort_in_doubt(txn).await?, Verdict::Aborted);
    east.attend(&[txn], &[]).await?;
    east.ack(&[txn]).await
}

/// Looking at participants, and at who leads.
#[tokio::test(start_paused = true)]
async fn looking_may_be_left_at_every_await() {
    at_every_await(async |polls| {
        let stage = Stage::new();
        let client = stage.client().await;
        let mut watch = client.watch_leader(Duration::from_millis(10));
        let looking = async {
            watch.next().await;
            client.shard("east").in_doubt().await.unwrap();
            client.participants().await.unwrap();
            client.txns(None, 10).await.unwrap();
        };
        let looked = leave_after(polls, looking).await;
        assert_eq!(client.shard("east").in_doubt().await.unwrap(), []);
        client.kv().put("a", "1").await.unwrap();
        looked.is_some()
    })
    .await;
}

fn both(client: &Client) -> TxnBuilder {
    client.txn().ask(SHARDS[0], Work::default()).ask(SHARDS[1], Work::default())
}

/// *Transactions* §5, "owner dies": whatever moment the owner leaves at, and whatever was lost on
/// the way, every participant hears one verdict, and it is the log's.
#[tokio::test(start_paused = true)]
async fn a_transaction_may_be_left_at_every_await() {
    for kind in [Kind::Read, Kind::Prepare, Kind::Submit, Kind::Finish] {
        for twists in twists() {
            at_every_await(async |polls| {
                let stage = Stage::new();
                let client = stage.client().await;
                for twist in twists.clone() {
                    stage.next(kind, twist);
                }
                let txn = both(&client).deadline(Duration::from_millis(40)).put("moved", "1");
                let outcome = leave_after(polls, txn.commit()).await;
                stage.end_script();
                settle_down().await;
                let story = format!("{twists:?} of {kind:?}, left after {polls}: {outcome:?}");
                let committed = assert_one_verdict(&stage, &story);
                match &outcome {
                    Some(Ok(Outcome::Committed { .. })) => assert!(committed, "{story}"),
                    Some(Ok(Outcome::Aborted { .. }) | Err(Error::NotApplied { .. })) => {
                        assert!(!committed, "{story}");
                    }
                    Some(Err(Error::TxnUnknown { .. })) | None => {}
                    Some(Err(error)) => panic!("{story}: {error}"),
                }
                assert_nothing_is_open(&stage, &client).await;
                outcome.is_some()
            })
            .await;
        }
    }
}

/// Between its two phases as well: preparing may be left, and deciding.
#[tokio::test(start_paused = true)]
async fn each_phase_of_a_transaction_may_be_left_at_every_await() {
    at_every_await(async |polls| {
        let stage = Stage::new();
        let client = stage.client().await;
        let prepared = leave_after(polls, both(&client).prepare()).await;
        let prepared = prepared.map(|prepared| drop(prepared.unwrap()));
        settle_down().await;
        assert!(!assert_one_verdict(&stage, &format!("prepare left after {polls} polls")));
        assert_nothing_is_open(&stage, &client).await;
        prepared.is_some()
    })
    .await;
    at_every_await(async |polls| {
        let stage = Stage::new();
        let client = stage.client().await;
        let prepared = both(&client).put("moved", "1").prepare().await.unwrap();
        let outcome = leave_after(polls, prepared.decide()).await;
        settle_down().await;
        let committed = assert_one_verdict(&stage, &format!("decide left after {polls} polls"));
        assert!(committed || polls == 0, "a commit that may have been proposed takes its course");
        assert_nothing_is_open(&stage, &client).await;
        outcome.is_some()
    })
    .await;
}

/// Whether it committed. Nobody is left in doubt, and everybody was told what the log says.
fn assert_one_verdict(stage: &Stage, story: &str) -> bool {
    let mut told = Vec::new();
    for name in SHARDS {
        let shard = stage.shard(name);
        assert_eq!(shard.prepared, [], "{story}: {name} was left in doubt");
        told.extend(shard.told);
    }
    for (txn, verdict) in &told {
        assert_eq!(*verdict, told[0].1, "{story}");
        let Answer::Verdicts(log) = stage.query(&Query::Verdicts { txns: vec![*txn] }) else {
            panic!("no verdicts")
        };
        let committed = log[0] == Verdict::Committed;
        assert_eq!(*verdict == Verdict::Committed, committed, "{story}");
    }
    told.iter().any(|(_, verdict)| *verdict == Verdict::Committed)
}
