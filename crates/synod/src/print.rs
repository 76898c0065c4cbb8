//! Standard output is data. A reader that has gone away (`| head`) ends the command quietly.

use std::io::{self, IsTerminal, Write};

use data_encoding::BASE64;
use serde::Serialize;

use crate::exit::{Code, Failure};

/// Prints lines of data.
pub(crate) fn lines(text: &str) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), text.as_bytes())?;
    if text.is_empty() || text.ends_with('\n') { Ok(()) } else { bytes(b"\n") }
}

/// Prints lines with colours, which are left out unless they are wanted ([`crate::colour`]).
pub(crate) fn coloured(text: &str) -> Result<(), Failure> {
    write(&mut anstream::stdout().lock(), text.as_bytes())
}

/// Prints one JSON document on one line.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document)
        .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-001", error))?;
    lines(&text)
}

/// Prints a value: raw on a pipe; on a terminal with a final newline and control bytes escaped.
pub(crate) fn value(value: &[u8]) -> Result<(), Failure> {
    if io::stdout().is_terminal() { lines(&escaped(value)) } else { bytes(value) }
}

/// Bytes for people to read: text as it is, anything else escaped.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// A value in a JSON document.
#[derive(Serialize)]
pub(crate) struct Value {
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Value {
    /// In base 64 too when it is no text, or when that is wanted.
    pub(crate) fn new(bytes: &[u8], base64: bool) -> Value {
        let (value, value_base64) = both(bytes, base64);
        Value { value, value_base64 }
    }
}

/// Bytes as text when they are text, and in base 64 when they are none or when that is wanted.
pub(crate) fn both(bytes: &[u8], base64: bool) -> (Option<String>, Option<String>) {
    let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
    let encoded = (base64 || text.is_none()).then(|| self::base64(bytes));
    (text, encoded)
}

/// A moment as the log stamps it.
pub(crate) fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{ms} ms"), |at| format!("{at:.3}"))
}

/// Bytes for anything.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), bytes)
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure::silent(Code::ReaderLeft))
        }
        Err(error) => Err(Failure::new(Code::Machine, "SYN-OUT-001", error)
            .hint("standard output took no more; what was asked may have been done")),
    }
}
