use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Alone, PATIENCE, all};
use crate::{Cut, Limits};

/// Longer than a busy machine keeps an honest caller waiting.
const SOON: Duration = Duration::from_secs(1);

/// Patient: what is refused here is not refused for being slow.
fn limits() -> Limits {
    Limits {
        header_within: PATIENCE,
        body_within: PATIENCE,
        write_within: PATIENCE,
        ..Limits::new(1_000)
    }
}

/// It says how long it is, and that is enough: nothing of it is read, and nothing is waited for.
#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let alone = Alone::open(limits()).await;
    for (ask, length) in [
        ("PUT /v1/kv/a", (1 << 20) + 1),
        ("POST /v1/leases", (64 << 10) + 1),
        ("GET /v1/kv/a", 1),
        ("PUT /v1/kv/a", 1_000_000_000_000_u64),
    ] {
        let kind = if ask.contains("kv") { "octet-stream" } else { "json" };
        let headers = format!("Content-Type: application/{kind}\r\nContent-Length: {length}\r\n");
        assert_eq!(alone.status(alone.request(ask, &headers)).await, Some(413), "{ask} {length}");
    }
    alone.serves().await;
}

/// Whoever sends all of it before it listens is told all the same.
#[tokio::test]
async fn a_caller_that_sends_what_was_refused_hears_why() {
    let alone = Alone::open(limits()).await;
    let rest = "Content-Length: 8000000\r\n";
    let head = alone.request("PUT /v1/kv/a", rest);
    for _ in 0..8 {
        let mut stream = alone.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'v'; 8_000_000]).await.unwrap();
        let said = all(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    }
    alone.serves().await;
}

#[tokio::test]
async fn a_header_that_is_too_long_is_refused() {
    let alone = Alone::open(limits()).await;
    let long = format!("X: {}\r\n", "x".repeat(17 << 10));
    assert_eq!(alone.status(alone.request("GET /v1/kv/a", &long)).await, Some(431));
    let long = format!("/v1/kv/{}", "k".repeat(17 << 10));
    let status = alone.status(alone.request(&format!("GET {long}"), "")).await;
    assert!(matches!(status, Some(414 | 431)), "{status:?}");
    alone.serves().await;
}

#[tokio::test]
async fn a_header_that_drips_is_cut_off() {
    let alone = Alone::open(Limits { header_within: SOON, ..limits() }).await;
    let mut stream = alone.connect().await;
    stream.write_all(b"GET /v1/kv/a HTTP/1.1\r\nHos").await.unwrap();
    assert_eq!(all(&mut stream).await, "");
    assert_eq!(alone.counted.of(Cut::Slow), 1);
    alone.serves().await;
}

/// Whoever says nothing is closed and does not count: it may be between two requests.
#[tokio::test]
async fn a_connection_that_is_silent_is_closed() {
    let alone = Alone::open(Limits { header_within: SOON, ..limits() }).await;
    let mut stream = alone.connect().await;
    assert_eq!(all(&mut stream).await, "");
    let head = alone.request("GET /v1/nothing", "").replace("Connection: close\r\n", "");
    let said = alone.said(head).await;
    assert!(said.starts_with("HTTP/1.1 404"), "{said}");
    assert_eq!(alone.counted.of(Cut::Slow), 0);
    alone.serves().await;
}

#[tokio::test]
async fn a_body_that_drips_is_told_so_and_cut_off() {
    let alone = Alone::open(Limits { body_within: SOON, ..limits() }).await;
    let mut stream = alone.connect().await;
    let head = alone.request("PUT /v1/kv/a", "Content-Length: 1000\r\n");
    stream.write_all(format!("{head}only this").as_bytes()).await.unwrap();
    let said = all(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("\"slow\""), "{said}");
    assert_eq!(alone.counted.of(Cut::Slow), 1);
    alone.serves().await;
}

