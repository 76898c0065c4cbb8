//! `synod kv watch`: what changes, as it changes.

use serde::Serialize;
use synod_client::{
    Client, KvWatch, Watched,
    machine::{Change, Revision},
};
use tokio::time::timeout;

use super::{
    super::ask::{ask, failure},
    entry::Shown,
};
use crate::{
    cli::{Common, Output, WatchArgs},
    exit::Failure,
    print, units,
};

/// One line of a program's.
#[derive(Serialize)]
struct Line {
    schema: &'static str,
    /// `put`, `deleted`, `gap` or `stale`.
    kind: &'static str,
    /// Of the change; of a gap, the last that is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_ms: Option<u64>,
    #[serde(flatten)]
    entry: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_base64: Option<String>,
}

impl Line {
    fn new(kind: &'static str, revision: Option<Revision>) -> Line {
        Line {
            schema: "synod.kv.watched/1",
            kind,
            revision: revision.map(Revision::get),
            silent_ms: None,
            entry: None,
            deleted: None,
            deleted_base64: None,
        }
    }
}

/// Runs the verb.
pub(super) fn run(common: &Common, args: &WatchArgs) -> Result<(), Failure> {
    let (output, within) = (common.output, common.timeout);
    ask(common, |client| async move {
        let watching = watch(&client, args, output);
        match within {
            // A deadline is for the whole command: then it has watched for long enough.
            Some(within) => timeout(within, watching).await.unwrap_or(Ok(())),
            None => watching.await,
        }
    })
}

/// Until so many changes were told, and the revision of the last of them whole.
async fn watch(client: &Client, args: &WatchArgs, output: Output) -> Result<(), Failure> {
    let mut watch: KvWatch = client.kv().watch(args.prefix.clone());
    if let Some(from) = args.from {
        watch = watch.from(Revision::new(from));
    }
    let (mut told, mut stale) = (0, false);
    while args.limit.is_none_or(|limit| told < limit)
        && let Some(item) = watch.next().await
    {
        let item = item.map_err(failure)?;
        match &item {
            Watched::Changed { changes, .. } => told += changes.len() as u64,
            Watched::CaughtUp(_) => stale = false,
            // Once, when it begins.
            Watched::Stale { .. } if stale => continue,
            Watched::Stale { .. } => stale = true,
            Watched::Gap { .. } => {}
        }
        match output {
            Output::Text => text(&item)?,
            Output::Json | Output::Jsonl => documents(&item)?,
        }
    }
    Ok(())
}

fn text(item: &Watched) -> Result<(), Failure> {
    match item {
        Watched::Changed { revision, changes } => changes.iter().try_for_each(|change| {
            match change {
                Change::Put { key, entry } => {
                    let (key, value) = (print::escaped(key), print::escaped(&entry.value));
                    print::lines(&format!("{revision}\tput\t{key}\t{value}"))
                }
                Change::Deleted { key } => {
                    print::lines(&format!("{revision}\tdel\t{}", print::escaped(key)))
                }
                // A watch of keys tells of nothing else.
                _ => Ok(()),
            }
        }),
        Watched::Gap { forgotten } => {
            anstream::eprintln!("what changed up to revision {forgotten} is forgotten");
            Ok(())
        }
        Watched::Stale { silent } => {
            let silent = units::span(*silent);
            anstream::eprintln!(
                "nothing was heard for {silent}; it goes on when there is a quorum"
            );
            Ok(())
        }
        Watched::CaughtUp(_) => Ok(()),
    }
}

fn documents(item: &Watched) -> Result<(), Failure> {
    match item {
        Watched::Changed { revision, changes } => changes.iter().try_for_each(|change| {
            let revision = Some(*revision);
            match change {
                Change::Put { key, entry } => {
                    let entry = Some(Shown::new(key, entry, false));
                    print::json(&Line { entry, ..Line::new("put", revision) })
                }
                Change::Deleted { key } => {
                    let (deleted, deleted_base64) = print::both(key, false);
                    let line = Line::new("deleted", revision);
                    print::json(&Line { deleted, deleted_base64, ..line })
                }
                _ => Ok(()),
            }
        }),
        Watched::Gap { forgotten } => print::json(&Line::new("gap", Some(*forgotten))),
        Watched::Stale { silent } => {
            let silent_ms = Some(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
            print::json(&Line { silent_ms, ..Line::new("stale", None) })
        }
        Watched::CaughtUp(_) => Ok(()),
    }
}
