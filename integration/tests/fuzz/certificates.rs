//! Certificates as files: whatever they hold, they are loaded or refused, and an identity comes
//! from a certificate that is whole.

use std::{fs, os::unix::fs::PermissionsExt};

use synod_client::net::{Authority, Credentials, Identity, Name, Who};

use crate::hunt::{Judged, hunt};

#[test]
fn certificates() {
    let dir = tempfile::tempdir().unwrap();
    let [ca, cert, key] = ["ca.crt", "n1.crt", "n1.key"].map(|name| dir.path().join(name));
    let cluster = Name::new("catalog-eu").unwrap();
    let identity = Identity { cluster: cluster.clone(), who: Who::Node(Name::new("n1").unwrap()) };
    let authority = Authority::create(&cluster).unwrap();
    authority.save(&ca, &dir.path().join("ca.key")).unwrap();
    authority.issue(&identity, 90, &cert, &key).unwrap();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o077, 0);
    let right = fs::read(&cert).unwrap();
    hunt("certificates", 100, &[right], |bytes| {
        fs::write(&cert, bytes).unwrap();
        let loaded = Credentials::load(&ca, &cert, &key);
        if let Ok(credentials) = &loaded {
            assert_eq!(*credentials.identity(), identity);
        }
        Judged::of(&loaded)
    });
}
