//! `synod leader`: who leads the log.

use std::time::Duration;

use serde::Serialize;
use synod_client::Client;

use super::ask::ask;
use crate::{
    cli::{Common, LeaderVerb, Output},
    exit::{Code, Failure},
    print,
};

/// The time between two looks of `watch`.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Seen {
    schema: &'static str,
    node: Option<String>,
    ballot: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &LeaderVerb) -> Result<(), Failure> {
    let output = common.output;
    match verb {
        LeaderVerb::Show => {
            let seen = ask(common, |client| async move { Ok(look(&client).await) })?;
            let found = seen.node.is_some();
            show(output, &seen)?;
            if found {
                Ok(())
            } else {
                Err(Failure::new(Code::No, "SYN-LEADER-001", "no node leads"))
            }
        }
        LeaderVerb::Watch { limit } => {
            let limit = *limit;
            ask(common, |client| async move { watch(&client, output, limit).await })
        }
    }
}

/// A line at every change, the present state first.
async fn watch(client: &Client, output: Output, limit: Option<u64>) -> Result<(), Failure> {
    let (mut last, mut lines) = (None, 0);
    let mut clock = tokio::time::interval(LOOK_EVERY);
    while limit.is_none_or(|limit| lines < limit) {
        clock.tick().await;
        let seen = look(client).await;
        if last.as_ref() != Some(&seen) {
            show(output, &seen)?;
            last = Some(seen);
            lines += 1;
        }
    }
    Ok(())
}

/// The node that says of itself that it leads, at the highest ballot heard.
async fn look(client: &Client) -> Seen {
    let heard = client.status_all().await;
    let leading = heard.into_iter().filter_map(|(_, said)| said.ok());
    let leader = leading.filter(|status| status.role == "leader").max_by_key(round);
    Seen {
        schema: "synod.leader/1",
        node: leader.as_ref().map(|status| status.node.clone()),
        ballot: leader.map(|status| status.ballot),
    }
}

/// The round of a ballot as it is printed: `17.n2`.
fn round(status: &synod_client::machine::door::NodeStatus) -> u64 {
    status.ballot.split('.').next().and_then(|round| round.parse().ok()).unwrap_or_default()
}

fn show(output: Output, seen: &Seen) -> Result<(), Failure> {
    match (output, &seen.node, &seen.ballot) {
        (Output::Json, _, _) => print::json(seen),
        (Output::Text, Some(node), Some(ballot)) => {
            print::lines(&format!("{}  {node}  ballot {ballot}", jiff::Timestamp::now()))
        }
        (Output::Text, _, _) => {
            print::lines(&format!("{}  –  no node leads", jiff::Timestamp::now()))
        }
    }
}
