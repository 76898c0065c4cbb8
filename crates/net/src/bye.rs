//! Why a connection or a stream was ended on purpose: a code with words.

use quinn::{Connection, ConnectionError, VarInt};

/// Reasons to end a connection or a stream. The other side is told the number, and for a connection
/// the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bye {
    /// Nothing is wrong; this side stops, or wants the answer no more.
    Stopping = 0,
    /// A newer connection of the same peer took its place.
    Replaced = 1,
    /// Another cluster's certificate or number.
    WrongCluster = 2,
    /// A certificate that may not do this here.
    WrongIdentity = 3,
    /// A limit on connections or on waiting questions.
    Busy = 4,
    /// Bytes that are no frames, or frames that stand still.
    Malformed = 5,
    /// Too much nonsense lately; come back later.
    Penalty = 6,
    /// Answers are not taken: this one is not kept.
    Slow = 7,
}

impl Bye {
    pub(crate) const fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Closes the connection with this reason.
    pub(crate) fn say(self, connection: &Connection, words: &str) {
        connection.close(self.code(), words.as_bytes());
    }

    /// Whether this is what the other side said.
    pub(crate) fn was_said(self, error: &ConnectionError) -> bool {
        match error {
            ConnectionError::ApplicationClosed(close) => close.error_code == self.code(),
            _ => false,
        }
    }

    /// Whether trying again with the same certificate is useless.
    pub(crate) fn is_identity(error: &ConnectionError) -> bool {
        match error {
            ConnectionError::ApplicationClosed(_) => {
                Bye::WrongCluster.was_said(error) || Bye::WrongIdentity.was_said(error)
            }
            ConnectionError::TransportError(error) => alert(error.code.into()).is_some(),
            ConnectionError::ConnectionClosed(close) => alert(close.error_code.into()).is_some(),
            ConnectionError::VersionMismatch
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => false,
        }
    }

    /// What ended the connection, in words for people.
    pub(crate) fn words(error: &ConnectionError) -> String {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                String::from_utf8_lossy(&close.reason).into_owned()
            }
            ConnectionError::TransportError(error) => match alert(error.code.into()) {
                Some(words) => format!("we refused: {words}"),
                None => error.to_string(),
            },
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code.into()) {
                Some(words) => format!("it refused: {words}"),
                None => close.to_string(),
            },
            ConnectionError::VersionMismatch => "it speaks another version of QUIC".to_owned(),
            ConnectionError::Reset => {
                "it was restarted and has forgotten the connection".to_owned()
            }
            ConnectionError::TimedOut => "nothing was heard in time".to_owned(),
            ConnectionError::LocallyClosed => "this side closed the connection".to_owned(),
            ConnectionError::CidsExhausted => "out of connection ids".to_owned(),
        }
    }
}

/// QUIC carries TLS alert A as error 0x0100 + A (RFC 9001 §4.8).
const CRYPTO_ERROR: u64 = 0x0100;

/// The words of TLS alerts (RFC 8446 §6.2) that a handshake between ours can end with. All of them
/// are about who somebody is or what it speaks; none goes away by trying again.
fn alert(code: u64) -> Option<&'static str> {
    match code.checked_sub(CRYPTO_ERROR)? {
        40 => Some("the handshake failed"),
        42 => Some("the certificate is bad"),
        43 => Some("the certificate may not be used for this"),
        44 => Some("the certificate is revoked"),
        45 => Some("the certificate has expired, or is not valid yet"),
        46 => Some("the certificate is not acceptable"),
        47 => Some("the handshake was not understood"),
        48 => Some("the certificate is signed by an unknown authority"),
        49 => Some("access was denied"),
        51 => Some("a signature is wrong: the certificate is forged, or its key another"),
        70 => Some("only TLS 1.3 is spoken"),
        116 => Some("a client certificate is required"),
        120 => Some("no protocol in common; is this port a node's, or a participant's?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quinn::ApplicationClose;

    use super::*;

    fn said(bye: Bye) -> ConnectionError {
        let reason = bytes::Bytes::from_static(b"words");
        ConnectionError::ApplicationClosed(ApplicationClose { error_code: bye.code(), reason })
    }

    #[test]
    fn only_what_trying_again_cannot_cure_is_a_matter_of_identity() {
        for bye in [Bye::WrongCluster, Bye::WrongIdentity] {
            assert!(Bye::is_identity(&said(bye)), "{bye:?}");
        }
        for bye in
            [Bye::Stopping, Bye::Replaced, Bye::Busy, Bye::Malformed, Bye::Penalty, Bye::Slow]
        {
            assert!(!Bye::is_identity(&said(bye)), "{bye:?}");
        }
        assert!(!Bye::is_identity(&ConnectionError::TimedOut));
        assert!(!Bye::is_identity(&ConnectionError::Reset));
        assert_eq!(Bye::words(&said(Bye::Busy)), "words");
    }

    #[test]
    fn alerts_are_told_in_plain_words_and_other_codes_are_no_alerts() {
        assert_eq!(alert(0x100 + 45), Some("the certificate has expired, or is not valid yet"));
        assert_eq!(alert(45), None);
        assert_eq!(alert(0x100 + 200), None);
    }
}
