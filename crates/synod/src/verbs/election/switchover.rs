//! `synod election switchover`: the incumbent leaves for another, in good order.

use std::time::Duration;

use serde::Serialize;
use synod_client::{Client, Election, HandingOver, Standing, machine::Successor};
use tokio::time::timeout;

use super::super::ask::{ask, failure};
use crate::{
    cli::{Common, SwitchoverArgs},
    exit::{Code, Failure},
    print,
};

#[derive(Serialize)]
struct Done {
    schema: &'static str,
    /// Whether what was asked for is so.
    done: bool,
    to: Option<String>,
    token: Option<u64>,
}

/// Runs the verb.
pub(super) fn run(common: &Common, args: &SwitchoverArgs) -> Result<(), Failure> {
    let came_to = ask(common, |client| async move {
        if args.cancel {
            return cancel(&client, args).await;
        }
        switch_over(&client, args, common.timeout).await
    })?;
    let (done, to, token, words) = match came_to {
        CameTo::Asked(to) => {
            let words = format!("the incumbent was told to leave for {to}");
            (true, Some(to), None, words)
        }
        CameTo::Granted(to, token) => {
            let words = format!("{to} is the incumbent, token {token}");
            (true, Some(to), Some(token), words)
        }
        CameTo::Cancelled => (true, None, None, "the switchover is off".to_owned()),
        CameTo::Nothing(words) => (false, None, None, words),
    };
    if common.output.is_json() {
        print::json(&Done { schema: "synod.election.switchover/1", done, to, token })?;
        return if done { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    if done { print::lines(&words) } else { Err(Failure::no(words)) }
}

enum CameTo {
    Asked(String),
    Granted(String, u64),
    Cancelled,
    Nothing(String),
}

async fn cancel(client: &Client, args: &SwitchoverArgs) -> Result<CameTo, Failure> {
    let election = client.election(args.name.clone());
    match election.cancel_switchover(&args.reason).await.map_err(failure)? {
        true => Ok(CameTo::Cancelled),
        false => Ok(CameTo::Nothing(format!("no switchover is under way in {}", args.name))),
    }
}

/// A deadline is for the whole command, the wait for the grant, too.
async fn switch_over(
    client: &Client,
    args: &SwitchoverArgs,
    within: Option<Duration>,
) -> Result<CameTo, Failure> {
    let election = client.election(args.name.clone());
    let asked = election.switch_over(args.to.as_deref(), &args.reason).await;
    let to = match asked.map_err(failure)? {
        HandingOver::To(to) => to,
        HandingOver::Barred(bar) => {
            let whom = args.to.as_deref().unwrap_or("nobody else");
            let can = if args.to.is_some() { "cannot" } else { "can" };
            return Ok(CameTo::Nothing(format!("{whom} {can} be granted: {bar}")));
        }
        HandingOver::Nobody => {
            let what = format!("{} has no incumbent, or nobody to leave for", args.name);
            return Ok(CameTo::Nothing(what));
        }
    };
    let name = to.candidate.to_string();
    if args.no_wait {
        return Ok(CameTo::Asked(name));
    }
    let granted = granted(&election, &to);
    match within {
        Some(within) => timeout(within, granted).await.unwrap_or_else(|_| {
            let what = format!("{name} is not granted yet; the switchover is still under way");
            Ok(CameTo::Nothing(what))
        }),
        None => granted.await,
    }
}

/// Until the one that was meant is granted, or will not be.
async fn granted(election: &Election, to: &Successor) -> Result<CameTo, Failure> {
    let mut standings = election.observe();
    loop {
        let office = match standings.next().await {
            Some(Ok(Standing::Changed { office, .. })) => office,
            Some(Ok(Standing::Unchanged(_) | Standing::Stale { .. })) => continue,
            Some(Err(error)) => return Err(failure(error)),
            None => return Ok(CameTo::Nothing("the client was closed".to_owned())),
        };
        match office.incumbent {
            Some(one) if one.lease == to.lease => {
                return Ok(CameTo::Granted(to.candidate.to_string(), one.token.get()));
            }
            _ if office.successor.as_ref() == Some(to) => {}
            // It is off, or another was granted.
            Some(one) => {
                let what = format!("it came to nothing; {} is the incumbent", one.candidate);
                return Ok(CameTo::Nothing(what));
            }
            None => return Ok(CameTo::Nothing("it came to nothing; nobody is granted".to_owned())),
        }
    }
}
