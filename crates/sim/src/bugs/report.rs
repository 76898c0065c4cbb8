//! The tables of what was caught, as they stand in `docs/planted-bugs.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    hunt::{Catch, Job},
    page::{self, code},
    row::{Bug, Edit},
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
        let (_, bug) = self.bugs.iter().find(|(number, _)| *number == job.number)?;
        if all.len() < if bug.is_reviewed() { 1 } else { self.hunts } {
            return None;
        }
        let Row { by, seeds, seen } = Row::of(all, self.seeds);
        Some(format!("{:<56} {by:<12} {seeds:>6}  {seen}", bug.name))
    }

    /// Bugs that some hunt did not see.
    pub(crate) fn survivors(&self) -> usize {
        self.caught.values().filter(|all| all.iter().any(Option::is_none)).count()
    }

    /// Puts the tables between their marks in a page, whole or what was hunted of them; the rest of
    /// it stays.
    pub(crate) fn put_into(&self, page: &str, whole: bool) -> Result<String, String> {
        let mut page = page.to_owned();
        for (mark, reviewed) in [(PLANTED, false), (REVIEWED, true)] {
            let table = match whole {
                true => self.table(reviewed),
                false => self.renewed(page::between(&page, mark)?, reviewed)?,
            };
            page = page::with(&page, mark, &table)?;
        }
        Ok(page)
    }

    /// The table that stood, with the rows of what was hunted in place of theirs.
    fn renewed(&self, stood: &str, reviewed: bool) -> Result<String, String> {
        let mut rows: Vec<String> = stood.lines().map(str::to_owned).collect();
        for (name, row) in self.rows(reviewed) {
            let place = rows.iter_mut().find(|row| row.starts_with(&format!("| {name} |")));
            *place.ok_or_else(|| format!("{name}: the page has no such row yet"))? = row;
        }
        Ok(rows.join("\n") + "\n")
    }

    /// The rows of a page's table: what their first cells say.
    #[cfg(test)]
    pub(crate) fn names(page: &str, reviewed: bool) -> Vec<&str> {
        let mark = if reviewed { REVIEWED } else { PLANTED };
        let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
        let table = page.split_once(&begin).and_then(|(_, rest)| Some(rest.split_once(&end)?.0));
        let rows = table.unwrap_or_default().lines().skip(2);
        rows.filter_map(|row| row.strip_prefix("| ")?.split(" | ").next()).collect()
    }

    fn table(&self, reviewed: bool) -> String {
        let head = match reviewed {
            false => {
                "| bug | what it does | source | caught by | seeds |\n|---|---|---|---|---:|\n"
            }
            true => "| rule | line | in its place | caught by | seeds |\n|---|---|---|---|---:|\n",
        };
        let rows = self.rows(reviewed).map(|(_, row)| row + "\n");
        rows.fold(head.to_owned(), |table, row| table + &row)
    }

    /// Each with the name of its bug.
    fn rows(&self, reviewed: bool) -> impl Iterator<Item = (&'static str, String)> {
        let bugs = self.bugs.iter().filter(move |(_, bug)| bug.is_reviewed() == reviewed);
        bugs.map(move |(number, bug)| {
            let caught = self.caught.get(number).map_or(&[][..], Vec::as_slice);
            let Row { by, seeds, .. } = Row::of(caught, self.seeds);
            let (second, third) = match reviewed {
                true => (
                    each(bug, |edit| format!("{}: {}", edit.file, code(edit.taken()))),
                    each(bug, |edit| code(edit.without)),
                ),
                false => (bug.does.to_owned(), bug.source.to_owned()),
            };
            (bug.name, format!("| {} | {second} | {third} | {by} | {seeds} |", bug.name))
        })
    }
}

const PLANTED: &str = "planted bugs";
const REVIEWED: &str = "reviewed lines";

/// Of each line that a row takes away.
fn each(bug: &Bug, what: impl Fn(&Edit) -> String) -> String {
    bug.edits.iter().map(what).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reviewed in [false, true] {
            if self.bugs.iter().any(|(_, bug)| bug.is_reviewed() == reviewed) {
                writeln!(f, "{}", self.table(reviewed))?;
            }
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
