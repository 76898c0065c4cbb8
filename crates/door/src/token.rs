use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use hyper::{HeaderMap, StatusCode, header::AUTHORIZATION};

use crate::{ask, fault::Fault};

/// Letters of a token: 16 of them in hexadecimal are 64 bits, which nobody guesses over HTTP.
const LETTERS_MIN: usize = 16;
/// A file larger than this holds no token.
const FILE_BYTES_MAX: u64 = 1 << 10;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// What callers without certificates have in common: that they could read a file.
#[derive(Clone)]
pub(crate) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why a file gives no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner could read it.
    #[error(
        "{}: readable by group or others (mode {mode:04o}): chmod 600 {}", .path.display(),
        .path.display()
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds no token.
    #[error("{}: one word of {LETTERS_MIN} letters or more is expected", .path.display())]
    NoToken {
        /// Which.
        path: PathBuf,
    },
}

impl Token {
    /// Reads a file that only its owner can.
    pub(crate) fn load(path: &Path) -> Result<Token, TokenError> {
        let path = path.to_path_buf();
        let failed = |source| TokenError::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(TokenError::Exposed { path, mode });
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let word = text.trim();
        if word.len() < LETTERS_MIN || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NoToken { path });
        }
        Ok(Token(word.to_owned()))
    }

    /// Whether a request shows it (RFC 6750 §2.1).
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let shown = ask::header(headers, AUTHORIZATION.as_str())?;
        let shown = shown.and_then(|shown| shown.strip_prefix("Bearer ")).unwrap_or_default();
        if same(shown.as_bytes(), self.0.as_bytes()) {
            return Ok(());
        }
        let said = "the token of this door is not shown";
        let fault = Fault::new(StatusCode::UNAUTHORIZED, "token", said);
        Err(fault.hint("Authorization: Bearer TOKEN; plain_token_file says where it is").closing())
    }
}

/// Takes as long wherever they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(text: &str, mode: u32) -> Result<Token, TokenError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Token::load(&path)
    }

    #[test]
    fn a_token_is_a_word_in_a_file_that_only_its_owner_reads() {
        assert_eq!(load("0123456789abcdef\n", 0o600).unwrap().0, "0123456789abcdef");
        let refused = load("0123456789abcdef\n", 0o640).unwrap_err().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
        for text in ["", "0123456789abcde", "two words are none"] {
            assert!(matches!(load(text, 0o600), Err(TokenError::NoToken { .. })), "{text:?}");
        }
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token("0123456789abcdef".to_owned());
        let shown = |text: Option<&str>| {
            let mut headers = HeaderMap::new();
            text.map(|text| headers.insert(AUTHORIZATION, text.parse().unwrap()));
            token.check(&headers).is_ok()
        };
        assert!(shown(Some("Bearer 0123456789abcdef")));
        for wrong in [
            None,
            Some("Bearer "),
            Some("Bearer 0123456789abcde"),
            Some("Bearer 0123456789abcdeff"),
            Some("Bearer 0123456789abcdeF"),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            assert!(!shown(wrong), "{wrong:?}");
        }
    }
}
