//! `synod election`: who is the primary now.

mod campaign;
mod hook;
mod run;
mod shown;
mod switchover;
mod watch;

use serde::Serialize;
use synod_client::{
    Election, Error,
    machine::{ElectionView, Revision, Rules},
};

use super::ask::{ask, failure, pages};
use crate::{
    cli::{Common, ElectionVerb, OrderArgs, Output, RulesArgs},
    exit::{Code, Failure},
    print,
};
use shown::{One, Shown};

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &ElectionVerb) -> Result<(), Failure> {
    match verb {
        ElectionVerb::Run(args) => run::run(common, args),
        ElectionVerb::Campaign(args) => campaign::run(common, args),
        ElectionVerb::Watch(args) => watch::run(common, args),
        ElectionVerb::Show { name } => show(common, name),
        ElectionVerb::Ls { prefix, limit } => list(common, prefix, *limit),
        ElectionVerb::Resign { name } => resign(common, name),
        ElectionVerb::Switchover(args) => switchover::run(common, args),
        ElectionVerb::Pause(OrderArgs { name, reason }) => {
            order(common, name, async |election| election.pause(reason).await)
        }
        ElectionVerb::Resume(OrderArgs { name, reason }) => {
            order(common, name, async |election| election.resume(reason).await)
        }
        ElectionVerb::Rules(args) => rule(common, args),
    }
}

fn show(common: &Common, name: &str) -> Result<(), Failure> {
    let view =
        ask(common, |client| async move { client.election(name).view().await.map_err(failure) })?;
    let vacant = view.as_ref().is_none_or(|view| view.office.incumbent.is_none());
    if common.output.is_json() {
        print::json(&One::new(Shown::new(name, view.as_ref())))?;
        return if vacant { Err(Failure::silent(Code::No)) } else { Ok(()) };
    }
    if let Some(view) = &view {
        print::lines(&shown::lines(view))?;
    }
    if vacant { Err(nobody(name)) } else { Ok(()) }
}

fn list(common: &Common, prefix: &str, limit: u32) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        elections: Vec<Shown>,
        more: bool,
    }
    let (views, more) = ask(common, |client| async move {
        let page = async |after, left| client.elections(prefix, after, left).await;
        pages(limit, page, |view: &ElectionView| view.name.clone()).await
    })?;
    let mut shown = views.iter().map(|view| Shown::new(view.name.as_str(), Some(view)));
    match common.output {
        Output::Json => {
            let (schema, elections) = ("synod.election.list/1", shown.collect());
            return print::json(&Listed { schema, elections, more });
        }
        Output::Jsonl => shown.try_for_each(|election| print::json(&One::new(election)))?,
        Output::Text => {
            print::lines(&views.iter().map(shown::line).collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {limit}: --limit shows more of them");
    }
    Ok(())
}

fn resign(common: &Common, name: &str) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Resigned {
        schema: &'static str,
        token: Option<u64>,
    }
    let left = ask(common, |client| async move {
        let election = client.election(name);
        let view = election.view().await.map_err(failure)?;
        let Some(incumbent) = view.and_then(|view| view.office.incumbent) else { return Ok(None) };
        election.leave(incumbent.lease).await.map_err(failure)
    })?;
    if common.output.is_json() {
        let token = left.map(Revision::get);
        print::json(&Resigned { schema: "synod.election.resigned/1", token })?;
        return if left.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match left {
        Some(token) => print::lines(&format!("resigned; it was held with token {token}")),
        None => Err(nobody(name)),
    }
}

fn rule(common: &Common, args: &RulesArgs) -> Result<(), Failure> {
    let RulesArgs { name, lag_max, position_min, fresh, reason } = args;
    let fresh_ms = fresh.map(|fresh| u64::try_from(fresh.as_millis()).unwrap_or(u64::MAX));
    let rules = Rules { lag_max: *lag_max, position_min: *position_min, fresh_ms };
    order(common, name, async |election| election.rule(rules, reason).await)
}

fn order(
    common: &Common,
    name: &str,
    give: impl AsyncFnOnce(Election) -> Result<Revision, Error>,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Ordered {
        schema: &'static str,
        revision: u64,
    }
    let at =
        ask(common, |client| async move { give(client.election(name)).await.map_err(failure) })?;
    if common.output.is_json() {
        let revision = at.get();
        return print::json(&Ordered { schema: "synod.election.ordered/1", revision });
    }
    print::lines(&format!("revision {at}"))
}

fn nobody(name: &str) -> Failure {
    Failure::no(format!("nobody is the incumbent of {name}"))
}
