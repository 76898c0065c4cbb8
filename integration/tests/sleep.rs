//! A node sleeps through more than the others' logs remember, and comes back by a snapshot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{io::Write as _, sync::Arc};

use synod_client::{Client, Config, machine::door::NodeStatus};
use synod_integration::{Cluster, Options};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet};

/// Puts that the node sleeps through, unless the environment says how many: each multi is one
/// command of the log, each put in it one of the machine.
const PUTS: u64 = 50_000;
const PUTS_VARIABLE: &str = "SYNOD_SLEEP_PUTS";
const PUTS_OF_A_MULTI: u64 = 100;
const MULTIS_AT_ONCE: usize = 16;

/// Snapshots so often that the log reaches back for seconds only.
const OFTEN: &str = "\n[snapshots]\nevery_bytes = 262144\ntail_slots = 16\n";

async fn put_many(client: &Client, puts: u64) {
    let room = Arc::new(Semaphore::new(MULTIS_AT_ONCE));
    let mut multis = JoinSet::new();
    for first in (0..puts).step_by(PUTS_OF_A_MULTI as usize) {
        let turn = Arc::clone(&room).acquire_owned().await.unwrap();
        let client = client.clone();
        multis.spawn(async move {
            let mut multi = client.kv().multi();
            for number in first..first + PUTS_OF_A_MULTI {
                multi = multi.put(format!("key/{:05}", number % 10_007), number.to_string());
            }
            multi.await.unwrap();
            drop(turn);
        });
        while let Some(done) = multis.try_join_next() {
            done.unwrap();
        }
    }
    while let Some(done) = multis.join_next().await {
        done.unwrap();
    }
}

fn status(runtime: &Runtime, client: &Client, node: &str) -> Option<NodeStatus> {
    runtime.block_on(client.status(node)).ok()
}

#[test]
fn a_node_that_slept_through_everything_comes_back_with_the_same_state() {
    let puts = std::env::var(PUTS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(PUTS);
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
    runtime.block_on(put_many(&client, puts));
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
        runtime.block_on(put_many(&client, PUTS_OF_A_MULTI * 64));
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
