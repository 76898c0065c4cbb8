use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{Authority, AuthorityError};
use crate::{Credentials, Identity, Name};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn authority() -> Authority {
    Authority::create(&Name::new("eu").unwrap()).unwrap()
}

fn node() -> Identity {
    "synod://eu/node/n1".parse().unwrap()
}

#[test]
fn an_authority_that_was_saved_and_loaded_issues_what_its_root_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    authority().save(&path("ca.crt"), &path("ca.key")).unwrap();
    let authority = Authority::load(&path("ca.crt"), &path("ca.key")).unwrap();
    authority.issue(&node(), Authority::LEAF_DAYS, &path("n1.crt"), &path("n1.key")).unwrap();
    let credentials = Credentials::load(&path("ca.crt"), &path("n1.crt"), &path("n1.key")).unwrap();
    assert_eq!(credentials.identity(), &node());
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let days = (credentials.ends_at() - now) as f64 / 86_400.0;
    assert!((89.9..=90.0).contains(&days), "{days}");
}

#[test]
fn keys_and_their_directories_are_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("a/b/ca.crt"), dir.path().join("a/b/ca.key"));
    authority().save(&cert, &key).unwrap();
    assert_eq!([mode(&key), mode(&cert)], [0o600, 0o644]);
    assert_eq!([mode(&dir.path().join("a")), mode(&dir.path().join("a/b"))], [0o700, 0o700]);
}

#[test]
fn nothing_is_overwritten_and_no_half_of_a_pair_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let authority = authority();
    fs::write(path("n1.crt"), "precious").unwrap();
    let issued = authority.issue(&node(), 1, &path("n1.crt"), &path("n1.key"));
    assert!(matches!(issued, Err(AuthorityError::Exists { path }) if path.ends_with("n1.crt")));
    assert!(!path("n1.key").exists());
    assert_eq!(fs::read_to_string(path("n1.crt")).unwrap(), "precious");
    fs::write(path("ca.key"), "precious").unwrap();
    let saved = authority.save(&path("ca.crt"), &path("ca.key"));
    assert!(matches!(saved, Err(AuthorityError::Exists { path }) if path.ends_with("ca.key")));
    assert!(!path("ca.crt").exists());
    assert_eq!(fs::read_to_string(path("ca.key")).unwrap(), "precious");
}

#[test]
fn what_is_no_authority_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let (one, two) = (authority(), authority());
    one.save(&path("one.crt"), &path("one.key")).unwrap();
    two.save(&path("two.crt"), &path("two.key")).unwrap();
    one.issue(&node(), 1, &path("n1.crt"), &path("n1.key")).unwrap();
    fs::write(path("text.crt"), "no certificate").unwrap();
    let load = |cert: &str, key: &str| Authority::load(&path(cert), &path(key)).unwrap_err();
    for (cert, key, word) in [
        ("one.crt", "two.key", "two.key is not its key"),
        ("n1.crt", "n1.key", "no authority's certificate"),
        ("text.crt", "one.key", "no authority's certificate"),
        ("absent.crt", "one.key", "No such file"),
    ] {
        let said = load(cert, key).to_string();
        assert!(said.contains(word), "{said}");
    }
    fs::set_permissions(path("one.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let said = load("one.crt", "one.key").to_string();
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn the_authority_shows_nothing_of_its_key() {
    assert_eq!(format!("{:?}", authority()), "Authority { .. }");
}
