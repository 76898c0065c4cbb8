//! The tables of what was caught, as they stand in `docs/planted-bugs.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    hunt::{Catch, Job},
    row::Bug,
};

/// What the hunts have come to.
pub(crate) struct Report {
    bugs: Vec<(usize, &'static Bug)>,
    /// Hunts for each bug.
    hunts: usize,
    /// Seeds of each hunt.
    seeds: u64,
    caught: BTreeMap<usize, Vec<Option<Catch>>>,
}

impl Report {
    pub(super) fn new(bugs: &[(usize, &'static Bug)], hunts: usize, seeds: u64) -> Report {
        Report { bugs: bugs.to_vec(), hunts, seeds, caught: BTreeMap::new() }
    }

    /// A hunt has ended; with the last one of a bug comes its row.
    pub(super) fn heard(&mut self, job: Job, caught: Option<Catch>) -> Option<String> {
        let all = self.caught.entry(job.number).or_default();
        all.push(caught);
        if all.len() < self.hunts {
            return None;
        }
        let Row { by, seeds, seen } = Row::of(all, self.seeds);
        let (_, bug) = self.bugs.iter().find(|(number, _)| *number == job.number)?;
        Some(format!("{:<56} {by:<12} {seeds:>6}  {seen}", bug.name))
    }

    /// Bugs that some hunt did not see.
    pub(crate) fn survivors(&self) -> usize {
        self.caught.values().filter(|all| all.iter().any(Option::is_none)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reviewed in [false, true] {
            let rows = self.bugs.iter().filter(|(_, bug)| bug.is_reviewed() == reviewed);
            let mut rows = rows.peekable();
            if rows.peek().is_none() {
                continue;
            }
            let (head, line) = match reviewed {
                false => (
                    "| bug | what it does | source | caught by | seeds |",
                    "|---|---|---|---|---:|",
                ),
                true => {
                    ("| file | line | without it | caught by | seeds |", "|---|---|---|---|---:|")
                }
            };
            writeln!(f, "{head}\n{line}")?;
            for (number, bug) in rows {
                let row = Row::of(self.caught.get(number).map_or(&[], Vec::as_slice), self.seeds);
                let [first, second, third] = [bug.name, bug.does, bug.source];
                writeln!(f, "| {first} | {second} | {third} | {} | {} |", row.by, row.seeds)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "{} bugs, {} not caught", self.bugs.len(), self.survivors())
    }
}

/// The end of a row.
struct Row {
    /// The properties that did not hold, the most frequent first.
    by: String,
    /// The median.
    seeds: String,
    seen: String,
}

impl Row {
    fn of(all: &[Option<Catch>], limit: u64) -> Row {
        let caught: Vec<&Catch> = all.iter().flatten().collect();
        let mut seeds: Vec<u64> =
            all.iter().map(|catch| catch.as_ref().map_or(u64::MAX, |catch| catch.seeds)).collect();
        seeds.sort_unstable();
        let median = seeds.get(seeds.len() / 2).copied().unwrap_or(u64::MAX);
        let names: BTreeSet<&str> = caught.iter().map(|catch| catch.invariant.as_str()).collect();
        let mut names: Vec<&str> = names.into_iter().collect();
        let times = |name: &str| caught.iter().filter(|catch| catch.invariant == name).count();
        names.sort_by_key(|name| usize::MAX - times(name));
        if caught.len() < all.len() {
            names.push("**nothing**");
        }
        Row {
            by: names.join(", "),
            seeds: if median == u64::MAX { format!("> {limit}") } else { median.to_string() },
            seen: caught.first().map_or_else(String::new, |catch| catch.what.clone()),
        }
    }
}
