use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use super::{Credentials, CredentialsError, FILE_BYTES_MAX};
use crate::{Authority, Identity, IdentityError, Leaf, Name};

const DAY: i64 = 86_400;

/// A node's files, and those of an authority, for a test to damage.
struct Files {
    dir: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Files {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&Name::new("eu").unwrap()).unwrap();
        let files = Files { dir, authority };
        files.authority.save(&files.path("ca.crt"), &files.path("ca.key")).unwrap();
        files.issue(&Leaf::of(&node(), 1));
        files
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Replaces the node's certificate and key.
    fn issue(&self, leaf: &Leaf) {
        let (cert, key) = (self.path("n1.crt"), self.path("n1.key"));
        for file in [&cert, &key].into_iter().filter(|file| file.exists()) {
            fs::remove_file(file).unwrap();
        }
        self.authority.issue_leaf(leaf, &cert, &key).unwrap();
    }

    fn load(&self) -> Result<Credentials, CredentialsError> {
        Credentials::load(&self.path("ca.crt"), &self.path("n1.crt"), &self.path("n1.key"))
    }

    #[track_caller]
    fn refused(&self, file: &str, words: &str) -> CredentialsError {
        let error = self.load().unwrap_err();
        let said = error.to_string();
        assert!(said.contains(file), "does not name {file}: {said}");
        assert!(said.contains(words), "does not say {words:?}: {said}");
        error
    }

    fn refused_leaf(&self, bend: impl FnOnce(&mut Leaf), words: &str) -> CredentialsError {
        let mut leaf = Leaf::of(&node(), 1);
        bend(&mut leaf);
        self.issue(&leaf);
        self.refused("n1.crt", words)
    }
}

fn node() -> Identity {
    "synod://eu/node/n1".parse().unwrap()
}

#[test]
fn honest_files_are_read_also_through_links() {
    let files = Files::new();
    fs::rename(files.path("n1.key"), files.path("moved.key")).unwrap();
    symlink(files.path("moved.key"), files.path("n1.key")).unwrap();
    let credentials = files.load().unwrap();
    assert_eq!(credentials.identity(), &node());
    let shown = format!("{credentials:?}");
    assert!(shown.starts_with("Credentials { identity: Identity {"), "{shown}");
    assert!(shown.ends_with(".. }") && shown.len() < 150, "{shown}");
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_type() {
    let files = Files::new();
    let key = files.path("n1.key");
    for mode in [0o640, 0o604, 0o660, 0o601, 0o644] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let type_this = format!("(mode {mode:04o}): chmod 600 {}", key.display());
        let error = files.refused("n1.key", &type_this);
        assert!(matches!(error, CredentialsError::KeyExposed { .. }));
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        files.load().unwrap();
    }
}

#[test]
fn a_key_that_is_missing_empty_a_directory_or_a_pipe_is_refused_at_once() {
    let files = Files::new();
    let key = files.path("n1.key");
    fs::remove_file(&key).unwrap();
    assert!(matches!(files.refused("n1.key", "No such file"), CredentialsError::Read { .. }));
    fs::write(&key, "").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    files.refused("n1.key", "the file is empty");
    fs::write(&key, "no key").unwrap();
    files.refused("n1.key", "no -----BEGIN PRIVATE KEY-----");
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    fs::write(&key, locked).unwrap();
    files.refused("n1.key", "it is encrypted");
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    assert!(matches!(files.refused("n1.key", "regular file"), CredentialsError::NotAFile { .. }));
    fs::remove_dir(&key).unwrap();
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    assert!(matches!(files.refused("n1.key", "regular file"), CredentialsError::NotAFile { .. }));
}

#[test]
fn a_file_at_its_limit_is_read_and_one_beyond_is_not() {
    let files = Files::new();
    let cert = files.path("n1.crt");
    let mut padded = fs::read(&cert).unwrap();
    padded.resize(usize::try_from(FILE_BYTES_MAX).unwrap(), b'\n');
    fs::write(&cert, &padded).unwrap();
    files.load().unwrap();
    padded.push(b'\n');
    fs::write(&cert, &padded).unwrap();
    let error = files.refused("n1.crt", "more than 65536 bytes");
    assert!(matches!(error, CredentialsError::TooLarge { .. }));
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let files = Files::new();
    for (bytes, words) in [
        ("", "the file is empty"),
        ("hello", "no -----BEGIN CERTIFICATE-----"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "n1.crt"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "n1.crt"),
    ] {
        fs::write(files.path("n1.crt"), bytes).unwrap();
        let error = files.refused("n1.crt", words);
        assert!(matches!(error, CredentialsError::NotPem { .. }), "{bytes:?}: {error:?}");
    }
}

