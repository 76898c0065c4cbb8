//! `synod journal`: entries in one order that all readers see alike.

use std::time::Duration;

use serde::Serialize;
use synod_client::{
    Client, Committed, JournalPage,
    machine::{JournalEntry, JournalView, Position},
};
use tokio::time::timeout;

use super::{
    ask::{ask, failure, pages},
    kv::value_or_input,
};
use crate::{
    cli::{Common, JournalVerb, Output, TailArgs},
    exit::{Code, Failure},
    print,
};

/// Entries that are shown if nobody says how many.
const LIMIT: u32 = 1_000;
/// One wait for more.
const LISTEN: Duration = Duration::from_secs(60);

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &JournalVerb) -> Result<(), Failure> {
    match verb {
        JournalVerb::Append { name, value } => append(common, name, value_or_input(value)?),
        JournalVerb::Tail(args) if args.follow => follow(common, args),
        JournalVerb::Tail(args) => tail(common, args),
        JournalVerb::Ls { prefix, limit } => list(common, prefix, *limit),
        JournalVerb::Commit { name, group, position } => {
            commit(common, name, group, Position::new(*position))
        }
        JournalVerb::Offsets { name } => offsets(common, name),
        JournalVerb::Trim { name, upto } => trim(common, name, Position::new(*upto)),
    }
}

fn append(common: &Common, name: &str, value: Vec<u8>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Appended {
        schema: &'static str,
        position: u64,
    }
    let position =
        ask(
            common,
            |client| async move { client.journal(name).append(value).await.map_err(failure) },
        )?;
    if common.output.is_json() {
        let position = position.get();
        return print::json(&Appended { schema: "synod.journal.appended/1", position });
    }
    print::lines(&format!("position {position}"))
}

#[derive(Serialize)]
struct Entry {
    schema: &'static str,
    position: u64,
    #[serde(flatten)]
    value: print::Value,
    revision: u64,
    by: String,
    appended_at_ms: u64,
}

impl Entry {
    fn new(entry: &JournalEntry, base64: bool) -> Entry {
        Entry {
            schema: "synod.journal.entry/1",
            position: entry.position.get(),
            value: print::Value::new(&entry.value, base64),
            revision: entry.at.get(),
            by: entry.by.clone(),
            appended_at_ms: entry.appended_at_ms,
        }
    }
}

fn tail(common: &Common, args: &TailArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Read {
        schema: &'static str,
        exists: bool,
        trimmed: u64,
        entries: Vec<Entry>,
        more: bool,
    }
    let JournalPage { journal, entries, more } = ask(common, |client| entries(client, args))?;
    let trimmed = journal.as_ref().map_or(Position::ZERO, |journal| journal.trimmed);
    let shown = entries.iter().map(|entry| Entry::new(entry, args.base64));
    match (common.output, &journal) {
        (Output::Json, journal) => {
            let (schema, exists, entries) =
                ("synod.journal.read/1", journal.is_some(), shown.collect());
            print::json(&Read { schema, exists, trimmed: trimmed.get(), entries, more })?;
        }
        (Output::Jsonl, _) => shown.into_iter().try_for_each(|entry| print::json(&entry))?,
        (Output::Text, Some(_)) => {
            let lines = entries.iter().map(|entry| line(entry, args.base64));
            print::lines(&lines.collect::<Vec<_>>().join("\n"))?;
        }
        (Output::Text, None) => return Err(absent(&args.name)),
    }
    if args.after < trimmed.get() {
        missed(trimmed);
    }
    if more {
        let limit = args.limit.unwrap_or(LIMIT);
        anstream::eprintln!("there are more than {limit}: --limit shows more of them");
    }
    if journal.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) }
}

fn line(entry: &JournalEntry, base64: bool) -> String {
    let value = if base64 { print::base64 } else { print::escaped };
    format!("{}\t{}", entry.position, value(&entry.value))
}

fn missed(trimmed: Position) {
    anstream::eprintln!("entries up to position {trimmed} are gone");
}

/// Each entry as it comes, until the limit. A deadline is for the whole command: then it has
/// followed for long enough.
fn follow(common: &Common, args: &TailArgs) -> Result<(), Failure> {
    let (output, within) = (common.output, common.timeout);
    ask(common, |client| async move {
        let following = show_each(client.within(LISTEN), output, args);
        match within {
            Some(within) => timeout(within, following).await.unwrap_or(Ok(())),
            None => following.await,
        }
    })
}

async fn show_each(client: Client, output: Output, args: &TailArgs) -> Result<(), Failure> {
    let journal = client.journal(args.name.clone());
    let (mut after, mut shown) = (Position::new(args.after), 0u32);
    while args.limit.is_none_or(|limit| shown < limit) {
        let most = args.limit.map_or(LIMIT, |limit| limit.saturating_sub(shown));
        let page = journal.wait(after, most).await.map_err(failure)?;
        let trimmed = page.journal.map_or(Position::ZERO, |journal| journal.trimmed);
        if after < trimmed {
            missed(trimmed);
            after = trimmed;
        }
        for entry in &page.entries {
            match output {
                Output::Text => print::lines(&line(entry, args.base64))?,
                Output::Json | Output::Jsonl => print::json(&Entry::new(entry, args.base64))?,
            }
            (after, shown) = (entry.position, shown.saturating_add(1));
        }
    }
    Ok(())
}

