use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;
use synod_client::machine::Revision;
use tokio::sync::mpsc;

use crate::fault::Fault;

/// The state's revision, or that of the write.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("synod-revision");
/// What JSON is called.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What bytes are called of which nothing is known.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// What server-sent events are called.
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// What a caller is told.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    content: Content,
}

/// Whole, or piece by piece as things happen.
#[derive(Debug)]
pub(crate) enum Content {
    Whole(Option<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl Answer {
    /// A JSON document.
    pub(crate) fn json(document: &impl Serialize) -> Answer {
        Answer::json_with(StatusCode::OK, document)
    }

    pub(crate) fn json_with(status: StatusCode, document: &impl Serialize) -> Answer {
        let mut text = serde_json::to_vec(document)
            .expect("a document is plain data with text for keys, which is always written");
        text.push(b'\n');
        Answer::of(status, JSON, Content::Whole(Some(text.into())))
    }

    /// A value as it is.
    pub(crate) fn bytes(value: Bytes) -> Answer {
        Answer::of(StatusCode::OK, BYTES, Content::Whole(Some(value)))
    }

    /// A stream of events.
    pub(crate) fn events(events: mpsc::Receiver<Bytes>) -> Answer {
        Answer::of(StatusCode::OK, EVENTS, Content::Events(events))
    }

    /// Nothing but a status.
    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer { status, headers: Vec::new(), content: Content::Whole(None) }
    }

    fn of(status: StatusCode, kind: HeaderValue, content: Content) -> Answer {
        Answer { status, headers: vec![(CONTENT_TYPE, kind)], content }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl ToString) -> Answer {
        // Numbers and words of our own; a name that is none would be no header, and no harm.
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn at(self, revision: Revision) -> Answer {
        self.header(REVISION, revision.get())
    }

    pub(crate) fn into_response(self) -> Response<Content> {
        let mut response = Response::new(self.content);
        *response.status_mut() = self.status;
        // No answer is for a cache, and none is anything but what it says it is.
        let fixed = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
        for (name, value) in fixed {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Answer {
        fault.into_answer()
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Events(events) => {
                events.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Events(_) => SizeHint::default(),
        }
    }
}
