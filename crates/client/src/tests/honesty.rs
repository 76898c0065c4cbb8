//! *Not applied* is never said of what may have been applied, and whatever is said is said in time.

use std::{future::Future, pin::Pin, time::Duration};

use synod_machine::{
    BranchIncarnation, Command, Expect, Rejection, Reply, RequestId, Revision, Seq, SessionId,
    TxnId, Verdict,
    branch::Work,
    door::{NotApplied, Said},
};
use tokio::time::Instant;

use crate::{
    Client, Error, Refused, Settled, Why,
    stage::{Kind, NODES, SHARDS, Stage, Twist, WITHIN},
};

type Call = (&'static str, fn(Client) -> Pin<Box<dyn Future<Output = Result<(), Error>>>>);

/// Every call that goes into the log under a name.
fn writes() -> [Call; 5] {
    [
        ("put", |client| Box::pin(async move { client.kv().put("a", "1").await.map(drop) })),
        ("delete", |client| Box::pin(async move { client.kv().delete("a").await.map(drop) })),
        ("cas", |client| {
            Box::pin(async move { client.kv().cas("a", Expect::Absent, "1").await.map(drop) })
        }),
        ("multi", |client| {
            Box::pin(async move { client.kv().multi().put("a", "1").await.map(drop) })
        }),
        ("register", |client| {
            let east = client.participant("east");
            Box::pin(async move { east.register(BranchIncarnation(1), "east:1").await })
        }),
    ]
}

/// Every call that may be made again without harm, and may change something.
fn repeatable() -> [Call; 3] {
    [
        ("settle", |client| Box::pin(async move { client.settle(some_request()).await.map(drop) })),
        ("ack", |client| {
            let east = client.participant("east");
            Box::pin(async move { east.ack(&[some_txn()]).await })
        }),
        ("abort in doubt", |client| {
            let east = client.participant("east");
            Box::pin(async move { east.abort_in_doubt(some_txn()).await.map(drop) })
        }),
    ]
}

/// Every call that changes nothing.
fn looks() -> [Call; 5] {
    [
        ("get", |client| Box::pin(async move { client.kv().get("a").await.map(drop) })),
        ("stale get", |client| {
            Box::pin(async move { client.kv().get("a").stale().await.map(drop) })
        }),
        ("nearby get", |client| {
            Box::pin(async move { client.kv().get("a").nearby().await.map(drop) })
        }),
        ("status", |client| Box::pin(async move { client.status("n1").await.map(drop) })),
        ("leader", |client| Box::pin(async move { client.leader().await.map(drop) })),
    ]
}

/// Session 1 is the stagehand's, who registered the shards.
fn some_request() -> RequestId {
    RequestId { session: SessionId::new(1), seq: Seq::new(9) }
}

fn some_txn() -> TxnId {
    TxnId { session: SessionId::new(1), n: 1 }
}

fn both(client: &Client) -> crate::TxnBuilder {
    client.txn().ask(SHARDS[0], Work::default()).ask(SHARDS[1], Work::default())
}

/// A node of another version may answer with what this client does not know. What it has done is
/// then anybody's guess, and was once called not applied.
#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_fit_leaves_it_unknown_what_was_done() {
    for (name, write) in writes() {
        let stage = Stage::new();
        let client = stage.client().await;
        stage.next(Kind::Submit, Twist::say(Said::Reply(Reply::SettledNever)));
        let Err(Error::Unknown { request }) = write(client.clone()).await else {
            panic!("{name} is not unknown")
        };
        assert_eq!(client.settle(request).await.unwrap(), Settled::Never, "{name}");
    }
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    let written = Reply::Written(Revision::new(7));
    stage.next(Kind::Submit, Twist::say(Said::Reply(written)));
    let error = prepared.decide().await.unwrap_err();
    let Error::TxnUnknown { txn } = error else { panic!("{error}") };
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(client.verdict(txn).await.unwrap(), Verdict::Aborted);
    assert_eq!(stage.shard("east").told, [(txn, Verdict::Aborted)]);
}

