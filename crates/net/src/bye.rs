//! Why a connection was closed on purpose, as a code with words.

use quinn::{Connection, ConnectionError, VarInt};

/// Reasons to close. The other side is told the number and the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bye {
    /// Nothing is wrong; this side stops.
    Stopping = 0,
    /// A newer connection of the same peer took its place.
    Replaced = 1,
    /// Another cluster's certificate or id.
    WrongCluster = 2,
    /// A certificate that may not do this here.
    WrongIdentity = 3,
    /// A limit on connections.
    TooMany = 4,
    /// Bytes that are no frames.
    Malformed = 5,
}

impl Bye {
    pub(crate) const fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Closes the connection with this reason.
    pub(crate) fn say(self, connection: &Connection, words: &str) {
        connection.close(self.code(), words.as_bytes());
    }

    /// Whether trying again with the same certificate is useless.
    pub(crate) fn is_identity(error: &ConnectionError) -> bool {
        match error {
            ConnectionError::ApplicationClosed(close) => [Bye::WrongCluster, Bye::WrongIdentity]
                .iter()
                .any(|bye| bye.code() == close.error_code),
            ConnectionError::TransportError(error) => is_tls(error.code.into()),
            ConnectionError::ConnectionClosed(close) => is_tls(close.error_code.into()),
            ConnectionError::VersionMismatch
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => false,
        }
    }

    /// What went wrong, in words for people.
    pub(crate) fn words(error: &ConnectionError) -> String {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                String::from_utf8_lossy(&close.reason).into_owned()
            }
            ConnectionError::TransportError(error) => tls_words(error.code.into(), &error.reason),
            ConnectionError::ConnectionClosed(close) => {
                let reason = String::from_utf8_lossy(&close.reason).into_owned();
                tls_words(close.error_code.into(), &reason)
            }
            ConnectionError::TimedOut => "no answer in time".to_owned(),
            other => other.to_string(),
        }
    }
}

/// QUIC carries TLS alert A as error 0x0100 + A (RFC 9001 §4.8).
const CRYPTO: u64 = 0x0100;

fn is_tls(code: u64) -> bool {
    (CRYPTO..CRYPTO + 0x100).contains(&code)
}

/// TLS 1.3's alerts (RFC 8446 §6.2) that a certificate can cause.
fn tls_words(code: u64, reason: &str) -> String {
    let alert = match code.checked_sub(CRYPTO) {
        Some(42 | 43 | 46) => "the certificate was refused",
        Some(44) => "the certificate is revoked",
        Some(45) => "the certificate has expired",
        Some(48) => "the certificate is of an authority that is not known there",
        Some(49) => "access was denied",
        Some(116) => "a certificate is required",
        Some(120) => "no protocol in common: is this the right kind of port?",
        _ => return if reason.is_empty() { format!("error {code:#x}") } else { reason.to_owned() },
    };
    if reason.is_empty() { alert.to_owned() } else { format!("{alert} ({reason})") }
}
