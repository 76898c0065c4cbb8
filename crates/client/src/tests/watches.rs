//! A watch tells every revision once, whole and in order, and is never silent.

use std::time::Duration;

use synod_machine::{Answer, Change, Command, Expect, Revision, door::Said};
use tokio::time::{Instant, sleep, timeout};

use super::dropping::{at_every_await, leave_after};
use crate::{
    Client, Error, KvWatch, Watched, Why,
    stage::{Kind, NODES, Stage, Twist},
};

/// The keys of the next so many revisions that changed something, each with its revision.
async fn changed(watch: &mut KvWatch, count: usize) -> Vec<(Revision, String)> {
    let mut all = Vec::new();
    while all.len() < count {
        match watch.next().await.unwrap().unwrap() {
            Watched::Changed { revision, changes } => {
                let keys = changes.iter().map(|change| match change {
                    Change::Put { key, .. } => format!("+{}", String::from_utf8_lossy(key)),
                    Change::Deleted { key } => format!("-{}", String::from_utf8_lossy(key)),
                    other => panic!("{other:?}"),
                });
                all.push((revision, keys.collect::<Vec<_>>().join(" ")));
            }
            Watched::CaughtUp(_) => {}
            other => panic!("{other:?}"),
        }
    }
    all
}

async fn put(client: &Client, key: &str) -> Revision {
    client.kv().put(key.to_owned(), "v").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_exactly_what_changed_after_a_revision() {
    let stage = Stage::new();
    let client = stage.client().await;
    let before = put(&client, "a/0").await;
    let first = put(&client, "a/1").await;
    put(&client, "b/1").await;
    let multi = client.kv().multi().require("a/1", Expect::Present).put("a/2", "v").delete("a/1");
    multi.await.unwrap();
    let mut watch = client.kv().watch("a/").from(before);
    let told = changed(&mut watch, 2).await;
    assert_eq!(told[0], (first, "+a/1".to_owned()));
    assert_eq!(told[1].1, "+a/2 -a/1");
    let next = put(&client, "a/3").await;
    assert_eq!(changed(&mut watch, 1).await, [(next, "+a/3".to_owned())]);
}

/// Without a revision it begins with the present, and says which that is.
#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_the_present() {
    let stage = Stage::new();
    let client = stage.client().await;
    let before = put(&client, "a").await;
    let mut watch = client.kv().watch("");
    assert_eq!(watch.next().await.unwrap().unwrap(), Watched::CaughtUp(before));
    let next = put(&client, "b").await;
    assert_eq!(changed(&mut watch, 1).await, [(next, "+b".to_owned())]);
}

/// Nodes die, answers are lost: it goes on where it was, on another.
#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_over_the_loss_of_nodes() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut revision = put(&client, "a").await;
    let mut watch = client.kv().watch("").from(revision);
    for (round, node) in NODES.iter().cycle().take(12).enumerate() {
        stage.kill(node);
        for twist in [Twist::Lost, Twist::DoneAndLost, Twist::Garbage, Twist::Silence] {
            stage.next(Kind::Watch, twist);
        }
        stage.lead(NODES.iter().find(|other| *other != node).copied());
        let key = format!("k{round}");
        let next = put(&client, &key).await;
        assert!(next > revision);
        revision = next;
        assert_eq!(changed(&mut watch, 1).await, [(next, format!("+{key}"))]);
        stage.start(node);
    }
}

