//! One redb transaction for everything that waits.

use redb::{ReadableTable, Table, WriteTransaction};
use serde::Serialize;
use synod_client::machine::{Entry, TxnId, branch::Write};

use super::{
    super::ShardError, COMMITS, Definition, FLOORS, KEYS, NUMBERS, PREPARED, REVISION, RUNS,
    SESSIONS_BELOW, Store, cause::Cause, session_key, txn_key,
};

/// Facts that become durable together, or not at all.
pub(in super::super) struct Writing<'a> {
    store: &'a Store,
    write: WriteTransaction,
    facts: usize,
}

impl<'a> Writing<'a> {
    pub(super) fn new(store: &'a Store) -> Result<Writing<'a>, Cause> {
        Ok(Writing { store, write: store.journaled.begin()?, facts: 0 })
    }

    /// A key as it stands after the facts put in so far.
    pub(in super::super) fn key(&self, key: &[u8]) -> Result<Option<Entry>, ShardError> {
        self.find(key).map_err(|cause| self.store.explain(cause))
    }

    /// Puts in one fact.
    pub(in super::super) fn put(&mut self, fact: &Write) -> Result<(), ShardError> {
        self.facts += 1;
        self.put_in(fact).map_err(|cause| self.store.explain(cause))
    }

    /// Makes every fact durable. After an error nothing is known of them, and the process must end.
    pub(in super::super) fn sync(self) -> Result<(), ShardError> {
        let store = self.store;
        if self.facts == 0 {
            return self.write.abort().map_err(|error| store.explain(error.into()));
        }
        let commits = store.commits.get().saturating_add(1);
        let counted = self.set(NUMBERS, COMMITS, Some(&commits));
        let committed = counted.and_then(|()| Ok(store.journaled.commit(self.write)?));
        committed.map_err(|cause| store.explain(cause))?;
        store.commits.set(commits);
        store.mark.as_ref().map_or(Ok(()), |mark| mark.put(commits))
    }

    fn find(&self, key: &[u8]) -> Result<Option<Entry>, Cause> {
        let keys = self.write.open_table(KEYS.table)?;
        let row = keys.get(key)?;
        row.map(|row| KEYS.at(key).unseal(row.value())).transpose()
    }

    fn put_in(&self, fact: &Write) -> Result<(), Cause> {
        match fact {
            Write::Prepared { txn, work } => self.set(PREPARED, &txn_key(*txn), Some(work)),
            Write::Ended { txn } => self.clear(PREPARED, &txn_key(*txn)),
            Write::Key { key, entry } => self.set(KEYS, key, entry.as_ref()),
            Write::Revision(revision) => self.set(NUMBERS, REVISION, Some(&revision.get())),
            Write::Run { session, first, last } => {
                let place = txn_key(TxnId { session: *session, n: *first });
                self.set(RUNS, &place, last.as_ref())
            }
            Write::Floor { session, below } => {
                self.set(FLOORS, &session_key(*session), below.as_ref())
            }
            Write::SessionsBelow(session) => {
                self.set(NUMBERS, SESSIONS_BELOW, Some(&session.get()))
            }
        }
    }

    fn set(
        &self,
        definition: Definition,
        key: &[u8],
        value: Option<&impl Serialize>,
    ) -> Result<(), Cause> {
        let Some(value) = value else { return self.clear(definition, key) };
        let row = definition.at(key).seal(value);
        let mut table: Table<'_, &[u8], &[u8]> = self.write.open_table(definition.table)?;
        table.insert(key, row.as_slice())?;
        Ok(())
    }

    fn clear(&self, definition: Definition, key: &[u8]) -> Result<(), Cause> {
        let mut table: Table<'_, &[u8], &[u8]> = self.write.open_table(definition.table)?;
        table.remove(key)?;
        Ok(())
    }
}
