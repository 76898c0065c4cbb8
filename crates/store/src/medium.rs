//! What lies between redb and the bytes: it remembers why an operation failed, and it notices when
//! a block does not come back as it went out.
//!
//! redb verifies page checksums when a database is opened, not when a page is read later, and it
//! may panic on a page that is not what it wrote. So the checksum of every block is kept in memory
//! (4 bytes for 4 KiB) from its first read or write on, and a block that differs later is an error
//! of the read: redb never sees it.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::StorageBackend;

use crate::held::Held;

/// What is checked as one: a page of redb.
const BLOCK_BYTES: u64 = 4096;

/// Why the medium cannot be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room for a write; what was to be written is not synced. `in_header`: the write was to the
    /// place that says which commit counts, so it is open which one does.
    Full { in_header: bool },
    /// The bytes are not those that were written. It is final.
    Damaged(String),
    /// A write or a sync failed. It is final: a sync tells of a loss once, and the next one would
    /// say that all is well.
    Failed(String),
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Read,
    Write { in_header: bool },
    Sync,
}

/// A storage, the checksums of what is known to be on it, and the first thing that went wrong.
#[derive(Debug)]
pub(crate) struct Medium {
    inner: Box<dyn StorageBackend>,
    held: Mutex<Option<Held>>,
    blocks: Mutex<Vec<Option<u32>>>,
    fault: Mutex<Option<Fault>>,
    bytes: AtomicU64,
}

impl Medium {
    pub(crate) fn new(inner: impl StorageBackend) -> Arc<Medium> {
        Arc::new(Medium {
            inner: Box::new(inner),
            held: Mutex::default(),
            blocks: Mutex::default(),
            fault: Mutex::default(),
            bytes: AtomicU64::new(0),
        })
    }

    /// From now on nothing is written, until [`Medium::release`].
    pub(crate) fn hold(&self) -> io::Result<()> {
        *self.held() = Some(self.note(Operation::Read, Held::new(&*self.inner))?);
        Ok(())
    }

    /// Writes all that was held.
    pub(crate) fn release(&self) -> io::Result<()> {
        match self.held().take() {
            Some(held) => {
                self.note(Operation::Write { in_header: true }, held.release(&*self.inner))
            }
            None => Ok(()),
        }
    }

    /// The length at the last look.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The length now.
    pub(crate) fn length(&self) -> io::Result<u64> {
        let bytes = match &*self.held() {
            Some(held) => held.length(),
            None => self.note(Operation::Read, self.inner.len())?,
        };
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(bytes)
    }

    /// The first thing that went wrong.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on every operation is refused.
    pub(crate) fn fail(&self, what: String) {
        self.set_fault(Fault::Failed(what));
    }

    /// Forgets that the disk was full; any other fault stays.
    pub(crate) fn forget_full(&self) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take_if(|fault| matches!(fault, Fault::Full { .. }));
    }

    fn note<T>(&self, operation: Operation, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            self.set_fault(match operation {
                Operation::Read => match error.kind() {
                    ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                        Fault::Damaged(error.to_string())
                    }
                    _ => Fault::Failed(format!("read: {error}")),
                },
                Operation::Write { in_header } if full => Fault::Full { in_header },
                Operation::Write { .. } => Fault::Failed(format!("write: {error}")),
                // A sync that finds no room has lost what it was to write.
                Operation::Sync => Fault::Failed(format!("sync: {error}")),
            });
        })
    }

    /// The first fault stays, except that any other one outweighs a full disk.
    fn set_fault(&self, fault: Fault) {
        let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*first, None | Some(Fault::Full { .. })) {
            *first = Some(fault);
        }
    }

    /// Compares the whole blocks of what was read with what is known of them, and learns the rest.
    fn verify(&self, offset: u64, read: &[u8]) -> io::Result<()> {
        let mut known = self.known();
        for (block, bytes) in whole_blocks(offset, read) {
            let found = crc32fast::hash(bytes);
            let expected = checksum_of(&mut known, block);
            if *expected.get_or_insert(found) != found {
                let what = format!("bytes {block}*{BLOCK_BYTES} on have changed by themselves");
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
        }
        Ok(())
    }

    fn learn(&self, offset: u64, written: &[u8]) {
        let mut known = self.known();
        for (block, bytes) in whole_blocks(offset, written) {
            *checksum_of(&mut known, block) = Some(crc32fast::hash(bytes));
        }
    }

    /// Every block that these bytes touch is unknown until it is read.
    fn forget(&self, offset: u64, length: usize) {
        let mut known = self.known();
        let end = offset.saturating_add(length as u64);
        for block in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            *checksum_of(&mut known, block as usize) = None;
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Option<u32>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checksum_of(known: &mut Vec<Option<u32>>, block: usize) -> &mut Option<u32> {
    if known.len() <= block {
        known.resize(block + 1, None);
    }
    &mut known[block]
}

/// The blocks that lie wholly in `bytes`, which begin at `offset`, by their number.
fn whole_blocks(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = offset.div_ceil(BLOCK_BYTES);
    let skipped = (first * BLOCK_BYTES - offset) as usize;
    let whole = bytes.get(skipped..).unwrap_or_default();
    (first as usize..).zip(whole.chunks_exact(BLOCK_BYTES as usize))
}

impl Drop for Medium {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; everything acknowledged was synced before.
        let _ = self.inner.close();
    }
}

/// One redb database's hold on a medium, which outlives it: after a full disk the database is
/// opened anew on the same medium.
#[derive(Clone, Debug)]
pub(crate) struct Handle(pub(crate) Arc<Medium>);

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let Handle(medium) = self;
        let read = match &*medium.held() {
            Some(held) => held.read(&*medium.inner, offset, out),
            None => medium.inner.read(offset, out),
        };
        medium.note(Operation::Read, read)?;
        medium.note(Operation::Read, medium.verify(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let Handle(medium) = self;
        let resized = match &mut *medium.held() {
            Some(held) => {
                held.resize(len);
                Ok(())
            }
            None => medium.inner.set_len(len),
        };
        medium.note(Operation::Write { in_header: false }, resized)?;
        medium.bytes.store(len, Ordering::Relaxed);
        medium.known().truncate((len / BLOCK_BYTES) as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let Handle(medium) = self;
        let synced = match &mut *medium.held() {
            Some(held) => {
                held.sync();
                Ok(())
            }
            None => medium.inner.sync_data(),
        };
        medium.note(Operation::Sync, synced)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Handle(medium) = self;
        // Unknown until it has succeeded: a write that fails may stand there in part.
        medium.forget(offset, data.len());
        let written = match &mut *medium.held() {
            Some(held) => held.write(&*medium.inner, offset, data),
            None => medium.inner.write(offset, data),
        };
        let in_header = offset < BLOCK_BYTES;
        medium.note(Operation::Write { in_header }, written)?;
        medium.learn(offset, data);
        Ok(())
    }
}