/// The complaint about others: a watch whose server was killed waits for ever.
#[tokio::test(start_paused = true)]
async fn a_watch_is_never_silent() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut watch = client.kv().watch("");
    let second = Duration::from_millis(1_010);
    for _ in 0..5 {
        let item = timeout(second, watch.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(item, Watched::CaughtUp(Revision::ZERO));
    }
    for node in NODES {
        stage.kill(node);
    }
    let mut stale = 0;
    for _ in 0..10 {
        match timeout(second, watch.next()).await.unwrap().unwrap().unwrap() {
            Watched::Stale { silent } => {
                assert!(silent > Duration::from_secs(2), "{silent:?}");
                stale += 1;
            }
            item => assert_eq!((item, stale), (Watched::CaughtUp(Revision::ZERO), 0)),
        }
    }
    assert!(stale >= 7, "{stale}");
    for node in NODES {
        stage.start(node);
    }
    let next = put(&client, "a").await;
    loop {
        match watch.next().await.unwrap().unwrap() {
            Watched::Changed { revision, .. } => break assert_eq!(revision, next),
            Watched::Stale { .. } | Watched::CaughtUp(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A node without news answers when its time is up, and its answer takes half a round trip. (Every
/// call was given up in the moment before its answer came.)
#[tokio::test(start_paused = true)]
async fn a_quiet_watch_on_the_other_side_of_the_world_is_caught_up() {
    let stage = Stage::new();
    stage.move_away(Duration::from_millis(300));
    let client = stage.client().await;
    let mut watch = client.kv().watch("");
    for _ in 0..10 {
        let item = watch.next().await.unwrap().unwrap();
        assert_eq!(item, Watched::CaughtUp(Revision::ZERO));
    }
}

/// A node that is cut off from the others goes on answering, and knows that it does not know.
#[tokio::test(start_paused = true)]
async fn a_node_without_a_quorum_is_left_for_another() {
    let stage = Stage::new();
    let client = stage.client().await;
    let revision = put(&client, "a").await;
    let mut watch = client.kv().watch("").from(revision);
    let news = || Answer::Changes { changes: vec![], upto: revision };
    for _ in 0..4 {
        let cut_off = Said::Watched { news: news(), silent_ms: 60_000 };
        stage.next(Kind::Watch, Twist::say(cut_off));
    }
    let before = client.core.route.any();
    watch.next().await.unwrap().unwrap();
    assert_eq!(client.core.route.any(), (before + 4) % NODES.len(), "each was left for the next");
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_a_gap_and_the_rest_follows() {
    let stage = Stage::new();
    let client = stage.client().await;
    let first = put(&client, "a").await;
    let forgotten = put(&client, "b").await;
    stage.apply(Command::Compact { upto: forgotten });
    let next = put(&client, "c").await;
    let mut watch = client.kv().watch("").from(first);
    assert_eq!(watch.next().await.unwrap().unwrap(), Watched::Gap { forgotten });
    assert_eq!(changed(&mut watch, 1).await, [(next, "+c".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_the_future_is_an_error_and_over() {
    let stage = Stage::new();
    let client = stage.client().await;
    let now = put(&client, "a").await;
    let asked = now.next();
    let mut watch = client.kv().watch("").from(asked);
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NotYet { asked: a, now: n } if (a, n) == (asked, now)));
    assert!(watch.next().await.is_none());
    let mut watch = client.kv().watch(vec![b'x'; 5_000]);
    assert!(matches!(watch.next().await, Some(Err(Error::Misuse(_)))));
}

/// Where nobody leads, nobody can say what the present is: that is told, again and again.
#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_begin_says_so_and_begins_when_it_can() {
    let stage = Stage::new();
    let client = stage.client().await;
    let now = put(&client, "a").await;
    stage.lead(None);
    let mut watch = client.kv().watch("").from(now);
    for _ in 0..3 {
        assert!(matches!(watch.next().await, Some(Ok(Watched::Stale { .. }))));
    }
    stage.lead(Some("n3"));
    let next = put(&client, "b").await;
    loop {
        match watch.next().await.unwrap().unwrap() {
            Watched::Stale { .. } => {}
            item => {
                break assert!(
                    matches!(item, Watched::Changed { revision, .. } if revision == next)
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_its_client() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut watch = client.kv().watch("");
    watch.next().await.unwrap().unwrap();
    let began = Instant::now();
    let closing = async {
        sleep(Duration::from_millis(100)).await;
        client.close().await;
    };
    assert!(tokio::join!(watch.next(), closing).0.is_none());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(watch.next().await.is_none());
    let error = client.kv().get("a").await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { why: Why::Closed }));
}

/// Leaving a call for the next item, whenever, loses none.
#[tokio::test(start_paused = true)]
async fn the_next_item_may_be_left_at_every_await() {
    for twist in [Twist::None, Twist::Lost, Twist::Garbage] {
        at_every_await(async |polls| {
            let stage = Stage::new();
            let client = stage.client().await;
            let before = put(&client, "a").await;
            let expected = put(&client, "b").await;
            stage.next(Kind::Watch, twist.clone());
            let mut watch = client.kv().watch("").from(before);
            let item = leave_after(polls, watch.next()).await;
            let ended = item.is_some();
            match item {
                Some(Some(Ok(Watched::Changed { revision, .. }))) => assert_eq!(revision, expected),
                Some(item) => panic!("{item:?}"),
                None => assert_eq!(changed(&mut watch, 1).await[0].0, expected),
            }
            ended
        })
        .await;
    }
}
