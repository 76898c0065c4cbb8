//! redb as the place where facts stay, on whatever medium.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::Database;

use crate::{
    StoreError,
    cause::Cause,
    medium::{Fault, Medium},
    open,
};

/// The database. It can be read while another thread writes to it.
pub(crate) struct Base {
    path: PathBuf,
    medium: Arc<Medium>,
    cache_bytes: usize,
    /// `None` once it has failed; after a full disk it is opened anew.
    database: Mutex<Option<Arc<Database>>>,
}

impl Base {
    /// What may be held in memory of it counts for every time that it is opened anew.
    pub(crate) fn new(
        path: PathBuf,
        medium: Arc<Medium>,
        database: Database,
        cache_bytes: usize,
    ) -> Base {
        Base { path, medium, cache_bytes, database: Mutex::new(Some(Arc::new(database))) }
    }

    /// Runs a transaction, and judges its failure.
    pub(crate) fn write<T>(
        &self,
        transaction: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.reopened()?;
        transaction(&database).map_err(|error| self.after(error.into()))
    }

    /// The database, to read from.
    pub(crate) fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.held().clone().ok_or_else(|| self.explain(Cause::Before))
    }

    /// Refuses everything from now on, for the log in front of it has failed.
    pub(crate) fn fail(&self, what: String) -> StoreError {
        // The fault first: whoever finds no database opens it anew unless there is one.
        self.medium.fail(what);
        *self.held() = None;
        self.explain(Cause::Before)
    }

    /// Whether something went wrong that is final.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.medium.fault(), None | Some(Fault::Full { .. }))
    }

    /// What a failed write means. A full disk fails before anything is synced, so that the batch is
    /// not there and never will be; but redb takes no more after any error, so the database is to
    /// be opened anew.
    fn after(&self, cause: Cause) -> StoreError {
        *self.held() = None;
        if self.medium.fault() != Some(Fault::Full { in_header: false }) {
            let what = cause.explain(&self.path, Some(&self.medium)).to_string();
            self.medium.fail(what);
        }
        self.explain(Cause::Before)
    }

    /// The database, opened anew after a full disk; any other fault is final.
    fn reopened(&self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = &*self.held() {
            return Ok(Arc::clone(database));
        }
        self.medium.forget_full();
        if self.medium.fault().is_some() {
            return Err(self.explain(Cause::Before));
        }
        let database = open::database(&self.medium, self.cache_bytes)
            .map_err(|error| self.explain(error.into()))?;
        let database = Arc::new(database);
        *self.held() = Some(Arc::clone(&database));
        Ok(database)
    }

    pub(crate) fn explain(&self, cause: Cause) -> StoreError {
        cause.explain(&self.path, Some(&self.medium))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.medium.bytes()
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
