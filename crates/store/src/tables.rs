//! The tables of the database. Keys are typed: redb compares slots as numbers.

use redb::TableDefinition;

/// Single facts by name.
pub(crate) const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// Slot to header: what the slot's record is, apart from its payload.
pub(crate) const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("headers");

/// Slot to payload; none for a decree without bytes.
pub(crate) const PAYLOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("payloads");

/// Whose store it is.
pub(crate) const IDENTITY: &str = "identity";

/// The highest promise; [`synod_paxos::Ballot::ZERO`] before the first.
pub(crate) const PROMISED: &str = "promised";

/// The chosen watermark.
pub(crate) const CHOSEN_UPTO: &str = "chosen_upto";

/// Where the log begins.
pub(crate) const TRIMMED: &str = "trimmed";

/// How much was written.
pub(crate) const MARK: &str = "mark";

/// How far the write-ahead log was taken over.
pub(crate) const WAL: &str = "wal";
