//! A cluster's root certificate, for people to read.

use std::path::Path;

use super::{CredentialsError, certificates, check_time, not_pem, parse};

/// The certificate that everybody in a cluster trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What it calls itself. No authority: only its key counts.
    pub name: String,
    /// Seconds since 1970 at which it ends.
    pub ends_at: i64,
}

impl Root {
    /// Reads and checks that it may sign, and that its time is now.
    pub fn load(ca: &Path) -> Result<Root, CredentialsError> {
        let found = certificates(ca)?;
        let [root] = &found[..] else {
            let what = format!("{} certificates, where one is the root", found.len());
            return Err(not_pem(ca, "root certificate", &what));
        };
        let parsed = parse(ca, root)?;
        if !parsed.is_ca() {
            return Err(not_pem(ca, "root certificate", &"it may not sign others"));
        }
        check_time(ca, &parsed)?;
        let name = parsed.subject().iter_common_name().find_map(|name| name.as_str().ok());
        let ends_at = parsed.validity().not_after.timestamp();
        Ok(Root { name: name.unwrap_or_default().to_owned(), ends_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Identity, Name, Who};

    #[test]
    fn a_root_is_told_from_a_leaf() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let cluster = Name::new("eu").unwrap();
        let authority = Authority::create(&cluster).unwrap();
        authority.save(&path("ca.crt"), &path("ca.key")).unwrap();
        let root = Root::load(&path("ca.crt")).unwrap();
        assert!(root.name.starts_with("eu root"), "{root:?}");
        let node = Identity { cluster, who: Who::Node(Name::new("n1").unwrap()) };
        authority.issue(&node, 1, &path("n1.crt"), &path("n1.key")).unwrap();
        let error = Root::load(&path("n1.crt")).unwrap_err().to_string();
        assert!(error.contains("may not sign others"), "{error}");
    }
}
