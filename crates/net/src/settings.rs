//! What the configuration of a node and of a client share: reading TOML with errors that say what, where
//! and what was probably meant, and the files that prove an identity.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A configuration file larger than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a configuration file cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("{}: {bytes} bytes; a configuration has at most {FILE_BYTES_MAX}", .path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large.
        bytes: u64,
    },
    /// The file is not plain UTF-8 text.
    #[error("{}: not plain UTF-8 text ({what})", .path.display())]
    NotText {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A key that is not known.
    #[error(
        "{}: line {line}, column {column}: unknown key `{key}`{}", .path.display(),
        .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    )]
    UnknownKey {
        /// In which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
        /// In which column, from 1.
        column: usize,
        /// The key.
        key: String,
        /// The known key that is spelt most like it.
        nearest: Option<String>,
    },
    /// Anything else that is wrong with it.
    #[error("{}: line {line}, column {column}: {what}", .path.display())]
    Wrong {
        /// In which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
        /// In which column, from 1.
        column: usize,
        /// What.
        what: String,
    },
}

/// The files that prove an identity. Relative paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The cluster's root certificate.
    pub ca: PathBuf,
    /// The own certificate.
    pub cert: PathBuf,
    /// Its key; readable by its owner alone.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The same files, with relative paths below `dir`.
    #[must_use]
    pub fn below(&self, dir: &Path) -> TlsFiles {
        TlsFiles { ca: dir.join(&self.ca), cert: dir.join(&self.cert), key: dir.join(&self.key) }
    }
}

/// Reads a TOML file into `T`, whose `deny_unknown_fields` finds misspelt keys.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    let text = text(path)?;
    parse(path, &text)
}

/// As [`read`], of text that was read already; `path` is for messages.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

fn text(path: &Path) -> Result<String, SettingsError> {
    let read = |source| SettingsError::Read { path: path.to_path_buf(), source };
    let bytes = fs::metadata(path).map_err(read)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(SettingsError::TooLarge { path: path.to_path_buf(), bytes });
    }
    let bytes = fs::read(path).map_err(read)?;
    let not_text = |what| SettingsError::NotText { path: path.to_path_buf(), what };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(not_text("it begins with a byte order mark; save it without one"));
    }
    if bytes.contains(&0) {
        return Err(not_text("it holds zero bytes"));
    }
    String::from_utf8(bytes).map_err(|_| not_text("it is in another encoding"))
}

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let path = path.to_path_buf();
    let (line, column) = place(text, error.span().map_or(0, |span| span.start));
    let message = error.message();
    match unknown(message) {
        Some((key, known)) => {
            let nearest = nearest(&key, &known);
            SettingsError::UnknownKey { path, line, column, key, nearest }
        }
        None => SettingsError::Wrong { path, line, column, what: message.to_owned() },
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// serde says: unknown field `x`, expected one of `a`, `b` (or: expected `a`).
fn unknown(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    Some((quoted.next()?, quoted.collect()))
}

/// The known key with the fewest edits, if there are few enough to be a slip.
fn nearest(key: &str, known: &[String]) -> Option<String> {
    let near = |name: &&String| edits(key, name) <= (name.len() / 3).max(2);
    known.iter().filter(near).min_by_key(|name| edits(key, name)).cloned()
}

/// Levenshtein's distance, row by row.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its spelling matters")]
        heartbeat_ms: u64,
        #[expect(dead_code, reason = "only its spelling matters")]
        listen: String,
    }

    fn said(text: &str) -> String {
        parse::<Sample>(Path::new("n1.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place_and_the_nearest_known_one() {
        assert_eq!(
            said("listen = \"a\"\nheartbeet_ms = 7\n"),
            "n1.toml: line 2, column 1: unknown key `heartbeet_ms`; did you mean `heartbeat_ms`?"
        );
    }

    #[test]
    fn a_key_like_no_known_one_is_given_no_false_hint() {
        assert!(said("listen = \"a\"\nwombat = 7\n").ends_with("unknown key `wombat`"));
    }

    #[test]
    fn a_wrong_type_and_a_missing_key_are_named() {
        assert!(said("listen = 7\nheartbeat_ms = 1").contains("line 1, column 10"));
        assert!(said("listen = \"a\"").contains("heartbeat_ms"));
    }

    #[test]
    fn a_byte_order_mark_binary_and_a_giant_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n1.toml");
        for (bytes, word) in [
            (b"\xef\xbb\xbflisten = 1".to_vec(), "byte order mark"),
            (b"listen\0 = 1".to_vec(), "zero bytes"),
            (b"listen = \"\xff\"".to_vec(), "encoding"),
            (vec![b'#'; (FILE_BYTES_MAX + 1) as usize], "at most"),
        ] {
            fs::write(&path, bytes).unwrap();
            let said = read::<Sample>(&path).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
        assert!(matches!(read::<Sample>(dir.path()), Err(SettingsError::Read { .. })));
    }

    #[test]
    fn edits_counts_single_changes() {
        let cases =
            [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2)];
        for (from, to, count) in cases {
            assert_eq!(edits(from, to), count, "{from} {to}");
        }
    }
}
