//! Bugs that a search is sent after: through every interleaving of a place, so that what can be
//! seen there is seen, by a shortest way.

mod first_written;

use std::{error::Error, path::Path, process::Command};

use synod_sim::Place;

use super::{
    copy::{self, PLANTED_ENV},
    every, page,
    row::Bug,
};

/// Where to look for which bug: in the smallest place that has it. Those that are not here need
/// what no place has: reads, several sessions, a disk that lies, a snapshot and a vote above it.
pub(super) const SOUGHT: &[(&str, &str)] = &[
    ("promise spoken before it is durable", "duel"),
    ("vote spoken before it is durable", "duel"),
    ("promise lower after a restart", "crash"),
    ("a vote does not raise the promise", "duel"),
    ("vote below the promise", "duel"),
    ("watermark trusted at another ballot", "duel"),
    ("watermark applied past a gap", "pages"),
    ("learned decree reported with a made-up ballot", "pages"),
    ("unreadable reported as empty", "damage"),
    ("snapshot install lowers the promise", "trim"),
    ("trimmed reported as empty", "trim"),
    ("own ballot spoken before it is durable", "duel"),
    ("ballot resumed after a restart", "overlap"),
    ("adopts the first vote reported", "ballots"),
    ("adopts the longest log", "ballots"),
    ("adopts the highest ballot overall", "pages"),
    ("no-op on one empty answer", "duel"),
    ("promise counted before it is whole", "pages"),
    ("promises counted across ballots", "ballots"),
    ("adopts beside a faulty answer", "damage"),
    ("minority of promises", "duel"),
    ("votes counted across ballots", "five"),
    ("one acceptor counted twice", "five"),
    ("watermark over a slot chosen with another decree", "pages"),
    ("decide ignores the fence", "commit-month"),
    ("decide accepted below the low-water mark", "commit-rules"),
    ("second verdict overwrites the first", "commit"),
    ("commit record dropped before every part acknowledged", "commit"),
    ("commit record dropped without its number", "commit"),
    ("forgotten read as aborted", "commit-month"),
    ("in progress acted on", "commit"),
    ("owner aborts after it sent its commit", "commit"),
    ("phase 2 before the verdict is chosen", "commit"),
    ("votes before its prepare is durable", "commit"),
    ("participant forgets its locks at a restart", "commit-crash"),
    ("stale leader's fence not guarded by its ballot", "commit-rules"),
    ("branch rolls back by itself", "commit"),
    ("floor of numbers falls", "commit-forgets-numbers"),
    ("floor of sessions falls", "commit-forgets-session"),
    ("commit that is forgotten taken for never prepared", "commit-forgets-session"),
    ("chosen elsewhere taken for empty", "duel"),
    ("begins below what was reported", "duel"),
    ("leads on over another decree than its own", "five"),
    ("forgets below the low-water mark", "commit-rules"),
    ("retire leaves no mark", "commit-rules"),
    ("fence leaves the undecided open", "commit-month"),
    ("abort leaves no record", "commit"),
    ("committed numbers are not looked at", "commit"),
    ("records are not looked at", "commit"),
    ("abort of a session that was never opened", "commit-rules"),
    ("fence of a session that has spoken since", "commit-month"),
    ("one acknowledgement counts for all", "commit"),
    ("acknowledged commit stays on record", "commit"),
    ("retired while somebody has to finish", "commit-month"),
    ("number that is forgotten taken for aborted", "commit-log-forgets"),
    ("vow not kept", "lease"),
    ("lease counted from the answer", "lease"),
    ("answer to an older round prolongs a lease", "lease-beat"),
    ("lease kept across a transfer of the lead", "lease-transfer"),
    ("called to lead without phase 1", "lease-hand-over"),
    ("no silence after a start", "lease-crash"),
    ("vow below a promise", "lease"),
    ("lease as long as a vow", "lease"),
];

/// Worlds that a bug may hide in.
const WORLDS_MAX: usize = 8_000_000;

/// Where the table stands in its page.
const MARK: &str = "sought bugs";

/// What stands in the table for a bug that was not found.
const NOTHING: &str = "**nothing**";

/// What separates the parts of an answer.
const BETWEEN: char = '\t';

/// What became of the searches.
pub(crate) struct Sought {
    table: String,
    /// How many bugs were not found.
    pub(crate) unseen: usize,
}

/// Sends a search after every bug that has a place to be looked for in, and whose name or file
/// holds all the words; into another place than its own, if one is named.
pub(crate) fn all(words: &[&str], elsewhere: Option<&str>) -> Result<Sought, Box<dyn Error>> {
    let bugs = every();
    let program = copy::build("planted", copy::changes(&bugs)?)?;
    let mut sought = Sought {
        table: "| bug | what it does | place | property | acts | worlds |\n\
                |---|---|---|---|---:|---:|\n"
            .to_owned(),
        unseen: 0,
    };
    for (number, bug) in bugs {
        let Some(place) = elsewhere.or_else(|| place(bug)) else { continue };
        if !words.iter().all(|word| bug.is_about(word)) {
            continue;
        }
        let found = there(&program, number, place)?;
        let [invariant, depth, worlds, what] = &found[..] else {
            return Err(format!("{}: {found:?} is no answer", bug.name).into());
        };
        sought.unseen += usize::from(invariant == NOTHING);
        eprintln!("{:<56} {place:<14} {invariant:<10} {depth:>3} {worlds:>9}  {what}", bug.name);
        let Bug { name, does, .. } = bug;
        let row = format!("| {name} | {does} | {place} | {invariant} | {depth} | {worlds} |\n");
        sought.table.push_str(&row);
    }
    Ok(sought)
}

impl Sought {
    /// Puts the table into its page.
    pub(crate) fn write(&self) -> Result<(), Box<dyn Error>> {
        let text = page::with(&page::read(page::PLANTED)?, MARK, &self.table)?;
        Ok(page::write(page::PLANTED, &text)?)
    }

    /// Whether the page has this very table. A search finds the same everywhere.
    pub(crate) fn is_on_the_page(&self) -> Result<bool, Box<dyn Error>> {
        Ok(page::between(&page::read(page::PLANTED)?, MARK)? == self.table)
    }
}

impl std::fmt::Display for Sought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.table)
    }
}

/// Bugs that only a search is sent after.
pub(super) fn own() -> impl Iterator<Item = &'static Bug> {
    first_written::BUGS.iter()
}

/// Where a bug is to be looked for.
pub(super) fn place(bug: &Bug) -> Option<&'static str> {
    SOUGHT.iter().find(|(name, _)| *name == bug.name).map(|(_, place)| *place)
}

/// Searches through a place until a property does not hold, and says how for [`there`].
pub(crate) fn here(place: &Place) -> String {
    std::panic::set_hook(Box::new(|_| {}));
    let searched = place.search(WORLDS_MAX, |_| {});
    let (invariant, what) = match &searched.found {
        Some((violation, _)) => (violation.invariant, violation.what.replace(BETWEEN, " ")),
        None => (NOTHING, String::new()),
    };
    let [depth, worlds] = [searched.depth, searched.worlds];
    format!("{invariant}{BETWEEN}{depth}{BETWEEN}{worlds}{BETWEEN}{what}")
}

/// The same in a process of `program`, with the bug of this number planted.
fn there(program: &Path, number: usize, place: &str) -> Result<Vec<String>, Box<dyn Error>> {
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
