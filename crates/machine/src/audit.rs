use crate::table::{Digesting, Table};
use crate::{
    Act, AuditEntry, RestoreError, Timestamp,
    coding::{Decoder, Encoder},
};

/// A screenful of screens. What must be kept for longer is copied out; the numbers show a gap.
const AUDIT_ENTRIES_MAX: u64 = 1_024;

/// What was done by force, or what a person should know of: the newest entries.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    last: u64,
    rows: Table<u64, (Timestamp, Act)>,
}

impl Audit {
    pub(crate) fn new(seed: u64) -> Audit {
        Audit { last: 0, rows: Table::new(seed) }
    }

    pub(crate) fn note(&mut self, at: Timestamp, act: Act) {
        self.last = self.last.saturating_add(1);
        self.rows.insert(self.last, (at, act));
        if let Some(gone) = self.last.checked_sub(AUDIT_ENTRIES_MAX) {
            self.rows.remove(&gone);
        }
    }

    pub(crate) fn entries(&self) -> Vec<AuditEntry> {
        let entry = |(number, (at, act)): (&u64, &(Timestamp, Act))| AuditEntry {
            number: *number,
            at_ms: at.0,
            act: act.clone(),
        };
        self.rows.iter().map(entry).collect()
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&self.last)?;
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Audit, RestoreError> {
        Ok(Audit { last: from.take()?, rows: Table::restore(seed, from)? })
    }
}
