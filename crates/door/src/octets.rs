//! Bytes in texts: percent-encoding in paths and queries, base 64 in documents.

use bytes::Bytes;
use data_encoding::BASE64;

use crate::fault::Fault;

/// Bytes that stand in a path or a query, percent-decoded once: whatever comes out is data.
pub(crate) fn decoded(text: &str, plus_is_space: bool) -> Result<Bytes, Fault> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        octets.push(match byte {
            b'+' if plus_is_space => b' ',
            b'%' => {
                let digits = rest.split_at_checked(2).and_then(|(digits, after)| {
                    rest = after;
                    Some(hex(digits[0])? << 4 | hex(digits[1])?)
                });
                digits.ok_or_else(|| {
                    Fault::bad(format!("{text:?}: a % is followed by two hexadecimal digits"))
                })?
            }
            byte => byte,
        });
    }
    Ok(octets.into())
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// The same as text, where it is to be text.
pub(crate) fn text(octets: &Bytes, what: &str) -> Result<String, Fault> {
    match std::str::from_utf8(octets) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Fault::bad(format!("{what} is not UTF-8 text"))),
    }
}

/// Bytes in a document: as text when they are text, else in base 64.
pub(crate) fn both(octets: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(octets) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(octets))),
    }
}

/// Bytes of a document, which are given in one of the two ways.
pub(crate) fn either(
    what: &str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Bytes, Fault> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into()),
        (None, Some(base64)) => match BASE64.decode(base64.as_bytes()) {
            Ok(octets) => Ok(octets.into()),
            Err(error) => Err(Fault::bad(format!("{what}_base64: {error}"))),
        },
        _ => Err(Fault::bad(format!("give one of {what} and {what}_base64"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Security §6: keys are decoded once; slashes, zero bytes, dots and what is no text are data.
    #[test]
    fn what_is_percent_encoded_is_decoded_once_and_is_data() {
        for (text, octets) in [
            ("a%2Fb", &b"a/b"[..]),
            ("%252F", b"%2F"),
            ("..%2f..", b"../.."),
            ("%00%ff", b"\0\xff"),
            ("a+b", b"a+b"),
        ] {
            assert_eq!(decoded(text, false).unwrap(), octets, "{text}");
        }
        assert_eq!(decoded("a+b%2B", true).unwrap(), &b"a b+"[..]);
        for wrong in ["%", "%2", "%zz", "a%", "%+1", "%%41"] {
            assert!(decoded(wrong, false).is_err(), "{wrong}");
        }
    }
}
