//! What the configuration of a node and of a client share: reading TOML with errors that say what,
//! where and what was probably meant, and the files that prove an identity.

mod describe;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::describe::{Origin, Row, describe, flat};
use crate::files::{self, Unread};

/// A configuration file larger than this is not one: the largest cluster's has a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// An unknown key longer than this is no slip, and is cut when it is named.
const KEY_CHARS_MAX: usize = 64;
/// A message may quote the file; more than this of it helps nobody.
const MESSAGE_CHARS_MAX: usize = 400;

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
    /// A directory, a pipe, a device.
    #[error("{}: not a regular file", .path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The file is too large to be a configuration.
    #[error("{}: more than {FILE_BYTES_MAX} bytes, which no configuration has", .path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file is not plain UTF-8 text.
    #[error("{}: not plain UTF-8 text: {what}", .path.display())]
    NotText {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A key that is not known.
    #[error(
        "{}: unknown key `{key}` at line {line}, column {column}{}", .path.display(),
        .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    )]
    UnknownKey {
        /// In which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
        /// In which column, from 1, in characters.
        column: usize,
        /// The key.
        key: String,
        /// The known key that is spelt most like it.
        nearest: Option<String>,
    },
    /// Anything else that is wrong with it.
    #[error("{}: {what} at line {line}, column {column}", .path.display())]
    Wrong {
        /// In which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
        /// In which column, from 1, in characters.
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

/// What tells two clusters of one name apart: 1 to 16 hexadecimal digits, and not zero.
pub fn cluster_id(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|id| digits && *id > 0)
}

/// Whether `text` has the form of an address that can be dialled: `HOST:PORT`.
pub fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn text(path: &Path) -> Result<String, SettingsError> {
    let not_text = |what| SettingsError::NotText { path: path.to_path_buf(), what };
    let (bytes, _mode) = files::read(path, FILE_BYTES_MAX).map_err(|unread| {
        let path = path.to_path_buf();
        match unread {
            Unread::NotAFile => SettingsError::NotAFile { path },
            Unread::TooLarge => SettingsError::TooLarge { path },
            Unread::Io(source) => SettingsError::Read { path, source },
        }
    })?;
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
            let key = key.chars().take(KEY_CHARS_MAX).collect();
            SettingsError::UnknownKey { path, line, column, key, nearest }
        }
        None => {
            let what = message.chars().take(MESSAGE_CHARS_MAX).collect();
            SettingsError::Wrong { path, line, column, what }
        }
    }
}

/// Line and column of a byte, both from 1.
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
    if key.len() > KEY_CHARS_MAX {
        return None;
    }
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
mod tests;
