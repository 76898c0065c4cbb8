use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use synod_client::{Client, machine::Revision};

use crate::{
    caller::Caller,
    fault::Fault,
    limits::{DEADLINE_MS, DEADLINE_MS_MAX, LIST_LIMIT, WAIT_MS_MAX},
    numbers, octets,
    query::Query,
    route::{Params, Takes},
};

/// How long a call may take in the cluster.
pub(crate) const DEADLINE: &str = "synod-deadline-ms";

/// Under which a write takes effect once.
pub(crate) const KEY: &str = "idempotency-key";
/// Letters of such a key: with the name of its caller it is a name of the cluster.
const KEY_BYTES_MAX: usize = 128;

/// A request that was read whole and may be served.
pub(crate) struct Ask {
    /// Asks for the caller, with the caller's deadline.
    pub(crate) client: Client,
    pub(crate) caller: Caller,
    pub(crate) params: Params,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the caller may come again for the same, by way of another door.
    pub(crate) keyed: bool,
}

impl Ask {
    /// The bytes in the path that have this name.
    pub(crate) fn octets(&self, name: &str) -> Bytes {
        let found = self.params.iter().find(|(found, _)| *found == name);
        found.map(|(_, octets)| octets.clone()).unwrap_or_default()
    }

    /// The text in the path that has this name.
    pub(crate) fn text(&self, name: &str) -> Result<String, Fault> {
        octets::text(&self.octets(name), name)
    }

    /// The number in the path that has this name.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Fault> {
        let text = self.text(name)?;
        let wrong = || Fault::bad(format!("{name}: {text:?} is no whole number from 0"));
        numbers::read(&text).ok_or_else(wrong)
    }

    /// The document that was sent.
    pub(crate) fn document<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let body = if self.body.is_empty() { b"{}" } else { &self.body[..] };
        serde_json::from_slice(body).map_err(|error| Fault::bad(format!("the body: {error}")))
    }

    /// How many of a list are wanted.
    pub(crate) fn limit(&self) -> u32 {
        let limit = self.query.number("limit").and_then(|limit| u32::try_from(limit).ok());
        limit.unwrap_or(LIST_LIMIT)
    }

    /// A header, where it is there once and is text.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, Fault> {
        header(&self.headers, name)
    }

    /// Of which revision a header is about, in quotes, as entity tags are.
    pub(crate) fn tag(&self, name: &str) -> Result<Option<Tag>, Fault> {
        let Some(text) = self.header(name)? else { return Ok(None) };
        if text == "*" {
            return Ok(Some(Tag::Any));
        }
        let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match numbers::read(digits.unwrap_or(text)) {
            Some(revision) => Ok(Some(Tag::Revision(Revision::new(revision)))),
            None => {
                Err(Fault::bad(format!("{name}: one revision in quotes or *, and not {text:?}")))
            }
        }
    }
}

/// What a conditional header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Any,
    Revision(Revision),
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fault> {
    let mut all = headers.get_all(name).iter();
    let Some(first) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Fault::bad(format!("header {name} is given twice")));
    }
    let wrong = |_| Fault::bad(format!("header {name} is no plain text"));
    first.to_str().map(|text| Some(text.trim())).map_err(wrong)
}

/// The key under which a write takes effect once, among all keys of its caller.
pub(crate) fn key(headers: &HeaderMap, caller: &Caller) -> Result<Option<String>, Fault> {
    let Some(key) = header(headers, KEY)? else { return Ok(None) };
    if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Err(Fault::bad(format!("{KEY}: 1 to {KEY_BYTES_MAX} letters")));
    }
    Ok(Some(format!("{}/{key}", caller.name())))
}

/// How long the cluster may take.
pub(crate) fn deadline(headers: &HeaderMap) -> Result<Duration, Fault> {
    let asked = header(headers, DEADLINE)?;
    let ms = asked.map_or(Some(DEADLINE_MS), numbers::read);
    match ms.filter(|ms| (1..=DEADLINE_MS_MAX).contains(ms)) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err(Fault::bad(format!("{DEADLINE}: 1 to {DEADLINE_MS_MAX}"))),
    }
}

/// How long a caller waits in one request.
pub(crate) fn wait(name: &str, ms: u64) -> Result<Duration, Fault> {
    if ms > WAIT_MS_MAX {
        return Err(Fault::bad(format!("{name}: 0 to {WAIT_MS_MAX}")));
    }
    Ok(Duration::from_millis(ms))
}

/// Whether what was sent is called what the route takes.
pub(crate) fn check_kind(takes: Takes, headers: &HeaderMap, empty: bool) -> Result<(), Fault> {
    let called = header(headers, CONTENT_TYPE.as_str())?;
    let kind = called.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let expected = match takes {
        Takes::Nothing => return Ok(()),
        Takes::Octets { .. } => "application/octet-stream",
        Takes::Json { .. } => "application/json",
    };
    match (takes, kind) {
        (_, Some(kind)) if kind.eq_ignore_ascii_case(expected) => Ok(()),
        // A program that puts a file calls it nothing.
        (Takes::Octets { .. }, None) => Ok(()),
        (Takes::Json { .. }, None) if empty => Ok(()),
        _ => {
            let found = kind.unwrap_or("nothing");
            let said = format!("the body is called {found}, and {expected} is taken here");
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Fault::new(status, "content_type", said).closing())
        }
    }
}
