//! The bytes of every record, described in `docs/format.md` and pinned by the tests.

use bytes::Bytes;
use synod_paxos::{Ballot, Decree, Incarnation, Life, NodeId, Slot};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Identity,
    seal::{Flaw, Place},
    tables::IDENTITY,
    wal::Reached,
};

/// The layout of a whole store that this build reads and writes: the first byte of the identity
/// record. It goes up, too, when what the slots carry is read in another way: a node that skipped
/// what it cannot read would go on without it.
pub(crate) const FORMAT: u8 = 4;

/// The layout of every other record.
const RECORD_VERSION: u8 = 1;

const BALLOT_BYTES: usize = 18;
const KIND_BYTES: usize = 1 + BALLOT_BYTES;
const HEADER_BYTES: usize = KIND_BYTES + 1 + 4 + 8;
const IDENTITY_FIXED_BYTES: usize = 8 + 2 + 8;

const KIND_VOTE: u8 = 1;
const KIND_CHOSEN: u8 = 2;
const DECREE_NOOP: u8 = 0;
const DECREE_VALUE: u8 = 1;

/// What stands in a slot: the part of its header that its payload is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A vote at this ballot.
    Vote(Ballot),
    /// Known to be chosen; no vote.
    Chosen,
}

/// What is kept of a slot apart from its payload, so that a damaged payload still has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Length and digest of the payload; `None` for [`Decree::Noop`], which has none.
    payload: Option<(u32, u64)>,
}

impl Header {
    /// The header of `decree`.
    pub(crate) fn new(kind: Kind, decree: &Decree) -> Header {
        let payload = match decree {
            Decree::Noop => None,
            Decree::Value(bytes) => Some((length(bytes), xxh3_64(bytes))),
        };
        Header { kind, payload }
    }

    /// The record for `slot`.
    pub(crate) fn encode(&self, slot: Slot) -> Vec<u8> {
        let (decree, (length, digest)) = match self.payload {
            None => (DECREE_NOOP, (0, 0)),
            Some(payload) => (DECREE_VALUE, payload),
        };
        let mut body = Vec::with_capacity(HEADER_BYTES);
        body.extend_from_slice(&kind_bytes(self.kind));
        body.push(decree);
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&digest.to_le_bytes());
        Place::header(slot).seal(RECORD_VERSION, &body)
    }

    /// Reads the record found under `slot`.
    pub(crate) fn decode(slot: Slot, record: &[u8]) -> Result<Header, Flaw> {
        let mut body = Fields(Place::header(slot).unseal(RECORD_VERSION, record)?);
        let kind = match (body.u8()?, body.ballot()?) {
            (KIND_VOTE, ballot) => Kind::Vote(ballot),
            (KIND_CHOSEN, _) => Kind::Chosen,
            _ => return Err(Flaw::Damaged),
        };
        let payload = match (body.u8()?, body.u32()?, body.u64()?) {
            (DECREE_NOOP, _, _) => None,
            (DECREE_VALUE, length, digest) => Some((length, digest)),
            _ => return Err(Flaw::Damaged),
        };
        body.end()?;
        Ok(Header { kind, payload })
    }

    /// The decree of `slot`, out of what stands in the payload table there.
    pub(crate) fn decree(&self, slot: Slot, payload: Option<&[u8]>) -> Result<Decree, Flaw> {
        match (self.payload, payload) {
            (None, None) => Ok(Decree::Noop),
            (Some(expected), Some(record)) => {
                let place = Place::payload(slot, &kind_bytes(self.kind));
                let bytes = place.unseal(RECORD_VERSION, record)?;
                if (length(bytes), xxh3_64(bytes)) != expected {
                    return Err(Flaw::Damaged);
                }
                Ok(Decree::Value(Bytes::copy_from_slice(bytes)))
            }
            (None, Some(_)) | (Some(_), None) => Err(Flaw::Damaged),
        }
    }
}

/// The payload record for `slot`, bound to the slot and to the ballot of its header.
pub(crate) fn encode_payload(slot: Slot, kind: Kind, bytes: &[u8]) -> Vec<u8> {
    Place::payload(slot, &kind_bytes(kind)).seal(RECORD_VERSION, bytes)
}

/// The record of the fact `name` that is a number.
pub(crate) fn encode_number(name: &str, number: u64) -> Vec<u8> {
    Place::fact(name).seal(RECORD_VERSION, &number.to_le_bytes())
}

