//! Connections are made before they are needed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    Client,
    stage::{NODES, Stage},
};

/// Longer than any pause between two attempts.
const LONG: Duration = Duration::from_secs(20);

/// A client that knows the leader, when `n3` was not there and has just come.
async fn without_n3(stage: &Stage) -> Client {
    stage.kill("n3");
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.start("n3");
    client
}

fn dialled(stage: &Stage) -> usize {
    NODES.iter().map(|node| stage.dialled(node)).sum()
}

#[tokio::test(start_paused = true)]
async fn the_next_leader_is_connected_before_it_leads() {
    let stage = Stage::new();
    let client = without_n3(&stage).await;
    sleep(LONG).await;
    let before = dialled(&stage);
    stage.lead(Some("n3"));
    let began = Instant::now();
    client.kv().put("a", "2").await.unwrap();
    assert_eq!((dialled(&stage), began.elapsed()), (before, Duration::ZERO));
}

/// A command that asks one thing is gone in a second, and makes no connections for later.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_new_makes_no_connection_ahead() {
    let stage = Stage::new();
    let _client = without_n3(&stage).await;
    let before = dialled(&stage);
    sleep(Duration::from_millis(950)).await;
    assert_eq!(dialled(&stage), before);
    sleep(LONG).await;
    assert_eq!(dialled(&stage), before + 1, "n3, once, and nobody else");
}

/// A client that reads from any node takes no room at the others.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_needed_a_leader_makes_no_connection_ahead() {
    let stage = Stage::new();
    stage.kill("n3");
    let client = stage.client().await;
    client.kv().get("a").stale().await.unwrap();
    stage.start("n3");
    let before = stage.dialled("n3");
    sleep(LONG).await;
    assert_eq!(stage.dialled("n3"), before);
}

/// Two thousand clients must not all knock at the moment at which a node is back.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_back_is_dialled_once_by_each_and_not_by_all_at_one_moment() {
    let stage = Stage::new();
    let mut clients = Vec::new();
    for _ in 0..40 {
        let client = stage.client().await;
        client.kv().put("a", "1").await.unwrap();
        clients.push(client);
    }
    sleep(LONG).await;
    let before = stage.dialled("n3");
    stage.kill("n3");
    stage.start("n3");
    let mut each = Vec::new();
    // Two seconds, and the steps of clocks.
    for _ in 0..41 {
        sleep(Duration::from_millis(50)).await;
        each.push(stage.dialled("n3"));
    }
    assert_eq!(each.last().unwrap() - before, clients.len(), "{each:?}");
    let most = each.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(most < clients.len() / 2, "{each:?}");
}

/// One that does not come back is asked less and less often.
#[tokio::test(start_paused = true)]
async fn a_node_that_stays_away_is_dialled_now_and_then() {
    let stage = Stage::new();
    stage.kill("n3");
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    let before = stage.dialled("n3");
    sleep(Duration::from_secs(80)).await;
    let times = stage.dialled("n3") - before;
    assert!((10..=22).contains(&times), "{times}");
}

/// The places of a node that has no more belong to those who need one now. (Each that was given
/// back went to the next client that had no use for it.)
#[tokio::test(start_paused = true)]
async fn a_node_that_has_no_room_is_left_alone_for_minutes() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    sleep(LONG).await;
    let before = stage.dialled("n3");
    stage.crowd("n3");
    sleep(Duration::from_secs(240)).await;
    assert_eq!(stage.dialled("n3") - before, 1);
    stage.start("n3");
    sleep(Duration::from_secs(480)).await;
    assert_eq!(stage.dialled("n3") - before, 2, "there is room again");
    // The pauses are the ordinary ones from then on.
    stage.kill("n3");
    stage.start("n3");
    sleep(LONG).await;
    assert_eq!(stage.dialled("n3") - before, 3);
}

/// Whoever needs it tries, and does not wait for the minutes to pass.
#[tokio::test(start_paused = true)]
async fn a_node_that_had_no_room_is_asked_when_it_leads() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.crowd("n3");
    sleep(LONG).await;
    stage.start("n3");
    stage.lead(Some("n3"));
    let began = Instant::now();
    client.kv().put("a", "2").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
}

/// When it stands, what went wrong before is over, and a failure is the first again. (Whoever
/// needed the node then was turned away for as long as after the last of many.)
#[tokio::test(start_paused = true)]
async fn a_connection_made_ahead_ends_the_rest_after_failures() {
    let stage = Stage::new();
    stage.kill("n3");
    let client = stage.client().await;
    let (n3, wire) = (client.core.route.node(2), &client.core.route.wire);
    for _ in 0..9 {
        assert!(n3.line(wire).await.is_err());
        sleep(Duration::from_secs(1)).await;
    }
    stage.start("n3");
    n3.stand_by(wire).await;
    assert!(n3.line(wire).await.is_ok());
    stage.kill("n3");
    assert!(n3.line(wire).await.is_err());
    stage.start("n3");
    sleep(Duration::from_millis(25)).await;
    assert!(n3.line(wire).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_dialled_for_a_client_that_is_gone() {
    for closed in [true, false] {
        let stage = Stage::new();
        let client = without_n3(&stage).await;
        sleep(LONG).await;
        let route = std::sync::Arc::downgrade(&client.core.route);
        if closed {
            client.close().await;
        } else {
            drop(client);
        }
        sleep(Duration::from_millis(1)).await;
        assert!(closed || route.upgrade().is_none(), "it is kept alive");
        let before = dialled(&stage);
        for node in NODES {
            stage.kill(node);
            stage.start(node);
        }
        sleep(LONG).await;
        assert_eq!(dialled(&stage), before);
    }
}
