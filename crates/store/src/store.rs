use std::{fmt, path::Path};

use synod_paxos::{Decree, Durable, Slot, Write};

use crate::{Identity, StoreError};

/// One node's facts.
pub struct Store {}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a new, empty store in directory `dir`; refuses when there is one.
    pub fn format(dir: &Path, identity: &Identity) -> Result<(), StoreError> {
        let _ = (dir, identity);
        Ok(())
    }

    /// Opens the store in `dir`, which must be `expected`'s, checks every record, and tells what a
    /// peer must remember.
    pub fn open(dir: &Path, expected: &Identity) -> Result<(Store, Durable), StoreError> {
        let _ = (dir, expected);
        Ok((Store {}, Durable::default()))
    }

    /// Opens a store on a storage that the caller supplies: the simulator's disk.
    pub fn open_on(
        backend: impl redb::StorageBackend,
        expected: &Identity,
    ) -> Result<(Store, Durable), StoreError> {
        let _ = (backend, expected);
        Ok((Store {}, Durable::default()))
    }

    /// Makes all of `writes` durable, in order, as one: when it returns, all are; when it fails,
    /// the process must end (except for `DiskFull`, where none of them is).
    pub fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let _ = writes;
        Ok(())
    }

    /// Chosen decrees from `first` to at most `upto`, gapless, stopping once `bytes_max` are
    /// gathered (at least one is returned) or before the first damaged one, which fails the call
    /// when it is `first` itself.
    pub fn chosen(
        &self,
        first: Slot,
        upto: Slot,
        bytes_max: usize,
    ) -> Result<Vec<(Slot, Decree)>, StoreError> {
        let _ = (first, upto, bytes_max);
        Ok(Vec::new())
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        0
    }
}