/// Reads the number found under `name`.
pub(crate) fn decode_number(name: &str, record: &[u8]) -> Result<u64, Flaw> {
    let mut body = Fields(Place::fact(name).unseal(RECORD_VERSION, record)?);
    let number = body.u64()?;
    body.end().map(|()| number)
}

/// The record of the fact `name` that is a ballot.
pub(crate) fn encode_ballot(name: &str, ballot: Ballot) -> Vec<u8> {
    Place::fact(name).seal(RECORD_VERSION, &ballot_bytes(ballot))
}

/// Reads the ballot found under `name`.
pub(crate) fn decode_ballot(name: &str, record: &[u8]) -> Result<Ballot, Flaw> {
    let mut body = Fields(Place::fact(name).unseal(RECORD_VERSION, record)?);
    let ballot = body.ballot()?;
    body.end().map(|()| ballot)
}

/// The record of the fact `name` that says how far the write-ahead log was taken over.
pub(crate) fn encode_reached(name: &str, reached: Reached) -> Vec<u8> {
    let numbers = [reached.number, reached.at].map(u64::to_le_bytes);
    Place::fact(name).seal(RECORD_VERSION, numbers.as_flattened())
}

/// Reads what stands under `name`.
pub(crate) fn decode_reached(name: &str, record: &[u8]) -> Result<Reached, Flaw> {
    let mut body = Fields(Place::fact(name).unseal(RECORD_VERSION, record)?);
    let reached = Reached { number: body.u64()?, at: body.u64()? };
    body.end().map(|()| reached)
}

/// The identity record. Its version is the format of the whole store.
pub(crate) fn encode_identity(identity: &Identity) -> Vec<u8> {
    let mut body = Vec::with_capacity(IDENTITY_FIXED_BYTES + identity.cluster.len());
    body.extend_from_slice(&identity.cluster_id.to_le_bytes());
    body.extend_from_slice(&identity.life.node.get().to_le_bytes());
    body.extend_from_slice(&identity.life.incarnation.get().to_le_bytes());
    body.extend_from_slice(identity.cluster.as_bytes());
    Place::fact(IDENTITY).seal(FORMAT, &body)
}

/// Reads the identity record.
pub(crate) fn decode_identity(record: &[u8]) -> Result<Identity, Flaw> {
    let mut body = Fields(Place::fact(IDENTITY).unseal(FORMAT, record)?);
    let cluster_id = body.u64()?;
    let life = body.life()?;
    let cluster = String::from_utf8(body.0.to_vec()).map_err(|_| Flaw::Damaged)?;
    Ok(Identity { cluster, cluster_id, life })
}

pub(crate) fn length(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).expect("a decree came in one frame, and frames are capped at MiBs")
}

fn kind_bytes(kind: Kind) -> [u8; KIND_BYTES] {
    let (kind, ballot) = match kind {
        Kind::Vote(ballot) => (KIND_VOTE, ballot),
        Kind::Chosen => (KIND_CHOSEN, Ballot::ZERO),
    };
    let mut bytes = [kind; KIND_BYTES];
    bytes[1..].copy_from_slice(&ballot_bytes(ballot));
    bytes
}

pub(crate) fn ballot_bytes(ballot: Ballot) -> [u8; BALLOT_BYTES] {
    let mut bytes = [0; BALLOT_BYTES];
    bytes[..8].copy_from_slice(&ballot.round().to_le_bytes());
    bytes[8..10].copy_from_slice(&ballot.owner().node.get().to_le_bytes());
    bytes[10..].copy_from_slice(&ballot.owner().incarnation.get().to_le_bytes());
    bytes
}

/// Little-endian fields read off the front of a body; running out of bytes is damage.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(Flaw::Damaged)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Flaw> {
        self.take().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Flaw> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Flaw> {
        self.take().map(u64::from_le_bytes)
    }

    fn life(&mut self) -> Result<Life, Flaw> {
        let node = NodeId::new(self.take().map(u16::from_le_bytes)?);
        Ok(Life { node, incarnation: Incarnation::new(self.u64()?) })
    }

    pub(crate) fn ballot(&mut self) -> Result<Ballot, Flaw> {
        let round = self.u64()?;
        Ok(Ballot::of(round, self.life()?))
    }

    fn end(&self) -> Result<(), Flaw> {
        if self.0.is_empty() { Ok(()) } else { Err(Flaw::Damaged) }
    }
}

#[cfg(test)]
mod tests;
