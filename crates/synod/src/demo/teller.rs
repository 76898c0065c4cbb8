//! Tells the play line by line, with the time.

use std::time::Instant;

use crate::{
    cli::Output,
    exit::Failure,
    print,
    signs::{Signs, signs},
};

/// Where the story goes: to standard output, unless that is for a JSON document.
pub(super) struct Teller {
    output: Output,
    begun: Instant,
    /// Those that its lines may have.
    pub(super) signs: Signs,
}

impl Teller {
    /// Its time begins now.
    pub(super) fn new(output: Output) -> Teller {
        Teller { output, begun: Instant::now(), signs: signs() }
    }

    /// Whether the data is a JSON document.
    pub(super) fn output(&self) -> Output {
        self.output
    }

    /// Tells one line. When nobody listens any more, the play is over.
    pub(super) fn tell(&self, text: &str) -> Result<(), Failure> {
        self.line(&format!("{:5.1} s  {text}", self.begun.elapsed().as_secs_f64()))
    }

    /// A line without the time.
    pub(super) fn line(&self, line: &str) -> Result<(), Failure> {
        match self.output {
            Output::Text => print::lines(line),
            Output::Json | Output::Jsonl => {
                anstream::eprintln!("{line}");
                Ok(())
            }
        }
    }
}
