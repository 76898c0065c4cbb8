use std::{future::poll_fn, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use hyper::{
    StatusCode,
    body::{Body, Incoming},
    header::CONTENT_LENGTH,
    http::request::Parts,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Cut, Limits, Tally, ask::check_kind, fault::Fault, route::Takes};

/// Bodies are counted in pieces of so many bytes, rounded up.
const PIECE_BYTES: usize = 1 << 10;

/// The body of a request, and its place among all bodies that are in memory.
pub(crate) type Held = (Bytes, Option<OwnedSemaphorePermit>);

/// Room for the bodies of all requests together.
pub(crate) fn room(limits: &Limits) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(limits.bodies_bytes_max.div_ceil(PIECE_BYTES)))
}

/// Reads what a route takes: nothing of what is too long or of another kind, and nothing before
/// there is room for it.
pub(crate) async fn read(
    takes: Takes,
    head: &Parts,
    body: Incoming,
    limits: &Limits,
    (room, tally): (&Arc<Semaphore>, &dyn Tally),
) -> Result<Held, Fault> {
    let length = length(head)?;
    if length > takes.bytes_max() {
        let said = match takes {
            Takes::Nothing => "no body is taken here".to_owned(),
            _ => format!("a body of {length} bytes; at most {} are taken here", takes.bytes_max()),
        };
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Fault::new(status, "too_large", said).closing());
    }
    check_kind(takes, &head.headers, length == 0)?;
    if length == 0 {
        return Ok((Bytes::new(), None));
    }
    let pieces = u32::try_from(length.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
    let place = Arc::clone(room).acquire_many_owned(pieces);
    let Ok(Ok(place)) = timeout(limits.body_within, place).await else {
        return Err(Fault::not_now("too many bodies are being read").closing());
    };
    match timeout(limits.body_within, whole(body, length)).await {
        Ok(whole) => Ok((whole?, Some(place))),
        Err(_elapsed) => {
            tally.refused(Cut::Slow);
            let said = format!("the body took longer than {:?}", limits.body_within);
            Err(Fault::new(StatusCode::REQUEST_TIMEOUT, "slow", said).closing())
        }
    }
}

/// How long it says that it is; hyper has refused what says so in two ways.
fn length(head: &Parts) -> Result<usize, Fault> {
    let Some(text) = head.headers.get(CONTENT_LENGTH) else { return Ok(0) };
    let length = text.to_str().ok().and_then(|text| text.parse().ok());
    length.ok_or_else(|| Fault::bad("a content length that is no number").closing())
}

async fn whole(mut body: Incoming, length: usize) -> Result<Bytes, Fault> {
    let mut octets = BytesMut::with_capacity(length);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| {
            Fault::bad(format!("the body ended before it was whole: {error}")).closing()
        })?;
        if let Ok(data) = frame.into_data() {
            octets.extend_from_slice(&data);
        }
    }
    Ok(octets.freeze())
}