/// What the machine rejected it has not done; what it has forgotten it may have done.
#[tokio::test(start_paused = true)]
async fn a_rejection_is_told_for_what_it_is() {
    for (rejection, told) in [
        (Rejection::SettledNever, "not applied"),
        (Rejection::TooManyOpen { limit: 1_024 }, "not applied"),
        (Rejection::SessionEnded, "ended"),
        (Rejection::UnknownSession, "ended"),
        (Rejection::Forgotten, "unknown"),
        (Rejection::ReplyForgotten, "unknown"),
        (Rejection::Misuse("no".to_owned()), "refused"),
    ] {
        let stage = Stage::new();
        let client = stage.client().await;
        let said = Said::Reply(Reply::Rejected(rejection.clone()));
        stage.next(Kind::Submit, Twist::say(said));
        let error = client.kv().put("a", "1").await.unwrap_err();
        let heard = match &error {
            Error::NotApplied { why: Why::Settled | Why::TooManyOpen } => "not applied",
            Error::SessionEnded { .. } => "ended",
            Error::Unknown { .. } => "unknown",
            Error::Refused { why: Refused::Log(_) } => "refused",
            other => panic!("{rejection}: {other}"),
        };
        assert_eq!(heard, told, "{rejection}: {error}");
        // Whatever it was, the next one is served.
        client.kv().put("a", "2").await.unwrap();
    }
}

/// All nodes die with the request in the log, or before it is there, and come back elsewhere led.
#[tokio::test(start_paused = true)]
async fn a_request_survives_the_death_of_all_nodes() {
    for (twist, before) in [(Twist::DoneAndSilence, true), (Twist::Silence, false)] {
        let stage = Stage::new();
        let client = stage.client().await;
        client.kv().put("a", "1").await.unwrap();
        stage.next(Kind::Submit, twist);
        let put = tokio::spawn({
            let kv = client.kv();
            async move { kv.put("a", "2").await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        NODES.iter().for_each(|node| stage.kill(node));
        stage.lead(None);
        tokio::time::sleep(Duration::from_millis(500)).await;
        NODES.iter().for_each(|node| stage.start(node));
        stage.lead(Some("n3"));
        let at = put.await.unwrap().unwrap();
        let entry = client.kv().get("a").await.unwrap().unwrap();
        assert_eq!((entry.version, entry.modified), (2, at), "in the log before: {before}");
    }
}

/// A settle that was lost may have settled: it was once called not applied.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_and_may_be_repeated_is_not_called_not_applied() {
    for (name, call) in repeatable() {
        for twist in [
            Twist::Silence,
            Twist::DoneAndSilence,
            Twist::say(Said::Reply(Reply::Written(Revision::new(7)))),
        ] {
            let stage = Stage::new();
            let client = stage.client().await.within(Duration::from_millis(300));
            for kind in [Kind::Settle, Kind::Unnamed] {
                stage.next(kind, twist.clone());
            }
            let error = call(client.clone()).await.unwrap_err();
            assert!(matches!(error, Error::NoAnswer { .. }), "{name}, {twist:?}: {error}");
            call(client).await.unwrap();
        }
    }
}

/// Bytes that follow an answer are not part of it, so it is none: the question is asked again.
#[tokio::test(start_paused = true)]
async fn an_answer_with_bytes_behind_it_is_not_taken_for_one() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::Submit, Twist::DoneAndSurplus);
    client.kv().put("a", "1").await.unwrap();
    let puts = stage.named(|command| matches!(command, Command::Put { .. }));
    assert_eq!(puts.len(), 2, "it was asked again");
    assert_eq!(client.kv().get("a").await.unwrap().unwrap().version, 1, "and done once");
}

/// How nobody may answer.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    NoLeader,
    AllDead,
    AllSilent,
    NoQuorum,
}

