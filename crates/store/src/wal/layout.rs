//! The bytes of a write-ahead log, described in `docs/format.md`.

use std::io;

use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

use super::{Fact, Reached};
use crate::record::Fields;

/// What a disk writes as one.
const SECTOR_BYTES: u64 = 512;

/// Records begin here, after the head.
pub(crate) const RECORDS_AT: u64 = 4096;

const MAGIC: [u8; 8] = *b"synodwal";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 8 + 1 + 8 + 8 + 8;
/// Number, bytes of the facts, their digest, and the digest of these.
const RECORD_HEAD_BYTES: usize = 4 * 8;
const COUNT_BYTES: usize = 2 * 8;
/// What is looked through at once for records that nothing leads to.
const PIECE_BYTES: u64 = 64 << 10;

/// Whose log it is, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) owner: u64,
    pub(super) bytes: u64,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.owner.to_le_bytes());
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        let digest = xxh3_64(&bytes);
        bytes.extend_from_slice(&digest.to_le_bytes());
        bytes
    }

    /// The head of `file`, if it is one and the file has its length.
    pub(super) fn read(file: &dyn StorageBackend) -> io::Result<Option<Head>> {
        let length = file.len()?;
        if length < RECORDS_AT {
            return Ok(None);
        }
        let mut bytes = [0; HEAD_BYTES];
        file.read(0, &mut bytes)?;
        Ok(Head::decode(&bytes).filter(|head| head.bytes == length))
    }

    fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
        let (sealed, digest) = bytes.split_last_chunk::<8>()?;
        let rest = sealed.strip_prefix(&MAGIC)?.strip_prefix(&[VERSION])?;
        let ([owner, bytes], []) = rest.as_chunks::<8>() else { return None };
        (xxh3_64(sealed) == u64::from_le_bytes(*digest))
            .then(|| Head { owner: u64::from_le_bytes(*owner), bytes: u64::from_le_bytes(*bytes) })
    }
}

/// What a record says of itself. It is bound to the log and to its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordHead {
    number: u64,
    bytes: u64,
    facts: u64,
}

impl RecordHead {
    fn encode(&self, head: &Head, at: u64) -> [u8; RECORD_HEAD_BYTES] {
        let fields = [self.number, self.bytes, self.facts];
        let mut encoded = [0; RECORD_HEAD_BYTES];
        let (said, digest) = encoded.split_at_mut(RECORD_HEAD_BYTES - 8);
        said.copy_from_slice(fields.map(u64::to_le_bytes).as_flattened());
        digest.copy_from_slice(&self.digest(head, at).to_le_bytes());
        encoded
    }

    fn digest(&self, head: &Head, at: u64) -> u64 {
        let bound = [head.owner, at, self.number, self.bytes, self.facts];
        xxh3_64(bound.map(u64::to_le_bytes).as_flattened())
    }

    /// The head of a record at `at`, if one that belongs there stands there whole.
    fn decode(encoded: &[u8], head: &Head, at: u64) -> Option<RecordHead> {
        let (fields, _) = encoded.get(..RECORD_HEAD_BYTES)?.as_chunks::<8>();
        let [number, bytes, facts, digest] = *fields else { return None };
        let [number, bytes, facts] = [number, bytes, facts].map(u64::from_le_bytes);
        let said = RecordHead { number, bytes, facts };
        (said.digest(head, at) == u64::from_le_bytes(digest)).then_some(said)
    }
}

/// A record with room for its head, in whole sectors.
pub(crate) fn encode<'f, F: Fact + 'f>(facts: impl Iterator<Item = &'f F>) -> Vec<u8> {
    let mut record = vec![0; RECORD_HEAD_BYTES];
    facts.for_each(|fact| fact.put(&mut record));
    record
}

/// Bytes that a record of so many takes in the log.
pub(super) fn sectors(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(SECTOR_BYTES)
}

