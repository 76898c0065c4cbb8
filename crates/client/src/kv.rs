use bytes::Bytes;
use synod_machine::{Answer, Command, Entry, Expect, LeaseId, Mutation, Query, Reply, Revision};

use crate::{
    client::Client,
    error::Error,
    multi::{Multi, MultiBuilder},
    read::ReadBuilder,
};

/// Linearizable keys.
#[derive(Clone, Debug)]
pub struct Kv {
    client: Client,
}

/// What came of a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cas {
    /// It was as expected; the revision of the write.
    Done(Revision),
    /// It was not; what is there instead. Nothing was changed.
    Mismatch(Option<Entry>),
}

/// Some keys, in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The revision of the state that was read.
    pub revision: Revision,
    /// Keys and what they hold.
    pub entries: Vec<(Bytes, Entry)>,
    /// Whether there are more after the last one.
    pub more: bool,
}

impl Kv {
    pub(crate) fn new(client: Client) -> Kv {
        Kv { client }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A key as it is: sees every write that was answered before, unless the builder is told
    /// otherwise.
    pub fn get(&self, key: impl Into<Bytes>) -> ReadBuilder<Option<Entry>> {
        let entry = |answer| match answer {
            Answer::Key { entry, .. } => Some(entry),
            _ => None,
        };
        ReadBuilder::new(self.client.clone(), Query::Get { key: key.into() }, entry)
    }

    /// As [`Kv::get`], with the revision of the state that was read.
    pub fn look(&self, key: impl Into<Bytes>) -> ReadBuilder<(Revision, Option<Entry>)> {
        let entry = |answer| match answer {
            Answer::Key { revision, entry } => Some((revision, entry)),
            _ => None,
        };
        ReadBuilder::new(self.client.clone(), Query::Get { key: key.into() }, entry)
    }

    /// Sets a key; the revision of the write.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Revision, Error> {
        let command = Command::Put { key: key.into(), value: value.into() };
        let written = |reply| match reply {
            Reply::Written(revision) => Some(revision),
            _ => None,
        };
        self.submit(command, written).await
    }

    /// As [`Kv::put`], and the key ends with this lease; so it does not when it is set again
    /// without one.
    pub async fn put_on(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        lease: LeaseId,
    ) -> Result<Revision, Error> {
        let multi = synod_machine::Multi {
            mutations: vec![Mutation::Put { key: key.into(), value: value.into() }],
            lease: Some(lease),
            ..synod_machine::Multi::default()
        };
        let done = |reply| match reply {
            Reply::MultiDone { revision, .. } => Some(revision),
            _ => None,
        };
        self.submit(Command::Multi(multi), done).await
    }

    /// Removes a key; whether it was there.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<bool, Error> {
        Ok(self.remove(key).await?.0)
    }

    /// Removes a key; whether it was there, and the revision after it.
    pub async fn remove(&self, key: impl Into<Bytes>) -> Result<(bool, Revision), Error> {
        let removed = |reply| match reply {
            Reply::Deleted { existed, revision } => Some((existed, revision)),
            _ => None,
        };
        self.submit(Command::Delete { key: key.into() }, removed).await
    }

    /// Sets a key if it is as expected.
    pub async fn cas(
        &self,
        key: impl Into<Bytes>,
        expect: Expect,
        value: impl Into<Bytes>,
    ) -> Result<Cas, Error> {
        let command = Command::Cas { key: key.into(), expect, value: value.into() };
        let compared = |reply| match reply {
            Reply::Written(revision) => Some(Cas::Done(revision)),
            Reply::Mismatch(now) => Some(Cas::Mismatch(now)),
            _ => None,
        };
        self.submit(command, compared).await
    }

    /// Up to `limit` keys that begin with `prefix` and come after `after`, as they are at one
    /// moment.
    pub fn page(
        &self,
        prefix: impl Into<Bytes>,
        after: Option<Bytes>,
        limit: u32,
    ) -> ReadBuilder<Page> {
        let page = |answer| match answer {
            Answer::Keys { revision, entries, more } => Some(Page { revision, entries, more }),
            _ => None,
        };
        let query = Query::List { prefix: prefix.into(), after, limit };
        ReadBuilder::new(self.client.clone(), query, page)
    }

    /// Every key that begins with `prefix`, page by page: each page is of one moment, the whole is
    /// not.
    pub async fn list(&self, prefix: impl Into<Bytes>) -> Result<Vec<(Bytes, Entry)>, Error> {
        let prefix = prefix.into();
        let mut all: Vec<(Bytes, Entry)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.clone());
            let page = self.page(prefix.clone(), after, PAGE_KEYS).await?;
            let last = !page.more || page.entries.is_empty();
            all.extend(page.entries);
            if last {
                return Ok(all);
            }
        }
    }

    /// Guards and writes that take effect together or not at all.
    pub fn multi(&self) -> MultiBuilder {
        MultiBuilder::new(self.clone())
    }

    /// As [`Kv::multi`], of a request that was built already.
    pub async fn multi_request(&self, multi: synod_machine::Multi) -> Result<Multi, Error> {
        let done = |reply| match reply {
            Reply::MultiDone { revision, reads } => Some(Multi::Done { revision, reads }),
            Reply::MultiRefused { failed, reads } => Some(Multi::Refused { failed, reads }),
            _ => None,
        };
        self.submit(Command::Multi(multi), done).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        command: Command,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.client.submit(command, read).await
    }
}

/// Keys asked for at once when all are wanted; the node stops at 1 MiB anyway.
const PAGE_KEYS: u32 = 1_000;
