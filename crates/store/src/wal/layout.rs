//! The bytes of a write-ahead log, described in `docs/format.md`.

use std::io;

use bytes::Bytes;
use redb::StorageBackend;
use synod_paxos::{Ballot, Decree, Slot, Write};
use xxhash_rust::xxh3::xxh3_64;

use super::Reached;
use crate::record::{self, Fields};

/// What a disk writes as one.
const SECTOR_BYTES: u64 = 512;

/// Records begin here, after the head.
pub(crate) const RECORDS_AT: u64 = 4096;

const MAGIC: [u8; 8] = *b"synodwal";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 8 + 1 + 8 + 8 + 8;
/// Number, bytes of the facts, their digest, and the digest of these.
const RECORD_HEAD_BYTES: usize = 4 * 8;
const MARK_BYTES: usize = 2 * 8;
/// What is looked through at once for records that nothing leads to.
const PIECE_BYTES: u64 = 64 << 10;

const PROMISED: u8 = 1;
const ACCEPTED: u8 = 2;
const CHOSEN: u8 = 3;
const CHOSEN_UPTO: u8 = 4;
const TRIMMED: u8 = 5;
const PROBE: u8 = 6;
const NOOP: u8 = 0;
const VALUE: u8 = 1;

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
pub(crate) fn encode<'w>(facts: impl Iterator<Item = &'w Write>) -> Vec<u8> {
    let mut record = vec![0; RECORD_HEAD_BYTES];
    facts.for_each(|fact| put(&mut record, fact));
    record
}

/// Bytes that a record takes in the log.
pub(super) fn sectors(record: &[u8]) -> u64 {
    (record.len() as u64).next_multiple_of(SECTOR_BYTES)
}

/// Finishes an encoded record for its place.
pub(super) fn seal(record: &mut Vec<u8>, head: &Head, number: u64, at: u64) {
    let facts = &record[RECORD_HEAD_BYTES..];
    let said = RecordHead { number, bytes: facts.len() as u64, facts: xxh3_64(facts) };
    record[..RECORD_HEAD_BYTES].copy_from_slice(&said.encode(head, at));
    record.resize(sectors(record) as usize, 0);
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

    pub(super) fn reached(&self) -> Reached {
        let bytes = (RECORD_HEAD_BYTES + self.facts.len()) as u64;
        Reached { number: self.number, at: self.at + bytes.next_multiple_of(SECTOR_BYTES) }
    }

    /// Its facts; `None` when its bytes are whole and say nothing that this build knows.
    pub(super) fn facts(&self) -> Option<Vec<Write>> {
        let (mut fields, mut facts) = (Fields(&self.facts), Vec::new());
        while !fields.0.is_empty() {
            facts.push(take(&mut fields)?);
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

/// The mark of a log whose record of this number was synced.
pub(super) fn mark(owner: u64, number: u64) -> [u8; MARK_BYTES] {
    let mut mark = [0; MARK_BYTES];
    let digest = xxh3_64([owner, number].map(u64::to_le_bytes).as_flattened());
    mark.copy_from_slice([number, digest].map(u64::to_le_bytes).as_flattened());
    mark
}

/// What a mark says; nothing, when it cannot be read: it is not synced.
pub(super) fn marked(file: &dyn StorageBackend, owner: u64) -> io::Result<Option<u64>> {
    if file.len()? < MARK_BYTES as u64 {
        return Ok(None);
    }
    let mut found = [0; MARK_BYTES];
    file.read(0, &mut found)?;
    let number = found.first_chunk::<8>().map(|number| u64::from_le_bytes(*number));
    Ok(number.filter(|number| mark(owner, *number) == found))
}

fn put(record: &mut Vec<u8>, fact: &Write) {
    match fact {
        Write::Promised { ballot } => {
            record.push(PROMISED);
            record.extend_from_slice(&record::ballot_bytes(*ballot));
        }
        Write::Accepted { slot, ballot, decree } => {
            put_number(record, ACCEPTED, slot.get());
            record.extend_from_slice(&record::ballot_bytes(*ballot));
            put_decree(record, decree);
        }
        Write::Chosen { slot, decree } => {
            put_number(record, CHOSEN, slot.get());
            put_decree(record, decree);
        }
        Write::ChosenUpto { slot } => put_number(record, CHOSEN_UPTO, slot.get()),
        Write::Trimmed { upto } => put_number(record, TRIMMED, upto.get()),
        Write::Probe { sequence } => put_number(record, PROBE, *sequence),
    }
}

fn put_number(record: &mut Vec<u8>, kind: u8, number: u64) {
    record.push(kind);
    record.extend_from_slice(&number.to_le_bytes());
}

fn put_decree(record: &mut Vec<u8>, decree: &Decree) {
    match decree {
        Decree::Noop => record.push(NOOP),
        Decree::Value(bytes) => {
            record.push(VALUE);
            record.extend_from_slice(&record::length(bytes).to_le_bytes());
            record.extend_from_slice(bytes);
        }
    }
}

fn take(fields: &mut Fields<'_>) -> Option<Write> {
    Some(match fields.u8().ok()? {
        PROMISED => Write::Promised { ballot: take_ballot(fields)? },
        ACCEPTED => Write::Accepted {
            slot: take_slot(fields)?,
            ballot: take_ballot(fields)?,
            decree: take_decree(fields)?,
        },
        CHOSEN => Write::Chosen { slot: take_slot(fields)?, decree: take_decree(fields)? },
        CHOSEN_UPTO => Write::ChosenUpto { slot: take_slot(fields)? },
        TRIMMED => Write::Trimmed { upto: take_slot(fields)? },
        PROBE => Write::Probe { sequence: fields.u64().ok()? },
        _ => return None,
    })
}

fn take_slot(fields: &mut Fields<'_>) -> Option<Slot> {
    fields.u64().ok().map(Slot::new)
}

fn take_ballot(fields: &mut Fields<'_>) -> Option<Ballot> {
    fields.ballot().ok()
}

fn take_decree(fields: &mut Fields<'_>) -> Option<Decree> {
    match fields.u8().ok()? {
        NOOP => Some(Decree::Noop),
        VALUE => {
            let length = fields.u32().ok()? as usize;
            let (bytes, rest) = fields.0.split_at_checked(length)?;
            fields.0 = rest;
            Some(Decree::Value(Bytes::copy_from_slice(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
