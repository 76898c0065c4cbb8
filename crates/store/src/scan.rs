//! Reading the log back: every record is verified, slot by slot.

use std::{collections::BTreeMap, iter::Peekable, ops::RangeInclusive};

use redb::{AccessGuard, Database, Range, ReadTransaction, ReadableDatabase, StorageError};
use synod_paxos::{Decree, Durable, Record, Slot, Write};

use crate::{
    cause::Cause,
    facts::Standing,
    record::{Header, Kind},
    seal::Flaw,
    tables::{HEADERS, PAYLOADS},
};

/// What stands in one slot.
#[derive(Debug)]
enum Found {
    Whole(Kind, Decree),
    Flawed(Flaw),
}

/// Verifies the whole log and gathers what a peer must remember.
///
/// What lies below the watermark is read and dropped again; memory is taken for what lies above it,
/// and above the first damaged record if there is one below it.
pub(crate) fn recover(read: &ReadTransaction, standing: &Standing) -> Result<Durable, Cause> {
    let claimed = standing.chosen_upto;
    let trimmed = standing.trimmed;
    let chosen_upto = readable_upto(read, trimmed, claimed)?;
    let mut records = Vec::new();
    let mut next = chosen_upto.next();
    for found in Scan::from(read, next)? {
        let (slot, found) = found?;
        if next <= claimed && slot != next {
            return Err(missing(next));
        }
        next = slot.next();
        records.push((slot, remembered(slot, found, claimed)?));
    }
    if next <= claimed {
        return Err(missing(next));
    }
    let promised = Some(standing.promised).filter(|ballot| *ballot != synod_paxos::Ballot::ZERO);
    Ok(Durable { promised, trimmed, chosen_upto, records, mark: standing.mark })
}

/// The last slot up to which every record from the one after `trimmed` to `claimed` is whole.
fn readable_upto(read: &ReadTransaction, trimmed: Slot, claimed: Slot) -> Result<Slot, Cause> {
    let mut upto = trimmed;
    for found in Scan::from(read, trimmed.next())? {
        match found? {
            (slot, Found::Whole(..)) if slot <= claimed && slot == upto.next() => upto = slot,
            _ => break,
        }
    }
    Ok(upto)
}

fn remembered(slot: Slot, found: Found, claimed: Slot) -> Result<Record, Cause> {
    Ok(match found {
        Found::Whole(Kind::Vote(ballot), decree) if slot > claimed => {
            Record::Accepted { ballot, decree }
        }
        Found::Whole(_, decree) => Record::Chosen { decree },
        Found::Flawed(Flaw::Damaged) => Record::Faulty,
        Found::Flawed(newer @ Flaw::Version(_)) => {
            return Err(Cause::Flawed(format!("the record of slot {slot}"), newer));
        }
    })
}

/// A record below the watermark that is not there at all did not decay: the log is not whole.
fn missing(slot: Slot) -> Cause {
    let what = format!("slot {slot} lies below the watermark and has no record");
    Cause::Flawed(what, Flaw::Damaged)
}

/// What these facts put into `slots`, the later over the earlier.
pub(crate) fn above<'w>(
    facts: impl Iterator<Item = &'w Write>,
    slots: &RangeInclusive<Slot>,
) -> BTreeMap<Slot, (Kind, Decree)> {
    let found = facts.filter_map(|write| match write {
        Write::Accepted { slot, ballot, decree } => {
            Some((*slot, (Kind::Vote(*ballot), decree.clone())))
        }
        Write::Chosen { slot, decree } => Some((*slot, (Kind::Chosen, decree.clone()))),
        Write::Promised { .. }
        | Write::ChosenUpto { .. }
        | Write::Trimmed { .. }
        | Write::Marked { .. } => None,
    });
    found.filter(|(slot, _)| slots.contains(slot)).collect()
}

/// The chosen decrees of `slots`, in the order of slots and without a gap; `None` when the first
/// has one that is unreadable. What stands `above` the database counts more than what is in it.
pub(crate) fn chosen(
    database: &Database,
    above: &BTreeMap<Slot, (Kind, Decree)>,
    slots: RangeInclusive<Slot>,
    bytes_max: usize,
    standing: &Standing,
) -> Result<Option<Vec<(Slot, Decree)>>, Cause> {
    let (first, upto) = slots.into_inner();
    let mut decrees = Vec::new();
    let (mut next, mut bytes) = (first, 0);
    let mut below = Scan::from(&database.begin_read()?, first)?.peekable();
    while standing.trimmed < next && next <= upto && (bytes < bytes_max || decrees.is_empty()) {
        let there = below.next_if(|found| found.as_ref().map_or(true, |(slot, _)| *slot <= next));
        let there = there.transpose()?;
        let found = match above.get(&next) {
            Some((kind, decree)) => Found::Whole(*kind, decree.clone()),
            None => match there {
                Some((slot, found)) if slot == next => found,
                _ => break,
            },
        };
        match found {
            Found::Whole(kind, decree) if next <= standing.chosen_upto || kind == Kind::Chosen => {
                bytes += decree.bytes();
                decrees.push((next, decree));
                next = next.next();
            }
            Found::Whole(Kind::Vote(_), _) => break,
            Found::Flawed(_) if next == first => return Ok(None),
            _ => break,
        }
    }
    Ok(Some(decrees))
}

type Records = Peekable<Range<'static, u64, &'static [u8]>>;

/// Walks the slots that have anything at all, upwards, both tables side by side, so that a header
/// without its payload and a payload without its header are found too.
struct Scan {
    headers: Records,
    payloads: Records,
}

impl Scan {
    fn from(read: &ReadTransaction, first: Slot) -> Result<Scan, Cause> {
        Ok(Scan {
            headers: read.open_table(HEADERS)?.range(first.get()..)?.peekable(),
            payloads: read.open_table(PAYLOADS)?.range(first.get()..)?.peekable(),
        })
    }

    fn step(&mut self) -> Result<Option<(Slot, Found)>, StorageError> {
        let (header, payload) = (peek(&mut self.headers)?, peek(&mut self.payloads)?);
        let Some(slot) = header.into_iter().chain(payload).min() else { return Ok(None) };
        let header = take(&mut self.headers, slot)?;
        let payload = take(&mut self.payloads, slot)?;
        let slot = Slot::new(slot);
        let whole = read_slot(
            slot,
            header.as_ref().map(AccessGuard::value),
            payload.as_ref().map(AccessGuard::value),
        );
        Ok(Some((slot, whole.unwrap_or_else(Found::Flawed))))
    }
}

impl Iterator for Scan {
    type Item = Result<(Slot, Found), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn peek(records: &mut Records) -> Result<Option<u64>, StorageError> {
    match records.peek() {
        Some(Ok((slot, _))) => Ok(Some(slot.value())),
        Some(Err(_)) => records.next().transpose().map(|_| None),
        None => Ok(None),
    }
}

fn take(
    records: &mut Records,
    slot: u64,
) -> Result<Option<AccessGuard<'static, &'static [u8]>>, StorageError> {
    if peek(records)? != Some(slot) {
        return Ok(None);
    }
    Ok(records.next().transpose()?.map(|(_, record)| record))
}

fn read_slot(slot: Slot, header: Option<&[u8]>, payload: Option<&[u8]>) -> Result<Found, Flaw> {
    let header = Header::decode(slot, header.ok_or(Flaw::Damaged)?)?;
    Ok(Found::Whole(header.kind, header.decree(slot, payload)?))
}
