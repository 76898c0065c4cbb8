//! What clients see while nodes end and come back.

use std::time::Duration;

use bytes::Bytes;
use synod_machine::{
    Command,
    door::{Freshness, NotApplied, Said},
};
use synod_net::Role;
use tokio::time::{Instant, timeout};

use crate::{
    asker::read,
    world::{PATIENCE, World},
};

/// P1: an acknowledged write survives a crash of every node at once.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_all_nodes_crashed() {
    let mut world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "7").await;
    for id in 1..=3 {
        world.crash(id).await;
    }
    for id in 1..=3 {
        world.start(id).await;
    }
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"7"[..]));
}

/// A node that was away learns what it missed.
#[tokio::test]
async fn a_node_that_comes_back_catches_up() {
    let mut world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "1").await;
    let away = client.leader().await % 3 + 1;
    world.stop(away).await.unwrap();
    for value in 2..=20 {
        client.put("epoch", &value.to_string()).await;
    }
    world.start(away).await;
    client.wait_for(&format!("n{away}"), "epoch", "20").await;
}

/// P4: the death of the leader is survived, and what it acknowledged stands.
#[tokio::test]
async fn another_node_takes_over_when_the_leader_crashes() {
    let mut world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "7").await;
    let old = client.leader().await;
    world.crash(old).await;
    client.put("after", "8").await;
    let new = client.leader().await;
    assert_ne!(new, old);
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"7"[..]));
    let status = client.status(&format!("n{new}")).await;
    assert!(status.takeover_us > 0, "the takeover was not measured");
    assert!(status.leading_for_us > 0);
}

/// How long a call waits that nobody can answer.
const WITHIN_MS: u32 = 300;

/// P5: without a quorum a request ends by its deadline in a typed refusal; with one, service
/// resumes by itself.
#[tokio::test]
async fn without_a_quorum_requests_are_refused_by_their_deadline_until_it_is_back() {
    let mut world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "7").await;
    let left = client.leader().await;
    let gone = [left % 3 + 1, (left + 1) % 3 + 1];
    for id in gone {
        world.crash(id).await;
    }
    let survivor = format!("n{left}");
    let put = Command::Put { key: Bytes::from("epoch"), value: Bytes::from("8") };
    let call = client.prepare(put).await;
    let slack = Duration::from_secs(2);
    let by = Duration::from_millis(u64::from(WITHIN_MS)) + slack;
    for _ in 0..3 {
        let said = timeout(by, client.ask_within(&survivor, call.clone(), WITHIN_MS))
            .await
            .unwrap()
            .unwrap();
        assert!(
            matches!(said, Said::NotApplied(_) | Said::Unknown | Said::NotLeader { .. }),
            "{said:?}"
        );
    }
    let read = read("epoch", Freshness::Linearizable);
    let read = client.ask_within(&survivor, read, WITHIN_MS).await.unwrap();
    assert!(matches!(read, Said::NotApplied(_) | Said::NotLeader { .. }), "{read:?}");
    assert_eq!(client.stale(&survivor, "epoch").await.as_deref(), Some(&b"7"[..]));
    world.start(gone[0]).await;
    assert!(matches!(client.ask_leader(call).await, Said::Reply(_)));
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"8"[..]));
}

/// Security §7: a node that is told to stop ends in time, and the others go on.
#[tokio::test]
async fn a_stopped_leader_leaves_the_cluster_serving() {
    let mut world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "7").await;
    let leader = client.leader().await;
    let began = Instant::now();
    timeout(PATIENCE, world.stop(leader)).await.unwrap().unwrap();
    assert!(began.elapsed() < PATIENCE);
    client.put("epoch", "8").await;
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"8"[..]));
}

/// Heartbeats so slow that whoever is not called takes long to campaign: about a second by chance.
const SLOW: &str = "[timing]\nheartbeat_ms = 2000\nsuspect_min_ms = 2000\nsuspect_max_ms = 4000\n";

/// A leader that is told to stop hands its lead over: when it has ended another leads already. It
/// is tried again where the machine is too busy for the one that was called to win in time.
#[tokio::test]
async fn a_leader_that_is_told_to_stop_hands_over() {
    let mut world = World::prepared(3);
    for id in 1..=3 {
        world.start_with(id, SLOW).await;
    }
    let mut client = world.client("app", Role::Write);
    for _ in 0..2 {
        client.put("epoch", "7").await;
        let leader = client.leader().await;
        timeout(PATIENCE, world.stop(leader)).await.unwrap().unwrap();
        for other in [leader % 3 + 1, (leader + 1) % 3 + 1] {
            if client.status(&format!("n{other}")).await.role == "leader" {
                return;
            }
        }
        world.start_with(leader, SLOW).await;
    }
    panic!("a leader ended and nobody had been called");
}

/// What waits for news at a stopping node is told at once that it stops.
#[tokio::test]
async fn a_call_that_waits_is_told_when_the_node_stops() {
    let mut world = World::running(1).await;
    let mut east = world.client("east", Role::Participant);
    let attend = synod_machine::door::Call::Attend {
        participant: synod_machine::ParticipantName::new("east"),
        in_doubt: vec![synod_machine::TxnId { session: synod_machine::SessionId::new(1), n: 1 }],
        finished: Vec::new(),
    };
    let waits = tokio::spawn(async move { east.ask_within("n1", attend, 60_000).await });
    world.wait_in_flight(1, 1).await;
    world.stop(1).await.unwrap();
    let said = waits.await.unwrap().unwrap();
    assert_eq!(said, Said::NotApplied(NotApplied::Stopping));
}
