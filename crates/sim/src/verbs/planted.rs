use synod_sim::Place;

use super::flags::Flags;
use crate::bugs;

/// Plants every bug that the words are about, hunts it, and prints the tables; false when one was
/// not caught.
pub(crate) fn planted(words: &[&str]) -> Result<bool, String> {
    let mut flags = Flags::new(words);
    if flags.has("--search") {
        let found = bugs::search_all(&flags.rest()?).map_err(|error| error.to_string())?;
        print!("{}", found.0);
        return Ok(found.1 == 0);
    }
    let quick = flags.has("--quick");
    let seeds = flags.value("--seeds")?.unwrap_or(bugs::hunt::SEEDS);
    let writes = flags.has("--write");
    let words = flags.rest()?;
    if writes && (quick || !words.is_empty()) {
        return Err("--write: the page has every row, from five places on".to_owned());
    }
    let report = bugs::catch_all(&words, quick, seeds).map_err(|error| error.to_string())?;
    print!("{report}");
    if writes {
        bugs::write(&report).map_err(|error| error.to_string())?;
    }
    Ok(report.survivors() == 0)
}

/// Runs universes until one fails; how it failed is said for [`planted`], in another process.
pub(crate) fn hunt(words: &[&str]) -> Result<bool, String> {
    let rest = Flags::new(words).rest()?;
    let [first, seeds] = rest[..] else { return Err(crate::USAGE.to_owned()) };
    let number = |word: &str| word.parse().map_err(|_| format!("{word}: seeds are numbers"));
    if let Some(caught) = bugs::hunt::here(number(first)?, number(seeds)?) {
        println!("{caught}");
    }
    Ok(true)
}

/// Searches through one place; how it came out is said for [`planted`], in another process.
pub(crate) fn seek(words: &[&str]) -> Result<bool, String> {
    let [name] = Flags::new(words).rest()?[..] else { return Err(crate::USAGE.to_owned()) };
    let place = Place::named(name).ok_or_else(|| format!("{name}: no such place"))?;
    println!("{}", bugs::searched::here(place));
    Ok(true)
}
