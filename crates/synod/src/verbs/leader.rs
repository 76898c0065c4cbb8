//! `synod leader`: who leads the log.

use std::time::Duration;

use serde::Serialize;
use synod_client::{Client, Leading};
use tokio::time::timeout;

use super::ask::{ask, failure};
use crate::{
    cli::{Common, LeaderVerb, Output},
    exit::{Code, Failure},
    print,
    signs::signs,
};

/// The time between two looks of `watch`.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &LeaderVerb) -> Result<(), Failure> {
    let output = common.output;
    match verb {
        LeaderVerb::Show => {
            let seen = ask(common, |client| async move { Ok(client.leading().await) })?;
            show(output, &seen)?;
            if seen.node.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) }
        }
        LeaderVerb::Move { node } => {
            let to = node.clone();
            let seen =
                ask(common, |client| async move { client.move_lead(&to).await.map_err(failure) })?;
            show(output, &seen)?;
            let moved = seen.node.as_deref() == Some(node);
            if moved { Ok(()) } else { Err(Failure::no(format!("{node} does not lead"))) }
        }
        LeaderVerb::Watch { limit } => {
            let (limit, within) = (*limit, common.timeout);
            ask(common, |client| async move {
                let watching = watch(&client, output, limit);
                match within {
                    // A deadline is for the whole command: then it has watched for long enough.
                    Some(within) => timeout(within, watching).await.unwrap_or(Ok(())),
                    None => watching.await,
                }
            })
        }
    }
}

/// A line at every change, the present state first.
async fn watch(client: &Client, output: Output, limit: Option<u64>) -> Result<(), Failure> {
    let (mut watch, mut lines) = (client.watch_leader(LOOK_EVERY), 0);
    while limit.is_none_or(|limit| lines < limit) {
        show(output, &watch.next().await)?;
        lines += 1;
    }
    Ok(())
}

fn show(output: Output, seen: &Leading) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        schema: &'static str,
        at: String,
        node: Option<&'a str>,
        ballot: Option<&'a str>,
    }
    let at = format!("{:.3}", jiff::Timestamp::now());
    let (node, ballot) = (seen.node.as_deref(), seen.ballot.as_deref());
    match (output, node, ballot) {
        (Output::Json | Output::Jsonl, ..) => {
            print::json(&Shown { schema: "synod.leader/1", at, node, ballot })
        }
        (Output::Text, Some(node), Some(ballot)) => {
            print::lines(&format!("{at}  {node}  ballot {ballot}"))
        }
        (Output::Text, ..) => print::lines(&format!("{at}  {}   no node leads", signs().nothing)),
    }
}
