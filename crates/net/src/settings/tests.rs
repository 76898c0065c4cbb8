use std::{fs, path::Path};

use proptest::prelude::*;
use serde::Deserialize;

use super::{FILE_BYTES_MAX, SettingsError, TlsFiles, edits, parse, read};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    heartbeat_ms: u64,
    listen: String,
    tls: Option<TlsFiles>,
}

fn parsed(text: &str) -> Result<Sample, SettingsError> {
    parse(Path::new("n1.toml"), text)
}

fn said(text: &str) -> String {
    parsed(text).unwrap_err().to_string()
}

#[test]
fn what_is_well_formed_is_read() {
    let sample = parsed(
        "heartbeat_ms = 7\nlisten = 'a:1'\n[tls]\nca = 'ca.crt'\ncert = '/x/n1.crt'\nkey = 'k'\n",
    )
    .unwrap();
    assert_eq!((sample.heartbeat_ms, sample.listen.as_str()), (7, "a:1"));
    let below = sample.tls.unwrap().below(Path::new("/etc/synod"));
    assert_eq!(below.ca, Path::new("/etc/synod/ca.crt"));
    assert_eq!(below.cert, Path::new("/x/n1.crt"));
}

#[test]
fn a_misspelt_key_is_named_with_its_place_and_the_nearest_known_one() {
    assert_eq!(
        said("listen = \"a\"\nheartbeet_ms = 7\n"),
        "n1.toml: unknown key `heartbeet_ms` at line 2, column 1; did you mean `heartbeat_ms`?"
    );
    assert_eq!(
        said("heartbeat_ms = 7\nlisten = 'ä'\ntls = { ca = 'ää', kay = 'x' }\n"),
        "n1.toml: unknown key `kay` at line 3, column 20; did you mean `key`?"
    );
    assert_eq!(
        said("[tls]\nkay = 'x'\n"),
        "n1.toml: unknown key `kay` at line 2, column 1; did you mean `key`?"
    );
}

#[test]
fn a_key_like_no_known_one_is_given_no_false_hint() {
    assert!(
        said("listen = \"a\"\nwombat = 7\n").ends_with("unknown key `wombat` at line 2, column 1")
    );
}

/// A hint is searched in time that grows with the key; a key of a megabyte gets none, and is not
/// repeated to the operator's screen.
#[test]
fn a_giant_of_a_key_is_cut_short_in_the_error() {
    let giant = "k".repeat(1_000_000);
    let said = said(&format!("{giant} = 1\n"));
    assert!(said.len() < 200, "{} bytes", said.len());
    assert!(said.contains("unknown key `kkkk"), "{said}");
}

#[test]
fn a_wrong_type_a_missing_key_a_repeated_key_and_broken_toml_are_named() {
    assert!(said("listen = 7\nheartbeat_ms = 1").ends_with("at line 1, column 10"));
    assert!(said("listen = \"a\"").contains("missing field `heartbeat_ms`"));
    assert!(said("listen = 'a'\nlisten = 'b'").contains("at line 2, column 1"));
    assert!(said("listen = 'a").contains("at line 1, column"));
}

#[test]
fn a_byte_order_mark_binary_and_a_giant_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n1.toml");
    for (bytes, word) in [
        (b"\xef\xbb\xbflisten = 1".to_vec(), "byte order mark"),
        (b"listen\0 = 1".to_vec(), "zero bytes"),
        (b"listen = \"\xff\"".to_vec(), "encoding"),
        (vec![b'#'; 2 << 20], "more than 1048576 bytes"),
    ] {
        fs::write(&path, bytes).unwrap();
        let said = read::<Sample>(&path).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
    let mut just = b"heartbeat_ms = 1\nlisten = 'a'\n".to_vec();
    just.resize(usize::try_from(FILE_BYTES_MAX).unwrap(), b'#');
    fs::write(&path, just).unwrap();
    assert_eq!(read::<Sample>(&path).unwrap().heartbeat_ms, 1);
}

#[test]
fn a_directory_and_a_missing_file_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(read::<Sample>(dir.path()), Err(SettingsError::NotAFile { .. })));
    let missing = read::<Sample>(&dir.path().join("n9.toml"));
    assert!(matches!(missing, Err(SettingsError::Read { .. })));
}

#[test]
fn edits_counts_single_changes() {
    let cases = [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2)];
    for (from, to, count) in cases {
        assert_eq!(edits(from, to), count, "{from} {to}");
    }
}

proptest! {
    /// Whatever is in the file, reading it ends in a value or in an error, never in a panic.
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z_]{0,12}( = )?[\\PC\n]{0,12}){0,5}") {
        if let Err(error) = parsed(&text) {
            prop_assert!(error.to_string().starts_with("n1.toml: "));
        }
    }
}
