use synod_sim::Place;

use super::flags::Flags;
use crate::bugs::{self, Effort};

/// Plants every bug that the words are about, hunts it, and prints the tables; false when one was
/// not caught.
pub(crate) fn planted(words: &[&str]) -> Result<bool, String> {
    let mut flags = Flags::new(words);
    if flags.has("--search") {
        let elsewhere: Option<String> = flags.value("--place")?;
        if let Some(name) = elsewhere.as_deref().filter(|name| Place::named(name).is_none()) {
            return Err(format!("{name}: no such place"));
        }
        let writes = flags.has("--write");
        let words = flags.rest()?;
        let all = words.is_empty() && elsewhere.is_none();
        if writes && !all {
            return Err("--write: the page has every row".to_owned());
        }
        return sought(&words, elsewhere.as_deref(), all, writes)
            .map_err(|error| error.to_string());
    }
    let quick = flags.has("--quick");
    let part = flags.value("--review")?;
    let seeds = flags.value("--seeds")?.unwrap_or(bugs::hunt::SEEDS);
    let writes = flags.has("--write");
    let words = flags.rest()?;
    if writes && quick {
        return Err("--write: a row tells of five places".to_owned());
    }
    if part.is_some() && !quick {
        return Err("--review: without --quick all of it is hunted".to_owned());
    }
    let effort = if quick { Effort::Quick(part) } else { Effort::Whole };
    let report = bugs::catch_all(&words, effort, seeds).map_err(|error| error.to_string())?;
    print!("{report}");
    if writes {
        bugs::write(&report, words.is_empty()).map_err(|error| error.to_string())?;
    }
    Ok(report.survivors() == 0)
}

/// The same for the bugs that are searched for, each in its place; false also when the page tells
/// something else.
fn sought(
    words: &[&str],
    elsewhere: Option<&str>,
    all: bool,
    writes: bool,
) -> Result<bool, Box<dyn std::error::Error>> {
    let sought = bugs::searched::all(words, elsewhere)?;
    print!("{sought}");
    if writes {
        sought.write()?;
    } else if all && !sought.is_on_the_page()? {
        return Err("the page tells something else; --search --write writes its table anew".into());
    }
    Ok(sought.unseen == 0)
}

/// Takes away all that the words are about, and tells what no universe misses; false when the page
/// does not say why.
#[cfg(feature = "mutants")]
pub(crate) fn mutants(words: &[&str]) -> Result<bool, String> {
    let mut flags = Flags::new(words);
    let seeds = flags.value("--seeds")?.unwrap_or(bugs::hunt::SEEDS);
    let writes = flags.has("--write");
    let unsaid = bugs::mutants::sweep::sweep(&flags.rest()?, seeds, writes);
    Ok(unsaid.map_err(|error| error.to_string())? == 0)
}

/// Runs universes until one fails; how it failed is said for [`planted`], in another process.
pub(crate) fn hunt(words: &[&str]) -> Result<bool, String> {
    let rest = Flags::new(words).rest()?;
    let [first, seeds] = rest[..] else { return Err(crate::USAGE.to_owned()) };
    let number = |word: &str| word.parse().map_err(|_| format!("{word}: seeds are numbers"));
    let (first, seeds) = (number(first)?, number(seeds)?);
    bugs::hunt::watch(seeds);
    if let Some(caught) = bugs::hunt::here(first, seeds) {
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
