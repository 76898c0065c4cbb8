//! The facts beside the log: whose it is, what was promised, how far everything is chosen.

use redb::{ReadOnlyTable, ReadTransaction};
use synod_paxos::{Ballot, Mark, Slot, Write};

use crate::{
    Identity,
    cause::Cause,
    front::Footing,
    record,
    seal::Flaw,
    tables::{CHOSEN_UPTO, FACTS, IDENTITY, MARK, PROMISED, TRIMMED, WAL},
    wal::Reached,
};

/// Every fact of a store. Formatting writes them all, so a missing one is damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) identity: Identity,
    pub(crate) standing: Standing,
}

/// The facts that change, and that the next batch builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The highest promise; [`Ballot::ZERO`] before the first.
    pub(crate) promised: Ballot,
    /// The chosen watermark; never below `trimmed`.
    pub(crate) chosen_upto: Slot,
    /// Everything up to here is gone.
    pub(crate) trimmed: Slot,
    /// How much was written.
    pub(crate) mark: Mark,
    /// How far the write-ahead log was taken over; nowhere, where there is none.
    pub(crate) reached: Reached,
}

impl Standing {
    /// Before the first batch.
    pub(crate) const FORMATTED: Standing = Standing {
        promised: Ballot::ZERO,
        chosen_upto: Slot::ZERO,
        trimmed: Slot::ZERO,
        mark: Mark::ZERO,
        reached: Reached::NOTHING,
    };

    /// What stands after a fact.
    pub(crate) fn note(&mut self, fact: &Write) {
        match fact {
            // Invariant: a promise never falls (*Paxos Made Simple* §2.2, P1a).
            Write::Promised { ballot } => self.promised = self.promised.max(*ballot),
            Write::Accepted { .. } | Write::Chosen { .. } => {}
            // Down as well as up: after a damaged record the watermark has fallen below it, and
            // what replaces that record may be a vote that must not pass for chosen. But never
            // below where the log begins.
            Write::ChosenUpto { slot } => self.chosen_upto = (*slot).max(self.trimmed),
            // What is trimmed is chosen, so the watermark is at least there.
            Write::Trimmed { upto } => {
                self.trimmed = self.trimmed.max(*upto);
                self.chosen_upto = self.chosen_upto.max(self.trimmed);
            }
            Write::Marked { mark } => self.mark = *mark,
        }
    }

    /// Every record of it, by name.
    pub(crate) fn records(&self) -> [(&'static str, Vec<u8>); 5] {
        [
            (PROMISED, record::encode_ballot(PROMISED, self.promised)),
            (CHOSEN_UPTO, record::encode_number(CHOSEN_UPTO, self.chosen_upto.get())),
            (TRIMMED, record::encode_number(TRIMMED, self.trimmed.get())),
            (MARK, record::encode_number(MARK, self.mark.get())),
            (WAL, record::encode_reached(WAL, self.reached)),
        ]
    }
}

impl Footing for Standing {
    fn reached(&self) -> Reached {
        self.reached
    }

    fn at(self, reached: Reached) -> Standing {
        Standing { reached, ..self }
    }
}

impl Facts {
    /// Reads them all, whose store it is first: in a newer format nothing else is judged.
    pub(crate) fn read(read: &ReadTransaction) -> Result<Facts, Cause> {
        let facts = read.open_table(FACTS)?;
        let number = |name| fact(&facts, name, |record| record::decode_number(name, record));
        let identity = fact(&facts, IDENTITY, record::decode_identity)?;
        let standing = Standing {
            promised: fact(&facts, PROMISED, |record| record::decode_ballot(PROMISED, record))?,
            chosen_upto: Slot::new(number(CHOSEN_UPTO)?),
            trimmed: Slot::new(number(TRIMMED)?),
            mark: Mark::new(number(MARK)?),
            reached: fact(&facts, WAL, |record| record::decode_reached(WAL, record))?,
        };
        Ok(Facts { identity, standing })
    }
}

/// Reads one fact.
pub(crate) fn fact<T>(
    facts: &ReadOnlyTable<&'static str, &'static [u8]>,
    name: &'static str,
    decode: impl FnOnce(&[u8]) -> Result<T, Flaw>,
) -> Result<T, Cause> {
    let flawed = |flaw| Cause::Flawed(format!("the record `{name}`"), flaw);
    let record = facts.get(name)?.ok_or_else(|| flawed(Flaw::Damaged))?;
    decode(record.value()).map_err(flawed)
}
