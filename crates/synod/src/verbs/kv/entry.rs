//! One key, as `-o json` shows it.

use serde::Serialize;
use synod_client::machine::{Entry, LeaseId};

use crate::print;

/// Bytes are shown as text when they are text, else in base 64: nothing is lost and nothing can be
/// mistaken for something else.
#[derive(Serialize)]
pub(super) struct Shown {
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    create: u64,
    modified: u64,
    version: u64,
    /// The lease on which it hangs, if it does.
    lease: Option<u64>,
}

impl Shown {
    /// With the value in base 64 too when it is no text, or when `base64` is wanted.
    pub(super) fn new(key: &[u8], entry: &Entry, base64: bool) -> Shown {
        let (key, key_base64) = print::both(key, false);
        let (value, value_base64) = print::both(&entry.value, base64);
        let (create, modified) = (entry.create.get(), entry.modified.get());
        let (version, lease) = (entry.version, entry.lease.map(LeaseId::get));
        Shown { key, key_base64, value, value_base64, create, modified, version, lease }
    }
}

#[cfg(test)]
mod tests {
    use synod_client::machine::Revision;

    use super::*;

    fn json(key: &[u8], value: &'static [u8], base64: bool) -> String {
        let (create, modified) = (Revision::new(1), Revision::new(2));
        let entry = Entry { value: value.into(), create, modified, version: 2, lease: None };
        serde_json::to_string(&Shown::new(key, &entry, base64)).unwrap()
    }

    #[test]
    fn text_is_shown_as_text_and_anything_else_in_base_64() {
        let rest = r#""create":1,"modified":2,"version":2,"lease":null}"#;
        let text = r#"{"key":"k","value":"a\n\u001b\\x00","#;
        assert_eq!(json(b"k", b"a\n\x1b\\x00", false), format!("{text}{rest}"));
        let neither = r#"{"key":null,"key_base64":"/w==","value":null,"value_base64":"AP8=","#;
        assert_eq!(json(b"\xff", b"\0\xff", false), format!("{neither}{rest}"));
        let asked = r#"{"key":"k","value":"7","value_base64":"Nw==","#;
        assert_eq!(json(b"k", b"7", true), format!("{asked}{rest}"));
    }
}
