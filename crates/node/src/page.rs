//! Health and metrics over plain HTTP, on loopback unless told otherwise. They show no keys, no
//! values and no names of clients. A node serves its own [`Site`]; so may any other process of a
//! cluster.

mod book;
mod strict;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::Path, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tracing::debug;

pub use self::book::{Book, Counter, Histogram, Seconds, Shown, Whole, Words};
use self::strict::Strict;
pub use crate::config::HttpKeys;

/// What a check found: nothing, or what is wrong.
pub type Found = Result<(), String>;

/// What a process has to say of itself.
pub trait Site: Clone + Send + Sync + Unpin + 'static {
    /// The named checks of readiness, in the order in which they are shown.
    const CHECKS: &'static [&'static str];

    /// Whether it works at all: if not, it is to be started anew.
    fn alive(&self) -> impl Future<Output = Found> + Send;

    /// What each of these checks found; or that it cannot even be asked.
    fn ready(
        &self,
        wanted: Vec<&'static str>,
    ) -> impl Future<Output = Result<Vec<(&'static str, Found)>, String>> + Send;

    /// Its metrics in the OpenMetrics text format.
    fn metrics(&self) -> impl Future<Output = Result<String, String>> + Send;

    /// Counts a connection that was refused or cut off.
    fn refused(&self, reason: &'static str);
}

/// What a probe may not exceed. A test can make it small.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; one more is turned away (503).
    pub(crate) connections_max: usize,
    /// A header block above this is refused (431): no honest probe sends more.
    pub(crate) header_bytes_max: usize,
    /// A probe that takes longer to send its header is closed.
    pub(crate) header_within: Duration,
    /// A connection lives for so long at most, whatever it does: idle ones cost a place.
    pub(crate) connection_within: Duration,
    /// And for so long more, to finish an answer.
    pub(crate) goodbye_within: Duration,
}

impl Limits {
    /// For so many connections at once.
    pub fn new(connections_max: usize) -> Limits {
        Limits {
            connections_max,
            header_bytes_max: 16 << 10,
            header_within: Duration::from_secs(5),
            connection_within: Duration::from_secs(60),
            goodbye_within: Duration::from_secs(5),
        }
    }
}

/// Room that must be left for a store to be able to grow for a while (and to trim, later).
const DISK_FREE_BYTES_MIN: u64 = 64 << 20;

/// Whether there is room left on the disk of `data`.
pub fn disk_free(data: &Path) -> Found {
    let stat = rustix::fs::statvfs(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= DISK_FREE_BYTES_MIN {
        return Ok(());
    }
    Err(format!("{free} bytes are free, {DISK_FREE_BYTES_MIN} are needed"))
}

/// Serves until it is dropped.
pub async fn serve<S: Site>(listener: TcpListener, site: S, limits: Limits) {
    let router = Router::new()
        .route("/livez", get(livez::<S>))
        .route("/readyz", get(readyz::<S>))
        .route("/metrics", get(metrics::<S>))
        .with_state(site.clone())
        .layer(middleware::from_fn(refuse_what_no_probe_sends));
    let house = House { room: Arc::new(Semaphore::new(limits.connections_max)), router, site };
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => house.admit(stream, peer, limits, &mut connections),
                Err(error) => {
                    debug!(%error, "an HTTP connection was not accepted");
                    // Out of descriptors, most likely: let some close.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// What every connection meets.
struct House<S> {
    room: Arc<Semaphore>,
    router: Router,
    site: S,
}

impl<S: Site> House<S> {
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        limits: Limits,
        connections: &mut JoinSet<()>,
    ) {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            self.site.refused("connections");
            connections.spawn(turn_away(stream));
            return;
        };
        let (router, site) = (self.router.clone(), self.site.clone());
        connections.spawn(async move {
            if let Err(error) = converse(stream, router, site.clone(), limits).await {
                debug!(%peer, %error, "an HTTP connection failed");
                if error.is_timeout() {
                    site.refused("slow");
                } else if error.is_parse() {
                    site.refused("malformed");
                }
            }
            drop(permit);
        });
    }
}

/// One connection, from its first request to its last.
async fn converse<S: Site>(
    stream: TcpStream,
    router: Router,
    site: S,
    limits: Limits,
) -> hyper::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_within)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max);
    let service = TowerToHyperService::new(router);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Strict::new(stream, site)), service));
    match timeout(limits.connection_within, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_elapsed) => {
            // What is under way is answered; an idle connection closes at once.
            connection.as_mut().graceful_shutdown();
            timeout(limits.goodbye_within, connection).await.unwrap_or(Ok(()))
        }
    }
}

