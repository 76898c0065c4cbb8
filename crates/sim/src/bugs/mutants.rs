//! Everything that can be taken away from the lines that safety rests on, found by machine: each
//! statement, each condition and each part of one, as a reviewer would who has read no argument.
//! The tables of `review` say by which rule a line is needed; this says that none is left out
//! because nobody thought of it.
//!
//! It reads Rust, so it comes with the feature `mutants` alone, and with the tests.

#[cfg(feature = "mutants")]
pub(crate) mod sweep;
mod table;
mod visit;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use self::visit::Mutant;
use super::copy;

/// Where those lines are: files, and directories with all that is in them.
const OF_SAFETY: [&str; 8] = [
    "crates/paxos/src",
    "crates/machine/src/branch",
    "crates/machine/src/owner",
    "crates/machine/src/owner.rs",
    "crates/machine/src/participants.rs",
    "crates/machine/src/runs.rs",
    "crates/machine/src/sessions.rs",
    "crates/machine/src/transactions.rs",
];

/// Files among them that only say when something is tried: whatever they say, it is safe.
const OF_PROGRESS: [&str; 4] = [
    "crates/paxos/src/catch_up.rs",
    "crates/paxos/src/chance.rs",
    "crates/paxos/src/detector.rs",
    "crates/paxos/src/election.rs",
];

/// What cannot be taken away, since what is left is no Rust: by function and text.
const NOT_RUST: [(&str, &str); 1] = [("join_lowest_retired", "drop(lowest);")];

/// One of them, in its file.
struct Taken {
    /// Below the top of the workspace.
    file: PathBuf,
    /// What stands there in the product.
    line: String,
    mutant: Mutant,
}

impl Taken {
    /// The function that it is taken away from.
    fn place(&self) -> String {
        let file = self.file.strip_prefix("crates").unwrap_or(&self.file);
        format!("{}, {}", file.display(), self.mutant.function)
    }
}

/// Every one, in the order of files and lines.
fn all() -> Result<Vec<Taken>, Box<dyn Error>> {
    let (top, mut all) = (copy::top(), Vec::new());
    for place in OF_SAFETY {
        let place = top.join(place);
        let mut files = match place.is_dir() {
            true => copy::sources(&place)?,
            false => vec![place],
        };
        files.sort();
        for path in files.iter().filter(|path| !path.ends_with("tests.rs")) {
            let text = fs::read_to_string(path)?;
            let file = path.strip_prefix(&top)?;
            if OF_PROGRESS.iter().any(|progress| file == Path::new(progress)) {
                continue;
            }
            let mutants = visit::mutants(&text);
            for mutant in mutants.map_err(|error| format!("{}: {error}", file.display()))? {
                let line = text[mutant.at.clone()].to_owned();
                if !NOT_RUST.contains(&(&mutant.function, &line)) {
                    all.push(Taken { file: file.to_owned(), line, mutant });
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something is missing where something was taken away.
    #[test]
    fn what_is_left_is_not_what_stood_there() {
        let all = all().unwrap();
        let same = all.iter().find(|taken| taken.line == taken.mutant.without);
        assert_eq!((same.map(Taken::place), all.is_empty()), (None, false));
    }

    /// Whoever moves or takes away a function of which something is missed says so anew.
    #[test]
    fn every_function_of_the_table_is_there_and_has_a_reason() {
        let known: Vec<String> = all().unwrap().iter().map(Taken::place).collect();
        for (place, (_, why)) in table::rows(&table::read().unwrap()).unwrap() {
            assert!(known.contains(&place), "no longer there: {place}");
            assert!(why.len() > 1, "says not why: {place}");
        }
    }
}
