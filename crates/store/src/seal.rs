//! Seals: a version byte, a body, and a CRC over both and over the place where the record belongs.
//!
//! The place goes into the CRC and not into the record: a record that is read from anywhere else (a
//! write gone astray, another slot's, another ballot's) does not verify.

use synod_paxos::Slot;

const CRC_BYTES: usize = 4;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is not what was written here.
    Damaged,
    /// It is whole, and a newer build wrote it.
    Version(u8),
}

/// Where a record belongs, as the state of a CRC that has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Place(crc32fast::Hasher);

impl Place {
    /// The fact of this name.
    pub(crate) fn fact(name: &str) -> Place {
        Place::of("fact").and(name.as_bytes())
    }

    /// The header of `slot`.
    pub(crate) fn header(slot: Slot) -> Place {
        Place::of("header").and(&slot.get().to_le_bytes())
    }

    /// The payload of `slot` that belongs to the header whose kind and ballot are these bytes.
    pub(crate) fn payload(slot: Slot, kind: &[u8]) -> Place {
        Place::of("payload").and(&slot.get().to_le_bytes()).and(kind)
    }

    /// A chunk of a snapshot.
    pub(crate) fn chunk(cluster_id: u64, slot: Slot, number: u32, last: bool) -> Place {
        Place::of("snapshot")
            .and(&cluster_id.to_le_bytes())
            .and(&slot.get().to_le_bytes())
            .and(&number.to_le_bytes())
            .and(&[u8::from(last)])
    }

    fn of(table: &str) -> Place {
        Place(crc32fast::Hasher::new()).and(table.as_bytes())
    }

    fn and(mut self, bytes: &[u8]) -> Place {
        self.0.update(bytes);
        self
    }

    /// The record: version, body, CRC.
    pub(crate) fn seal(self, version: u8, body: &[u8]) -> Vec<u8> {
        let mut record = Vec::with_capacity(1 + body.len() + CRC_BYTES);
        record.push(version);
        record.extend_from_slice(body);
        let crc = self.and(&record).0.finalize();
        record.extend_from_slice(&crc.to_le_bytes());
        record
    }

    /// The body of `record` if it is whole and of `version`. The CRC is judged before the version:
    /// a flipped version byte is damage, not news from a newer build.
    pub(crate) fn unseal(self, version: u8, record: &[u8]) -> Result<&[u8], Flaw> {
        let (sealed, found) = record.split_last_chunk::<CRC_BYTES>().ok_or(Flaw::Damaged)?;
        if self.and(sealed).0.finalize() != u32::from_le_bytes(*found) {
            return Err(Flaw::Damaged);
        }
        match sealed.split_first() {
            Some((head, body)) if *head == version => Ok(body),
            Some((head, _)) => Err(Flaw::Version(*head)),
            None => Err(Flaw::Damaged),
        }
    }
}
