//! A shard as a process of its own: what it promised outlives whatever is killed, and nobody takes
//! its place by mistake.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, time::Duration};

use synod_client::{
    Client, Config, Error, Outcome, Why,
    machine::{Mutation, branch::Work, door::NotApplied},
};
use synod_integration::{Cluster, Options, run};

fn one_node_and_east() -> Cluster {
    let options = Options { nodes: 1, participants: vec!["east"] };
    let mut cluster = Cluster::start(&options);
    cluster.start_shard("east");
    cluster
}

fn shard_args(cluster: &Cluster) -> Vec<String> {
    let place = cluster.path("c/east-shard").display().to_string();
    let args = ["shard", "--name", "east", "--data", &place, "-c", &cluster.config("east")];
    args.map(str::to_owned).to_vec()
}

/// Another store under a shard's name has promised nothing of what the shard has: somebody lost a
/// disk, or mistyped a directory. It is refused with both ways out, and let in when a person says
/// so.
#[test]
fn a_shard_on_another_store_is_refused_until_a_person_says_so() {
    let mut cluster = one_node_and_east();
    cluster.kill("east");
    fs::remove_dir_all(cluster.path("c/east-shard")).unwrap();
    let args = shard_args(&cluster);
    let refused = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_ne!(refused.code, 0);
    for way_out in ["another store", "--data", "replaces_lost_store = true"] {
        assert!(refused.stderr.contains(way_out), "{}", refused.stderr);
    }
    let config = cluster.config("east");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[shard]\nreplaces_lost_store = true\n")).unwrap();
    cluster.start_shard("east");
}

/// *Transactions* §5, "participant restarts with prepared branch": a vote outlives its shard and
/// the whole cluster; the shard answers while there is no quorum; and the branch ends by its
/// verdict.
#[test]
fn a_vote_outlives_the_shard_and_the_cluster() {
    let mut cluster = one_node_and_east();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        Client::connect(config).await.unwrap().within(Duration::from_secs(30))
    });
    let put = Mutation::Put { key: "a".into(), value: "1".into() };
    let work = Work { guards: Vec::new(), mutations: vec![put] };
    let prepared = runtime.block_on(client.txn().ask("east", work).prepare()).unwrap();
    let txn = prepared.id();
    assert_eq!(prepared.refused(), None);

    cluster.kill("n1");
    let east = client.shard("east");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), [txn], "it answers without a cluster");
    assert_eq!(runtime.block_on(east.stale().get("a")).unwrap(), None);
    // It may have committed, for all that the shard knows: whoever wants to see what has waits.
    let hasty = client.within(Duration::from_secs(3)).shard("east");
    let error = runtime.block_on(hasty.get("a")).unwrap_err();
    let locked = Why::Node(NotApplied::Locked { by: txn });
    assert!(matches!(&error, Error::NotApplied { why } if *why == locked), "{error}");
    assert_eq!(runtime.block_on(hasty.get("b")).unwrap(), None, "nobody holds it");

    cluster.kill("east");
    cluster.start_node("n1");
    cluster.start_shard("east");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), [txn], "it remembers its vote");

    let outcome = runtime.block_on(prepared.decide()).unwrap();
    assert_eq!(outcome, Outcome::Committed { txn });
    // Whoever was told "committed" finds it, however late the shard hears of it.
    let entry = runtime.block_on(east.get("a")).unwrap().unwrap();
    assert_eq!(entry.value, "1");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), []);
}
