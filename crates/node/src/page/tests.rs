//! What a probe may do to the pages.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};

use super::*;
use crate::{driver::Question, health::Alive, metrics::Metrics, pages::Pages};

const PATIENCE: Duration = Duration::from_secs(20);

/// The pages of a node that is alive and nothing else.
struct Served {
    address: SocketAddr,
    metrics: Metrics,
    tasks: [JoinHandle<()>; 2],
}

impl Served {
    async fn open(limits: Limits) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (questions, mut asked) = mpsc::channel(8);
        let metrics = Metrics::new(0);
        let pages = Pages { questions, metrics: metrics.clone(), data: ".".into() };
        let answering = tokio::spawn(async move {
            while let Some(question) = asked.recv().await {
                if let Question::Alive(answer) = question {
                    let _gone = answer.send(Alive { disk_busy_for: Duration::ZERO });
                }
            }
        });
        let tasks = [tokio::spawn(serve(listener, pages, limits)), answering];
        Served { address, metrics, tasks }
    }

    /// Says this, and hears all that comes back until the connection is closed.
    async fn hear(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut heard = Vec::new();
        // One that is cut off may be reset; what came before counts.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap();
        String::from_utf8(heard).unwrap()
    }

    async fn assert_serves(&self) {
        let honest = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let answer = self.hear(honest).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("alive\n"), "{answer}");
    }

    fn refused(&self, reason: &str) -> u64 {
        let text = self.metrics.text().unwrap();
        let row = format!("synod_http_refused_total{{reason=\"{reason}\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&row));
        found.map_or(0, |count| count.parse().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A misspelt exclusion must not look like a check that passed.
#[test]
fn only_known_options_are_taken() {
    let options = |query| options(query, Pages::CHECKS);
    assert_eq!(options(""), Ok((false, vec![])));
    let both = (true, vec!["quorum", "disk_free"]);
    assert_eq!(options("verbose&exclude=quorum&exclude=disk_free"), Ok(both));
    assert!(options("exclude=quorom").is_err_and(|why| why.contains("linearizable_read")));
    assert!(options("verbosely").is_err());
}

/// Operations §7.1: named checks; what fails says why even without `?verbose`.
#[test]
fn a_failed_check_is_named_with_its_reason() {
    let found = [("quorum", Ok(())), ("certificate", Err("ended".to_owned()))];
    let short = (false, "[-] certificate failed: ended\nnot ready\n".to_owned());
    assert_eq!(verdict(&found, false), short);
    assert!(verdict(&found, true).1.starts_with("[+] quorum ok\n"));
    assert_eq!(verdict(&found[..1], false), (true, "ready\n".to_owned()));
}

/// Security §4: whoever does not get to the end of its header in time is cut off and counted.
#[tokio::test]
async fn a_header_that_never_ends_is_cut_off() {
    let header_within = Duration::from_millis(50);
    let site = Served::open(Limits { header_within, ..Limits::new(10) }).await;
    for (number, begun) in (1..).zip(["", "GET /li", "GET /livez HTTP/1.1\r\nhost: a\r\nx: "]) {
        let heard = site.hear(begun.as_bytes()).await;
        assert!(!heard.contains("200"), "{heard}");
        assert_eq!(site.refused("slow"), number, "{begun:?}");
    }
    site.assert_serves().await;
}

/// A connection costs a place, so it does not keep it for ever.
#[tokio::test]
async fn an_idle_connection_gives_its_place_back() {
    let connection_within = Duration::from_millis(50);
    let site = Served::open(Limits { connection_within, ..Limits::new(1) }).await;
    let answer = site.hear(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    site.assert_serves().await;
}

#[tokio::test]
async fn connections_past_the_limit_are_turned_away_and_counted() {
    let site = Served::open(Limits::new(1)).await;
    let mut first = TcpStream::connect(site.address).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    timeout(PATIENCE, first.read_exact(&mut head)).await.unwrap().unwrap();
    assert!(site.hear(b"").await.starts_with("HTTP/1.1 503"));
    assert_eq!(site.refused("connections"), 1);
    drop(first);
    while site.hear(b"GET /livez HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 503") {}
    site.assert_serves().await;
}

/// Security §6: what two readers may read in two ways is refused, each by itself.
#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let site = Served::open(Limits::new(10)).await;
    for (head, status) in [
        ("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b", "400"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\n folded: b", "400"),
        ("GET /livez HTTP/1.1\r\nhost : a", "400"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2", "400"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: -1", "400"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5", "413"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked", "413"),
        (
            "GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked",
            "413",
        ),
        ("GET /livez HTTP/9.9\r\nhost: a", "400"),
        ("PRI * HTTP/2.0", "400"),
        ("GET /livez", "400"),
        ("GET  /livez HTTP/1.1\r\nhost: a", "400"),
        ("GET /live\0z HTTP/1.1\r\nhost: a", "400"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\nx: \0", "400"),
    ] {
        let answer = site.hear(format!("{head}\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {answer:?}");
        site.assert_serves().await;
    }
    let before = site.refused("malformed");
    let answer = site.hear(b"GET /livez HTTP/1.1\nhost: a\n\n").await;
    assert_eq!(answer, "", "a line feed alone ends no line");
    assert_eq!(site.refused("malformed"), before + 1);
    site.assert_serves().await;
}

/// A header block at its limit is read, and one above it is refused before it has all come.
#[tokio::test]
async fn a_header_block_above_its_limit_is_refused() {
    let site = Served::open(Limits::new(10)).await;
    let padded = |bytes: usize| {
        let padding = "y".repeat(bytes);
        format!("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {padding}\r\n\r\n")
    };
    assert!(site.hear(padded(15 << 10).as_bytes()).await.starts_with("HTTP/1.1 200"));
    assert!(site.hear(padded(17 << 10).as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..1_000).map(|number| format!("x{number}: y\r\n")).collect();
    let many = format!("GET /livez HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    assert!(site.hear(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert_eq!(site.refused("malformed"), 2);
    site.assert_serves().await;
}
