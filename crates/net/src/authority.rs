use std::path::Path;

use crate::{Identity, Name};

/// The one certificate authority of a cluster, with its key.
pub struct Authority {}

/// What can go wrong when certificates are made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {}

impl Authority {
    /// Draws a new authority for `cluster`.
    pub fn create(cluster: &Name) -> Result<Authority, AuthorityError> {
        let _ = cluster;
        Ok(Authority {})
    }

    /// Reads one that [`Authority::save`] wrote.
    pub fn load(cert: &Path, key: &Path) -> Result<Authority, AuthorityError> {
        let _ = (cert, key);
        Ok(Authority {})
    }

    /// Writes certificate and key; the key with `O_EXCL` and mode 0600. Refuses to overwrite.
    pub fn save(&self, cert: &Path, key: &Path) -> Result<(), AuthorityError> {
        let _ = (cert, key);
        Ok(())
    }

    /// Issues a leaf for `identity` that ends in `days`, and writes it beside its key.
    pub fn issue(
        &self,
        identity: &Identity,
        days: u32,
        cert: &Path,
        key: &Path,
    ) -> Result<(), AuthorityError> {
        let _ = (identity, days, cert, key);
        Ok(())
    }
}
