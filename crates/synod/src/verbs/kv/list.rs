//! `synod kv ls`: keys in byte order, page by page.

use bytes::Bytes;
use serde::Serialize;
use synod_client::{Client, machine::Entry};

use super::{
    super::ask::{ask, failure},
    Found,
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
    let (output, prefix, limit, base64) =
        (common.output, args.prefix.clone(), args.limit, args.base64);
    if output == Output::Json {
        return one_document(common, args);
    }
    let more = ask(common, |client| async move {
        pages(&client, prefix, limit, |page| match output {
            Output::Text => lines(&page, base64),
            Output::Json | Output::Jsonl => documents(&page, base64),
        })
        .await
    })?;
    if more {
        anstream::eprintln!("there are more than {}: --limit shows more of them", args.limit);
    }
    Ok(())
}

fn one_document(common: &Common, args: &ListArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        keys: Vec<Shown>,
        more: bool,
    }
    let (prefix, limit, base64) = (args.prefix.clone(), args.limit, args.base64);
    let listed = ask(common, |client| async move {
        let mut keys = Vec::new();
        let more = pages(&client, prefix, limit, |page| {
            keys.extend(page.iter().map(|(key, entry)| Shown::new(key, entry, base64)));
            Ok(())
        })
        .await?;
        Ok(Listed { schema: "synod.kv.list/1", keys, more })
    })?;
    print::json(&listed)
}

fn lines(page: &Entries, base64: bool) -> Result<(), Failure> {
    let lines = page.iter().map(|(key, entry)| {
        let value = if base64 { print::base64 } else { print::escaped }(&entry.value);
        format!("{}\t{value}", print::escaped(key))
    });
    print::lines(&lines.collect::<Vec<_>>().join("\n"))
}

/// Each as `kv get` shows it.
fn documents(page: &Entries, base64: bool) -> Result<(), Failure> {
    page.iter().try_for_each(|(key, entry)| print::json(&Found::here(key, entry, base64)))
}

/// Hands over page after page, until `limit` or the end; whether there is more.
async fn pages(
    client: &Client,
    prefix: String,
    limit: u32,
    mut each: impl FnMut(Entries) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let kv = client.kv();
    let (mut after, mut left) = (None, limit);
    loop {
        let page = kv.page(prefix.clone(), after.take(), left).await.map_err(failure)?;
        let count = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
        left = left.saturating_sub(count);
        after = page.entries.last().map(|(key, _)| key.clone());
        let stuck = page.entries.is_empty();
        each(page.entries)?;
        if !page.more || left == 0 || stuck {
            return Ok(page.more);
        }
    }
}
