//! A node sleeps through more than the others' logs remember, and comes back by a snapshot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;

use synod_client::{Client, Config, machine::door::NodeStatus};
use synod_integration::{Cluster, Options};
use tokio::{runtime::Runtime, task::JoinSet};

/// Commands that the node sleeps through.
const PUTS: u64 = 200_000;
const AT_ONCE: u64 = 256;

/// Snapshots so often that the log reaches back for seconds only.
const OFTEN: &str = "\n[snapshots]\nevery_bytes = 262144\ntail_slots = 16\n";

/// Each put is a command of its own, each client puts one after the other.
async fn put_many(client: &Client, puts: u64) {
    let mut clients = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = client.clone();
        clients.spawn(async move {
            for number in (first..puts).step_by(AT_ONCE as usize) {
                let key = format!("key/{:05}", number % 10_007);
                client.kv().put(key, number.to_string()).await.unwrap();
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
}

fn status(runtime: &Runtime, client: &Client, node: &str) -> Option<NodeStatus> {
    runtime.block_on(client.status(node)).ok()
}

#[test]
fn a_node_that_slept_through_everything_comes_back_with_the_same_state() {
    let mut cluster = Cluster::init(&Options::default());
    for name in ["n1", "n2", "n3"] {
        let config = cluster.config(name);
        let mut file = std::fs::OpenOptions::new().append(true).open(config).unwrap();
        file.write_all(OFTEN.as_bytes()).unwrap();
        cluster.start_node(name);
    }
    let leader = cluster.await_leader();
    let sleeper = ["n1", "n2", "n3"].into_iter().find(|name| *name != leader).unwrap();
    let runtime = Runtime::new().unwrap();
    let config = Config::load(cluster.config("client").as_ref()).unwrap();
    let client = runtime.block_on(Client::connect(config)).unwrap();
    let slept_from = status(&runtime, &client, sleeper).unwrap().chosen_slot;
    cluster.process(sleeper).signal("STOP");
    runtime.block_on(put_many(&client, PUTS));
    cluster.eventually("the log of the leader begins after what the sleeper knows", || {
        status(&runtime, &client, &leader).is_some_and(|at| at.trimmed_slot > slept_from)
    });
    cluster.process(sleeper).signal("CONT");
    cluster.eventually("the sleeper has a snapshot of what it slept through", || {
        status(&runtime, &client, sleeper).is_some_and(|at| at.snapshot_slot > slept_from)
    });
    // Digests are compared at some slots only: until the sleeper has passed such a one, something
    // must go on.
    cluster.eventually("the sleeper's state is compared with the others'", || {
        runtime.block_on(put_many(&client, AT_ONCE * 4));
        let states = [&leader, sleeper].map(|node| status(&runtime, &client, node));
        let [Some(here), Some(there)] = states else { return false };
        let same = |at: &(u64, u64)| at.0 > slept_from && here.state_hashes.contains(at);
        there.state_hashes.iter().any(same)
    });
    for node in ["n1", "n2", "n3"] {
        let differed = status(&runtime, &client, node).map(|status| status.hashes_differed);
        assert_eq!(differed, Some(0), "{node}");
    }
    runtime.block_on(client.close());
}
