//! `synod kv`: linearizable keys.

use std::io::Read;

use serde::Serialize;
use synod_client::{
    Cas, Client,
    machine::{Entry, Expect, Revision},
};

use super::ask::{ask, failure};
use crate::{
    cli::{Common, KvVerb, Output},
    exit::{Code, Failure},
    print,
};

/// One key, as `-o json` shows it.
#[derive(Serialize)]
struct Shown {
    key: String,
    value: String,
    create: u64,
    modified: u64,
    version: u64,
}

impl Shown {
    fn new(key: &[u8], entry: &Entry) -> Shown {
        Shown {
            key: print::escaped(key),
            value: print::escaped(&entry.value),
            create: entry.create.get(),
            modified: entry.modified.get(),
            version: entry.version,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &KvVerb) -> Result<(), Failure> {
    let json = common.output == Output::Json;
    match verb {
        KvVerb::Put { key, value } => {
            let value = value_or_input(value)?;
            let at = ask(common, |client| async move {
                client.kv().put(key.clone(), value).await.map_err(failure)
            })?;
            written(json, at)
        }
        KvVerb::Get { key, stale } => get(common, key, *stale),
        KvVerb::Cas { key, values, absent, revision } => {
            let (expect, value) = expectation(values, *absent, *revision)?;
            let cas = ask(common, |client| async move {
                client.kv().cas(key.clone(), expect, value).await.map_err(failure)
            })?;
            match cas {
                Cas::Done(at) => written(json, at),
                Cas::Mismatch(found) => mismatch(json, key, found.as_ref()),
            }
        }
        KvVerb::Del { key } => del(common, key),
        KvVerb::Ls { prefix, limit } => list(common, prefix, *limit),
        KvVerb::Multi => multi(common),
    }
}

fn written(json: bool, at: Revision) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Written {
        schema: &'static str,
        revision: u64,
    }
    if json {
        print::json(&Written { schema: "synod.kv.written/1", revision: at.get() })
    } else {
        print::lines(&format!("revision {at}"))
    }
}

fn mismatch(json: bool, key: &str, found: Option<&Entry>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Mismatch {
        schema: &'static str,
        found: Option<Shown>,
    }
    if json {
        let found = found.map(|entry| Shown::new(key.as_bytes(), entry));
        print::json(&Mismatch { schema: "synod.kv.mismatch/1", found })?;
        return Err(Failure::silent_no());
    }
    let what = match found {
        Some(entry) => format!(
            "{key} is {:?}, modified at revision {}",
            print::escaped(&entry.value),
            entry.modified
        ),
        None => format!("{key} does not exist"),
    };
    Err(Failure::new(Code::No, "SYN-KV-001", what).hint("nothing was changed"))
}

fn get(common: &Common, key: &str, stale: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Got {
        schema: &'static str,
        #[serde(flatten)]
        entry: Shown,
    }
    let found = ask(common, |client| async move {
        let kv = client.kv();
        let found =
            if stale { kv.get_stale(key.to_owned()).await } else { kv.get(key.to_owned()).await };
        found.map_err(failure)
    })?;
    let Some(entry) = found else {
        return Err(Failure::new(Code::No, "SYN-KV-002", format!("{key} does not exist")));
    };
    match common.output {
        Output::Json => print::json(&Got {
            schema: "synod.kv.entry/1",
            entry: Shown::new(key.as_bytes(), &entry),
        }),
        Output::Text => print::value(&entry.value),
    }
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
    if common.output == Output::Json {
        print::json(&Deleted { schema: "synod.kv.deleted/1", existed })?;
    }
    if existed {
        Ok(())
    } else {
        Err(Failure::new(Code::No, "SYN-KV-002", format!("{key} did not exist")))
    }
}

fn list(common: &Common, prefix: &str, limit: u32) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        keys: Vec<Shown>,
        more: bool,
    }
    let (entries, more) = ask(common, |client| listed(client, prefix.to_owned(), limit))?;
    let keys: Vec<_> = entries.iter().map(|(key, entry)| Shown::new(key, entry)).collect();
    match common.output {
        Output::Json => print::json(&Listed { schema: "synod.kv.list/1", keys, more }),
        Output::Text => {
            let lines: Vec<_> =
                keys.iter().map(|shown| format!("{}\t{}", shown.key, shown.value)).collect();
            print::lines(&lines.join("\n"))?;
            if more {
                anstream::eprintln!("more than {limit} keys: --limit shows more of them");
            }
            Ok(())
        }
    }
}

type Entries = Vec<(bytes::Bytes, Entry)>;

/// Pages until `limit` or the end.
async fn listed(client: Client, prefix: String, limit: u32) -> Result<(Entries, bool), Failure> {
    let kv = client.kv();
    let mut all: Entries = Vec::new();
    loop {
        let left = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let after = all.last().map(|(key, _)| key.clone());
        let page = kv.page(prefix.clone(), after, left).await.map_err(failure)?;
        let stuck = page.entries.is_empty();
        all.extend(page.entries);
        let full = u32::try_from(all.len()).is_ok_and(|len| len >= limit);
        if !page.more || full || stuck {
            return Ok((all, page.more));
        }
    }
}

fn value_or_input(value: &str) -> Result<Vec<u8>, Failure> {
    if value != "-" {
        return Ok(value.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(Code::Usage, "SYN-KV-003", error))?;
    Ok(bytes)
}

fn expectation(
    values: &[String],
    absent: bool,
    revision: Option<u64>,
) -> Result<(Expect, Vec<u8>), Failure> {
    match (values, absent, revision) {
        ([value], true, None) => Ok((Expect::Absent, value_or_input(value)?)),
        ([value], false, Some(at)) => {
            Ok((Expect::Revision(Revision::new(at)), value_or_input(value)?))
        }
        ([old, new], false, None) => {
            Ok((Expect::Value(old.clone().into_bytes().into()), value_or_input(new)?))
        }
        _ => Err(Failure::new(Code::Usage, "SYN-KV-004", "what is expected, and what to set?")
            .hint("synod kv cas KEY OLD NEW, or KEY NEW --absent, or KEY NEW --revision R")),
    }
}

fn multi(common: &Common) -> Result<(), Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(Code::Usage, "SYN-KV-003", error))?;
    let (request, names) = super::multi::parse(&text)?;
    let done =
        ask(
            common,
            |client| async move { client.kv().multi_request(request).await.map_err(failure) },
        )?;
    super::multi::show(common.output, &names, done)
}
