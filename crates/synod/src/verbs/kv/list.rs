//! `synod kv ls`: keys in byte order, page by page.

use bytes::Bytes;
use serde::Serialize;
use synod_client::{Client, machine::Entry};

use super::{
    super::ask::{ask, failure},
    entry::Shown,
};
use crate::{
    cli::{Common, ListArgs, Output},
    exit::Failure,
    print,
};

type Entries = Vec<(Bytes, Entry)>;

/// Runs the verb.
pub(super) fn run(common: &Common, args: &ListArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        keys: Vec<Shown>,
        more: bool,
    }
    let (entries, more) = ask(common, |client| listed(client, args.prefix.clone(), args.limit))?;
    if common.output == Output::Json {
        let keys = entries.iter().map(|(key, entry)| Shown::new(key, entry, args.base64));
        return print::json(&Listed { schema: "synod.kv.list/1", keys: keys.collect(), more });
    }
    let lines = entries.iter().map(|(key, entry)| {
        let value = if args.base64 { print::base64 } else { print::escaped }(&entry.value);
        format!("{}\t{value}", print::escaped(key))
    });
    print::lines(&lines.collect::<Vec<_>>().join("\n"))?;
    if more {
        anstream::eprintln!("there are more than {}: --limit shows more of them", args.limit);
    }
    Ok(())
}

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
