//! The table of what no universe misses: of each function how much, and why none of that is of
//! safety.

use std::{collections::BTreeMap, io};

use super::Taken;
use crate::bugs::page;

/// The page of it, below the top of the workspace.
const PAGE: &str = "docs/mutants.md";
/// Between these marks.
const MARK: &str = "missed by nothing";

/// What stands for a reason that nobody has given yet.
const UNSAID: &str = "?";

/// The rows of a page by their functions: how much is missed, and why that may be.
pub(super) type Rows = BTreeMap<String, (String, String)>;

/// What stands in a page.
pub(super) fn rows(page: &str) -> Result<Rows, String> {
    let row = |row: &str| {
        let mut cells = row.strip_prefix("| ")?.strip_suffix(" |")?.splitn(3, " | ");
        let [place, missed, why] = [cells.next()?, cells.next()?, cells.next()?];
        Some((place.to_owned(), (missed.to_owned(), why.to_owned())))
    };
    let rows = page::between(page, MARK)?.lines().skip(2);
    rows.map(|line| row(line).ok_or_else(|| format!("no row of the table: {line}"))).collect()
}

/// Functions of which nothing is said, or something that is no longer so: so much was missed of
/// all that was taken away, and the page says something else or nothing.
pub(super) fn news(page: &str, missed: &[&Taken], all: &[Taken]) -> Result<Vec<String>, String> {
    let rows = rows(page)?;
    let found = found(missed, all);
    let new = found.into_iter().filter(|(place, found)| {
        rows.get(place).is_none_or(|(stood, why)| stood != found || why == UNSAID)
    });
    Ok(new.map(|(place, found)| format!("{place}: {found}")).collect())
}

/// The page with what was found in its table, in the order of the product. The reasons of functions
/// that had one stay.
pub(super) fn renewed(page: &str, missed: &[&Taken], all: &[Taken]) -> Result<String, String> {
    let rows = rows(page)?;
    let mut table = "| where | missed | why |\n|---|---:|---|\n".to_owned();
    for (place, found) in found(missed, all) {
        let why = rows.get(&place).map_or(UNSAID, |(_, why)| why);
        table.push_str(&format!("| {place} | {found} | {why} |\n"));
    }
    page::with(page, MARK, &table)
}

/// Of each function of which something is missed by nothing, how much of all.
fn found(missed: &[&Taken], all: &[Taken]) -> Vec<(String, String)> {
    let mut places: Vec<String> = missed.iter().map(|taken| taken.place()).collect();
    places.dedup();
    let many = |place: String| {
        let of = all.iter().filter(|taken| taken.place() == place).count();
        let missed = missed.iter().filter(|taken| taken.place() == place).count();
        (place, format!("{missed} of {of}"))
    };
    places.into_iter().map(many).collect()
}

/// The text of the page.
pub(super) fn read() -> io::Result<String> {
    page::read(PAGE)
}

/// Writes it.
#[cfg(feature = "mutants")]
pub(super) fn write(text: &str) -> io::Result<()> {
    page::write(PAGE, text)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::visit::Mutant;
    use super::*;

    fn taken(function: &str) -> Taken {
        Taken {
            file: PathBuf::from("crates/a.rs"),
            line: "a || b".to_owned(),
            mutant: Mutant { function: function.to_owned(), at: 0..1, without: "true".to_owned() },
        }
    }

    /// A sweep keeps the reasons of functions of which it misses something again, and asks for
    /// those of others; how much is missed is written anew.
    #[test]
    fn reasons_stay_with_what_they_are_of() {
        let all = [taken("f"), taken("f"), taken("g")];
        let page = format!("<!-- {MARK} -->\n|\n|\n<!-- end of {MARK} -->\n");
        let page = renewed(&page, &[&all[0], &all[1]], &all).unwrap();
        let page = page.replace(" ? |", " noise |");
        let page = renewed(&page, &[&all[0], &all[2]], &all).unwrap();
        let stood: Vec<(String, (String, String))> = rows(&page).unwrap().into_iter().collect();
        let row = |place: &str, missed: &str, why: &str| {
            (place.to_owned(), (missed.to_owned(), why.to_owned()))
        };
        assert_eq!(stood, [row("a.rs, f", "1 of 2", "noise"), row("a.rs, g", "1 of 1", UNSAID)]);
        let news = news(&page, &[&all[0], &all[2]], &all).unwrap();
        assert_eq!(news, ["a.rs, g: 1 of 1"]);
    }
}
