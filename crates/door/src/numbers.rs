//! Numbers of 64 bits among programs whose numbers have 53.
//!
//! What the cluster counts up by itself, from one (revisions, tokens, leases, positions,
//! milliseconds), is a JSON number: at a million a second it passes 2^53 in 285 years. What callers
//! choose may be any number of 64 bits (the value of a counter), and is text. Either is understood
//! where a number is asked for.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};

use crate::shape::{Shaped, Shapes};

/// What the cluster counts up by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count(pub(crate) u64);

/// What may be any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) i64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Count, D::Error> {
        from.deserialize_any(Digits::new("a whole number from 0, or one as text")).map(Count)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Whole, D::Error> {
        from.deserialize_any(Digits::new("a whole number of 64 bits, best as text")).map(Whole)
    }
}

impl Shaped for Count {
    fn schema(_: &mut Shapes) -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 })
    }
}

impl Shaped for Whole {
    fn schema(_: &mut Shapes) -> Value {
        json!({ "type": "string", "pattern": "^-?[0-9]+$" })
    }
}

/// Reads a number or its text.
struct Digits<T>(&'static str, PhantomData<T>);

impl<T> Digits<T> {
    fn new(what: &'static str) -> Digits<T> {
        Digits(what, PhantomData)
    }
}

impl<T: FromStr + TryFrom<u64> + TryFrom<i64>> de::Visitor<'_> for Digits<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let unexpected = de::Unexpected::Unsigned(number);
        T::try_from(number).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let unexpected = de::Unexpected::Signed(number);
        T::try_from(number).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// A number as everybody writes it: digits, and a minus before them.
pub(crate) fn read<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_a_number_and_as_text() {
        let count = |text: &str| serde_json::from_str(text).map(|Count(n)| n);
        let whole = |text: &str| serde_json::from_str(text).map(|Whole(n)| n);
        for text in ["7", "\"7\""] {
            assert_eq!((count(text).unwrap(), whole(text).unwrap()), (7, 7));
        }
        assert_eq!(count("\"18446744073709551615\"").unwrap(), u64::MAX);
        assert_eq!(whole("\"-9223372036854775808\"").unwrap(), i64::MIN);
        for text in ["-1", "1.5", "\"\"", "\"+7\"", "\" 7\"", "\"18446744073709551616\"", "null"] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(whole("9223372036854775808").is_err());
    }

    /// A program whose numbers have 53 bits reads text as text.
    #[test]
    fn what_may_be_any_number_is_written_as_text() {
        assert_eq!(serde_json::to_string(&Whole(i64::MAX)).unwrap(), "\"9223372036854775807\"");
        assert_eq!(serde_json::to_string(&Count(7)).unwrap(), "7");
    }
}
