//! Tells the play line by line, with the time.

use std::{fs, path::Path, time::Instant};

use serde::Serialize;

use crate::{
    cli::Output,
    exit::{Code, Failure},
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

    /// Writes the report of a run where that is wanted, and shows it: whole, or as its line.
    pub(super) fn publish(
        &self,
        to: Option<&Path>,
        report: &impl Serialize,
        line: &str,
    ) -> Result<(), Failure> {
        if let Some(path) = to {
            let text = serde_json::to_string_pretty(report)
                .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-001", error))?;
            fs::write(path, text + "\n").map_err(|error| {
                let what = format!("{}: {error}", path.display());
                Failure::new(Code::Usage, "SYN-DEMO-002", what)
            })?;
        }
        match self.output {
            Output::Json | Output::Jsonl => print::json(report),
            Output::Text => print::lines(line),
        }
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
