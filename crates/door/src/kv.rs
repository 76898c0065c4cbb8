use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hyper::{
    StatusCode,
    header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH},
};
use serde_json::{Value, json};
use synod_client::{
    Multi, Stale,
    machine::{self, Entry, Expect, Guard, LeaseId, Mutation, Revision},
};

use crate::{
    answer::Answer,
    ask::{Ask, Tag},
    fault::Fault,
    leases::own,
    numbers::Count,
    octets,
    shape::shape,
};

const CREATED: HeaderName = HeaderName::from_static("synod-created");
/// Every write that was answered so long before is seen.
const AGE: HeaderName = HeaderName::from_static("synod-age-ms");
const LEASE: HeaderName = HeaderName::from_static("synod-lease");
const VERSION: HeaderName = HeaderName::from_static("synod-version");

shape! {
    /// A key with what it holds. What is no UTF-8 text is in base 64.
    Row {
        /// The key.
        key: Option<String>,
        /// The key, where it is no text.
        key_base64: Option<String>,
        /// What it holds.
        value: Option<String>,
        /// What it holds, where that is no text.
        value_base64: Option<String>,
        /// The revision at which it came to be.
        created: Count,
        /// The revision at which it was last set.
        modified: Count,
        /// How often it was set since it came to be.
        version: Count,
        /// The lease with which it ends, if it hangs on one.
        lease: Option<Count>,
    }
}

shape! {
    /// Some keys, in byte order, as they are at one moment.
    Rows {
        /// The revision of the state that was read.
        revision: Count,
        /// In byte order.
        entries: Vec<Row>,
        /// Where the list goes on, if there is more: give it as `cursor`.
        next: Option<String>,
    }
}

shape! {
    /// Something was written.
    Written {
        /// The revision of it.
        revision: Count,
    }
}

shape! {
    /// Something is not there any more.
    Removed {
        /// Whether it was there.
        existed: bool,
        /// The revision after it.
        revision: Count,
    }
}

impl Row {
    pub(crate) fn new(key: &[u8], entry: &Entry) -> Row {
        let ((key, key_base64), (value, value_base64)) =
            (octets::both(key), octets::both(&entry.value));
        let (created, modified) = (Count(entry.create.get()), Count(entry.modified.get()));
        let version = Count(entry.version);
        let lease = entry.lease.map(|lease| Count(lease.get()));
        Row { key, key_base64, value, value_base64, created, modified, version, lease }
    }
}

pub(crate) async fn get(ask: Ask) -> Result<Answer, Fault> {
    let key = ask.octets("key");
    let read = ask.client.kv().look(key);
    let (revision, entry, age) = match (ask.query.flag("stale"), ask.query.number("at_least")) {
        (true, None) => {
            let Stale { value: (revision, entry), age } = read.stale().await?;
            (revision, entry, age)
        }
        (false, Some(least)) => {
            let (revision, entry) = read.at_least(Revision::new(least)).await?;
            (revision, entry, None)
        }
        (false, None) => {
            let (revision, entry) = read.await?;
            (revision, entry, None)
        }
        (true, Some(_)) => return Err(Fault::bad("stale and at_least together")),
    };
    let answer = match entry {
        None => Fault::absent("there is no such key").into_answer(),
        Some(entry) => {
            let lease = entry.lease;
            let unchanged = ask.tag(IF_NONE_MATCH.as_str())?;
            let answer = match unchanged {
                Some(tag) if tag == Tag::Any || tag == Tag::Revision(entry.modified) => {
                    Answer::empty(StatusCode::NOT_MODIFIED)
                }
                _ => Answer::bytes(entry.value),
            };
            let answer = answer
                .header(ETAG, format!("\"{}\"", entry.modified.get()))
                .header(CREATED, entry.create.get())
                .header(VERSION, entry.version);
            match lease {
                Some(lease) => answer.header(LEASE, lease.get()),
                None => answer,
            }
        }
    };
    Ok(match age {
        Some(age) => answer.at(revision).header(AGE, age.as_millis()),
        None => answer.at(revision),
    })
}

