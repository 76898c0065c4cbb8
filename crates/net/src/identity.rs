use std::{fmt, str::FromStr};

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;

/// A cluster's, node's or client's name: 1 to 64 of `a-z A-Z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    pub fn new(name: impl Into<String>) -> Result<Name, IdentityError> {
        let name = name.into();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match name.len() {
            0 => Err(IdentityError::Empty),
            1..=NAME_BYTES_MAX if name.chars().all(fits) => Ok(Name(name)),
            1..=NAME_BYTES_MAX => Err(IdentityError::Characters(name)),
            len => Err(IdentityError::TooLong(len)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client may do. `Read`, `Write` and `Admin` are a ladder; `Participant` stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads, status.
    Read,
    /// Votes, acknowledges and asks for verdicts of its own name only.
    Participant,
    /// And writes, sessions, transactions as owner.
    Write,
    /// And forcing.
    Admin,
}

impl Role {
    /// As a certificate spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Participant => "participant",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Who somebody is, by the one URI SAN of its certificate (in the manner of SPIFFE's X.509-SVID).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// In which cluster.
    pub cluster: Name,
    /// As what.
    pub who: Who,
}

/// A node or a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// `synod://CLUSTER/node/NAME`
    Node(Name),
    /// `synod://CLUSTER/client/NAME?role=ROLE`
    Client {
        /// Its name.
        name: Name,
        /// What it may do.
        role: Role,
    },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Node(name) => write!(f, "node {name}"),
            Who::Client { name, role } => write!(f, "client {name} with role {role}"),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Node(name) => write!(f, "synod://{}/node/{name}", self.cluster),
            Who::Client { name, role } => {
                write!(f, "synod://{}/client/{name}?role={role}", self.cluster)
            }
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Reads exactly what [`Display`](fmt::Display) writes, and nothing else.
    fn from_str(uri: &str) -> Result<Identity, IdentityError> {
        let malformed = || IdentityError::Malformed(uri.chars().take(200).collect());
        let rest = uri.strip_prefix("synod://").ok_or_else(|| {
            let scheme = uri.split(':').next().unwrap_or_default();
            IdentityError::Scheme(scheme.chars().take(NAME_BYTES_MAX).collect())
        })?;
        if rest.contains('%') {
            return Err(IdentityError::Encoded);
        }
        let mut parts = rest.splitn(3, '/');
        let (Some(cluster), Some(kind), Some(last)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        let cluster = Name::new(cluster)?;
        let who = match (kind, last.split_once('?')) {
            ("node", None) => Who::Node(Name::new(last)?),
            ("client", Some((name, query))) => {
                let word = query.strip_prefix("role=").ok_or_else(malformed)?;
                let role = [Role::Read, Role::Participant, Role::Write, Role::Admin]
                    .into_iter()
                    .find(|role| role.word() == word)
                    .ok_or_else(|| IdentityError::Role(word.chars().take(64).collect()))?;
                Who::Client { name: Name::new(name)?, role }
            }
            _ => return Err(malformed()),
        };
        Ok(Identity { cluster, who })
    }
}

/// Why a name or a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing there.
    #[error("an empty name")]
    Empty,
    /// Longer than 64 bytes.
    #[error("a name of {0} bytes; at most {NAME_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Other characters than allowed.
    #[error("{0:?} has characters other than a-z A-Z 0-9 . _ -")]
    Characters(String),
    /// Not one of ours.
    #[error("scheme {0:?}; identities begin with synod://")]
    Scheme(String),
    /// Ours, and not well formed.
    #[error("{0:?} is neither synod://CLUSTER/node/NAME nor synod://CLUSTER/client/NAME?role=ROLE")]
    Malformed(String),
    /// Percent-encoding could spell one name in two ways.
    #[error("percent-encoding is not allowed in an identity")]
    Encoded,
    /// A role that does not exist.
    #[error("unknown role {0:?}; roles are read, participant, write, admin")]
    Role(String),
    /// The certificate has no URI name.
    #[error("the certificate names nobody: it has no URI name")]
    NoUri,
    /// The certificate has several URI names.
    #[error("the certificate has {0} URI names; exactly one is allowed")]
    SeveralUris(usize),
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The certificate may not be used in this direction.
    #[error("the certificate is not for {0} authentication")]
    Usage(&'static str),
}

/// The identity that a certificate names: exactly one URI SAN, and nothing else counts.
pub(crate) fn of_certificate(der: &[u8]) -> Result<Identity, IdentityError> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let unreadable = |error: &dyn fmt::Display| IdentityError::Certificate(error.to_string());
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| unreadable(&error))?;
    if !rest.is_empty() {
        return Err(unreadable(&"bytes follow it"));
    }
    let names = certificate.subject_alternative_name().map_err(|error| unreadable(&error))?;
    let mut uris = Vec::new();
    for name in names.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            // It may have been meant as a second URI; who can tell.
            GeneralName::Invalid(..) => return Err(unreadable(&"a name in it is malformed")),
            _ => {}
        }
    }
    match uris[..] {
        [] => Err(IdentityError::NoUri),
        [uri] => uri.parse(),
        _ => Err(IdentityError::SeveralUris(uris.len())),
    }
}

/// The host names and addresses that a certificate names besides; none of one that names nobody.
pub(crate) fn hosts_of(der: &[u8]) -> Vec<String> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    names.value.general_names.iter().filter_map(host).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        for uri in [
            "synod://eu/node/n1",
            "synod://eu/client/ops?role=admin",
            "synod://a.b_c-D/client/x?role=participant",
            "synod://eu/client/x?role=read",
            "synod://eu/client/x?role=write",
        ] {
            assert_eq!(uri.parse::<Identity>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_own_reason() {
        let long = format!("synod://eu/node/{}", "n".repeat(65));
        for (uri, word) in [
            ("https://eu/node/n1", "scheme"),
            ("synod://eu/node/n%31", "percent"),
            ("synod://eu/client/x?role=king", "unknown role"),
            ("synod://eu/client/x", "neither"),
            ("synod://eu/node/n1?role=admin", "neither"),
            ("synod://eu/client/x?role=read&role=admin", "unknown role"),
            ("synod://eu/king/n1", "neither"),
            ("synod://eu/node", "neither"),
            ("synod:///node/n1", "empty"),
            ("synod://eu/node/", "empty"),
            ("synod://eu/node/a/b", "characters"),
            (&long, "65 bytes"),
        ] {
            let error = uri.parse::<Identity>().unwrap_err().to_string();
            assert!(error.contains(word), "{uri}: {error}");
        }
    }

    proptest! {
        /// Reading is total, and what is read is written back to the letter.
        #[test]
        fn no_text_is_read_as_something_else(text in "(synod://)?.{0,80}") {
            if let Ok(identity) = text.parse::<Identity>() {
                prop_assert_eq!(identity.to_string(), text);
            }
        }
    }
}