/// hyper refuses what is no HTTP. This refuses what is, and what somebody on the way may read in
/// another way than this node does (RFC 9112 §3.2 and §6.3): two hosts, or a body where none has
/// any business.
async fn refuse_what_no_probe_sends(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.get_all(header::HOST).iter().count() > 1 {
        return closing(StatusCode::BAD_REQUEST, "more than one host is named\n");
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let empty = length.is_none_or(|length| length.as_bytes() == b"0");
    if !empty || headers.contains_key(header::TRANSFER_ENCODING) {
        return closing(StatusCode::PAYLOAD_TOO_LARGE, "these pages take no body\n");
    }
    next.run(request).await
}

/// An answer after which nothing more of the connection is read.
fn closing(status: StatusCode, body: &'static str) -> Response {
    (status, [(header::CONNECTION, "close")], body).into_response()
}

/// Says that there is no room, and closes; a peer that does not read it is not waited for.
async fn turn_away(stream: TcpStream) {
    const BUSY: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let _full_or_gone = stream.try_write(BUSY);
}

async fn livez<S: Site>(State(site): State<S>) -> Response {
    match site.alive().await {
        Ok(()) => text(StatusCode::OK, "alive\n".to_owned()),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn readyz<S: Site>(State(site): State<S>, RawQuery(query): RawQuery) -> Response {
    let (verbose, excluded) = match options(query.as_deref().unwrap_or(""), S::CHECKS) {
        Ok(options) => options,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let wanted = S::CHECKS.iter().copied().filter(|name| !excluded.contains(name)).collect();
    match site.ready(wanted).await {
        Ok(found) => {
            let (ready, page) = verdict(&found, verbose);
            text(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, page)
        }
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// A line a check when asked for or when one failed, and the verdict.
fn verdict(found: &[(&'static str, Found)], verbose: bool) -> (bool, String) {
    let ready = found.iter().all(|(_, found)| found.is_ok());
    let mut text = String::new();
    for (name, found) in found {
        match found {
            Ok(()) if verbose => text.push_str(&format!("[+] {name} ok\n")),
            Ok(()) => {}
            Err(why) => text.push_str(&format!("[-] {name} failed: {why}\n")),
        }
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    (ready, text)
}

async fn metrics<S: Site>(State(site): State<S>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match site.metrics().await {
        Ok(body) => ([(header::CONTENT_TYPE, OPEN_METRICS)], body).into_response(),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, body).into_response()
}

/// `verbose` and any number of `exclude=CHECK`. Anything else is refused, so that a misspelt
/// exclusion is not taken for a check that passed.
fn options(query: &str, checks: &[&'static str]) -> Result<(bool, Vec<&'static str>), String> {
    let unknown = |pair: &str| {
        let names = checks.join(", ");
        format!("{pair:?} is not known; write verbose, or exclude= one of {names}\n")
    };
    let mut verbose = false;
    let mut excluded = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("verbose", "" | "1" | "true") => verbose = true,
            ("exclude", name) => {
                let known = checks.iter().copied().find(|check| *check == name);
                excluded.push(known.ok_or_else(|| unknown(pair))?);
            }
            _ => return Err(unknown(pair)),
        }
    }
    Ok((verbose, excluded))
}
