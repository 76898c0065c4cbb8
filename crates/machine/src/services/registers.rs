use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    named_rows,
    shares::{Limits, Shares},
};
use crate::limits::{Misuse, at_most, check_name};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, Name, Rejection, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
};

/// Bytes of what stands in a register. It stands for ever and in the memory of every node: of
/// something larger, its name or its digest.
pub const REGISTER_BYTES_MAX: usize = 64 << 10;

/// Registers are never removed, so what a client fills is full for good.
const COUNT: Limits = Limits {
    what: Counted::Registers,
    max: 200_000,
    of_owner: Counted::RegistersOfOwner,
    of_owner_max: 65_536,
};
/// And bytes of their names and values.
const BYTES: Limits = Limits {
    what: Counted::RegisterBytes,
    max: 128 << 20,
    of_owner: Counted::RegisterBytesOfOwner,
    of_owner_max: 32 << 20,
};

/// What can be done with registers that are written once: consensus on one value, as everybody
/// knows it (Lamport, *Paxos Made Simple*, 2001, §2.1), under a name.
///
/// The first proposal in the order of the log is chosen and stands for ever: a register is neither
/// changed nor removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegisterCommand {
    /// Proposes a value: `Chosen`, whosever value it is.
    Propose {
        /// Of which register.
        name: Name,
        /// Which.
        value: Bytes,
    },
}

/// What became of a [`RegisterCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegisterReply {
    /// This value stands for ever.
    Chosen {
        /// Which.
        value: Bytes,
        /// The revision at which it was chosen.
        at: Revision,
        /// Who proposed it: the owner of that session.
        by: String,
        /// Whether this request did. The same value from another request is another proposal.
        ours: bool,
    },
}

/// A register for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterView {
    /// Which.
    pub name: Name,
    /// What stands in it.
    pub value: Bytes,
    /// The revision at which it was chosen.
    pub at: Revision,
    /// Who proposed it: the owner of that session.
    pub by: String,
    /// When it was chosen, by the stamp of the batch.
    pub chosen_at_ms: u64,
}

impl RegisterCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        let RegisterCommand::Propose { name, value } = self;
        check_name(name)?;
        at_most("bytes of a register's value", value.len(), REGISTER_BYTES_MAX)
    }

    /// Bytes of the texts and values in it.
    pub(crate) fn weight(&self) -> usize {
        let RegisterCommand::Propose { name, value } = self;
        name.as_str().len().saturating_add(value.len())
    }
}

impl RegisterReply {
    /// Bytes of the values in it.
    pub(crate) fn weight(&self) -> u64 {
        let RegisterReply::Chosen { value, .. } = self;
        value.len() as u64
    }
}

/// Every register in which something was chosen.
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    rows: Table<Name, Register>,
    /// Follows from `rows`.
    count: Shares,
    /// Follows from `rows`.
    bytes: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Register {
    value: Bytes,
    at: Revision,
    by: String,
    chosen: Timestamp,
}

impl Registers {
    pub(crate) fn new(seed: u64) -> Registers {
        Registers { rows: Table::new(seed), count: Shares::new(&COUNT), bytes: Shares::new(&BYTES) }
    }

    pub(crate) fn propose(
        &mut self,
        name: Name,
        (value, by): (Bytes, String),
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> Result<RegisterReply, Rejection> {
        if let Some(Register { value, at, by, .. }) = self.rows.get(&name).cloned() {
            return Ok(RegisterReply::Chosen { value, at, by, ours: false });
        }
        self.count.have_room(&by, 1)?;
        self.bytes.have_room(&by, weight(&name, &value))?;
        *revision = revision.next();
        let at = *revision;
        history.note(Change::Register { name: name.clone(), value: value.clone() });
        let register = Register { value: value.clone(), at, by: by.clone(), chosen: now };
        self.insert(name, register);
        Ok(RegisterReply::Chosen { value, at, by, ours: true })
    }

    pub(crate) fn view(&self, name: &Name) -> Option<RegisterView> {
        self.rows.get(name).map(|register| view(name, register))
    }

    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
    ) -> impl Iterator<Item = RegisterView> + 'a {
        named_rows(&self.rows, prefix, after).map(|(name, register)| view(name, register))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Registers {
        let (count, bytes) = (Shares::new(&COUNT), Shares::new(&BYTES));
        Registers { rows: self.rows.clone(), count, bytes }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Registers, RestoreError> {
        let mut registers = Registers::new(seed);
        let rows: Table<Name, Register> = Table::restore(seed, from)?;
        for (name, register) in rows.iter() {
            registers.insert(name.clone(), register.clone());
        }
        Ok(registers)
    }

    fn insert(&mut self, name: Name, register: Register) {
        self.count.take(&register.by, 1);
        self.bytes.take(&register.by, weight(&name, &register.value));
        self.rows.insert(name, register);
    }
}

fn weight(name: &Name, value: &Bytes) -> u64 {
    name.as_str().len().saturating_add(value.len()) as u64
}

fn view(name: &Name, register: &Register) -> RegisterView {
    RegisterView {
        name: name.clone(),
        value: register.value.clone(),
        at: register.at,
        by: register.by.clone(),
        chosen_at_ms: register.chosen.0,
    }
}
