//! Proofs of identity, read from files and checked before anything is started with them.

mod error;
mod root;

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    Error, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use self::{error::CredentialsError, root::Root};
use crate::{
    Identity, IdentityError, Role, Who, expect,
    files::{self, Unread},
    identity,
    reset::ResetKey,
    tls,
};

/// A certificate or key file larger than this is none.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 10;
/// Permission bits of group and others.
pub(crate) const OTHERS: u32 = 0o077;

/// What somebody proves its identity with: roots to trust, a certificate chain, a key. `Debug`
/// prints nothing of the key.
#[derive(Clone)]
pub struct Credentials {
    roots: Arc<RootCertStore>,
    certified: Arc<CertifiedKey>,
    reset_key: ResetKey,
    identity: Identity,
    ends_at: i64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads and checks: the key's mode, that the key fits the certificate, that the certificate
    /// names exactly one identity and may be used as it, that its time is now, and that the root
    /// signed it.
    pub fn load(ca: &Path, cert: &Path, key: &Path) -> Result<Credentials, CredentialsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates(ca)? {
            roots.add(root).map_err(|error| not_pem(ca, "certificate", &error))?;
        }
        let credentials = Credentials::read(roots, cert, key)?;
        let [leaf, ..] = &credentials.certified.cert[..] else {
            return Err(not_pem(cert, "certificate", &"the file is empty"));
        };
        check_leaf(cert, leaf, &credentials.identity.who)?;
        let chain = &credentials.certified.cert;
        tls::check_chain(credentials.roots(), chain, UnixTime::now()).map_err(|error| {
            CredentialsError::ForeignRoot {
                cert: cert.to_path_buf(),
                ca: ca.to_path_buf(),
                what: expect::words(&error),
            }
        })?;
        Ok(credentials)
    }

    /// Reads without asking what time it is or who signed.
    pub(crate) fn read(
        roots: RootCertStore,
        cert: &Path,
        key: &Path,
    ) -> Result<Credentials, CredentialsError> {
        let chain = certificates(cert)?;
        let Some(leaf) = chain.first() else {
            return Err(not_pem(cert, "certificate", &"the file is empty"));
        };
        let parsed = parse(cert, leaf)?;
        let identity = identity::of_certificate(leaf).map_err(|source| named(cert, source))?;
        let ends_at = parsed.validity().not_after.timestamp();
        let secret = secret(key)?;
        let reset_key = ResetKey::draw(secret.secret_der());
        let certified = CertifiedKey::from_der(chain, secret, &tls::provider());
        let certified = certified.map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                CredentialsError::KeyMismatch { key: key.to_path_buf(), cert: cert.to_path_buf() }
            }
            other => not_pem(key, "private key", &other),
        })?;
        let (roots, certified) = (Arc::new(roots), Arc::new(certified));
        Ok(Credentials { roots, certified, reset_key, identity, ends_at })
    }

    /// Credentials that [`Credentials::load`] refuses, to see what others say to them: the chain
    /// and key of these files, whatever they name, and `identity` to be claimed with them.
    #[cfg(test)]
    pub(crate) fn forged(ca: &Path, cert: &Path, key: &Path, identity: Identity) -> Credentials {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(ca).unwrap());
        let secret = secret(key).unwrap();
        let reset_key = ResetKey::draw(secret.secret_der());
        let chain = certificates(cert).unwrap();
        let certified = CertifiedKey::from_der(chain, secret, &tls::provider()).unwrap();
        let (roots, certified) = (Arc::new(roots), Arc::new(certified));
        Credentials { roots, certified, reset_key, identity, ends_at: 0 }
    }

    /// The same, with the leaf so many times in the chain.
    #[cfg(test)]
    pub(crate) fn stretched(mut self, times: usize) -> Credentials {
        let chain = vec![self.certified.cert[0].clone(); times];
        self.certified = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.certified.key)));
        self
    }

    /// Who they prove.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whom the certificate at `cert` names, whoever signed it and whatever the time is.
    pub fn named_by(cert: &Path) -> Result<Identity, CredentialsError> {
        let chain = certificates(cert)?;
        let leaf = chain.first().ok_or_else(|| not_pem(cert, "certificate", &"it is empty"))?;
        identity::of_certificate(leaf).map_err(|source| named(cert, source))
    }

    /// The host names and addresses that the certificate names besides.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.certified.cert.first().map(|leaf| identity::hosts_of(leaf)).unwrap_or_default()
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

    pub(crate) fn reset_key(&self) -> &ResetKey {
        &self.reset_key
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, u32), CredentialsError> {
    files::read(path, FILE_BYTES_MAX).map_err(|unread| {
        let path = path.to_path_buf();
        match unread {
            Unread::NotAFile => CredentialsError::NotAFile { path },
            Unread::TooLarge => CredentialsError::TooLarge { path },
            Unread::Io(source) => CredentialsError::Read { path, source },
        }
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let (bytes, _mode) = read(path)?;
    if bytes.is_empty() {
        return Err(not_pem(path, "certificate", &"the file is empty"));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(not_pem(path, "certificate", &"no -----BEGIN CERTIFICATE-----")),
        Err(error) => Err(not_pem(path, "certificate", &error)),
    }
}

fn secret(path: &Path) -> Result<PrivateKeyDer<'static>, CredentialsError> {
    let (bytes, mode) = read(path)?;
    if mode & OTHERS != 0 {
        return Err(CredentialsError::KeyExposed { path: path.to_path_buf(), mode });
    }
    let refused = |what: &dyn std::fmt::Display| Err(not_pem(path, "private key", what));
    if bytes.is_empty() {
        return refused(&"the file is empty");
    }
    if bytes.windows(11).any(|window| window == b"BEGIN ENCRY") {
        return refused(&"it is encrypted; a key is protected by its file's mode alone");
    }
    PrivateKeyDer::from_pem_slice(&bytes)
        .or_else(|_| refused(&"no -----BEGIN PRIVATE KEY----- with a key behind it"))
}

fn parse<'a>(
    path: &Path,
    leaf: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CredentialsError> {
    let parsed = X509Certificate::from_der(leaf);
    parsed.map(|(_, parsed)| parsed).map_err(|error| not_pem(path, "certificate", &error))
}

/// Whether it is the leaf's time, and whether it may do what its identity does: who serves, serves
/// and calls; the others only call.
fn check_leaf(path: &Path, leaf: &CertificateDer<'_>, who: &Who) -> Result<(), CredentialsError> {
    let leaf = parse(path, leaf)?;
    check_time(path, &leaf)?;
    let usage = leaf.extended_key_usage();
    let usage = usage.map_err(|error| not_pem(path, "certificate", &error))?;
    let may = |granted: fn(&x509_parser::extensions::ExtendedKeyUsage<'_>) -> bool| {
        usage.as_ref().is_some_and(|usage| granted(usage.value))
    };
    let serves = match who {
        Who::Node(_) | Who::Client { role: Role::Participant, .. } => true,
        Who::Client { role: Role::Read | Role::Write | Role::Admin, .. } => false,
    };
    if !may(|usage| usage.client_auth) {
        return Err(named(path, IdentityError::Usage("client")));
    }
    if serves && !may(|usage| usage.server_auth) {
        return Err(named(path, IdentityError::Usage("server")));
    }
    Ok(())
}

/// Whether its time is now.
fn check_time(path: &Path, certificate: &X509Certificate<'_>) -> Result<(), CredentialsError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    let (begins, ends) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if now > ends {
        let seconds = now.saturating_sub(ends);
        return Err(CredentialsError::Expired { path: path.to_path_buf(), seconds });
    }
    if now < begins {
        let seconds = begins.saturating_sub(now);
        return Err(CredentialsError::NotYetValid { path: path.to_path_buf(), seconds });
    }
    Ok(())
}

fn named(path: &Path, source: IdentityError) -> CredentialsError {
    CredentialsError::Identity { path: path.to_path_buf(), source }
}

fn not_pem(path: &Path, kind: &'static str, what: &dyn std::fmt::Display) -> CredentialsError {
    CredentialsError::NotPem { path: path.to_path_buf(), kind, what: what.to_string() }
}

#[cfg(test)]
mod tests;