pub(crate) async fn put(ask: Ask) -> Result<Answer, Fault> {
    let (key, value) = (ask.octets("key"), ask.body.clone());
    let lease = match ask.query.number("lease") {
        Some(lease) => Some(own(&ask, LeaseId::new(lease)).await?.lease),
        None => None,
    };
    let mutation = |value| Mutation::Put { key: key.clone(), value };
    let revision = match (expected(&ask)?, lease) {
        (None, None) => ask.client.kv().put(key, value).await?,
        (None, Some(lease)) => ask.client.kv().put_on(key, value, lease).await?,
        (Some(expect), lease) => {
            guarded(&ask, key.clone(), expect, (mutation(value), lease)).await?
        }
    };
    let written = Written { revision: Count(revision.get()) };
    Ok(Answer::json(&written).header(ETAG, format!("\"{}\"", revision.get())).at(revision))
}

pub(crate) async fn delete(ask: Ask) -> Result<Answer, Fault> {
    let key = ask.octets("key");
    let (existed, revision) = match expected(&ask)? {
        None => ask.client.kv().remove(key).await?,
        Some(Expect::Absent) => {
            return Err(Fault::bad("what is to be removed only if it is not there stays as it is"));
        }
        Some(expect) => {
            let mutation = Mutation::Delete { key: key.clone() };
            (true, guarded(&ask, key, expect, (mutation, None)).await?)
        }
    };
    Ok(Answer::json(&Removed { existed, revision: Count(revision.get()) }).at(revision))
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.octets("prefix").unwrap_or_default();
    let after = ask.query.text("cursor").map(|cursor| unfold(&cursor)).transpose()?;
    let page = ask.client.kv().page(prefix, after, ask.limit()).await?;
    let last = page.entries.last().map(|(key, _)| BASE64URL_NOPAD.encode(key));
    let entries = page.entries.iter().map(|(key, entry)| Row::new(key, entry)).collect();
    let next = last.filter(|_| page.more);
    Ok(Answer::json(&Rows { revision: Count(page.revision.get()), entries, next })
        .at(page.revision))
}

fn unfold(cursor: &str) -> Result<Bytes, Fault> {
    match BASE64URL_NOPAD.decode(cursor.as_bytes()) {
        Ok(key) => Ok(key.into()),
        Err(_) => Err(Fault::bad("cursor: give what an earlier list said in `next`")),
    }
}

/// What the headers say must hold.
fn expected(ask: &Ask) -> Result<Option<Expect>, Fault> {
    match (ask.tag(IF_MATCH.as_str())?, ask.tag(IF_NONE_MATCH.as_str())?) {
        (None, None) => Ok(None),
        (Some(Tag::Any), None) => Ok(Some(Expect::Present)),
        (Some(Tag::Revision(revision)), None) => Ok(Some(Expect::Revision(revision))),
        (None, Some(Tag::Any)) => Ok(Some(Expect::Absent)),
        (None, Some(Tag::Revision(_))) => Err(Fault::bad("if-none-match: only * is for a write")),
        (Some(_), Some(_)) => Err(Fault::bad("if-match and if-none-match together")),
    }
}

/// Writes if it is as expected; else what is there is the answer.
async fn guarded(
    ask: &Ask,
    key: Bytes,
    expect: Expect,
    (mutation, lease): (Mutation, Option<LeaseId>),
) -> Result<Revision, Fault> {
    let guards = vec![Guard { key: key.clone(), expect }];
    let (mutations, reads) = (vec![mutation], vec![key.clone()]);
    let multi = machine::Multi { guards, mutations, lease, reads, ..machine::Multi::default() };
    match ask.client.kv().multi_request(multi).await? {
        Multi::Done { revision, .. } => Ok(revision),
        Multi::Refused { reads, .. } => {
            let present = reads.into_iter().next().flatten();
            let present = present.map_or(Value::Null, |entry| json!(Row::new(&key, &entry)));
            let said = "the key is not as expected; nothing was changed";
            let status = StatusCode::PRECONDITION_FAILED;
            Err(Fault::new(status, "mismatch", said).with("present", present))
        }
    }
}
