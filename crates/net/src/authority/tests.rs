use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{Authority, AuthorityError, Leaf};
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

/// A node goes on with the key that it has; what changes is until when it may.
#[test]
fn a_certificate_is_renewed_in_place_for_the_same_key_and_name_even_when_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let authority = authority();
    authority.save(&path("ca.crt"), &path("ca.key")).unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let ended = Leaf { begins_at: now - 900, ends_at: now - 300, ..Leaf::of(&node(), 1) };
    authority.issue_leaf(&ended, &path("n1.crt"), &path("n1.key")).unwrap();
    let load = || Credentials::load(&path("ca.crt"), &path("n1.crt"), &path("n1.key"));
    let error = load().unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");
    let key = fs::read(path("n1.key")).unwrap();
    assert_eq!(authority.renew(30, &path("n1.crt"), &path("n1.key")).unwrap(), node());
    let days = (load().unwrap().ends_at() - now) as f64 / 86_400.0;
    assert!((29.9..30.1).contains(&days), "{days}");
    assert_eq!(fs::read(path("n1.key")).unwrap(), key);
    assert_eq!([mode(&path("n1.crt")), mode(&path("n1.key"))], [0o644, 0o600]);
    let mut left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["ca.crt", "ca.key", "n1.crt", "n1.key"]);
}

/// A door is called by its hosts after a renewal too; they give it no authority.
#[test]
fn a_renewed_certificate_names_the_hosts_that_it_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let authority = authority();
    authority.save(&path("ca.crt"), &path("ca.key")).unwrap();
    let door: Identity = "synod://eu/client/door?role=admin".parse().unwrap();
    let hosts = ["n1.example", "127.0.0.1", "::1"].map(str::to_owned);
    authority.issue_door(&door, (1, &hosts), &path("d.crt"), &path("d.key")).unwrap();
    let load = || Credentials::load(&path("ca.crt"), &path("d.crt"), &path("d.key")).unwrap();
    assert_eq!((load().hosts(), load().identity()), (hosts.to_vec(), &door));
    authority.renew(30, &path("d.crt"), &path("d.key")).unwrap();
    assert_eq!((load().hosts(), load().identity()), (hosts.to_vec(), &door));
}

/// Whoever can lay a file into the directory must not be made somebody by the next renewal.
#[test]
fn what_another_authority_issued_is_not_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let admin: Identity = "synod://eu/client/mallory?role=admin".parse().unwrap();
    authority().issue(&admin, 1, &path("n1.crt"), &path("n1.key")).unwrap();
    let before = fs::read(path("n1.crt")).unwrap();
    let refused = authority().renew(30, &path("n1.crt"), &path("n1.key"));
    assert!(matches!(refused, Err(AuthorityError::NotOurs { .. })), "{refused:?}");
    assert_eq!(fs::read(path("n1.crt")).unwrap(), before);
}

/// A key of somebody else beside it is a mix-up, and one that others read is lost already.
#[test]
fn a_certificate_is_not_renewed_for_a_key_that_is_not_its_own_or_not_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let authority = authority();
    authority.issue(&node(), 1, &path("n1.crt"), &path("n1.key")).unwrap();
    authority.issue(&node(), 1, &path("n2.crt"), &path("n2.key")).unwrap();
    let refused = authority.renew(30, &path("n1.crt"), &path("n2.key"));
    assert!(matches!(refused, Err(AuthorityError::Unfit(_))), "{refused:?}");
    fs::set_permissions(path("n1.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let refused = authority.renew(30, &path("n1.crt"), &path("n1.key")).unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}
