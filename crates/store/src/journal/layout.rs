//! The bytes of a journal, described in `docs/format.md`.

use std::io;

use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

/// What a disk writes as one.
pub(super) const SECTOR_BYTES: u64 = 512;

/// Records begin here, after the two heads.
pub(super) const RECORDS_AT: u64 = 4096;

const MAGIC: [u8; 8] = *b"synodjnl";
const VERSION: u8 = 2;
const HEAD_BYTES: usize = 8 + 1 + 4 * 8 + 8;
const RECORD_HEAD_BYTES: usize = 8 + 8 + 8 + 8 + 8;
const ENTRY_HEAD_BYTES: usize = 8 + 4 + 4;
/// Room for a record that is kept from one commit to the next: that of a small batch.
const RECORD_KEPT_BYTES: usize = 64 << 10;
/// The part of the first page that redb writes.
const FIRST_PAGE_PART_BYTES: usize = 320;

/// Which records count. There are two, written in turn: a torn one leaves the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Whose journal it is.
    pub(super) owner: u64,
    /// How long it is.
    pub(super) bytes: u64,
    /// Records of another generation are remains.
    pub(super) generation: u64,
    /// Digest of the file's first page when this generation began.
    pub(super) base: u64,
}

impl Head {
    /// Where in the journal it stands.
    pub(super) fn place(&self) -> u64 {
        self.generation % 2 * SECTOR_BYTES
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SECTOR_BYTES as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        for number in [self.owner, self.bytes, self.generation, self.base] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let digest = xxh3_64(&bytes);
        bytes.extend_from_slice(&digest.to_le_bytes());
        bytes.resize(SECTOR_BYTES as usize, 0);
        bytes
    }

    /// The newer of the two heads of `journal`.
    pub(super) fn newest(journal: &dyn StorageBackend) -> io::Result<Option<Head>> {
        let mut heads = vec![0; journal.len()?.min(2 * SECTOR_BYTES) as usize];
        journal.read(0, &mut heads)?;
        let heads = heads.chunks(SECTOR_BYTES as usize).filter_map(Head::decode);
        Ok(heads.max_by_key(|head| head.generation))
    }

    fn decode(sector: &[u8]) -> Option<Head> {
        let (sealed, digest) = sector.get(..HEAD_BYTES)?.split_last_chunk::<8>()?;
        let rest = sealed.strip_prefix(&MAGIC)?.strip_prefix(&[VERSION])?;
        if xxh3_64(sealed) != u64::from_le_bytes(*digest) {
            return None;
        }
        let mut numbers = rest.chunks_exact(8).filter_map(number);
        let (owner, bytes) = (numbers.next()?, numbers.next()?);
        Some(Head { owner, bytes, generation: numbers.next()?, base: numbers.next()? })
    }
}

/// What one commit wrote, as it will stand in the journal: a head, blank until it is sealed, and
/// the entries.
#[derive(Debug)]
pub(super) struct Record {
    bytes: Vec<u8>,
    length_changed: bool,
}

impl Record {
    pub(super) fn new() -> Record {
        Record { bytes: vec![0; RECORD_HEAD_BYTES], length_changed: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == RECORD_HEAD_BYTES && !self.length_changed
    }

    /// Most pages of a small commit are nearly empty, so the zeros at the end are left out.
    pub(super) fn push(&mut self, offset: u64, page: &[u8]) {
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len()).expect("redb's pages are at most 4 GiB less one")
        };
        let bytes = without_zeros(page);
        self.bytes.extend_from_slice(&offset.to_le_bytes());
        self.bytes.extend_from_slice(&length(page).to_le_bytes());
        self.bytes.extend_from_slice(&length(bytes).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    /// The file has another length, which every record says.
    pub(super) fn note_length(&mut self) {
        self.length_changed = true;
    }

    /// Its size in the journal with one more entry of that many bytes.
    pub(super) fn bytes_with(&self, more: usize) -> u64 {
        let bytes = self.bytes.len() + ENTRY_HEAD_BYTES + more;
        (bytes as u64).next_multiple_of(SECTOR_BYTES)
    }

    /// The bytes for the journal: generation, number, length of the file, bytes of the entries, all
    /// of it digested, the entries, and zeros up to a whole sector.
    pub(super) fn seal(&mut self, generation: u64, number: u64, file_length: u64) -> &[u8] {
        let entries = (self.bytes.len() - RECORD_HEAD_BYTES) as u64;
        let fields = [generation, number, file_length, entries].map(u64::to_le_bytes);
        self.bytes[..RECORD_HEAD_BYTES - 8].copy_from_slice(fields.as_flattened());
        let digest = xxh3_64(&self.bytes);
        self.bytes[RECORD_HEAD_BYTES - 8..RECORD_HEAD_BYTES].copy_from_slice(&digest.to_le_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(SECTOR_BYTES as usize), 0);
        &self.bytes
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bytes.truncate(RECORD_HEAD_BYTES);
        self.bytes.fill(0);
        self.bytes.shrink_to(RECORD_KEPT_BYTES);
        self.length_changed = false;
    }
}

/// `page` without the zeros at its end, but for a few.
fn without_zeros(page: &[u8]) -> &[u8] {
    /// Compared as one: byte by byte it would take longer than what it saves.
    const RUN: usize = 64;
    let zeros = page.rchunks_exact(RUN).take_while(|run| **run == [0; RUN]).count() * RUN;
    &page[..page.len() - zeros]
}

/// A record read back.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Where in the journal it stands.
    pub(super) at: u64,
    pub(super) number: u64,
    pub(super) file_length: u64,
    /// All of it, but for the zeros up to a whole sector.
    pub(super) bytes: Vec<u8>,
}

