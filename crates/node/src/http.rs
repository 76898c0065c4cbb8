//! Health and metrics over plain HTTP, on loopback unless told otherwise. They show no keys, no
//! values and no names of clients.

mod strict;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, pin::pin, sync::Arc, time::Duration};

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
use synod_machine::door::Said;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tracing::debug;

use self::strict::Strict;
use crate::{
    driver::Question,
    health::{self, Found, Name, Ready},
    metrics::Metrics,
};

/// What a probe may not exceed. A test can make it small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
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
    pub(crate) fn new(connections_max: usize) -> Limits {
        Limits {
            connections_max,
            header_bytes_max: 16 << 10,
            header_within: Duration::from_secs(5),
            connection_within: Duration::from_secs(60),
            goodbye_within: Duration::from_secs(5),
        }
    }
}

/// The loop answers within this, or it does not tick.
const LOOP_WITHIN: Duration = Duration::from_secs(1);
/// The checks that take a round of the cluster answer within this.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// Room that must be left for the store to be able to grow for a while (and to trim, later).
const DISK_FREE_BYTES_MIN: u64 = 64 << 20;

/// What the pages need.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) questions: mpsc::Sender<Question>,
    pub(crate) metrics: Metrics,
    pub(crate) data: PathBuf,
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, pages: Pages, limits: Limits) {
    let counters = pages.metrics.clone();
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages)
        .layer(middleware::from_fn(refuse_what_no_probe_sends));
    let house = House { room: Arc::new(Semaphore::new(limits.connections_max)), router, counters };
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
struct House {
    room: Arc<Semaphore>,
    router: Router,
    counters: Metrics,
}

impl House {
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        limits: Limits,
        connections: &mut JoinSet<()>,
    ) {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            self.counters.http_refused("connections");
            connections.spawn(turn_away(stream));
            return;
        };
        let (router, counters) = (self.router.clone(), self.counters.clone());
        connections.spawn(async move {
            if let Err(error) = converse(stream, router, counters.clone(), limits).await {
                debug!(%peer, %error, "an HTTP connection failed");
                if error.is_timeout() {
                    counters.http_refused("slow");
                } else if error.is_parse() {
                    counters.http_refused("malformed");
                }
            }
            drop(permit);
        });
    }
}

/// One connection, from its first request to its last.
async fn converse(
    stream: TcpStream,
    router: Router,
    counters: Metrics,
    limits: Limits,
) -> hyper::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_within)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max);
    let service = TowerToHyperService::new(router);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Strict::new(stream, counters)), service));
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

async fn livez(State(pages): State<Pages>) -> Response {
    match pages.ask(Question::Alive, LOOP_WITHIN).await {
        Some(alive) => match alive.check() {
            Ok(()) => text(StatusCode::OK, "alive\n".to_owned()),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        None => text(StatusCode::SERVICE_UNAVAILABLE, "the loop does not tick\n".to_owned()),
    }
}

async fn readyz(State(pages): State<Pages>, RawQuery(query): RawQuery) -> Response {
    let (verbose, excluded) = match options(query.as_deref().unwrap_or("")) {
        Ok(options) => options,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let Some(ready) = pages.ask(Question::Ready, LOOP_WITHIN).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the loop does not tick\n".to_owned());
    };
    let mut found = Vec::new();
    for name in Name::ALL {
        if !excluded.contains(&name) {
            found.push((name, pages.check(name, &ready).await));
        }
    }
    let (ready, page) = health::page(&found, verbose);
    text(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, page)
}

async fn metrics(State(pages): State<Pages>) -> Response {
    if pages.ask(Question::Measure, LOOP_WITHIN).await.is_none() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the loop does not tick\n".to_owned());
    }
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match pages.metrics.text() {
        Ok(body) => ([(header::CONTENT_TYPE, OPEN_METRICS)], body).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, body).into_response()
}

/// `verbose` and any number of `exclude=CHECK`. Anything else is refused, so that a misspelt
/// exclusion is not taken for a check that passed.
fn options(query: &str) -> Result<(bool, Vec<Name>), String> {
    let mut verbose = false;
    let mut excluded = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("verbose", "" | "1" | "true") => verbose = true,
            ("exclude", name) => excluded.push(Name::of(name).ok_or_else(|| unknown(pair))?),
            _ => return Err(unknown(pair)),
        }
    }
    Ok((verbose, excluded))
}

fn unknown(pair: &str) -> String {
    let names: Vec<&str> = Name::ALL.into_iter().map(Name::as_str).collect();
    format!("{pair:?} is not known; write verbose, or exclude= one of {}\n", names.join(", "))
}

impl Pages {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
        within: Duration,
    ) -> Option<T> {
        let (answer, heard) = oneshot::channel();
        timeout(within, async {
            self.questions.send(question(answer)).await.ok()?;
            heard.await.ok()
        })
        .await
        .ok()
        .flatten()
    }

    async fn check(&self, name: Name, ready: &Ready) -> Found {
        match name {
            Name::Quorum => ready.quorum.clone(),
            Name::LocalRead => ready.local_read.clone(),
            Name::LinearizableRead => self.linearizable_read().await,
            Name::StateHash => ready.state_hash.clone(),
            Name::DiskFree if ready.disk_full => Err("the last write found no room".to_owned()),
            Name::DiskFree => self.disk_free(),
            Name::Certificate => ready.certificate.clone(),
        }
    }

    /// A read through a barrier on the leader; on others, that a leader is there to redirect to.
    async fn linearizable_read(&self) -> Found {
        match self.ask(Question::Probe, READ_WITHIN).await {
            Some(Said::Answer(_) | Said::NotLeader { leader: Some(_) }) => Ok(()),
            Some(Said::NotLeader { leader: None }) => Err("no leader is known".to_owned()),
            Some(Said::NotApplied(why)) => Err(why.to_string()),
            Some(other) => Err(format!("a read was answered with {other:?}")),
            None => Err(format!("no answer within {READ_WITHIN:?}")),
        }
    }

    fn disk_free(&self) -> Found {
        let stat = rustix::fs::statvfs(&self.data)
            .map_err(|error| format!("{}: {error}", self.data.display()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= DISK_FREE_BYTES_MIN {
            return Ok(());
        }
        Err(format!("{free} bytes are free, {DISK_FREE_BYTES_MIN} are needed"))
    }
}
