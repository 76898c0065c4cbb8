use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use crate::{Identity, IdentityError, identity, tls};

/// A certificate or key file larger than this is none.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// What somebody proves its identity with: roots to trust, a certificate chain, a key. `Debug`
/// prints nothing of the key.
#[derive(Clone)]
pub struct Credentials {
    roots: Arc<RootCertStore>,
    certified: Arc<CertifiedKey>,
    identity: Identity,
    ends_at: i64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Why files are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{}: not a regular file", .path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Too large to be what it should be.
    #[error("{}: {bytes} bytes; at most {FILE_BYTES_MAX} are read", .path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large.
        bytes: u64,
    },
    /// The key's file is open to others; whoever has read it can be this node.
    #[error(
        "{}: readable by group or others (mode {mode:04o}): chmod 600 {}", .path.display(),
        .path.display()
    )]
    KeyExposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No PEM of the kind that is needed.
    #[error("{}: holds no {kind} in PEM form ({what})", .path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// Of what kind.
        kind: &'static str,
        /// What the reader said.
        what: String,
    },
    /// The key belongs to another certificate.
    #[error("{}: is not the key of {}", .key.display(), .cert.display())]
    KeyMismatch {
        /// The key.
        key: PathBuf,
        /// The certificate.
        cert: PathBuf,
    },
    /// The certificate names nobody.
    #[error("{}: {source}", .path.display())]
    Identity {
        /// Which.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// Its time is over.
    #[error("{}: expired {} days ago; issue a new one", .path.display(), .days)]
    Expired {
        /// Which.
        path: PathBuf,
        /// Since when.
        days: i64,
    },
    /// Its time has not come.
    #[error(
        "{}: not valid for another {seconds} s; is this machine's clock right?", .path.display()
    )]
    NotYetValid {
        /// Which.
        path: PathBuf,
        /// How long.
        seconds: i64,
    },
    /// The root did not sign the certificate.
    #[error("{}: not signed by {}: {what}", .cert.display(), .ca.display())]
    ForeignRoot {
        /// The certificate.
        cert: PathBuf,
        /// The root.
        ca: PathBuf,
        /// What the verifier said.
        what: String,
    },
}

impl Credentials {
    /// Reads and checks: the key's mode, that the key fits the certificate, that the certificate
    /// names exactly one identity, that the root signed it and that its time is now.
    pub fn load(ca: &Path, cert: &Path, key: &Path) -> Result<Credentials, CredentialsError> {
        let root = certificates(ca)?;
        let chain = certificates(cert)?;
        let secret = secret(key)?;
        let mut roots = RootCertStore::empty();
        for root in root {
            roots.add(root).map_err(|error| not_pem(ca, "certificate", &error))?;
        }
        let Some(leaf) = chain.first().cloned() else {
            return Err(not_pem(cert, "certificate", &"the file is empty"));
        };
        let named = |source| CredentialsError::Identity { path: cert.to_path_buf(), source };
        let identity = identity::of_certificate(&leaf).map_err(named)?;
        let ends_at = check_dates(cert, &leaf)?;
        let certified = CertifiedKey::from_der(chain, secret, &tls::provider()).map_err(|_| {
            CredentialsError::KeyMismatch { key: key.to_path_buf(), cert: cert.to_path_buf() }
        })?;
        let roots = Arc::new(roots);
        tls::check_chain(&roots, &certified.cert).map_err(|error| {
            CredentialsError::ForeignRoot {
                cert: cert.to_path_buf(),
                ca: ca.to_path_buf(),
                what: error.to_string(),
            }
        })?;
        Ok(Credentials { roots, certified: Arc::new(certified), identity, ends_at })
    }

    /// Who they prove.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Seconds since 1970 at which the certificate ends.
    pub fn ends_at(&self) -> i64 {
        self.ends_at
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

fn file(path: &Path) -> Result<fs::Metadata, CredentialsError> {
    let failed = |source| CredentialsError::Read { path: path.to_path_buf(), source };
    let found = fs::metadata(path).map_err(failed)?;
    let kind = found.file_type();
    if !found.is_file() || kind.is_fifo() || kind.is_socket() {
        return Err(CredentialsError::NotAFile { path: path.to_path_buf() });
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(CredentialsError::TooLarge { path: path.to_path_buf(), bytes: found.len() });
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    file(path)?;
    fs::read(path).map_err(|source| CredentialsError::Read { path: path.to_path_buf(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(not_pem(path, "certificate", &"none was found")),
        Err(error) => Err(not_pem(path, "certificate", &error)),
    }
}

fn secret(path: &Path) -> Result<PrivateKeyDer<'static>, CredentialsError> {
    let mode = file(path)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(CredentialsError::KeyExposed { path: path.to_path_buf(), mode });
    }
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| not_pem(path, "key", &error))
}

fn not_pem(path: &Path, kind: &'static str, what: &dyn std::fmt::Display) -> CredentialsError {
    CredentialsError::NotPem { path: path.to_path_buf(), kind, what: what.to_string() }
}

fn check_dates(path: &Path, leaf: &CertificateDer<'_>) -> Result<i64, CredentialsError> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) =
        X509Certificate::from_der(leaf).map_err(|error| not_pem(path, "certificate", &error))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    let (begins, ends) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let path = path.to_path_buf();
    if now > ends {
        return Err(CredentialsError::Expired { path, days: (now - ends) / 86_400 });
    }
    if now < begins {
        return Err(CredentialsError::NotYetValid { path, seconds: begins - now });
    }
    Ok(ends)
}
