use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::{Identity, Name, Role, Who};

/// Years that a cluster's root lasts.
const ROOT_DAYS: i64 = 3_650;
/// Clocks of two machines may differ by this much when a certificate is new.
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
    /// The files of an authority are none.
    #[error("{}: {what}", .path.display())]
    NotAnAuthority {
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
    /// Draws a new authority for `cluster`.
    pub fn create(cluster: &Name) -> Result<Authority, AuthorityError> {
        let key = KeyPair::generate().map_err(signing)?;
        let key_pem = key.serialize_pem();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{cluster} root"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_days(&mut params, ROOT_DAYS);
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
        let read = |path: &Path| {
            fs::read_to_string(path)
                .map_err(|source| AuthorityError::Io { path: path.to_path_buf(), source })
        };
        let (cert_pem, key_pem) = (read(cert)?, read(key)?);
        Authority::from_pem(cert_pem, key_pem).map_err(|error| AuthorityError::NotAnAuthority {
            path: cert.to_path_buf(),
            what: error.to_string(),
        })
    }

    /// Writes certificate and key; the key with `O_EXCL` and mode 0600. Refuses to overwrite.
    pub fn save(&self, cert: &Path, key: &Path) -> Result<(), AuthorityError> {
        write_new(key, 0o600, &self.key_pem)?;
        write_new(cert, 0o644, &self.cert_pem)
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
        let mut params = leaf(&[&identity.to_string()], &identity.who)?;
        set_days(&mut params, i64::from(days));
        let (cert_pem, key_pem) = self.sign(&params)?;
        write_new(key, 0o600, &key_pem)?;
        write_new(cert, 0o644, &cert_pem)
    }

    /// Signs whatever it is told to, and draws its key.
    pub(crate) fn sign(
        &self,
        params: &CertificateParams,
    ) -> Result<(String, String), AuthorityError> {
        let key = KeyPair::generate().map_err(signing)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(signing)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// A leaf with these URI names, for the uses that `who` has: nodes and participants answer and ask,
/// other clients only ask.
pub(crate) fn leaf(uris: &[&str], who: &Who) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, who.to_string());
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match who {
        Who::Node(_) | Who::Client { role: Role::Participant, .. } => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
        Who::Client { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    for uri in uris {
        let uri = (*uri).try_into().map_err(signing)?;
        params.subject_alt_names.push(SanType::URI(uri));
    }
    Ok(params)
}

fn set_days(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATE;
    params.not_after = now + Duration::days(days);
}

fn signing(error: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::Signing(error.to_string())
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), AuthorityError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => AuthorityError::Exists { path: path.to_path_buf() },
        _ => AuthorityError::Io { path: path.to_path_buf(), source },
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}
