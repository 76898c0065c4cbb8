//! How a command ends: its code, and what is said on standard error.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

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
    /// `bench`: what was to hold of a measurement did not.
    Missed,
    /// Our bug.
    Bug,
    /// The machine failed us: its disk, its files.
    Machine,
    /// `lock run`: the lock was lost while the command ran.
    LockLost,
    /// `lock run`: another held the lock for as long as was waited.
    WaitTimedOut,
    /// `lock run`: synod itself failed.
    RunFailed,
    /// `lock run`: as the command ended.
    Child(u8),
    /// Somebody asked us to end. What a shell says of a process that SIGINT ended.
    Interrupted,
    /// Whoever read our output left. What a shell says of a process that SIGPIPE ended.
    ReaderLeft,
}

impl Code {
    const fn number(self) -> u8 {
        match self {
            Code::No => 1,
            Code::Usage => 2,
            Code::NotApplied => 3,
            Code::Unknown => 4,
            Code::Refused => 5,
            Code::Missed => 6,
            Code::Bug => 70,
            Code::Machine => 74,
            Code::LockLost => 123,
            Code::WaitTimedOut => 124,
            Code::RunFailed => 125,
            Code::Child(code) => code,
            Code::Interrupted => 130,
            Code::ReaderLeft => 141,
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
    /// Empty when there is nothing to look up: a "no" is an answer.
    word: &'static str,
}

impl Failure {
    /// A failure with its searchable word, such as `SYN-CONFIG-001`.
    pub(crate) fn new(code: Code, word: &'static str, what: impl fmt::Display) -> Failure {
        Failure { code, what: what.to_string(), details: Vec::new(), hint: None, word }
    }

    /// The answer is no, and this is why.
    pub(crate) fn no(what: impl fmt::Display) -> Failure {
        Failure::new(Code::No, "", what)
    }

    /// An end that needs no words: what was printed says it all, or nobody reads any more.
    pub(crate) fn silent(code: Code) -> Failure {
        Failure::new(code, "", "")
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

    /// The same of `lock run`, whose codes leave those below 123 to the command.
    pub(crate) fn of_run(mut self) -> Failure {
        self.code = match self.code {
            Code::No
            | Code::Usage
            | Code::NotApplied
            | Code::Unknown
            | Code::Refused
            | Code::Missed
            | Code::Bug
            | Code::Machine => Code::RunFailed,
            of_run => of_run,
        };
        self
    }

    /// Its exit code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Whether somebody has said already what each node said.
    pub(crate) fn has_details(&self) -> bool {
        !self.details.is_empty()
    }

    /// Says it on standard error, coloured where colours are wanted.
    pub(crate) fn tell(&self) {
        const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
        if self.word.is_empty() && self.what.is_empty() {
            return;
        }
        if !self.word.is_empty() {
            anstream::eprint!("{ERROR}error:{ERROR:#} ");
        }
        anstream::eprintln!("{self}");
    }
}

/// What [`Failure::tell`] says, after `error:`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        if !self.word.is_empty() {
            write!(f, "\n{}, exit {}", self.word, self.code.number())?;
        }
        Ok(())
    }
}

/// What `run` comes to, also when it panics: that is a bug of ours and is told as one. Where it was
/// has been said by then.
pub(crate) fn contained(run: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    // Nothing of it is looked at afterwards.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_panic| {
        Err(Failure::new(Code::Bug, "SYN-BUG-004", "synod itself has failed, as told above")
            .hint("RUST_BACKTRACE=1 before the same command shows the way there; please report it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panic would end the process with 101, which means nothing to a script.
    #[test]
    fn a_panic_is_our_bug() {
        let failure = contained(|| panic!("on purpose")).unwrap_err();
        assert_eq!((failure.code(), failure.code().number()), (Code::Bug, 70));
        assert_eq!(failure.of_run().code(), Code::RunFailed);
        assert!(contained(|| Ok(())).is_ok());
    }

    /// Interfaces §2.2: what happened, per node, what to do, a code to search for.
    #[test]
    fn a_failure_says_what_where_what_to_do_and_its_code() {
        let failure = Failure::new(Code::Refused, "SYN-TLS-003", "no node accepted us")
            .detail("n1  127.0.0.1:7411  refused: expired")
            .hint("synod cert check certs/");
        assert_eq!(
            failure.to_string(),
            "no node accepted us\n  n1  127.0.0.1:7411  refused: expired\n\
             hint: synod cert check certs/\nSYN-TLS-003, exit 5"
        );
    }

    /// Interfaces, decision 2: a "no" is a value, not an error; there is nothing to look up.
    #[test]
    fn a_no_says_only_why() {
        assert_eq!(Failure::no("epoch does not exist").to_string(), "epoch does not exist");
    }
}
