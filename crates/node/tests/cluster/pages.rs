//! The health and metrics pages.

use std::net::SocketAddr;

use synod_net::Role;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::world::{PATIENCE, World};

/// Sends bytes as they are; returns all that comes back.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A page that closes early may reset the connection; what came before counts.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    exchange(address, request.as_bytes()).await
}

/// Operations §7.1: alive at once, ready when a leader serves, on followers too.
#[tokio::test]
async fn a_healthy_node_is_alive_and_ready() {
    let world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "7").await;
    for id in 1..=3 {
        client.wait_for(&format!("n{id}"), "epoch", "7").await;
        let page = world.node(id).http_address();
        assert!(get(page, "/livez").await.starts_with("HTTP/1.1 200"));
        let ready = get(page, "/readyz?verbose").await;
        assert!(ready.starts_with("HTTP/1.1 200"), "n{id}: {ready}");
        for check in ["quorum", "local_read", "linearizable_read", "state_hash", "certificate"] {
            assert!(ready.contains(&format!("[+] {check} ok")), "{ready}");
        }
    }
}

/// A node that hears no leader says so, by the name of the check, and can leave that check out.
#[tokio::test]
async fn a_node_without_a_quorum_is_alive_and_not_ready() {
    let mut world = World::prepared(3);
    world.start(1).await;
    let page = world.node(1).http_address();
    assert!(get(page, "/livez").await.starts_with("HTTP/1.1 200"));
    let ready = get(page, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("[-] quorum failed: fewer nodes than a quorum"), "{ready}");
    assert!(ready.contains("[-] linearizable_read failed"), "{ready}");
    let without = get(page, "/readyz?exclude=quorum&exclude=linearizable_read").await;
    assert!(without.starts_with("HTTP/1.1 200"), "{without}");
    assert!(get(page, "/readyz?exclude=quorom").await.starts_with("HTTP/1.1 400"));
}

/// Operations §7.1: the metrics tell what has happened, and name no client and no key.
#[tokio::test]
async fn metrics_tell_what_has_happened() {
    let world = World::running(1).await;
    let mut client = world.client("secret-app", Role::Write);
    client.put("secret-key", "secret-value").await;
    client.get("secret-key").await;
    let text = get(world.node(1).http_address(), "/metrics").await;
    assert!(text.contains("application/openmetrics-text"), "{text}");
    assert!(text.contains("synod_is_leader 1\n"), "{text}");
    assert!(text.contains("synod_sessions 1\n"), "{text}");
    assert!(text.contains("op=\"submit\",result=\"done\""), "{text}");
    assert!(text.contains("op=\"read\",result=\"done\""), "{text}");
    let syncs =
        text.lines().find(|line| line.starts_with("synod_store_sync_duration_seconds_count"));
    let count: u64 = syncs.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count > 0, "{text}");
    let stages: Vec<u64> = ["queue", "sync", "quorum", "apply"]
        .map(|stage| {
            let name = format!("synod_commit_stage_duration_seconds_count{{stage=\"{stage}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&name));
            line.unwrap_or_else(|| panic!("no {stage}: {text}")).parse().unwrap()
        })
        .to_vec();
    assert!(stages.iter().all(|count| *count > 0), "{stages:?}");
    assert!(text.contains("synod_txn_oldest_seconds 0.0\n"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

/// Security §8, HTTP: what is no request is refused, and the next honest one is served.
#[tokio::test]
async fn nonsense_is_refused_and_the_next_request_served() {
    let world = World::running(1).await;
    let page = world.node(1).http_address();
    let long =
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    assert!(exchange(page, long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let bad = [
        (&b"\x16\x03\x01 not http\r\n\r\n"[..], "400"),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\n folded: b\r\nconnection: close\r\n\r\n", "400"),
        (
            b"POST /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "405",
        ),
        (b"GET /../etc/passwd HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "404"),
    ];
    for (request, status) in bad {
        let answer = exchange(page, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}");
    }
    assert!(get(page, "/livez").await.starts_with("HTTP/1.1 200"));
}

/// Security §4: past the limit of connections a new one is turned away, and the old ones live.
#[tokio::test]
async fn connections_past_the_limit_are_turned_away() {
    let mut world = World::prepared(1);
    world.start_with(1, "[http]\nconnections_max = 1\n").await;
    let page = world.node(1).http_address();
    let mut first = TcpStream::connect(page).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    timeout(PATIENCE, first.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    assert!(get(page, "/livez").await.starts_with("HTTP/1.1 503"));
    world.stop(1).await.unwrap();
}
