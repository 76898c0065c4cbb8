use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::Bytes;

use crate::limits::{Misuse, REPLY_BYTES_MAX};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, Entry, Expect, Guard, LeaseId, Multi, Mutation, Rejection, Reply,
    RestoreError, Revision,
    coding::{Decoder, Encoder},
    history::History,
};

/// Bytes of an entry on the wire beside its key and value, at most: four numbers and two lengths.
const ENTRY_BYTES: usize = 50;
/// Keys that hang on one lease: they end in one moment, in which nothing else is done.
pub(crate) const KEYS_OF_LEASE_MAX: usize = 4_096;

/// The keys, each with the revisions that tell its life (etcd's model).
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    rows: Table<Bytes, Entry>,
    /// Follows from `rows`.
    by_lease: BTreeMap<LeaseId, BTreeSet<Bytes>>,
}

/// Keys in byte order, and whether a limit cut the list.
pub(crate) type Page = (Vec<(Bytes, Entry)>, bool);

impl Keys {
    pub(crate) fn new(seed: u64) -> Keys {
        Keys { rows: Table::new(seed), by_lease: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn get(&self, key: &Bytes) -> Option<&Entry> {
        self.rows.get(key)
    }

    /// Sets a key, which hangs on `lease` and on no other from here on.
    pub(crate) fn put(
        &mut self,
        (key, value): (Bytes, Bytes),
        lease: Option<LeaseId>,
        at: Revision,
        history: &mut History,
    ) {
        let before = self.rows.seek(&key);
        let hung_on = before.and_then(|before| before.lease);
        let entry = Entry { lease, ..Entry::written(before, value, at) };
        if hung_on != lease {
            self.unhang(&key, hung_on);
        }
        if let Some(lease) = lease {
            self.by_lease.entry(lease).or_default().insert(key.clone());
        }
        history.note_put(&key, &entry);
        self.rows.insert(key, entry);
    }

    /// Removes a key; whether it was there.
    pub(crate) fn delete(&mut self, key: &Bytes, history: &mut History) -> bool {
        let Some(entry) = self.rows.remove(key) else { return false };
        self.unhang(key, entry.lease);
        history.note(Change::Deleted { key: key.clone() });
        true
    }

    fn unhang(&mut self, key: &Bytes, lease: Option<LeaseId>) {
        let Some(lease) = lease else { return };
        if let Some(keys) = self.by_lease.get_mut(&lease) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_lease.remove(&lease);
            }
        }
    }

    /// Whether any key hangs on this lease.
    pub(crate) fn hangs_on(&self, lease: LeaseId) -> bool {
        self.by_lease.contains_key(&lease)
    }

    /// The lease is over, and so are the keys that hang on it.
    pub(crate) fn end_all(&mut self, lease: LeaseId, history: &mut History) {
        for key in self.by_lease.get(&lease).cloned().unwrap_or_default() {
            self.delete(&key, history);
        }
    }

