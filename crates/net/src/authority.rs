//! The cluster's certificate authority, and the files it writes.

mod leaf;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
};
use time::{Duration, OffsetDateTime};

pub use self::leaf::Leaf;
use crate::{
    Credentials, CredentialsError, Identity, Name,
    credentials::{FILE_BYTES_MAX, OTHERS},
    expect,
    files::{self, Unread},
    tls,
};

/// How long a cluster's root lasts: ten years, for there is no changing it without touching every
/// machine.
const ROOT_DAYS: i64 = 3_650;
/// The clocks of two machines may differ by this much when a certificate is new.
const BACKDATE: Duration = Duration::minutes(5);

/// The one certificate authority of a cluster, with its key. `Debug` prints nothing of it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert_pem: String,
    key_pem: String,
}

/// What can go wrong when certificates are made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Something stands where a file should be written; nothing was changed.
    #[error("{}: is there already; nothing was changed", .path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The authority's key is open to others; whoever has read it can be anyone.
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
    /// The files of an authority are none.
    #[error("{}: no authority's certificate with its key: {what}", .path.display())]
    NotAnAuthority {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A certificate that is to be renewed, or its key, is unfit for that.
    #[error(transparent)]
    Unfit(#[from] CredentialsError),
    /// Another authority signed it: whom it names, nobody here has said.
    #[error("{}: not issued by this authority: {what}", .path.display())]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A certificate could not be signed.
    #[error("signing failed: {0}")]
    Signing(String),
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Days that a leaf lasts where nobody says otherwise.
    pub const LEAF_DAYS: u32 = 90;

    /// Draws a new authority for `cluster`, with a key on P-256.
    pub fn create(cluster: &Name) -> Result<Authority, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(signing)?;
        let key_pem = key.serialize_pem();
        let mut params = CertificateParams::default();
        // Two authorities of one cluster's name must not be taken for each other: then a foreign
        // certificate would seem to have a broken signature.
        let root = format!("{cluster} root {:08x}", fastrand::u32(..));
        params.distinguished_name.push(DnType::CommonName, root);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let now = OffsetDateTime::now_utc();
        params.not_before = now - BACKDATE;
        params.not_after = now + Duration::days(ROOT_DAYS);
        let cert_pem = params.self_signed(&key).map_err(signing)?.pem();
        Authority::from_pem(cert_pem, key_pem)
    }

    fn from_pem(cert_pem: String, key_pem: String) -> Result<Authority, AuthorityError> {
        let key = KeyPair::from_pem(&key_pem).map_err(signing)?;
        let issuer = Issuer::from_ca_cert_pem(&cert_pem, key).map_err(signing)?;
        Ok(Authority { issuer, cert_pem, key_pem })
    }

    /// Reads one that [`Authority::save`] wrote.
    pub fn load(cert: &Path, key: &Path) -> Result<Authority, AuthorityError> {
        let (cert_pem, _mode) = read(cert)?;
        let (key_pem, mode) = read(key)?;
        if mode & OTHERS != 0 {
            return Err(AuthorityError::KeyExposed { path: key.to_path_buf(), mode });
        }
        let authority = Authority::from_pem(cert_pem, key_pem);
        let authority = authority.map_err(|error| none(cert, error.to_string()))?;
        if !leaf::is_root_of(&authority.cert_pem, authority.issuer.key()) {
            return Err(none(cert, format!("{} is not its key", key.display())));
        }
        Ok(authority)
    }

    /// Writes certificate and key; the key with `O_EXCL` and mode 0600. Refuses to overwrite.
    pub fn save(&self, cert: &Path, key: &Path) -> Result<(), AuthorityError> {
        write_pair(cert, &self.cert_pem, key, &self.key_pem)
    }

    /// Issues a leaf for `identity` that ends in `days`, and writes it beside its key. Refuses to
    /// overwrite.
    pub fn issue(
        &self,
        identity: &Identity,
        days: u32,
        cert: &Path,
        key: &Path,
    ) -> Result<(), AuthorityError> {
        self.issue_leaf(&Leaf::of(identity, days), cert, key)
    }

    /// As [`Authority::issue`], for a client that also answers calls over TCP at these hosts.
    pub fn issue_door(
        &self,
        identity: &Identity,
        (days, hosts): (u32, &[String]),
        cert: &Path,
        key: &Path,
    ) -> Result<(), AuthorityError> {
        let leaf = Leaf::of(identity, days).answering_at(hosts.iter().cloned());
        self.issue_leaf(&leaf, cert, key)
    }

    /// Issues another certificate for whom the one at `cert` names and for the key at `key`, which
    /// stays, and puts it in the place of the old one: whoever opens the file finds the one or the
    /// other whole. An expired one is renewed too, but none that this authority did not issue.
    pub fn renew(&self, days: u32, cert: &Path, key: &Path) -> Result<Identity, AuthorityError> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.cert_pem.as_bytes()).map_err(signing)?;
        roots.add(root).map_err(signing)?;
        let old = Credentials::read(roots, cert, key)?;
        let ended = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            u64::try_from(old.ends_at()).unwrap_or(0),
        ));
        tls::check_chain(old.roots(), &old.certified().cert, ended).map_err(|error| {
            AuthorityError::NotOurs { path: cert.to_path_buf(), what: expect::words(&error) }
        })?;
        let (key_pem, _checked_above) = read(key)?;
        let pair = KeyPair::from_pem(&key_pem).map_err(signing)?;
        let leaf = Leaf::of(old.identity(), days).answering_at(old.hosts());
        let cert_pem = leaf.sign_for(&self.issuer, &pair)?;
        files::replace(cert, 0o644, &cert_pem)
            .map_err(|source| AuthorityError::Io { path: cert.to_path_buf(), source })?;
        Ok(old.identity().clone())
    }

    /// Issues whatever leaf it is told to, also one that nobody will accept: tests need those.
    pub fn issue_leaf(&self, leaf: &Leaf, cert: &Path, key: &Path) -> Result<(), AuthorityError> {
        let (cert_pem, key_pem) = leaf.sign(&self.issuer)?;
        write_pair(cert, &cert_pem, key, &key_pem)
    }
}

fn signing(error: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::Signing(error.to_string())
}

/// Writes both or none: an orphaned key would be in the way of the next attempt.
fn write_pair(
    cert: &Path,
    cert_pem: &str,
    key: &Path,
    key_pem: &str,
) -> Result<(), AuthorityError> {
    write_new(key, 0o600, key_pem)?;
    write_new(cert, 0o644, cert_pem).inspect_err(|_| {
        // Ours, made a moment ago; if even removing fails, the error above tells of the disk.
        let _still_there = fs::remove_file(key);
    })
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), AuthorityError> {
    files::write_new(path, mode, text).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => AuthorityError::Exists { path: path.to_path_buf() },
        _ => AuthorityError::Io { path: path.to_path_buf(), source },
    })
}

fn read(path: &Path) -> Result<(String, u32), AuthorityError> {
    let (bytes, mode) = files::read(path, FILE_BYTES_MAX).map_err(|unread| match unread {
        Unread::NotAFile => none(path, "not a regular file".to_owned()),
        Unread::TooLarge => none(path, format!("more than {FILE_BYTES_MAX} bytes")),
        Unread::Io(source) => AuthorityError::Io { path: path.to_path_buf(), source },
    })?;
    let text = String::from_utf8(bytes).map_err(|_| none(path, "not text".to_owned()))?;
    Ok((text, mode))
}

fn none(path: &Path, what: String) -> AuthorityError {
    AuthorityError::NotAnAuthority { path: path.to_path_buf(), what }
}

#[cfg(test)]
mod tests;
