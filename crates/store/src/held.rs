//! Writes that wait in memory until it is known whose storage it is.
//!
//! redb repairs and marks a file when it opens it. Nobody's but our own store may be changed, not
//! even so: until the identity has been checked, what redb writes is kept here, and read from here.

use std::{collections::BTreeMap, io};

use redb::StorageBackend;

const BLOCK_BYTES: usize = 4096;

/// What was asked of a storage, in order, and what it would hold by now.
#[derive(Debug)]
pub(crate) struct Held {
    operations: Vec<Operation>,
    blocks: BTreeMap<usize, [u8; BLOCK_BYTES]>,
    length: u64,
}

#[derive(Debug)]
enum Operation {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
    Sync,
}

impl Held {
    /// Nothing asked yet of `storage`.
    pub(crate) fn new(storage: &dyn StorageBackend) -> io::Result<Held> {
        let length = storage.len()?;
        Ok(Held { operations: Vec::new(), blocks: BTreeMap::new(), length })
    }

    /// Asks it all of `storage`, syncs included: a crash meanwhile leaves what a crash of the
    /// direct way would leave.
    pub(crate) fn release(self, storage: &dyn StorageBackend) -> io::Result<()> {
        for operation in self.operations {
            match operation {
                Operation::Write { offset, bytes } => storage.write(offset, &bytes)?,
                Operation::Resize(length) => storage.set_len(length)?,
                Operation::Sync => storage.sync_data()?,
            }
        }
        Ok(())
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn read(
        &self,
        storage: &dyn StorageBackend,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        if offset.saturating_add(out.len() as u64) > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_or_zeros(storage, offset, out)?;
        for (block, from, here) in pieces(offset, out.len()) {
            if let Some(bytes) = self.blocks.get(&block) {
                out[here.clone()].copy_from_slice(&bytes[from..from + here.len()]);
            }
        }
        Ok(())
    }

    pub(crate) fn write(
        &mut self,
        storage: &dyn StorageBackend,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        for (block, from, here) in pieces(offset, bytes.len()) {
            let mut held = [0; BLOCK_BYTES];
            match self.blocks.get(&block) {
                Some(bytes) => held = *bytes,
                None => read_or_zeros(storage, (block * BLOCK_BYTES) as u64, &mut held)?,
            }
            held[from..from + here.len()].copy_from_slice(&bytes[here]);
            self.blocks.insert(block, held);
        }
        self.length = self.length.max(offset + bytes.len() as u64);
        self.operations.push(Operation::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    /// redb grows a file in a repair and shrinks it only at a close, when all this is forgotten.
    pub(crate) fn resize(&mut self, length: u64) {
        self.length = length;
        self.operations.push(Operation::Resize(length));
    }

    pub(crate) fn sync(&mut self) {
        self.operations.push(Operation::Sync);
    }
}

/// Bytes of `storage`, and zeros past its end.
fn read_or_zeros(storage: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let there = storage.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
    out[there..].fill(0);
    match there {
        0 => Ok(()),
        _ => storage.read(offset, &mut out[..there]),
    }
}

/// A span of bytes block by block: the block, where in it the piece begins, and where in the span.
fn pieces(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let offset = offset as usize;
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let piece = (BLOCK_BYTES - at % BLOCK_BYTES).min(length - done);
        let here = done..done + piece;
        done += piece;
        (piece > 0).then_some((at / BLOCK_BYTES, at % BLOCK_BYTES, here))
    })
}