    /// Keys that begin with `prefix` and come after `after`: at most `limit`, and at most
    /// [`REPLY_BYTES_MAX`] of them, but always one if there is one, so that paging gets on.
    pub(crate) fn list(&self, prefix: &Bytes, after: Option<&Bytes>, limit: u32) -> Page {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.clone()),
            Some(_) | None => Bound::Included(prefix.clone()),
        };
        let matching = self.rows.range((start, Bound::Unbounded));
        page(matching.take_while(|(key, _)| key.starts_with(prefix)), limit)
    }

    /// The place of the first guard that does not hold.
    pub(crate) fn failing(&self, guards: &[Guard]) -> Option<u32> {
        first_failing(guards, |key| self.get(key))
    }

    /// Whether these mutations would change anything.
    fn would_change(&self, mutations: &[Mutation]) -> bool {
        mutations.iter().any(|mutation| match mutation {
            Mutation::Put { .. } => true,
            Mutation::Delete { key } => self.rows.contains(key),
        })
    }

    /// Whether as many keys as these set may hang on their lease.
    pub(crate) fn has_room(&self, multi: &Multi) -> Result<(), Rejection> {
        let Some(lease) = multi.lease else { return Ok(()) };
        let hangs = |key: &Bytes| self.get(key).is_some_and(|entry| entry.lease == Some(lease));
        let new = multi.mutations.iter().filter(|mutation| match mutation {
            Mutation::Put { key, .. } => !hangs(key),
            Mutation::Delete { .. } => false,
        });
        let hanging = self.by_lease.get(&lease).map_or(0, BTreeSet::len);
        if hanging.saturating_add(new.count()) > KEYS_OF_LEASE_MAX {
            return Err(Rejection::TooMany {
                what: Counted::KeysOfLease,
                limit: KEYS_OF_LEASE_MAX as u64,
            });
        }
        Ok(())
    }

    /// Does them all, at one revision.
    fn mutate(
        &mut self,
        mutations: Vec<Mutation>,
        lease: Option<LeaseId>,
        at: Revision,
        history: &mut History,
    ) {
        for mutation in mutations {
            match mutation {
                Mutation::Put { key, value } => self.put((key, value), lease, at, history),
                Mutation::Delete { key } => {
                    self.delete(&key, history);
                }
            }
        }
    }

    /// All or nothing, and the reads in the same moment. `failed` is the first condition that does
    /// not hold; `revision` moves if anything changes.
    pub(crate) fn multi(
        &mut self,
        multi: Multi,
        failed: Option<u32>,
        revision: &mut Revision,
        history: &mut History,
    ) -> Reply {
        let doing = if failed.is_none() { multi.mutations.as_slice() } else { &[] };
        if let Err(misuse) = self.reads_fit(&multi.reads, doing) {
            return Reply::Rejected(misuse.into());
        }
        if let Some(failed) = failed {
            return Reply::MultiRefused { failed, reads: self.reads(&multi.reads) };
        }
        if self.would_change(&multi.mutations) {
            *revision = revision.next();
        }
        self.mutate(multi.mutations, multi.lease, *revision, history);
        Reply::MultiDone { revision: *revision, reads: self.reads(&multi.reads) }
    }

    /// The same without what follows from the rest: cheap, and enough to encode.
    pub(crate) fn rows(&self) -> Keys {
        Keys { rows: self.rows.clone(), by_lease: BTreeMap::new() }
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Keys, RestoreError> {
        let rows: Table<Bytes, Entry> = Table::restore(seed, from)?;
        let mut by_lease = BTreeMap::<LeaseId, BTreeSet<Bytes>>::new();
        for (key, entry) in rows.iter() {
            if let Some(lease) = entry.lease {
                by_lease.entry(lease).or_default().insert(key.clone());
            }
        }
        Ok(Keys { rows, by_lease })
    }

    fn reads(&self, keys: &[Bytes]) -> Vec<Option<Entry>> {
        keys.iter().map(|key| self.get(key).cloned()).collect()
    }

    /// Known before anything is done: a reply that fits no frame must not follow a deed.
    fn reads_fit(&self, keys: &[Bytes], after: &[Mutation]) -> Result<(), Misuse> {
        let bytes_of = |key: &Bytes| match after.iter().find(|mutation| mutation.key() == key) {
            Some(Mutation::Put { value, .. }) => value.len(),
            Some(Mutation::Delete { .. }) => 0,
            None => self.get(key).map_or(0, |entry| entry.value.len()),
        };
        let got = keys.iter().map(bytes_of).fold(0, usize::saturating_add) as u64;
        let max = REPLY_BYTES_MAX as u64;
        if got > max {
            return Err(Misuse::TooMuch { what: "bytes of values to read", got, max });
        }
        Ok(())
    }
}

/// At most `limit` entries and [`REPLY_BYTES_MAX`], but always one, so that paging gets on.
fn page<'a>(entries: impl Iterator<Item = (&'a Bytes, &'a Entry)>, limit: u32) -> Page {
    let mut page = Vec::new();
    let mut bytes = 0usize;
    for (key, entry) in entries {
        let row = key.len().saturating_add(entry.value.len()).saturating_add(ENTRY_BYTES);
        bytes = bytes.saturating_add(row);
        let full = page.len() >= limit as usize || (bytes > REPLY_BYTES_MAX && !page.is_empty());
        if full {
            return (page, true);
        }
        page.push((key.clone(), entry.clone()));
    }
    (page, false)
}

/// The place of the first guard that does not hold of what `get` finds.
pub(crate) fn first_failing<E: std::borrow::Borrow<Entry>>(
    guards: &[Guard],
    get: impl Fn(&Bytes) -> Option<E>,
) -> Option<u32> {
    let place = guards
        .iter()
        .position(|guard| !guard.expect.holds(get(&guard.key).as_ref().map(E::borrow)))?;
    Some(u32::try_from(place).expect("a multi holds at most MULTI_COMMANDS_MAX guards"))
}

impl Entry {
    /// What a key becomes when it is set at a revision.
    pub(crate) fn written(before: Option<&Entry>, value: Bytes, at: Revision) -> Entry {
        match before {
            None => Entry { value, create: at, modified: at, version: 1, lease: None },
            Some(before) => Entry {
                value,
                create: before.create,
                modified: at,
                version: before.version.saturating_add(1),
                lease: None,
            },
        }
    }
}

impl Expect {
    /// Whether it holds of a key as it stands.
    pub fn holds(&self, entry: Option<&Entry>) -> bool {
        match (self, entry) {
            (Expect::Absent, entry) => entry.is_none(),
            (Expect::Present, entry) => entry.is_some(),
            (Expect::Revision(at), Some(entry)) => entry.modified == *at,
            (Expect::Value(value), Some(entry)) => entry.value == value,
            (Expect::Revision(_) | Expect::Value(_), None) => false,
        }
    }
}
