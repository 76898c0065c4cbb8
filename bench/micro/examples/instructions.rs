//! `instructions PART COUNT`: does a part so often and nothing else, to be run under callgrind
//! twice with two counts: what they differ by is what the part takes (`bench/micro/instructions`).

use std::{error::Error, process::ExitCode};

use synod_micro::{Kind, Part};

fn main() -> ExitCode {
    match act() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // Nobody who reads the exit code needs the words.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let word = args.next().unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
    let kind = kind.ok_or_else(|| format!("no such part: {word:?}"))?;
    let count: u64 = args.next().unwrap_or_default().parse()?;
    let mut part = Part::new(kind)?;
    for _ in 0..count {
        part.act()?;
    }
    Ok(())
}
