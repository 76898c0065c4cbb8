//! The bytes of a row: a version, a body, and a CRC over both and over the place of the row.
//!
//! redb verifies its pages when the file is opened and not when one is read later; and a row that
//! is read from anywhere but its own place does not verify.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use super::super::ShardError;

/// The version of every row; `docs/format.md` describes it.
pub(super) const FORMAT: u8 = 3;

const CRC_BYTES: usize = 4;

/// Why a row cannot be read.
#[derive(Debug)]
pub(super) enum Flaw {
    /// This row is not what was written there.
    Damaged(String),
    /// Another build wrote it.
    OtherFormat(u8),
}

impl Flaw {
    /// The error to give out.
    pub(super) fn explain(self, path: &Path) -> ShardError {
        let path = path.to_path_buf();
        match self {
            Flaw::Damaged(what) => ShardError::Damaged { path, what },
            Flaw::OtherFormat(found) => ShardError::OtherFormat { path, found, known: FORMAT },
        }
    }
}

/// Where a row stands: in which table, under which key.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) table: &'static str,
    pub(super) key: &'a [u8],
}

impl Place<'_> {
    /// The row that stands for `value` here.
    pub(super) fn seal(self, value: &impl Serialize) -> Vec<u8> {
        let mut row = postcard::to_extend(value, vec![FORMAT])
            .expect("postcard refuses only sequences of unknown length, and no row has one");
        row.extend_from_slice(&self.crc(&row).to_le_bytes());
        row
    }

    /// What the row stands for. The CRC is judged before the version: a flipped version byte is
    /// damage, not news from another build.
    pub(super) fn unseal<T: DeserializeOwned>(self, row: &[u8]) -> Result<T, Flaw> {
        let (sealed, crc) = row.split_last_chunk::<CRC_BYTES>().ok_or_else(|| self.damaged())?;
        if u32::from_le_bytes(*crc) != self.crc(sealed) {
            return Err(self.damaged());
        }
        match sealed.split_first() {
            Some((&FORMAT, body)) => match postcard::take_from_bytes(body) {
                Ok((value, [])) => Ok(value),
                Ok((_, _)) | Err(_) => Err(self.damaged()),
            },
            Some((&other, _)) => Err(Flaw::OtherFormat(other)),
            None => Err(self.damaged()),
        }
    }

    fn crc(self, sealed: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        // The name has no zero byte in it, so no two places are spelt alike.
        crc.update(self.table.as_bytes());
        crc.update(&[0]);
        crc.update(self.key);
        crc.update(sealed);
        crc.finalize()
    }

    /// It is not what was written here.
    pub(super) fn damaged(self) -> Flaw {
        Flaw::Damaged(format!("{} {}", self.table, self.key.escape_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { table: "keys", key: b"a" };

    /// A row has golden bytes: version, body, CRC of place and row.
    #[test]
    fn a_row_has_golden_bytes() {
        let row = HERE.seal(&(300u64, "x"));
        assert_eq!(row[..5], [3, 0xAC, 0x02, 1, b'x']);
        assert_eq!(row[5..], crc32fast::hash(b"keys\0a\x03\xAC\x02\x01x").to_le_bytes());
    }

    /// A flipped bit, a missing byte, a surplus byte, another place: nothing of it is believed.
    #[test]
    fn a_row_that_is_not_what_was_written_here_is_damaged() {
        let row = HERE.seal(&7u64);
        assert!(matches!(HERE.unseal::<u64>(&row), Ok(7)));
        for bit in 0..row.len() * 8 {
            let mut flipped = row.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(HERE.unseal::<u64>(&flipped), Err(Flaw::Damaged(_))), "bit {bit}");
        }
        for len in 0..row.len() {
            assert!(matches!(HERE.unseal::<u64>(&row[..len]), Err(Flaw::Damaged(_))));
        }
        let elsewhere = Place { key: b"b", ..HERE };
        assert!(matches!(elsewhere.unseal::<u64>(&row), Err(Flaw::Damaged(_))));
        let other_table = Place { table: "runs", ..HERE };
        assert!(matches!(other_table.unseal::<u64>(&row), Err(Flaw::Damaged(_))));
    }

    /// A whole row of another version is not damage.
    #[test]
    fn a_row_of_another_build_is_named_as_such() {
        for version in [FORMAT - 1, FORMAT + 1] {
            let mut row = vec![version, 7];
            row.extend_from_slice(&HERE.crc(&row).to_le_bytes());
            let other = HERE.unseal::<u64>(&row);
            assert!(matches!(other, Err(Flaw::OtherFormat(found)) if found == version));
        }
    }
}