impl Sealed {
    /// The record at `at` in `journal`, if one of the generation of `head` stands there whole.
    pub(super) fn read(
        journal: &dyn StorageBackend,
        at: u64,
        head: &Head,
    ) -> io::Result<Option<Sealed>> {
        let Some(room) = head.bytes.saturating_sub(at).checked_sub(RECORD_HEAD_BYTES as u64) else {
            return Ok(None);
        };
        let mut fields = [[0; 8]; RECORD_HEAD_BYTES / 8];
        journal.read(at, fields.as_flattened_mut())?;
        let [generation, number, file_length, entries, digest] = fields.map(u64::from_le_bytes);
        if generation != head.generation || entries > room {
            return Ok(None);
        }
        let mut bytes = vec![0; RECORD_HEAD_BYTES + entries as usize];
        journal.read(at, &mut bytes)?;
        bytes[RECORD_HEAD_BYTES - 8..RECORD_HEAD_BYTES].fill(0);
        if xxh3_64(&bytes) != digest {
            return Ok(None);
        }
        bytes[RECORD_HEAD_BYTES - 8..RECORD_HEAD_BYTES].copy_from_slice(&digest.to_le_bytes());
        Ok(Some(Sealed { at, number, file_length, bytes }))
    }

    /// Where the next one begins.
    pub(super) fn next(&self) -> u64 {
        (self.at + self.bytes.len() as u64).next_multiple_of(SECTOR_BYTES)
    }

    /// What it wrote where, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        let mut rest = &self.bytes[RECORD_HEAD_BYTES..];
        std::iter::from_fn(move || {
            let (offset, after) = rest.split_first_chunk::<8>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            let (stored, after) = after.split_first_chunk::<4>()?;
            let [length, stored] =
                [length, stored].map(|field| u32::from_le_bytes(*field) as usize);
            let (bytes, after) = after.split_at_checked(stored)?;
            rest = after;
            let mut page = bytes.to_vec();
            page.resize(length, 0);
            Some((u64::from_le_bytes(*offset), page))
        })
    }
}

/// What tells one state of the file from another: redb's header names the newest commit by number
/// and checksum. An empty file has a digest too.
pub(super) fn first_page_digest(home: &dyn StorageBackend) -> io::Result<u64> {
    let mut part = [0; FIRST_PAGE_PART_BYTES];
    if home.len()? >= part.len() as u64 {
        home.read(0, &mut part)?;
    }
    Ok(xxh3_64(&part))
}

/// The same of what an entry at the file's beginning wrote.
pub(super) fn digest_of_first_page(bytes: &[u8]) -> u64 {
    xxh3_64(&bytes[..bytes.len().min(FIRST_PAGE_PART_BYTES)])
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    /// A change that breaks these bytes breaks every journal that was ever written: it needs a
    /// new version.
    #[test]
    fn golden_bytes_of_a_head() {
        let head = Head { owner: 1, bytes: 2, generation: 3, base: 4 };
        let encoded = head.encode();
        let digest = [29, 30, 98, 52, 203, 177, 41, 88];
        let golden = [
            &b"synodjnl\x02"[..],
            &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0],
            &digest,
        ];
        assert_eq!(encoded[..HEAD_BYTES], golden.concat());
        assert_eq!((encoded.len() as u64, head.place()), (SECTOR_BYTES, SECTOR_BYTES));
        assert_eq!(Head::decode(&encoded), Some(head));
    }

    #[test]
    fn golden_bytes_of_a_record() {
        let mut record = Record::new();
        record.push(4096, &[7; 3]);
        let sealed = record.seal(1, 2, 8192).to_vec();
        let digest = [3, 235, 175, 130, 188, 54, 199, 153];
        let golden = [
            &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0][..],
            &[0, 32, 0, 0, 0, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0],
            &digest,
            &[0, 16, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 7, 7, 7],
        ];
        let golden = golden.concat();
        assert_eq!(sealed[..golden.len()], golden);
        assert_eq!(sealed.len() as u64, SECTOR_BYTES);
    }

    /// What is left out of a record comes back, wherever a page's last byte stands; and a record
    /// that is used again is as good as new.
    #[test]
    fn a_page_comes_back_with_the_zeros_at_its_end() {
        let mut record = Record::new();
        for last in [None, Some(0), Some(63), Some(64), Some(4000), Some(4095)] {
            let mut page = vec![0; 4096];
            if let Some(last) = last {
                page[last] = 9;
            }
            let first_page = vec![u8::from(last.is_some()); 320];
            record.clear();
            record.push(8192, &page);
            record.push(0, &first_page);
            let sealed = record.seal(5, 6, 12_288).to_vec();
            let journal = InMemoryBackend::new();
            journal.set_len(sealed.len() as u64).unwrap();
            journal.write(0, &sealed).unwrap();
            let head = Head { owner: 1, bytes: sealed.len() as u64, generation: 5, base: 0 };
            let read = Sealed::read(&journal, 0, &head).unwrap().unwrap();
            assert_eq!((read.number, read.file_length, read.next()), (6, 12_288, head.bytes));
            let entries: Vec<_> = read.entries().collect();
            assert_eq!(entries, [(8192, page), (0, first_page)], "last byte at {last:?}");
            let small = last.is_none_or(|last| last < 4_000);
            assert_eq!(sealed.len() as u64 <= 2 * SECTOR_BYTES, small, "last byte at {last:?}");
        }
    }
}
