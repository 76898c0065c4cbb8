//! Bugs that are planted on purpose, to see the simulator catch each of them.
//!
//! `row` is what a bug is; the tables are `planted` (bugs that happened to somebody) and `review`
//! (lines of the product, one after the other). `copy` makes one copy of the workspace in which all
//! of them stand, each behind a switch, and builds it once; `hunt` runs universes in it. `mutants`
//! takes away what nobody made a row of.

mod copy;
pub(crate) mod hunt;
#[cfg(any(test, feature = "mutants"))]
pub(crate) mod mutants;
mod page;
mod planted;
mod report;
mod review;
mod row;
pub(crate) mod searched;
mod splice;

use std::{error::Error, str::FromStr};

use self::{hunt::Job, report::Report, row::Bug};

/// Where the hunts for one bug begin: each table tells the median over these.
const FIRST_SEEDS: [u64; 5] = [1, 1_000_001, 2_000_001, 3_000_001, 4_000_001];

/// How thorough a hunt is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effort {
    /// Every bug, from every first seed.
    Whole,
    /// The planted bugs, from one seed, and of the lines of the review this part of so many: a hunt
    /// goes after all of them when they are named.
    Quick(Option<Part>),
}

/// One of so many equal parts of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    number: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = ();

    /// `3/8`, the third of eight.
    fn from_str(text: &str) -> Result<Part, ()> {
        let (number, of) = text.split_once('/').ok_or(())?;
        let (number, of) = (number.parse().map_err(|_| ())?, of.parse().map_err(|_| ())?);
        if (1..=of).contains(&number) { Ok(Part { number, of }) } else { Err(()) }
    }
}

impl Part {
    fn has(self, place: usize) -> bool {
        place % self.of + 1 == self.number
    }
}

/// Plants every bug whose name or file holds one of the words, or all bugs if there are none, and
/// hunts each. A bug may hide for so many seeds.
pub(crate) fn catch_all(
    words: &[&str],
    effort: Effort,
    seeds: u64,
) -> Result<Report, Box<dyn Error>> {
    let all = every();
    let hunted = all.iter().take(planted::all().count() + review::all().count());
    let about = |(number, bug): &&(usize, &Bug)| match (words, effort) {
        ([], Effort::Quick(part)) if bug.is_reviewed() => part.is_some_and(|it| it.has(*number)),
        ([], _) => true,
        _ => words.iter().any(|word| bug.is_about(word)),
    };
    let wanted = hunted.filter(about);
    let wanted: Vec<(usize, &Bug)> = wanted.copied().collect();
    let program = copy::build("planted", copy::changes(&all)?)?;
    let firsts = match effort {
        Effort::Quick(_) => &FIRST_SEEDS[..1],
        Effort::Whole => &FIRST_SEEDS[..],
    };
    // A line of the review is hunted from one seed on; its table tells no median.
    let jobs = firsts.iter().enumerate().flat_map(|(place, first)| {
        let hunted = wanted.iter().filter(move |(_, bug)| place == 0 || !bug.is_reviewed());
        hunted.map(|(number, _)| Job { number: *number, first: *first, seeds })
    });
    let mut report = Report::new(&wanted, firsts.len(), seeds);
    hunt::all(&program, jobs, |job, answer| {
        if let Some(row) = report.heard(job, answer?) {
            eprintln!("{row}");
        }
        Ok(())
    })?;
    Ok(report)
}

/// Puts the tables into their page, or what was hunted of them.
pub(crate) fn write(report: &Report, whole: bool) -> Result<(), Box<dyn Error>> {
    Ok(page::write(page::PLANTED, &report.put_into(&page::read(page::PLANTED)?, whole)?)?)
}