/// A certificate cut off or bent in any byte of its text is an error, never a panic.
#[test]
fn a_certificate_damaged_anywhere_is_refused_or_the_same() {
    let files = Files::new();
    let honest = fs::read(files.path("n1.crt")).unwrap();
    for place in 0..honest.len() {
        let mut bent = honest.clone();
        bent[place] ^= 1 << (place % 7);
        fs::write(files.path("n1.crt"), bent).unwrap();
        if let Ok(credentials) = files.load() {
            assert_eq!(credentials.identity(), &node());
        }
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let files = Files::new();
    let other: Identity = "synod://eu/node/n2".parse().unwrap();
    files.authority.issue(&other, 1, &files.path("n2.crt"), &files.path("n2.key")).unwrap();
    fs::copy(files.path("n2.key"), files.path("n1.key")).unwrap();
    let error = files.refused("n1.key", "is not the key of");
    assert!(matches!(error, CredentialsError::KeyMismatch { .. }));
}

#[test]
fn a_certificate_out_of_its_time_is_refused_with_how_long() {
    let files = Files::new();
    let expired = |leaf: &mut Leaf| {
        leaf.begins_at -= 5 * DAY;
        leaf.ends_at -= 3 * DAY;
    };
    let error = files.refused_leaf(expired, "expired 2 days ago");
    assert!(matches!(error, CredentialsError::Expired { .. }));
    let postponed = |leaf: &mut Leaf| {
        leaf.begins_at += 3 * DAY;
        leaf.ends_at += 5 * DAY;
    };
    let error = files.refused_leaf(postponed, "not valid for another 2 days");
    assert!(matches!(error, CredentialsError::NotYetValid { .. }));
}

#[test]
fn a_certificate_that_names_nobody_two_or_something_strange_is_refused() {
    let files = Files::new();
    let error = files.refused_leaf(|leaf| leaf.uris.clear(), "names nobody");
    assert!(matches!(error, CredentialsError::Identity { source: IdentityError::NoUri, .. }));
    files.refused_leaf(|leaf| leaf.uris.push("https://x".to_owned()), "2 URI names");
    for (uri, words) in [
        ("spiffe://eu/node/n1", "scheme \"spiffe\""),
        ("synod://eu/client/x?role=king", "unknown role \"king\""),
        ("synod://eu/node/n%31", "percent-encoding"),
        ("synod:///node/n1", "an empty name"),
    ] {
        files.refused_leaf(|leaf| leaf.uris = vec![uri.to_owned()], words);
    }
}

#[test]
fn a_certificate_that_may_not_do_what_its_owner_does_is_refused() {
    let files = Files::new();
    files.refused_leaf(|leaf| leaf.server = false, "not for server authentication");
    files.refused_leaf(|leaf| leaf.client = false, "not for client authentication");
    let participant = |leaf: &mut Leaf| {
        leaf.uris = vec!["synod://eu/client/east?role=participant".to_owned()];
        leaf.server = false;
    };
    files.refused_leaf(participant, "not for server authentication");
    let mut plain = Leaf::of(&node(), 1);
    plain.uris = vec!["synod://eu/client/app?role=write".to_owned()];
    plain.server = false;
    files.issue(&plain);
    files.load().unwrap();
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let files = Files::new();
    let other = Authority::create(&Name::new("eu").unwrap()).unwrap();
    other.save(&files.path("other.crt"), &files.path("other.key")).unwrap();
    fs::copy(files.path("other.crt"), files.path("ca.crt")).unwrap();
    let error = files.refused("ca.crt", "not signed by our authority");
    assert!(matches!(error, CredentialsError::ForeignRoot { .. }));
}

/// While roots are changed, the old and the new one are trusted side by side.
#[test]
fn several_roots_in_one_file_are_all_trusted() {
    let files = Files::new();
    let other = Authority::create(&Name::new("eu").unwrap()).unwrap();
    other.save(&files.path("other.crt"), &files.path("other.key")).unwrap();
    let mut both = fs::read(files.path("other.crt")).unwrap();
    both.extend(fs::read(files.path("ca.crt")).unwrap());
    fs::write(files.path("ca.crt"), both).unwrap();
    files.load().unwrap();
}
