//! The simulator by itself: `cargo run --release -p synod-sim -- run|replay|search`. `synod sim`
//! does the first two as well. And the bugs that it must catch: `… -- planted`.

#![allow(clippy::print_stdout, reason = "a program whose output is its purpose")]

mod bugs;
mod verbs;

use std::process::ExitCode;

const USAGE: &str = "\
usage: synod-sim run [--seed S] [--seeds N] [--minutes M] [--threads T] [--go-on]
                     [--store model|redb] [--shrink] [--digests] [--rare]
                     [--require-all-rare]
       synod-sim replay SCRIPT [--verbose] [--shrink]
       synod-sim search [--worlds N] PLACE...
       synod-sim planted [--quick [--review K/N]] [--seeds N] [--write] [WORD]...
       synod-sim planted --search [--place PLACE] [--write] [WORD]...
       synod-sim mutants [--seeds N] [--write] [WORD]... (with the feature `mutants`)
       synod-sim hunt FIRST SEEDS, seek PLACE (what these run in their copies)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"run", rest)) => verbs::run::run(rest),
        Some((&"replay", rest)) => verbs::replay::replay(rest),
        Some((&"planted", rest)) => verbs::planted::planted(rest),
        #[cfg(feature = "mutants")]
        Some((&"mutants", rest)) => verbs::planted::mutants(rest),
        Some((&"hunt", rest)) => verbs::planted::hunt(rest),
        Some((&"seek", rest)) => verbs::planted::seek(rest),
        Some((&"search", rest)) => verbs::search::search(rest),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("{why}");
            ExitCode::from(2)
        }
    }
}