/// Every bug with its number in the copy.
fn every() -> Vec<(usize, &'static Bug)> {
    planted::all().chain(review::all()).chain(searched::own()).enumerate().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Who changes a line of the tables, changes the table and has the simulator find it again.
    #[test]
    fn every_line_of_the_tables_stands_once_in_the_product() {
        let mut lost = Vec::new();
        for (_, bug) in every() {
            for edit in bug.edits {
                let text = fs::read_to_string(copy::top().join("crates").join(edit.file)).unwrap();
                lost.extend(edit.place(&text).err().map(|error| format!("{}: {error}", bug.name)));
                assert_ne!(edit.line, edit.without, "{}", bug.name);
            }
        }
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }

    /// The parts of a table are all of it, and no row is in two.
    #[test]
    fn parts_make_the_whole() {
        let parts: Vec<Part> = (1..=3).map(|one| format!("{one}/3").parse().unwrap()).collect();
        for place in 0..7 {
            assert_eq!(parts.iter().filter(|part| part.has(place)).count(), 1);
        }
        for no_part in ["", "3", "0/3", "4/3", "1/0", "a/b"] {
            assert_eq!(no_part.parse::<Part>(), Err(()), "{no_part}");
        }
    }

    /// Two rows of one name cannot be told apart.
    #[test]
    fn every_bug_has_a_name_of_its_own() {
        let mut names: Vec<&str> = every().iter().map(|(_, bug)| bug.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None);
    }

    /// Each is sought in a place that exists; and those that only a search is sent after are.
    #[test]
    fn every_bug_that_is_sought_exists_and_so_does_its_place() {
        let names: Vec<&str> = every().iter().map(|(_, bug)| bug.name).collect();
        for (name, place) in searched::SOUGHT {
            assert!(names.contains(name), "{name}");
            assert!(synod_sim::Place::named(place).is_some(), "{name}: {place}");
        }
        let unsought: Vec<&str> = searched::own()
            .filter(|bug| searched::place(bug).is_none())
            .map(|bug| bug.name)
            .collect();
        assert!(unsought.is_empty(), "{unsought:?}");
    }

    /// A planted bug is one that happened to somebody, or breaks a rule that somebody wrote down.
    #[test]
    fn every_planted_bug_names_its_source() {
        let unsourced = every().into_iter().filter(|(_, bug)| !bug.is_reviewed());
        let mut unsourced = unsourced.filter(|(_, bug)| bug.source.trim().is_empty());
        assert_eq!(unsourced.next().map(|(_, bug)| bug.name), None);
    }

    /// Whoever adds a row hunts it, and has the tables written anew: `planted --write`.
    #[test]
    fn the_page_has_the_rows_of_the_tables() {
        let page = page::read(page::PLANTED).unwrap();
        let rows = |bugs: Vec<&'static Bug>| bugs.into_iter().map(|bug| bug.name);
        let planted: Vec<&str> = rows(planted::all().collect()).collect();
        assert_eq!(Report::names(&page, false), planted);
        let reviewed: Vec<&str> = rows(review::all().collect()).collect();
        assert_eq!(Report::names(&page, true), reviewed);
    }

    /// A hunt of one row writes that row, and the others stay as they were.
    #[test]
    fn a_row_that_was_hunted_by_itself_is_written_by_itself() {
        let page = page::read(page::PLANTED).unwrap();
        let (number, bug) = every().into_iter().find(|(_, bug)| bug.is_reviewed()).unwrap();
        let mut report = Report::new(&[(number, bug)], 1, 7);
        report.heard(Job { number, first: 1, seeds: 7 }, None);
        let written = report.put_into(&page, false).unwrap();
        let rows = written.lines().zip(page.lines()).filter(|(new, old)| new != old);
        let rows: Vec<&str> = rows.map(|(new, _)| new).collect();
        assert_eq!(written.lines().count(), page.lines().count());
        assert!(matches!(rows[..], [row] if row.contains(bug.name) && row.ends_with("| > 7 |")));
    }

    /// The switch stands in the copy and nowhere else: no build of the product can hold a planted
    /// bug.
    #[test]
    fn no_source_of_the_product_knows_the_switch() {
        let switch = splice::SWITCH.split("::").next().unwrap();
        for name in fs::read_dir(copy::top().join("crates")).unwrap() {
            for file in copy::sources(&name.unwrap().path().join("src")).unwrap() {
                let ours = file.components().any(|part| part.as_os_str() == "bugs");
                let text = fs::read_to_string(&file).unwrap();
                assert!(ours || !text.contains(switch), "{}", file.display());
            }
        }
    }
}
