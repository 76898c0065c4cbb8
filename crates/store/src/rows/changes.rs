//! Rows that redb is to take over, the newest of each key alone: what was changed twice is taken
//! over once.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use redb::Database;

use super::{Row, definition};
use crate::{
    batch,
    front::{Footing, Load},
    record::{self, Fields},
    tables::{FACTS, WAL},
    wal::{Fact, Reached, put_bytes, take_bytes},
};

/// Tables by their names, and how far the log is taken over in them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    pub(super) names: &'static [&'static str],
    pub(super) reached: Reached,
}

impl Footing for Tables {
    fn reached(&self) -> Reached {
        self.reached
    }

    fn at(self, reached: Reached) -> Tables {
        Tables { reached, ..self }
    }
}

/// By table and key; `None` takes a row away.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(BTreeMap<u8, Table>);

type Table = BTreeMap<Bytes, Option<Bytes>>;

impl Changes {
    /// What a key is to be, if it is to change.
    pub(super) fn get(&self, table: u8, key: &[u8]) -> Option<Option<&Bytes>> {
        Some(self.0.get(&table)?.get(key)?.as_ref())
    }

    /// The changes of a table from a key on.
    pub(super) fn range(
        &self,
        table: u8,
        from: &[u8],
    ) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        let rows = self.0.get(&table).into_iter();
        let rows = rows
            .flat_map(move |rows| rows.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)));
        rows.map(|(key, value)| (key.clone(), value.clone()))
    }
}

impl Extend<Row> for Changes {
    fn extend<R: IntoIterator<Item = Row>>(&mut self, rows: R) {
        for Row { table, key, value } in rows {
            self.0.entry(table).or_default().insert(key, value);
        }
    }
}

impl Load for Changes {
    type Fact = Row;
    type Footing = Tables;

    fn append(&mut self, later: Changes) {
        for (table, rows) in later.0 {
            self.0.entry(table).or_default().extend(rows);
        }
    }

    fn write(&self, database: &Database, tables: &Tables) -> Result<Tables, redb::Error> {
        let transaction = batch::begin(database)?;
        for (table, rows) in &self.0 {
            let name = tables.names.get(usize::from(*table)).ok_or_else(|| {
                redb::Error::Corrupted(format!("its log has a row of table {table}"))
            })?;
            let mut table = transaction.open_table(definition(name))?;
            for (key, value) in rows {
                match value {
                    Some(value) => drop(table.insert(&key[..], &value[..])?),
                    None => drop(table.remove(&key[..])?),
                }
            }
        }
        let reached = record::encode_reached(WAL, tables.reached);
        transaction.open_table(FACTS)?.insert(WAL, reached.as_slice())?;
        transaction.commit()?;
        Ok(*tables)
    }
}

const GONE: u8 = 0;
const THERE: u8 = 1;

impl Fact for Row {
    fn put(&self, record: &mut Vec<u8>) {
        record.push(self.table);
        put_bytes(record, &self.key);
        match &self.value {
            None => record.push(GONE),
            Some(value) => {
                record.push(THERE);
                put_bytes(record, value);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, |value| value.len())
    }

    fn take(fields: &mut Fields<'_>) -> Option<Row> {
        let (table, key) = (fields.u8().ok()?, take_bytes(fields)?);
        let value = match fields.u8().ok()? {
            GONE => None,
            THERE => Some(take_bytes(fields)?),
            _ => return None,
        };
        Some(Row { table, key, value })
    }
}
