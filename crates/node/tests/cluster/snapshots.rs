//! The log's life on real disks and over a real mesh: snapshots, trimming, and catching up.

use std::fs;

use synod_net::Role;
use tokio::time::{Duration, Instant, sleep};

use crate::{
    asker::Asker,
    world::{PATIENCE, World},
};

/// Snapshots so often that a few hundred puts make many.
const OFTEN: &str = "[snapshots]\nevery_bytes = 4096\ntail_slots = 0\n";

async fn running_often(count: usize) -> World {
    let mut world = World::prepared(count);
    for id in 1..=count {
        world.start_with(id, OFTEN).await;
    }
    world
}

async fn put_many(client: &mut Asker, first: usize, last: usize) {
    for number in first..=last {
        client.put(&format!("key/{:04}", number % 97), &format!("value of {number}")).await;
    }
}

/// Puts more than the nodes keep of the log in memory, so that what came before is on disk or gone.
async fn put_past_memory(client: &mut Asker) {
    let large = "x".repeat(100_000);
    for _ in 0..60 {
        client.put("large", &large).await;
    }
}

/// Waits until the log of a node begins after `slot`; where it begins.
async fn wait_trimmed(client: &mut Asker, node: &str, slot: u64) -> u64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = client.status(node).await;
        if status.trimmed_slot > slot {
            assert!(status.trimmed_slot <= status.snapshot_slot, "{status:?}");
            return status.trimmed_slot;
        }
        assert!(Instant::now() < until, "{node} never trims above {slot}: {status:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A lone node trims its log below its own snapshots, keeps two of them, and starts from them.
#[tokio::test]
async fn a_lone_node_trims_and_starts_from_its_snapshot() {
    let mut world = running_often(1).await;
    let mut client = world.client("app", Role::Write);
    put_many(&mut client, 1, 200).await;
    let trimmed = wait_trimmed(&mut client, "n1", 0).await;
    world.crash(1).await;
    let names = fs::read_dir(world.dir.path().join("n1")).unwrap();
    let named = |name: &str| name.starts_with("snapshot-") && name.len() == "snapshot-".len() + 20;
    let snapshots = names.filter(|entry| {
        entry.as_ref().is_ok_and(|entry| named(&entry.file_name().to_string_lossy()))
    });
    // Two, or one more that was about to go.
    let count = snapshots.count();
    assert!((2..=3).contains(&count), "{count} snapshots stand");
    world.start_with(1, OFTEN).await;
    assert_eq!(client.get("key/0006").await.as_deref(), Some(&b"value of 200"[..]));
    assert!(client.status("n1").await.trimmed_slot >= trimmed);
}

/// A node that was away for longer than the log of the others reaches back is sent a snapshot, and
/// its state is theirs.
#[tokio::test]
async fn a_node_that_was_away_for_long_is_sent_a_snapshot() {
    let mut world = running_often(3).await;
    let mut client = world.client("app", Role::Write);
    put_many(&mut client, 1, 20).await;
    let leader = client.leader().await;
    let away = leader % 3 + 1;
    let missed = client.status(&format!("n{away}")).await.chosen_slot;
    world.stop(away).await.unwrap();
    put_many(&mut client, 21, 300).await;
    put_past_memory(&mut client).await;
    for id in (1..=3).filter(|id| *id != away) {
        wait_trimmed(&mut client, &format!("n{id}"), missed + 1).await;
    }
    world.start_with(away, OFTEN).await;
    let node = format!("n{away}");
    client.wait_for(&node, "key/0009", "value of 300").await;
    let status = client.status(&node).await;
    assert!(status.snapshot_slot > missed, "it came back by the log: {status:?}");
    // The next digests are compared by every node with every other.
    put_many(&mut client, 301, 500).await;
    client.wait_for(&node, "key/0015", "value of 500").await;
    for id in 1..=3 {
        let status = client.status(&format!("n{id}")).await;
        assert_eq!(status.hashes_differed, 0, "{status:?}");
        assert!(status.hashes_agreed > 0, "{status:?}");
    }
}

/// A node all of whose snapshots are damaged fetches one from a peer; its votes are in its log.
#[tokio::test]
async fn a_node_that_lost_its_snapshots_fetches_one() {
    let mut world = running_often(3).await;
    let mut client = world.client("app", Role::Write);
    put_many(&mut client, 1, 200).await;
    let leader = client.leader().await;
    let unlucky = leader % 3 + 1;
    let node = format!("n{unlucky}");
    wait_trimmed(&mut client, &node, 0).await;
    world.stop(unlucky).await.unwrap();
    for entry in fs::read_dir(world.dir.path().join(&node)).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snapshot-")) {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    world.start_with(unlucky, OFTEN).await;
    put_many(&mut client, 201, 210).await;
    client.wait_for(&node, "key/0016", "value of 210").await;
}
