//! What a node refuses to start with.

use std::net::TcpListener;

use synod_net::{NetError, Who};
use synod_node::{ConfigError, Fault, Node, NodeError};
use synod_store::StoreError;

use crate::world::{World, name};

async fn refused(world: &World, text: &str) -> NodeError {
    match Node::start(world.parse(text)).await {
        Err(error) => error,
        Ok(_) => panic!("it started"),
    }
}

/// Security §7: one directory, one process.
#[tokio::test]
async fn a_second_node_on_one_directory_is_refused() {
    let world = World::running(1).await;
    let error = refused(&world, &world.toml(1)).await;
    assert!(matches!(error, NodeError::Store(StoreError::InUse { .. })), "{error}");
    assert_eq!(error.fault(), Fault::Usage);
    assert!(error.hint().unwrap().contains("node.data"));
}

/// A directory that was let go can be opened again at once.
#[tokio::test]
async fn a_directory_is_free_when_stop_or_crash_has_returned() {
    let mut world = World::prepared(1);
    world.start(1).await;
    world.stop(1).await.unwrap();
    world.start(1).await;
    world.crash(1).await;
    world.start(1).await;
}

/// Consensus §9: an empty directory is never formatted by a start.
#[tokio::test]
async fn a_missing_store_is_not_made_by_a_start() {
    let world = World::prepared(3);
    std::fs::remove_dir_all(world.dir.path().join("n1")).unwrap();
    let error = refused(&world, &world.toml(1)).await;
    assert!(matches!(error, NodeError::Store(StoreError::Missing { .. })), "{error}");
    assert!(!world.dir.path().join("n1").exists());
}

/// Security §8: the directory of another node, and of another cluster.
#[tokio::test]
async fn the_store_of_another_node_or_cluster_is_refused() {
    let world = World::prepared(3);
    let other_node = world.toml(1).replace("data = \"n1\"", "data = \"n2\"");
    let error = refused(&world, &other_node).await;
    assert!(matches!(error, NodeError::Store(StoreError::Foreign { .. })), "{error}");
    assert_eq!(error.fault(), Fault::Identity);
    let other_cluster = world.toml(1).replace("cluster_id = \"5e", "cluster_id = \"5f");
    let error = refused(&world, &other_cluster).await;
    assert!(matches!(error, NodeError::Store(StoreError::Foreign { .. })), "{error}");
}

/// Security §8: node n2's certificate on n1, and a client's.
#[tokio::test]
async fn the_certificate_of_somebody_else_is_refused() {
    let world = World::prepared(3);
    let others = world.toml(1).replace("n1.crt", "n2.crt").replace("n1.key", "n2.key");
    let error = refused(&world, &others).await;
    assert!(matches!(&error, NodeError::Config(ConfigError::ForeignCertificate { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains("certificate of node n2 of cluster eu"), "{text}");
    assert_eq!(error.fault(), Fault::Identity);
    world.issue("app", Who::Client { name: name("app"), role: synod_net::Role::Admin });
    let clients = world.toml(1).replace("n1.crt", "app.crt").replace("n1.key", "app.key");
    let error = refused(&world, &clients).await;
    assert!(error.to_string().contains("certificate of client app"), "{error}");
}

/// Security §8: port taken; QUIC's and the page's.
#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let mut world = World::prepared(3);
    world.start(1).await;
    let (own, other) = (world.address(2), world.address(1));
    let listen = format!("listen = \"{own}\"");
    let taken = world.toml(2).replace(&listen, &format!("listen = \"{other}\""));
    let error = refused(&world, &taken).await;
    assert!(matches!(error, NodeError::Net(NetError::PortTaken { .. })), "{error}");
    let page = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = page.local_addr().unwrap();
    let taken = format!("{}[http]\nlisten = \"{address}\"\n", world.toml(3));
    let error = refused(&world, &taken).await;
    assert!(matches!(error, NodeError::Http { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()));
}

/// A start that was refused has left nothing running: the next one succeeds.
#[tokio::test]
async fn a_refused_start_lets_go_of_the_directory() {
    let mut world = World::prepared(1);
    let page = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = page.local_addr().unwrap();
    refused(&world, &format!("{}[http]\nlisten = \"{address}\"\n", world.toml(1))).await;
    world.start(1).await;
}
