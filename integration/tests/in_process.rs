//! `synod_client::testing`: a cluster in the process of a user's test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use synod_client::{
    Error, Locked,
    net::Role,
    testing::{Cluster, ClusterError},
};

/// What a user's test does: it takes a lock, ends the node that leads, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_test_has_a_cluster_and_takes_nodes_away_from_it() {
    let mut cluster = Cluster::start(3).await.unwrap();
    assert_eq!(cluster.nodes(), ["n1", "n2", "n3"]);
    let client = cluster.client().await.unwrap().within(Duration::from_secs(60));
    let locked = client.lock("nightly").await.unwrap();
    let Locked::Held(guard) = locked else { panic!("nobody else asks for it: {locked:?}") };
    let at = client.kv().put("epoch", "7").await.unwrap();
    for _ in 0..3 {
        let leader = client.leader().await.unwrap();
        cluster.crash(&leader).await.unwrap();
        let told = cluster.crash(&leader).await.unwrap_err();
        assert!(matches!(told, ClusterError::NoSuchNode { .. }), "{told}");
        let entry = client.kv().get("epoch").await.unwrap().unwrap();
        assert_eq!((&entry.value[..], entry.modified), (&b"7"[..], at));
        cluster.restart(&leader).await.unwrap();
    }
    let fenced = client.kv().multi().require_held(&guard).put("last", "today").await.unwrap();
    assert!(matches!(fenced, synod_client::Multi::Done { .. }), "{fenced:?}");
    guard.release().await.unwrap();
    cluster.stop().await.unwrap();
}

/// A role is what a certificate says; and two clusters in one process know nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_of_one_process_are_apart_and_clients_have_roles() {
    let (one, other) = (Cluster::start(1).await.unwrap(), Cluster::start(1).await.unwrap());
    let writer = one.client_as("writer", Role::Write).await.unwrap();
    writer.kv().put("here", "1").await.unwrap();
    let reader = one.client_as("reader", Role::Read).await.unwrap();
    assert!(reader.kv().get("here").await.unwrap().is_some());
    let refused = reader.kv().put("here", "2").await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    let there = other.client().await.unwrap();
    assert!(there.kv().get("here").await.unwrap().is_none());
    assert!(Cluster::start(2).await.is_err(), "two nodes are no cluster");
}
