//! How a command ends: its code, and what is said on standard error.

use std::{fmt, process::ExitCode};

/// The exit codes of every verb. A "no" is 1; the two failures, *not applied* and *unknown*, are
/// never one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The answer is no: mismatch, absent, aborted, a check found problems.
    No,
    /// Wrong usage or configuration; nothing was sent.
    Usage,
    /// Not applied: safe to repeat.
    NotApplied,
    /// Sent, and no answer: `synod request settle ID`.
    Unknown,
    /// Refused: identity, permission, wrong cluster.
    Refused,
    /// The machine under a node failed it: its disk, its files.
    Machine,
    /// Our bug.
    Bug,
}

impl Code {
    const fn number(self) -> u8 {
        match self {
            Code::No => 1,
            Code::Usage => 2,
            Code::NotApplied => 3,
            Code::Unknown => 4,
            Code::Refused => 5,
            Code::Machine => 74,
            Code::Bug => 70,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code.number())
    }
}

/// Why a command did not do what it was asked: what happened, per node if several were asked, what
/// to do, and a word to search for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    what: String,
    details: Vec<String>,
    hint: Option<String>,
    word: &'static str,
}

impl Failure {
    /// A failure with its searchable word, such as `SYN-CONFIG-001`.
    pub(crate) fn new(code: Code, word: &'static str, what: impl fmt::Display) -> Failure {
        Failure { code, what: what.to_string(), details: Vec::new(), hint: None, word }
    }

    /// Adds a line of detail.
    #[must_use]
    pub(crate) fn detail(mut self, line: impl fmt::Display) -> Failure {
        self.details.push(line.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Failure {
        self.hint = Some(hint.to_string());
        self
    }

    /// A "no" that needs no words: the data said it.
    pub(crate) fn silent_no() -> Failure {
        Failure::new(Code::No, "", "")
    }

    /// Its exit code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Whether there is anything to say.
    pub(crate) fn speaks(&self) -> bool {
        !self.what.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        for line in &self.details {
            writeln!(f, "  {line}")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "hint: {hint}")?;
        }
        write!(f, "{}, exit {}", self.word, self.code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interfaces: what happened, per node, what to do, a code to search for.
    #[test]
    fn a_failure_says_what_where_what_to_do_and_its_code() {
        let failure = Failure::new(Code::Refused, "SYN-TLS-003", "no node accepted us")
            .detail("n1  127.0.0.1:7411  refused: expired")
            .hint("synod cert check certs/");
        assert_eq!(
            failure.to_string(),
            "error: no node accepted us\n  n1  127.0.0.1:7411  refused: expired\n\
             hint: synod cert check certs/\nSYN-TLS-003, exit 5"
        );
    }
}