/// Page after page, until the limit or the end.
async fn entries(client: Client, args: &TailArgs) -> Result<JournalPage, Failure> {
    let journal = client.journal(args.name.clone());
    let mut after = Position::new(args.after);
    let limit = args.limit.unwrap_or(LIMIT);
    let mut all = journal.read(after, limit).await.map_err(failure)?;
    while let Some(last) = all.entries.last().filter(|last| last.position > after && all.more) {
        after = last.position;
        let read = u32::try_from(all.entries.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(read);
        if left == 0 {
            break;
        }
        let page = journal.read(after, left).await.map_err(failure)?;
        all.entries.extend(page.entries);
        all.more = page.more;
    }
    Ok(all)
}

fn absent(name: &str) -> Failure {
    Failure::no(format!("nothing was ever appended to {name}"))
}

#[derive(Serialize)]
struct Shown {
    name: String,
    last: u64,
    trimmed: u64,
    bytes: u64,
    owner: String,
}

impl Shown {
    fn new(journal: &JournalView) -> Shown {
        Shown {
            name: journal.name.to_string(),
            last: journal.last.get(),
            trimmed: journal.trimmed.get(),
            bytes: journal.bytes,
            owner: journal.owner.clone(),
        }
    }
}

fn list(common: &Common, prefix: &str, limit: u32) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        journals: Vec<Shown>,
        more: bool,
    }
    #[derive(Serialize)]
    struct One {
        schema: &'static str,
        #[serde(flatten)]
        journal: Shown,
    }
    let (journals, more) = ask(common, |client| async move {
        let page = async |after, left| client.journals(prefix, after, left).await;
        pages(limit, page, |journal: &JournalView| journal.name.clone()).await
    })?;
    let mut shown = journals.iter().map(Shown::new);
    match common.output {
        Output::Json => {
            let (schema, journals) = ("synod.journal.list/1", shown.collect());
            return print::json(&Listed { schema, journals, more });
        }
        Output::Jsonl => shown
            .try_for_each(|journal| print::json(&One { schema: "synod.journal/1", journal }))?,
        Output::Text => {
            let lines = shown.map(|journal| {
                let Shown { name, last, trimmed, bytes, .. } = journal;
                format!("{name}\t{} to {last}, {bytes} bytes", trimmed.saturating_add(1))
            });
            print::lines(&lines.collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {limit}: --limit shows more of them");
    }
    Ok(())
}

fn commit(common: &Common, name: &str, group: &str, to: Position) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Done {
        schema: &'static str,
        done: bool,
        /// Where the group is, if it is further; else the last there is.
        position: Option<u64>,
    }
    let committed = ask(common, |client| async move {
        client.journal(name).commit(group, to).await.map_err(failure)
    })?;
    let (position, no) = match committed {
        Committed::Done => (Some(to), String::new()),
        Committed::Behind(at) => (Some(at), format!("{group} is at position {at} already")),
        Committed::Beyond(last) => (Some(last), format!("the last position is {last}")),
        Committed::Absent => (None, format!("nothing was ever appended to {name}")),
    };
    let done = committed == Committed::Done;
    if common.output.is_json() {
        let (schema, position) = ("synod.journal.committed/1", position.map(Position::get));
        print::json(&Done { schema, done, position })?;
        return if done { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    if done { Ok(()) } else { Err(Failure::no(no)) }
}

fn offsets(common: &Common, name: &str) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Offset {
        group: String,
        position: u64,
    }
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        offsets: Vec<Offset>,
    }
    let offsets =
        ask(common, |client| async move { client.journal(name).offsets().await.map_err(failure) })?;
    let offsets = offsets.into_iter();
    let offsets: Vec<_> = offsets
        .map(|(group, at)| Offset { group: group.to_string(), position: at.get() })
        .collect();
    if common.output.is_json() {
        return print::json(&Listed { schema: "synod.journal.offsets/1", offsets });
    }
    let lines = offsets.iter().map(|one| format!("{}\t{}", one.group, one.position));
    print::lines(&lines.collect::<Vec<_>>().join("\n"))
}

fn trim(common: &Common, name: &str, upto: Position) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Trimmed {
        schema: &'static str,
        trimmed: Option<u64>,
    }
    let trimmed =
        ask(
            common,
            |client| async move { client.journal(name).trim(upto).await.map_err(failure) },
        )?;
    if common.output.is_json() {
        let upto = trimmed.map(Position::get);
        print::json(&Trimmed { schema: "synod.journal.trimmed/1", trimmed: upto })?;
        return if trimmed.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match trimmed {
        Some(upto) => print::lines(&format!("gone up to position {upto}")),
        None => Err(absent(name)),
    }
}