/// Nothing is done of half a request.
#[tokio::test]
async fn a_body_that_ends_too_early_is_no_request() {
    let alone = Alone::open(limits()).await;
    let mut stream = alone.connect().await;
    let head = alone.request("PUT /v1/kv/a", "Content-Length: 1000\r\n");
    stream.write_all(format!("{head}only this").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let said = all(&mut stream).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    alone.serves().await;
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused() {
    let alone = Alone::open(limits()).await;
    for (ask, kind) in [
        ("PUT /v1/kv/a", "Content-Type: application/x-www-form-urlencoded\r\n"),
        ("POST /v1/leases", "Content-Type: text/plain\r\n"),
        ("POST /v1/leases", ""),
        ("POST /v1/kv:multi", "Content-Type: application/octet-stream\r\n"),
    ] {
        let head = alone.request(ask, &format!("{kind}Content-Length: 2\r\n"));
        assert_eq!(alone.status(format!("{head}{{}}")).await, Some(415), "{ask} {kind}");
    }
    let charset = "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n";
    let head = alone.request("POST /v1/leases", charset);
    assert_eq!(alone.status(format!("{head}{{}}")).await, Some(503));
}

/// RFC 9112 §3.2, §5.2, §6.3: what two readers could read in two ways, nobody here reads.
#[tokio::test]
async fn what_smuggles_is_refused_and_nothing_behind_it_is_heard() {
    let alone = Alone::open(limits()).await;
    let host = format!("Host: {}\r\n", alone.address);
    let behind = format!("GET /v1/kv/smuggled HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    let put = format!("PUT /v1/kv/a HTTP/1.1\r\n{host}");
    for (text, statuses) in [
        (
            format!("{put}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
            &[400, 411][..],
        ),
        (format!("{put}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), &[411]),
        (format!("{put}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), &[400, 411]),
        (format!("{put}Content-Length: 0\r\nContent-Length: 5\r\n\r\n"), &[400]),
        (format!("{put}Content-Length: +5\r\n\r\nhello"), &[400]),
        (format!("{put}{host}Content-Length: 0\r\n\r\n"), &[400]),
        (format!("PUT http://evil.example/v1/kv/a HTTP/1.1\r\n{host}\r\n"), &[400]),
        ("PUT /v1/kv/a HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        (format!("{put}X: a\r\n folded\r\n\r\n"), &[]),
        (format!("{put}X: a\nContent-Length: 0\r\n\r\n"), &[]),
        (format!("{put}X : a\r\n\r\n"), &[400]),
    ] {
        let said = alone.said(format!("{text}{behind}")).await;
        let answers: Vec<u16> = said
            .split("HTTP/1.1 ")
            .skip(1)
            .filter_map(|answer| answer.split(' ').next()?.parse().ok())
            .collect();
        assert!(answers.len() <= 1, "{text:?}: {said}");
        match statuses {
            [] => assert!(answers.is_empty(), "{text:?}: {said}"),
            _ => {
                assert!(answers.iter().all(|status| statuses.contains(status)), "{text:?}: {said}")
            }
        }
        assert!(!answers.is_empty() || statuses.is_empty(), "{text:?} was not answered");
    }
    alone.serves().await;
}

/// A page of somebody else's, in a browser on this machine.
#[tokio::test]
async fn a_browser_that_was_led_here_is_refused() {
    let alone = Alone::open(limits()).await;
    let port = alone.address.port();
    let rebound = format!("PUT /v1/kv/a HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n");
    assert_eq!(alone.status(rebound).await, Some(421));
    let foreign = alone.request("PUT /v1/kv/a", "Origin: https://evil.example\r\n");
    assert_eq!(alone.status(foreign).await, Some(403));
    let fetched = alone.request("GET /v1/kv/a", "Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(alone.status(fetched).await, Some(403));
    alone.serves().await;
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away_and_the_next_is_served() {
    let alone = Alone::open(Limits { connections_max: 2, ..limits() }).await;
    let mut held = vec![alone.connect().await, alone.connect().await];
    for stream in &mut held {
        // Answered, so that the door has let it in.
        let head = alone.request("GET /v1/kv/a", "").replace("Connection: close\r\n", "");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.read_u8().await.unwrap();
    }
    let said = all(&mut alone.connect().await).await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert_eq!(alone.counted.of(Cut::Connections), 1);
    drop(held);
    // Until the door has seen that they went.
    while !alone.said(alone.request("GET /v1/nothing", "")).await.contains("404") {}
}

#[tokio::test]
async fn random_bytes_are_no_request() {
    let alone = Alone::open(limits()).await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0\0", b"GET\r\n\r\n"]
    {
        let said = alone.said(bytes).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    }
    let said = alone.said("GET / HTTP/2.0\r\n\r\n").await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5"));
    alone.serves().await;
}
