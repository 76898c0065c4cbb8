//! `synod kv ls`: keys in byte order, page by page.

use bytes::Bytes;
use serde::Serialize;
use synod_client::{Client, machine::Entry};

use super::{
    super::ask::{ask, failure},
    Found,
    entry::Shown,
    fresh::{self, Age},
};
use crate::{
    cli::{Common, FreshArgs, ListArgs, Output},
    exit::Failure,
    print,
};

type Entries = Vec<(Bytes, Entry)>;

/// Runs the verb.
pub(super) fn run(common: &Common, args: &ListArgs) -> Result<(), Failure> {
    let (output, wanted, base64) = (common.output, Wanted::of(args), args.base64);
    if output == Output::Json {
        return one_document(common, args);
    }
    let (more, age) = ask(common, |client| async move {
        pages(&client, wanted, |page| match output {
            Output::Text => lines(&page, base64),
            Output::Json | Output::Jsonl => documents(&page, base64),
        })
        .await
    })?;
    age.tell();
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
        #[serde(skip_serializing_if = "Option::is_none")]
        age_ms: Option<u64>,
    }
    let (wanted, base64) = (Wanted::of(args), args.base64);
    let listed = ask(common, |client| async move {
        let mut keys = Vec::new();
        let (more, age) = pages(&client, wanted, |page| {
            keys.extend(page.iter().map(|(key, entry)| Shown::new(key, entry, base64)));
            Ok(())
        })
        .await?;
        Ok(Listed { schema: "synod.kv.list/1", keys, more, age_ms: age.ms() })
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

/// What to list.
struct Wanted {
    prefix: String,
    limit: u32,
    fresh: FreshArgs,
}

impl Wanted {
    fn of(args: &ListArgs) -> Wanted {
        Wanted { prefix: args.prefix.clone(), limit: args.limit, fresh: args.fresh }
    }
}

/// Hands over page after page, until the limit or the end; whether there is more, and how old the
/// oldest page may be.
async fn pages(
    client: &Client,
    wanted: Wanted,
    mut each: impl FnMut(Entries) -> Result<(), Failure>,
) -> Result<(bool, Age), Failure> {
    let Wanted { prefix, limit, fresh } = wanted;
    let kv = client.kv();
    let (mut after, mut left, mut age) = (None, limit, Age::default());
    loop {
        let page = kv.page(prefix.clone(), after.take(), left);
        let (page, of_page) = fresh::read(page, fresh).await.map_err(failure)?;
        age = age.or_older(of_page);
        let count = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
        left = left.saturating_sub(count);
        after = page.entries.last().map(|(key, _)| key.clone());
        let stuck = page.entries.is_empty();
        each(page.entries)?;
        if !page.more || left == 0 || stuck {
            return Ok((page.more, age));
        }
    }
}
