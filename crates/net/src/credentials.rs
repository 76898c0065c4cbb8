use std::path::Path;

use crate::Identity;

/// What somebody proves its identity with: roots to trust, a certificate chain, a key.
#[derive(Clone)]
pub struct Credentials {}

/// Why files are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {}

impl Credentials {
    /// Reads and checks: the key's mode, that the key fits the certificate, that the certificate
    /// names exactly one identity and has not ended.
    pub fn load(ca: &Path, cert: &Path, key: &Path) -> Result<Credentials, CredentialsError> {
        let _ = (ca, cert, key);
        Ok(Credentials {})
    }

    /// Who they prove.
    pub fn identity(&self) -> &Identity {
        unimplemented!("skeleton")
    }

    /// Seconds since 1970 at which the certificate ends.
    pub fn ends_at(&self) -> i64 {
        0
    }
}