fn afflict(stage: &Stage, trouble: Trouble) {
    match trouble {
        Trouble::NoLeader => stage.lead(None),
        Trouble::AllDead => NODES.iter().chain(&SHARDS).for_each(|name| stage.kill(name)),
        Trouble::AllSilent => script(stage, &Twist::Silence),
        Trouble::NoQuorum => script(stage, &Twist::say(Said::NotApplied(NotApplied::NoQuorum))),
    }
}

fn script(stage: &Stage, twist: &Twist) {
    let kinds = [
        Kind::Submit,
        Kind::OpenSession,
        Kind::Settle,
        Kind::Unnamed,
        Kind::Read,
        Kind::Attend,
        Kind::Status,
        Kind::Prepare,
    ];
    // A participant has other words than a node, so it can only be silent.
    let of_node = |kind: &&Kind| **kind != Kind::Prepare || matches!(twist, Twist::Silence);
    for kind in kinds.iter().filter(of_node) {
        (0..2_000).for_each(|_| stage.next(*kind, twist.clone()));
    }
}

/// Interfaces §3.2: one deadline a call, whatever it does and whatever is wrong.
#[tokio::test(start_paused = true)]
async fn every_call_ends_by_its_one_deadline() {
    let calls = writes().into_iter().chain(repeatable()).chain(looks()).chain(transactions());
    for (name, call) in calls {
        for trouble in [Trouble::NoLeader, Trouble::AllDead, Trouble::AllSilent, Trouble::NoQuorum]
        {
            let stage = Stage::new();
            let client = stage.client().await;
            afflict(&stage, trouble);
            let began = Instant::now();
            let result = call(client).await;
            let took = began.elapsed();
            assert!(took <= WITHIN + Duration::from_millis(5), "{name}, {trouble:?}: {took:?}");
            let may_be_answered = ["stale get", "status", "commit"];
            assert!(result.is_err() || may_be_answered.contains(&name), "{name}, {trouble:?}");
        }
    }
}

fn transactions() -> [Call; 4] {
    [
        ("txn id", |client| Box::pin(async move { client.txn().id().await.map(drop) })),
        ("commit", |client| Box::pin(async move { both(&client).commit().await.map(drop) })),
        ("shard", |client| Box::pin(async move { client.shard("east").info().await.map(drop) })),
        ("close", |client| {
            Box::pin(async move {
                client.close().await;
                client.kv().get("a").await.map(drop)
            })
        }),
    ]
}

/// A node whose disk is full leads nobody, and a person who is told only that there is no leader
/// looks in the wrong place. With room again the disk is blamed no more.
#[tokio::test(start_paused = true)]
async fn without_a_leader_a_full_disk_is_named_with_its_node() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.lead(None);
    for full in [&["n1", "n3"][..], &[]] {
        stage.fill(full);
        let error = client.kv().put("a", "1").await.unwrap_err();
        let Error::NotApplied { why } = error else { panic!("{error}") };
        let nodes: Vec<String> = full.iter().map(ToString::to_string).collect();
        let told = if full.is_empty() { Why::NoLeader } else { Why::DiskFull { nodes } };
        assert_eq!(why, told);
    }
}

/// The second phase has the same deadline, also when the trouble begins after the votes.
#[tokio::test(start_paused = true)]
async fn a_decision_ends_by_its_deadline() {
    for trouble in [Trouble::NoLeader, Trouble::AllDead, Trouble::AllSilent, Trouble::NoQuorum] {
        let stage = Stage::new();
        let client = stage.client().await;
        let prepared = both(&client).prepare().await.unwrap();
        afflict(&stage, trouble);
        let began = Instant::now();
        let error = prepared.decide().await.unwrap_err();
        let took = began.elapsed();
        assert!(took <= WITHIN + Duration::from_millis(5), "{trouble:?}: {took:?}, {error}");
    }
}
