//! `synod counter`: whole numbers that anybody who writes may count.

use serde::Serialize;
use synod_client::{Counted, CounterSet, machine::CounterView};

use super::ask::{ask, failure, pages};
use crate::{
    cli::{Common, CounterVerb, NamesArgs, Output},
    exit::{Code, Failure},
    print,
};

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &CounterVerb) -> Result<(), Failure> {
    match verb {
        CounterVerb::Add { name, by } => add(common, name, *by),
        CounterVerb::Set { name, to, expect, .. } => set(common, name, *expect, *to),
        CounterVerb::Show { name } => show(common, name),
        CounterVerb::Ls(args) => list(common, args),
        CounterVerb::Del { name } => delete(common, name),
    }
}

/// What a counter is, and whether it is what was asked for.
#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    name: String,
    done: bool,
    value: Option<i64>,
    revision: Option<u64>,
}

impl Shown {
    fn new(name: &str, done: bool, value: Option<i64>, revision: Option<u64>) -> Shown {
        Shown { schema: "synod.counter/1", name: name.to_owned(), done, value, revision }
    }

    fn of(view: &CounterView) -> Shown {
        let at = Some(view.modified.get());
        Shown::new(view.name.as_str(), true, Some(view.value), at)
    }
}

/// Prints what it came to, and ends as that says; a "no" in text is the words.
fn tell(common: &Common, shown: &Shown, no: String) -> Result<(), Failure> {
    match (common.output, shown.done) {
        (Output::Text, true) => print::lines(&shown.value.unwrap_or_default().to_string()),
        (Output::Text, false) => Err(Failure::no(no)),
        (Output::Json | Output::Jsonl, done) => {
            print::json(shown)?;
            if done { Ok(()) } else { Err(Failure::silent(Code::No)) }
        }
    }
}

fn add(common: &Common, name: &str, by: i64) -> Result<(), Failure> {
    let counted =
        ask(common, |client| async move { client.counter(name).add(by).await.map_err(failure) })?;
    let (shown, no) = match counted {
        Counted::Value { value, revision } => {
            (Shown::new(name, true, Some(value), Some(revision.get())), String::new())
        }
        Counted::Overflow(value) => {
            let no = format!("{name} is {value} and cannot be counted so far; nothing was changed");
            (Shown::new(name, false, Some(value), None), no)
        }
    };
    tell(common, &shown, no)
}

fn set(common: &Common, name: &str, expect: Option<i64>, to: i64) -> Result<(), Failure> {
    let set = ask(common, |client| async move {
        client.counter(name).set(expect, to).await.map_err(failure)
    })?;
    let (shown, no) = match set {
        CounterSet::Done(revision) => {
            (Shown::new(name, true, Some(to), Some(revision.get())), String::new())
        }
        CounterSet::Mismatch(found) => {
            let is = found.map_or("does not exist".to_owned(), |found| format!("is {found}"));
            let no = format!("{name} {is}; nothing was changed");
            (Shown::new(name, false, found, None), no)
        }
    };
    tell(common, &shown, no)
}

fn show(common: &Common, name: &str) -> Result<(), Failure> {
    let found =
        ask(common, |client| async move { client.counter(name).get().await.map_err(failure) })?;
    let shown = found.as_ref().map_or_else(|| Shown::new(name, false, None, None), Shown::of);
    tell(common, &shown, format!("{name} does not exist"))
}

fn list(common: &Common, args: &NamesArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        counters: Vec<Shown>,
        more: bool,
    }
    let (counters, more) = ask(common, |client| async move {
        let page = async |after, left| client.counters(args.prefix.clone(), after, left).await;
        pages(args.limit, page, |counter: &CounterView| counter.name.clone()).await
    })?;
    match common.output {
        Output::Json => {
            let counters = counters.iter().map(Shown::of).collect();
            return print::json(&Listed { schema: "synod.counter.list/1", counters, more });
        }
        Output::Jsonl => {
            counters.iter().try_for_each(|counter| print::json(&Shown::of(counter)))?;
        }
        Output::Text => {
            let lines = counters.iter().map(|one| format!("{}\t{}", one.name, one.value));
            print::lines(&lines.collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {}: --limit shows more of them", args.limit);
    }
    Ok(())
}

fn delete(common: &Common, name: &str) -> Result<(), Failure> {
    let was =
        ask(common, |client| async move { client.counter(name).delete().await.map_err(failure) })?;
    tell(common, &Shown::new(name, was.is_some(), was, None), format!("{name} did not exist"))
}
