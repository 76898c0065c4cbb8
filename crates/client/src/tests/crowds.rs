//! Thousands of watches of one client are asked for in a handful of calls.

use std::time::Duration;

use synod_machine::{Change, Revision, door::Call};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Client, KvWatch, Watched,
    stage::{Kind, NODES, Stage, Twist},
};

const CROWD: usize = 1_000;

/// The calls that waited for changes so far, each with what it waited for.
fn asked(stage: &Stage) -> Vec<usize> {
    let watches = |call: &Call| match call {
        Call::Watch { .. } => Some(1),
        Call::WatchAny { watches } => Some(watches.len()),
        _ => None,
    };
    stage.heard().iter().filter_map(|(_, call)| watches(call)).collect()
}

fn crowd(client: &Client, from: Revision) -> impl Iterator<Item = (usize, KvWatch)> {
    (0..CROWD).map(move |place| {
        let prefix = if place % 2 == 0 { "all/".to_owned() } else { format!("own/{place}/") };
        (place, client.kv().watch(prefix).from(from))
    })
}

/// The keys that it is told of, until so many were.
async fn keys(watch: &mut KvWatch, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    while keys.len() < count {
        let Watched::Changed { changes, .. } = watch.next().await.unwrap().unwrap() else {
            continue;
        };
        keys.extend(changes.iter().map(|change| match change {
            Change::Put { key, .. } => String::from_utf8_lossy(key).into_owned(),
            other => panic!("{other:?}"),
        }));
    }
    keys
}

/// What all watch is told to all, what one watches to that one; each once, in order, though nodes
/// die meanwhile.
#[tokio::test(start_paused = true)]
async fn a_crowd_is_told_what_each_watches_over_the_loss_of_nodes() {
    let stage = Stage::new();
    let client = stage.client().await;
    let from = client.kv().put("begin", "").await.unwrap();
    let mut told = JoinSet::new();
    for (place, mut watch) in crowd(&client, from) {
        told.spawn(async move {
            let count = if place % 2 == 0 { 3 } else { 1 };
            (place, keys(&mut watch, count).await)
        });
    }
    sleep(Duration::from_secs(3)).await;
    for (round, node) in NODES.iter().enumerate() {
        client.kv().put(format!("all/{round}"), "").await.unwrap();
        stage.kill(node);
        for twist in [Twist::Lost, Twist::DoneAndLost, Twist::Garbage] {
            stage.next(Kind::Watch, twist);
        }
        stage.lead(NODES.iter().find(|other| *other != node).copied());
        stage.start(node);
    }
    for place in (1..CROWD).step_by(2) {
        client.kv().put(format!("own/{place}/k"), "").await.unwrap();
    }
    while let Some(ended) = told.join_next().await {
        let (place, keys) = ended.unwrap();
        match place % 2 {
            0 => assert_eq!(keys, ["all/0", "all/1", "all/2"]),
            _ => assert_eq!(keys, [format!("own/{place}/k")]),
        }
    }
}

/// And none of them is ever silent, for few calls.
#[tokio::test(start_paused = true)]
async fn a_crowd_costs_few_calls_and_is_never_silent() {
    let stage = Stage::new();
    let client = stage.client().await;
    let from = client.kv().put("begin", "").await.unwrap();
    let mut listening = JoinSet::new();
    for (_, mut watch) in crowd(&client, from) {
        listening.spawn(async move {
            for _ in 0..10 {
                let item = timeout(Duration::from_millis(1_010), watch.next()).await;
                assert_eq!(item.unwrap().unwrap().unwrap(), Watched::CaughtUp(from));
            }
        });
    }
    while let Some(ended) = listening.join_next().await {
        ended.unwrap();
    }
    let asked = asked(&stage);
    let each = asked.iter().sum::<usize>() / asked.len();
    assert!(each > CROWD / 8, "a call carries {each} watches: {asked:?}");
}

/// Whoever takes nothing costs nothing: one answer waits, and no more is asked for.
#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_not_asked_for_again() {
    let stage = Stage::new();
    let client = stage.client().await;
    let from = client.kv().put("begin", "").await.unwrap();
    let mut watch = client.kv().watch("k/").from(from);
    assert_eq!(watch.next().await.unwrap().unwrap(), Watched::CaughtUp(from));
    client.kv().put("k/0", "").await.unwrap();
    assert_eq!(keys(&mut watch, 1).await, ["k/0"]);
    sleep(Duration::from_secs(5)).await;
    let before = asked(&stage).len();
    for number in 1..50 {
        client.kv().put(format!("k/{number}"), "").await.unwrap();
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(asked(&stage).len(), before);
    let all: Vec<_> = (1..50).map(|number| format!("k/{number}")).collect();
    assert_eq!(keys(&mut watch, all.len()).await, all);
}
