//! What the HTTP door takes, beside the library of the same seconds, and their floor.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    BenchError,
    floor::{Floor, FloorUs},
    load::connect,
    quantiles::Spans,
    services::Took,
};

/// No lease runs out while it is measured.
const TTL_MS: u64 = 60_000;
const VALUE: [u8; 128] = [b'7'; 128];

/// The same requests by both ways, one after the other in turn.
#[derive(Clone, Debug, Serialize)]
pub struct Doors {
    /// Measured in every turn.
    #[serde(flatten)]
    pub floor: FloorUs,
    /// A key is set.
    pub put: Both,
    /// A key is read, as fresh as can be.
    pub get: Both,
    /// A lease is renewed.
    pub renewal: Both,
}

/// One kind of request.
#[derive(Clone, Debug, Serialize)]
pub struct Both {
    /// By the library.
    pub library: Took,
    /// Over a connection to a door that stays open.
    pub door: Took,
}

/// Measures for so long, at the door that listens there.
pub async fn doors(
    config: &Path,
    door: &str,
    floor_dir: &Path,
    span: Duration,
) -> Result<Doors, BenchError> {
    let client = connect(config).await?;
    let mut http = Http::open(door).await?;
    let kv = client.kv();
    let lease = client.lease(Duration::from_millis(TTL_MS)).await?;
    let granted = http.ask("POST /v1/leases", &format!("{{\"ttl_ms\":{TTL_MS}}}"), JSON).await?;
    let granted: serde_json::Value = serde_json::from_slice(&granted)
        .map_err(|error| BenchError::Cluster(format!("a grant of the door: {error}")))?;
    let renew = format!("POST /v1/leases/{}:renew", granted["lease"]);
    let value = String::from_utf8_lossy(&VALUE).into_owned();
    let mut floor = Floor::new(floor_dir)?;
    let [mut put, mut get, mut renewal] = [(); 3].map(|()| (Spans::new(), Spans::new()));
    let begun = Instant::now();
    while begun.elapsed() < span {
        put.0.time(kv.put("bench/library", &VALUE[..])).await?;
        put.1.time(http.ask("PUT /v1/kv/bench/door", &value, OCTETS)).await?;
        let got = async { kv.get("bench/library").await };
        get.0.time(got).await?;
        get.1.time(http.ask("GET /v1/kv/bench/door", "", OCTETS)).await?;
        renewal.0.time(client.renew_lease(lease.id())).await?;
        renewal.1.time(http.ask(&renew, "", JSON)).await?;
        floor.measure(&client).await?;
    }
    client.close().await;
    let floor = floor.us();
    let took = |spans: &Spans| {
        let us = spans.quantiles();
        Took { us, ratio: floor.ratio(us.p50) }
    };
    let both = |(library, door): &(Spans, Spans)| Both { library: took(library), door: took(door) };
    let (put, get, renewal) = (both(&put), both(&get), both(&renewal));
    Ok(Doors { floor, put, get, renewal })
}

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

/// One connection that stays open: as little as a program in any language does.
struct Http {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Http {
    async fn open(address: &str) -> Result<Http, BenchError> {
        let stream = TcpStream::connect(address).await.map_err(BenchError::io("the door"))?;
        stream.set_nodelay(true).map_err(BenchError::io("the door"))?;
        Ok(Http { host: address.to_owned(), stream: BufReader::new(stream) })
    }

    /// What is answered; an answer that is none of 2xx is an error.
    async fn ask(&mut self, ask: &str, body: &str, kind: &str) -> Result<Vec<u8>, BenchError> {
        let (host, bytes) = (&self.host, body.len());
        let mut request = format!("{ask} HTTP/1.1\r\nHost: {host}\r\n");
        if !body.is_empty() {
            request.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {bytes}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let failed = || BenchError::io(format!("{ask} at the door"));
        self.stream.write_all(request.as_bytes()).await.map_err(failed())?;
        let (mut status, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).await.map_err(failed())?;
            let header = line.trim_end().to_ascii_lowercase();
            if status.is_empty() {
                status.clone_from(&header);
            } else if let Some(text) = header.strip_prefix("content-length: ") {
                length = text.parse().unwrap_or_default();
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(failed())?;
        if status.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            return Ok(body);
        }
        let said = String::from_utf8_lossy(&body);
        Err(BenchError::Cluster(format!("{ask} at the door: {status} {said}")))
    }
}
