//! One batch of facts as one redb transaction.

use redb::{Database, Durability, Table, WriteTransaction};
use synod_paxos::{Decree, Slot, Write};

use crate::{
    Identity,
    facts::Standing,
    front::Load,
    record::{self, Header, Kind},
    tables::{FACTS, HEADERS, IDENTITY, PAYLOADS},
};

/// Writes what a new store holds.
pub(crate) fn format(database: &Database, identity: &Identity) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    tables.facts.insert(IDENTITY, record::encode_identity(identity).as_slice())?;
    tables.stand(&Standing::FORMATTED)?;
    drop(tables);
    Ok(transaction.commit()?)
}

impl Load for Vec<Write> {
    type Fact = Write;
    type Footing = Standing;

    fn append(&mut self, later: Vec<Write>) {
        self.extend(later);
    }

    fn write(&self, database: &Database, standing: &Standing) -> Result<Standing, redb::Error> {
        write(database, standing, self)
    }
}

/// Makes `writes` durable as one, on top of `standing`; what stands afterwards is returned.
pub(crate) fn write(
    database: &Database,
    standing: &Standing,
    writes: &[Write],
) -> Result<Standing, redb::Error> {
    let mut after = *standing;
    let transaction = begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    for write in writes {
        tables.apply(&mut after, write)?;
    }
    tables.stand(&after)?;
    drop(tables);
    transaction.commit()?;
    Ok(after)
}

/// A transaction that is durable when its commit returns.
///
/// Two phases: with one, redb takes a damaged newest commit for one that a crash tore, and falls
/// back to the one before, which would forget what was acknowledged. With two, the commit that is
/// named as the newest was whole, and damage to it is an error.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

struct Tables<'t> {
    facts: Table<'t, &'static str, &'static [u8]>,
    headers: Table<'t, u64, &'static [u8]>,
    payloads: Table<'t, u64, &'static [u8]>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Tables<'t>, redb::Error> {
        Ok(Tables {
            facts: transaction.open_table(FACTS)?,
            headers: transaction.open_table(HEADERS)?,
            payloads: transaction.open_table(PAYLOADS)?,
        })
    }

    fn apply(&mut self, standing: &mut Standing, write: &Write) -> Result<(), redb::Error> {
        match write {
            Write::Accepted { slot, ballot, decree } => {
                self.put(*slot, Kind::Vote(*ballot), decree)?;
            }
            Write::Chosen { slot, decree } => self.put(*slot, Kind::Chosen, decree)?,
            Write::Trimmed { upto } => self.trim(standing.trimmed, *upto)?,
            Write::Promised { .. } | Write::ChosenUpto { .. } | Write::Marked { .. } => {}
        }
        standing.note(write);
        Ok(())
    }

    fn put(&mut self, slot: Slot, kind: Kind, decree: &Decree) -> Result<(), redb::Error> {
        let header = Header::new(kind, decree).encode(slot);
        self.headers.insert(slot.get(), header.as_slice())?;
        match decree {
            Decree::Noop => drop(self.payloads.remove(slot.get())?),
            Decree::Value(bytes) => {
                let payload = record::encode_payload(slot, kind, bytes);
                self.payloads.insert(slot.get(), payload.as_slice())?;
            }
        }
        Ok(())
    }

    fn trim(&mut self, trimmed: Slot, upto: Slot) -> Result<(), redb::Error> {
        if upto > trimmed {
            let gone = trimmed.next().get()..=upto.get();
            self.headers.retain_in(gone.clone(), |_, _| false)?;
            self.payloads.retain_in(gone, |_, _| false)?;
        }
        Ok(())
    }

    fn stand(&mut self, standing: &Standing) -> Result<(), redb::Error> {
        for (name, record) in standing.records() {
            self.facts.insert(name, record.as_slice())?;
        }
        Ok(())
    }
}
