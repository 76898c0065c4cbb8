//! The bytes of a node's facts in its write-ahead log.

use synod_paxos::{Ballot, Decree, Mark, Slot, Write};

use super::{Fact, put_bytes, take_bytes};
use crate::record::{self, Fields};

const PROMISED: u8 = 1;
const ACCEPTED: u8 = 2;
const CHOSEN: u8 = 3;
const CHOSEN_UPTO: u8 = 4;
const TRIMMED: u8 = 5;
const MARKED: u8 = 6;
const NOOP: u8 = 0;
const VALUE: u8 = 1;

impl Fact for Write {
    fn put(&self, record: &mut Vec<u8>) {
        match self {
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
            Write::Marked { mark } => put_number(record, MARKED, mark.get()),
        }
    }

    fn bytes(&self) -> usize {
        Write::bytes(self)
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
            MARKED => Write::Marked { mark: Mark::new(fields.u64().ok()?) },
            _ => return None,
        })
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
            put_bytes(record, bytes);
        }
    }
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
        VALUE => take_bytes(fields).map(Decree::Value),
        _ => None,
    }
}