/// Finishes an encoded record for its place.
pub(super) fn seal(record: &mut Vec<u8>, head: &Head, number: u64, at: u64) {
    let facts = &record[RECORD_HEAD_BYTES..];
    let said = RecordHead { number, bytes: facts.len() as u64, facts: xxh3_64(facts) };
    record[..RECORD_HEAD_BYTES].copy_from_slice(&said.encode(head, at));
    record.resize(sectors(record.len()) as usize, 0);
}

/// A record read back.
#[derive(Debug)]
pub(super) struct Record {
    at: u64,
    number: u64,
    facts: Vec<u8>,
}

impl Record {
    /// The record after `last`: behind it, or at the front when there was no room.
    pub(super) fn after(
        file: &dyn StorageBackend,
        head: &Head,
        last: Reached,
    ) -> io::Result<Option<Record>> {
        for at in [last.at, RECORDS_AT] {
            if let Some(record) =
                Record::read(file, head, at)?.filter(|it| it.number == last.number + 1)
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn read(file: &dyn StorageBackend, head: &Head, at: u64) -> io::Result<Option<Record>> {
        let Some(room) = head.bytes.saturating_sub(at).checked_sub(RECORD_HEAD_BYTES as u64) else {
            return Ok(None);
        };
        let mut encoded = [0; RECORD_HEAD_BYTES];
        file.read(at, &mut encoded)?;
        let said = RecordHead::decode(&encoded, head, at).filter(|said| said.bytes <= room);
        let Some(said) = said else { return Ok(None) };
        let mut facts = vec![0; said.bytes as usize];
        file.read(at + RECORD_HEAD_BYTES as u64, &mut facts)?;
        let whole = xxh3_64(&facts) == said.facts;
        Ok(whole.then_some(Record { at, number: said.number, facts }))
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn reached(&self) -> Reached {
        let bytes = (RECORD_HEAD_BYTES + self.facts.len()) as u64;
        Reached { number: self.number, at: self.at + bytes.next_multiple_of(SECTOR_BYTES) }
    }

    /// Its facts; `None` when its bytes are whole and say nothing that this build knows.
    pub(super) fn facts<F: Fact>(&self) -> Option<Vec<F>> {
        let (mut fields, mut facts) = (Fields(&self.facts), Vec::new());
        while !fields.0.is_empty() {
            facts.push(F::take(&mut fields)?);
        }
        Some(facts)
    }
}

/// Whether the head of a record later than `number` stands anywhere.
pub(super) fn has_later(file: &dyn StorageBackend, head: &Head, number: u64) -> io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES as usize];
    for from in (RECORDS_AT..head.bytes).step_by(piece.len()) {
        let length = (head.bytes - from).min(PIECE_BYTES) as usize;
        file.read(from, &mut piece[..length])?;
        let sectors = piece[..length].chunks(SECTOR_BYTES as usize);
        let mut heads = sectors.zip((from..).step_by(SECTOR_BYTES as usize));
        if heads.any(|(sector, at)| {
            RecordHead::decode(sector, head, at).is_some_and(|said| said.number > number)
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The count of a log whose record of this number was synced.
pub(super) fn count(owner: u64, number: u64) -> [u8; COUNT_BYTES] {
    let mut count = [0; COUNT_BYTES];
    let digest = xxh3_64([owner, number].map(u64::to_le_bytes).as_flattened());
    count.copy_from_slice([number, digest].map(u64::to_le_bytes).as_flattened());
    count
}

/// What a count says; nothing, when it cannot be read: it is not synced.
pub(super) fn counted(file: &dyn StorageBackend, owner: u64) -> io::Result<Option<u64>> {
    if file.len()? < COUNT_BYTES as u64 {
        return Ok(None);
    }
    let mut found = [0; COUNT_BYTES];
    file.read(0, &mut found)?;
    let number = found.first_chunk::<8>().map(|number| u64::from_le_bytes(*number));
    Ok(number.filter(|number| count(owner, *number) == found))
}

#[cfg(test)]
mod tests;
