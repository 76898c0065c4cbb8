//! Bugs that a search is sent after: through every interleaving of a place, so that what can be
//! seen there is seen, by a shortest way.

mod first_written;

use std::{error::Error, path::Path, process::Command};

use synod_sim::Place;

use super::{copy::PLANTED_ENV, row::Bug};

/// Where to look for which bug.
const SOUGHT: &[(&str, &str)] = &[];

/// Worlds that a bug may hide in.
const WORLDS_MAX: usize = 8_000_000;

/// What separates the parts of an answer.
const BETWEEN: char = '\t';

/// Bugs that only a search is sent after.
pub(super) fn own() -> impl Iterator<Item = &'static Bug> {
    first_written::BUGS.iter()
}

/// Where a bug is to be looked for.
pub(super) fn places(bug: &Bug) -> impl Iterator<Item = &'static str> {
    let name = bug.name;
    SOUGHT.iter().filter(move |(of, _)| *of == name).map(|(_, place)| *place)
}

/// Searches through a place until a property does not hold, and says how for [`there`].
pub(crate) fn here(place: &Place) -> String {
    std::panic::set_hook(Box::new(|_| {}));
    let searched = place.search(WORLDS_MAX, |_| {});
    let (invariant, what) = match &searched.found {
        Some((violation, _)) => (violation.invariant, violation.what.replace(BETWEEN, " ")),
        None => ("**nothing**", String::new()),
    };
    let [depth, worlds] = [searched.depth, searched.worlds];
    format!("{invariant}{BETWEEN}{depth}{BETWEEN}{worlds}{BETWEEN}{what}")
}

/// The same in a process of `program`, with the bug of this number planted.
pub(super) fn there(
    program: &Path,
    number: usize,
    place: &str,
) -> Result<Vec<String>, Box<dyn Error>> {
    let output = Command::new(program)
        .args(["seek", place])
        .env(PLANTED_ENV, number.to_string())
        .output()?;
    if !output.status.success() {
        return Err(format!("bug {number} in {place}: {}", output.status).into());
    }
    let said = String::from_utf8(output.stdout)?;
    Ok(said.trim_end_matches('\n').splitn(4, BETWEEN).map(str::to_owned).collect())
}
