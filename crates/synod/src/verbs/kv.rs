//! `synod kv`: linearizable keys.

mod entry;
mod fresh;
mod list;
mod multi;
mod watch;

use std::io::Read;

use serde::Serialize;
use synod_client::{
    Cas,
    machine::{Entry, Expect, LeaseId, Revision},
};

use self::entry::Shown;
use super::ask::{ask, failure};
use crate::{
    cli::{CasArgs, Common, GetArgs, KvVerb, Output, PutArgs},
    exit::{Code, Failure},
    print,
};

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &KvVerb) -> Result<(), Failure> {
    match verb {
        KvVerb::Put(args) => put(common, args),
        KvVerb::Get(args) => get(common, args),
        KvVerb::Cas(args) => cas(common, args),
        KvVerb::Del { key } => del(common, key),
        KvVerb::Ls(args) => list::run(common, args),
        KvVerb::Multi => multi::run(common),
        KvVerb::Watch(args) => watch::run(common, args),
    }
}

/// A key that may be there or not.
#[derive(Serialize)]
struct Found {
    schema: &'static str,
    found: bool,
    #[serde(flatten)]
    entry: Option<Shown>,
    /// How old that may be, in milliseconds, where a stale read was asked for and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
}

impl Found {
    fn here(key: &[u8], entry: &Entry, base64: bool) -> Found {
        let entry = Some(Shown::new(key, entry, base64));
        Found { schema: FOUND, found: true, entry, age_ms: None }
    }
}

const FOUND: &str = "synod.kv.entry/1";

fn put(common: &Common, args: &PutArgs) -> Result<(), Failure> {
    let value = value_or_input(&args.value)?;
    let at = ask(common, |client| async move {
        let (kv, key) = (client.kv(), args.key.clone());
        match args.lease {
            Some(lease) => kv.put_on(key, value, LeaseId::new(lease)).await,
            None => kv.put(key, value).await,
        }
        .map_err(failure)
    })?;
    written(common.output, at)
}

fn get(common: &Common, args: &GetArgs) -> Result<(), Failure> {
    let (found, age) = ask(common, |client| async move {
        fresh::read(client.kv().get(args.key.clone()), args.fresh).await.map_err(failure)
    })?;
    if common.output.is_json() {
        let shown = found.as_ref().map(|e| Shown::new(args.key.as_bytes(), e, args.base64));
        let found = shown.is_some();
        print::json(&Found { schema: FOUND, found, entry: shown, age_ms: age.ms() })?;
        return if found { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    age.tell();
    match found {
        Some(entry) if args.base64 => print::lines(&print::base64(&entry.value)),
        Some(entry) => print::value(&entry.value),
        None => Err(Failure::no(format!("{} does not exist", args.key))),
    }
}

fn cas(common: &Common, args: &CasArgs) -> Result<(), Failure> {
    let (expect, value) = expectation(args)?;
    let cas = ask(common, |client| async move {
        client.kv().cas(args.key.clone(), expect, value).await.map_err(failure)
    })?;
    match cas {
        Cas::Done(at) => written(common.output, at),
        Cas::Mismatch(found) => mismatch(common.output, &args.key, found.as_ref()),
    }
}

fn expectation(args: &CasArgs) -> Result<(Expect, Vec<u8>), Failure> {
    match (&args.values[..], args.absent, args.revision) {
        ([value], true, None) => Ok((Expect::Absent, value_or_input(value)?)),
        ([value], false, Some(at)) => {
            Ok((Expect::Revision(Revision::new(at)), value_or_input(value)?))
        }
        ([old, new], false, None) => {
            Ok((Expect::Value(old.clone().into_bytes().into()), value_or_input(new)?))
        }
        _ => Err(Failure::new(Code::Usage, "SYN-KV-001", "what is expected, and what to set?")
            .hint("synod kv cas KEY OLD NEW, or KEY NEW --absent, or KEY NEW --revision R")),
    }
}

fn mismatch(output: Output, key: &str, found: Option<&Entry>) -> Result<(), Failure> {
    if output.is_json() {
        let entry = found.map(|entry| Shown::new(key.as_bytes(), entry, false));
        let found = entry.is_some();
        let schema = "synod.kv.mismatch/1";
        print::json(&Found { schema, found, entry, age_ms: None })?;
        return Err(Failure::silent(Code::No));
    }
    Err(Failure::no(match found {
        Some(entry) => format!(
            "{key} is {:?} since revision {}; nothing was changed",
            print::escaped(&entry.value),
            entry.modified
        ),
        None => format!("{key} does not exist; nothing was changed"),
    }))
}

fn del(common: &Common, key: &str) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Deleted {
        schema: &'static str,
        existed: bool,
    }
    let existed =
        ask(
            common,
            |client| async move { client.kv().delete(key.to_owned()).await.map_err(failure) },
        )?;
    match (common.output, existed) {
        (Output::Json | Output::Jsonl, _) => {
            print::json(&Deleted { schema: "synod.kv.deleted/1", existed })?
        }
        (Output::Text, true) => {}
        (Output::Text, false) => return Err(Failure::no(format!("{key} did not exist"))),
    }
    if existed { Ok(()) } else { Err(Failure::silent(Code::No)) }
}

fn written(output: Output, at: Revision) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Written {
        schema: &'static str,
        revision: u64,
    }
    match output {
        Output::Json | Output::Jsonl => {
            print::json(&Written { schema: "synod.kv.written/1", revision: at.get() })
        }
        Output::Text => print::lines(&format!("revision {at}")),
    }
}

/// A value that was typed, or for `-` all of standard input.
pub(super) fn value_or_input(value: &str) -> Result<Vec<u8>, Failure> {
    if value == "-" { input() } else { Ok(value.as_bytes().to_vec()) }
}

/// All of standard input.
fn input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(Code::Usage, "SYN-KV-002", error))?;
    Ok(bytes)
}
