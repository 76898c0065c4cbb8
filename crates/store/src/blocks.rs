//! What every block of a storage is known to hold, as checksums in memory.
//!
//! redb verifies page checksums when a database is opened, not when a page is read later, and it
//! may panic on a page that is not what it wrote. So the checksum of every block is kept (4 bytes
//! for 4 KiB) from its first read or write on, and a block that differs later is an error of the
//! read: redb never sees it.

use std::io;

/// What is checked as one: a page of redb.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// The checksums of the blocks that are known.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<Option<u32>>);

impl Blocks {
    /// Compares the whole blocks of what was read with what is known of them, and learns the rest.
    pub(crate) fn verify(&mut self, offset: u64, read: &[u8]) -> io::Result<()> {
        for (block, bytes) in whole_blocks(offset, read) {
            let found = crc32fast::hash(bytes);
            if *self.checksum(block).get_or_insert(found) != found {
                let at = block as u64 * BLOCK_BYTES;
                let what = format!("the {BLOCK_BYTES} bytes at {at} have changed by themselves");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(())
    }

    /// Learns what was written.
    pub(crate) fn learn(&mut self, offset: u64, written: &[u8]) {
        for (block, bytes) in whole_blocks(offset, written) {
            *self.checksum(block) = Some(crc32fast::hash(bytes));
        }
    }

    /// Every block that these bytes touch is unknown until it is read.
    pub(crate) fn forget(&mut self, offset: u64, length: usize) {
        let end = offset.saturating_add(length as u64);
        for block in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            *self.checksum(block as usize) = None;
        }
    }

    /// The storage has this length now.
    pub(crate) fn resize(&mut self, length: u64) {
        self.0.truncate((length / BLOCK_BYTES) as usize);
    }

    fn checksum(&mut self, block: usize) -> &mut Option<u32> {
        if self.0.len() <= block {
            self.0.resize(block + 1, None);
        }
        &mut self.0[block]
    }
}

/// The blocks that lie wholly in `bytes`, which begin at `offset`, by their number.
fn whole_blocks(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = offset.div_ceil(BLOCK_BYTES);
    let skipped = (first * BLOCK_BYTES - offset) as usize;
    let whole = bytes.get(skipped..).unwrap_or_default();
    (first as usize..).zip(whole.chunks_exact(BLOCK_BYTES as usize))
}
