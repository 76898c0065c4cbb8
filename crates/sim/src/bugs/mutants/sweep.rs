//! Takes everything away, one after the other, and runs universes.

use std::{collections::BTreeSet, error::Error};

use super::{Taken, all, table};
use crate::bugs::{
    copy::{self, Changes},
    hunt::{self, Job},
    page::code,
    splice::Change,
};

/// Takes away everything whose place or text holds one of the words, or all if there are none, each
/// by itself, and runs universes until one fails. Returns how many functions there are of which the
/// page tells something else; what was found of all goes to the page when that is to be written.
pub(crate) fn sweep(words: &[&str], seeds: u64, writes: bool) -> Result<usize, Box<dyn Error>> {
    let all = all()?;
    let mut changes = Changes::new();
    for (number, Taken { file, mutant, .. }) in all.iter().enumerate() {
        let change = Change { at: mutant.at.clone(), number, without: &mutant.without };
        changes.entry(file.clone()).or_default().push(change);
    }
    let program = copy::build("mutants", changes)?;
    let wanted = all.iter().enumerate().filter(|(_, taken)| is_about(taken, words));
    let jobs: Vec<Job> = wanted.map(|(number, _)| Job { number, first: 1, seeds }).collect();
    let (hunted, mut missed) = (jobs.len(), BTreeSet::new());
    hunt::all(&program, jobs, |job, answer| {
        // A universe that never ends, or takes all memory, is no universe that went well.
        if let (Ok(None), Some(taken)) = (answer, all.get(job.number)) {
            let [line, without] = [&taken.line, &taken.mutant.without].map(|text| code(text));
            eprintln!("{}: {line} => {without}", taken.place());
            missed.insert(job.number);
        }
        Ok(())
    })?;
    let missed: Vec<&Taken> = missed.iter().filter_map(|number| all.get(*number)).collect();
    println!("{hunted} taken away, of {}: {} missed by nothing", all.len(), missed.len());
    if hunted < all.len() {
        return Ok(0);
    }
    let page = table::read()?;
    let news = table::news(&page, &missed, &all)?;
    news.iter().for_each(|line| println!("the page tells something else of {line}"));
    if writes {
        table::write(&table::renewed(&page, &missed, &all)?)?;
    }
    Ok(news.len())
}

/// Whether one of the words means it.
fn is_about(taken: &Taken, words: &[&str]) -> bool {
    let text = format!("{} {}", taken.place(), taken.line);
    words.is_empty() || words.iter().any(|word| text.contains(word))
}
