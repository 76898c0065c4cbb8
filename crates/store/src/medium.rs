//! What lies between redb and the bytes: it holds writes back until they are wanted, remembers why
//! an operation failed, and notices when a block does not come back as it went out.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::StorageBackend;

use crate::{
    blocks::{BLOCK_BYTES, Blocks},
    held::Held,
    room::is_about_room,
};

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
    storage: Box<dyn StorageBackend>,
    held: Mutex<Option<Held>>,
    blocks: Mutex<Blocks>,
    fault: Mutex<Option<Fault>>,
    bytes: AtomicU64,
}

impl Medium {
    pub(crate) fn new(storage: impl StorageBackend) -> Arc<Medium> {
        Arc::new(Medium {
            storage: Box::new(storage),
            held: Mutex::default(),
            blocks: Mutex::default(),
            fault: Mutex::default(),
            bytes: AtomicU64::new(0),
        })
    }

    /// From now on nothing is written, until [`Medium::release`].
    pub(crate) fn hold(&self) -> io::Result<()> {
        *self.held() = Some(self.note(Operation::Read, Held::new(&*self.storage))?);
        Ok(())
    }

    /// Writes all that was held.
    pub(crate) fn release(&self) -> io::Result<()> {
        match self.held().take() {
            Some(held) => {
                self.note(Operation::Write { in_header: true }, held.release(&*self.storage))
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
            None => self.note(Operation::Read, self.storage.len())?,
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
            let full = is_about_room(error);
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

    /// After a fault nothing is written any more, whatever redb still wants at its close.
    fn usable(&self) -> io::Result<()> {
        match self.fault() {
            Some(_) => Err(io::Error::other("the medium failed before")),
            None => Ok(()),
        }
    }

    /// The first fault stays, except that any other one outweighs a full disk.
    fn set_fault(&self, fault: Fault) {
        let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*first, None | Some(Fault::Full { .. })) {
            *first = Some(fault);
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; everything acknowledged was synced before.
        let _ = self.storage.close();
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
            Some(held) => held.read(&*medium.storage, offset, out),
            None => medium.storage.read(offset, out),
        };
        medium.note(Operation::Read, read)?;
        medium.note(Operation::Read, medium.blocks().verify(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let Handle(medium) = self;
        medium.usable()?;
        let resized = match &mut *medium.held() {
            Some(held) => {
                held.resize(len);
                Ok(())
            }
            None => medium.storage.set_len(len),
        };
        medium.note(Operation::Write { in_header: false }, resized)?;
        medium.bytes.store(len, Ordering::Relaxed);
        medium.blocks().resize(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let Handle(medium) = self;
        medium.usable()?;
        let synced = match &mut *medium.held() {
            Some(held) => {
                held.sync();
                Ok(())
            }
            None => medium.storage.sync_data(),
        };
        medium.note(Operation::Sync, synced)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Handle(medium) = self;
        medium.usable()?;
        // Unknown until it has succeeded: a write that fails may stand there in part.
        medium.blocks().forget(offset, data.len());
        let written = match &mut *medium.held() {
            Some(held) => held.write(&*medium.storage, offset, data),
            None => medium.storage.write(offset, data),
        };
        let in_header = offset < BLOCK_BYTES;
        medium.note(Operation::Write { in_header }, written)?;
        medium.blocks().learn(offset, data);
        Ok(())
    }
}
