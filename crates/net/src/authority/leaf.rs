use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;

use super::{AuthorityError, BACKDATE, signing};
use crate::{Identity, Role, Who};

/// What a leaf certificate will say. [`Leaf::of`] makes an honest one; its fields can then be bent
/// to what a test wants to see refused.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// For people; carries no authority.
    pub common_name: String,
    /// The URI names. Exactly one is accepted.
    pub uris: Vec<String>,
    /// Seconds since 1970 from which it is valid.
    pub begins_at: i64,
    /// Seconds since 1970 until which it is valid.
    pub ends_at: i64,
    /// Whether it may answer calls.
    pub server: bool,
    /// Whether it may call.
    pub client: bool,
    /// Host names and addresses at which it answers, for programs that look at those. They carry no
    /// authority.
    pub hosts: Vec<String>,
}

impl Leaf {
    /// An honest leaf: nodes and participants answer and call, other clients only call. It begins a
    /// few minutes ago, for clocks differ.
    pub fn of(identity: &Identity, days: u32) -> Leaf {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let server = match &identity.who {
            Who::Node(_) | Who::Client { role: Role::Participant, .. } => true,
            Who::Client { role: Role::Read | Role::Write | Role::Admin, .. } => false,
        };
        Leaf {
            common_name: identity.who.to_string(),
            uris: vec![identity.to_string()],
            begins_at: now - BACKDATE.whole_seconds(),
            ends_at: now + i64::from(days) * 86_400,
            server,
            client: true,
            hosts: Vec::new(),
        }
    }

    /// The same, for one that also answers calls over TCP, at these hosts.
    #[must_use]
    pub fn answering_at(mut self, hosts: impl IntoIterator<Item = String>) -> Leaf {
        self.hosts.extend(hosts);
        self.server |= !self.hosts.is_empty();
        self
    }

    /// The certificate and a new key, both as PEM.
    pub(super) fn sign(
        &self,
        issuer: &Issuer<'_, KeyPair>,
    ) -> Result<(String, String), AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(signing)?;
        Ok((self.sign_for(issuer, &key)?, key.serialize_pem()))
    }

    /// The certificate of a key that there is, as PEM.
    pub(super) fn sign_for(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        key: &KeyPair,
    ) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, self.common_name.clone());
        params.not_before = OffsetDateTime::from_unix_timestamp(self.begins_at).map_err(signing)?;
        params.not_after = OffsetDateTime::from_unix_timestamp(self.ends_at).map_err(signing)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let usages = [
            (self.server, ExtendedKeyUsagePurpose::ServerAuth),
            (self.client, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages =
            usages.into_iter().filter(|(may, _)| *may).map(|(_, usage)| usage).collect();
        for uri in &self.uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().map_err(signing)?));
        }
        for host in &self.hosts {
            params.subject_alt_names.push(match host.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into().map_err(signing)?),
            });
        }
        Ok(params.signed_by(key, issuer).map_err(signing)?.pem())
    }
}

/// Whether the certificate is an authority's and the key is its own.
pub(super) fn is_root_of(cert_pem: &str, key: &KeyPair) -> bool {
    let Ok((_, pem)) = parse_x509_pem(cert_pem.as_bytes()) else { return false };
    let Ok(cert) = pem.parse_x509() else { return false };
    cert.is_ca() && cert.public_key().raw == key.subject_public_key_info()
}
