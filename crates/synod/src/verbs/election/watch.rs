//! `synod election watch`: a line at every change, and a command.

use serde::Serialize;
use synod_client::{Client, Standing, machine::Office};
use tokio::time::timeout;

use super::{
    super::ask::{ask, failure},
    hook::{Hook, of_incumbent},
    shown::{ShownOffice, standing},
};
use crate::{
    cli::{Common, ElectionWatchArgs, Output},
    exit::Failure,
    print,
};

/// Runs the verb.
pub(super) fn run(common: &Common, args: &ElectionWatchArgs) -> Result<(), Failure> {
    let within = common.timeout;
    ask(common, |client| async move {
        let watching = watch(&client, common.output, args);
        match within {
            // A deadline is for the whole command: then it has watched for long enough.
            Some(within) => timeout(within, watching).await.unwrap_or(Ok(())),
            None => watching.await,
        }
    })
}

async fn watch(client: &Client, output: Output, args: &ElectionWatchArgs) -> Result<(), Failure> {
    let mut standings = client.election(args.name.clone()).observe();
    let (mut shown, mut stale) = (0, false);
    while args.limit.is_none_or(|limit| shown < limit) {
        let Some(told) = standings.next().await else { return Ok(()) };
        match told.map_err(failure)? {
            Standing::Changed { revision, office } => {
                show(output, &args.name, Some(revision.get()), Some(&office))?;
                exec(args, &office).await;
                (shown, stale) = (shown + 1, false);
            }
            Standing::Unchanged(_) => stale = false,
            // Once, until something is heard again.
            Standing::Stale { .. } if !stale => {
                show(output, &args.name, None, None)?;
                stale = true;
            }
            Standing::Stale { .. } => {}
        }
    }
    Ok(())
}

fn show(
    output: Output,
    name: &str,
    revision: Option<u64>,
    office: Option<&Office>,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Watched<'a> {
        schema: &'static str,
        at: String,
        name: &'a str,
        /// Whether nothing was heard of the cluster: what was told last may be old.
        stale: bool,
        revision: Option<u64>,
        #[serde(flatten)]
        office: Option<ShownOffice>,
    }
    let at = format!("{:.3}", jiff::Timestamp::now());
    if output.is_json() {
        let (schema, stale) = ("synod.election.watched/1", office.is_none());
        let office = office.map(ShownOffice::new);
        return print::json(&Watched { schema, at, name, stale, revision, office });
    }
    let stale = "nothing is heard of the cluster; the line before may be old".to_owned();
    print::lines(&format!("{at}  {}", office.map_or(stale, standing)))
}

async fn exec(args: &ElectionWatchArgs, office: &Office) {
    let Some(line) = args.exec.as_deref() else { return };
    let mut environment = of_incumbent(office.incumbent.as_ref());
    environment.push(("SYNOD_ELECTION", args.name.clone()));
    match (Hook { line, environment, inside: None }).run().await {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, "the command failed"),
        Err(error) => tracing::warn!(%error, "the command cannot be run"),
    }
}
