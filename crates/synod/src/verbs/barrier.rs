//! `synod barrier`: nobody passes before everybody has come.

use serde::Serialize;
use synod_client::{
    Arrived,
    machine::{BarrierView, LeaseId, Revision},
};

use super::ask::{ask, failure, pages};
use crate::{
    cli::{BarrierVerb, Common, NamesArgs, Output},
    exit::{Code, Failure},
    print,
};

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &BarrierVerb) -> Result<(), Failure> {
    match verb {
        BarrierVerb::Enter { name, lease, parties } => {
            enter(common, name, LeaseId::new(*lease), *parties)
        }
        BarrierVerb::Leave { name, lease } => leave(common, name, LeaseId::new(*lease)),
        BarrierVerb::Show { name } => show(common, name),
        BarrierVerb::Ls(args) => list(common, args),
        BarrierVerb::Rm { name } => remove(common, name),
    }
}

#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    name: String,
    open: bool,
    /// The revision at which it opened.
    opened: Option<u64>,
    parties: Option<u32>,
    here: Option<u32>,
}

impl Shown {
    fn new(name: &str, opened: Option<Revision>, of: Option<(u32, u32)>) -> Shown {
        Shown {
            schema: "synod.barrier/1",
            name: name.to_owned(),
            open: opened.is_some(),
            opened: opened.map(Revision::get),
            parties: of.map(|(_, parties)| parties),
            here: of.map(|(here, _)| here),
        }
    }

    fn of(view: &BarrierView) -> Shown {
        Shown::new(view.name.as_str(), view.opened, Some((view.here, view.parties)))
    }

    fn line(&self) -> String {
        let how = match (self.opened, self.here, self.parties) {
            (Some(at), ..) => format!("open since revision {at}"),
            (None, Some(here), Some(parties)) => format!("{here} of {parties} have come"),
            (None, ..) => "nobody has come".to_owned(),
        };
        format!("{}\t{how}", self.name)
    }
}

/// Prints how it stands; whether it is open says the exit code, too.
fn tell(common: &Common, shown: &Shown) -> Result<(), Failure> {
    match (common.output, shown.open) {
        (Output::Text, true) => print::lines(&shown.line()),
        (Output::Text, false) => Err(Failure::no(shown.line())),
        (Output::Json | Output::Jsonl, open) => {
            print::json(shown)?;
            if open { Ok(()) } else { Err(Failure::silent(Code::No)) }
        }
    }
}

fn enter(common: &Common, name: &str, lease: LeaseId, parties: u32) -> Result<(), Failure> {
    let arrived = ask(common, |client| async move {
        client.barrier(name).enter(lease, parties).await.map_err(failure)
    })?;
    let shown = match arrived {
        Arrived::Open { at } => Shown::new(name, Some(at), None),
        Arrived::Waiting { arrived, of, .. } => Shown::new(name, None, Some((arrived, of))),
    };
    tell(common, &shown)
}

fn leave(common: &Common, name: &str, lease: LeaseId) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Left {
        schema: &'static str,
        here: Option<u32>,
    }
    let here =
        ask(
            common,
            |client| async move { client.barrier(name).leave(lease).await.map_err(failure) },
        )?;
    if common.output.is_json() {
        print::json(&Left { schema: "synod.barrier.left/1", here })?;
        return if here.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match here {
        Some(here) => print::lines(&format!("left; {here} are still there")),
        None => Err(Failure::no(format!("lease {lease} was not at {name}"))),
    }
}

fn show(common: &Common, name: &str) -> Result<(), Failure> {
    let found =
        ask(common, |client| async move { client.barrier(name).view().await.map_err(failure) })?;
    let shown = found.as_ref().map_or_else(|| Shown::new(name, None, None), Shown::of);
    tell(common, &shown)
}

fn list(common: &Common, args: &NamesArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        barriers: Vec<Shown>,
        more: bool,
    }
    let (barriers, more) = ask(common, |client| async move {
        let page = async |after, left| client.barriers(args.prefix.clone(), after, left).await;
        pages(args.limit, page, |barrier: &BarrierView| barrier.name.clone()).await
    })?;
    let mut shown = barriers.iter().map(Shown::of);
    match common.output {
        Output::Json => {
            let (schema, barriers) = ("synod.barrier.list/1", shown.collect());
            return print::json(&Listed { schema, barriers, more });
        }
        Output::Jsonl => shown.try_for_each(|barrier| print::json(&barrier))?,
        Output::Text => {
            print::lines(&shown.map(|one| one.line()).collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {}: --limit shows more of them", args.limit);
    }
    Ok(())
}

fn remove(common: &Common, name: &str) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Removed {
        schema: &'static str,
        removed: bool,
    }
    let removed =
        ask(common, |client| async move { client.barrier(name).remove().await.map_err(failure) })?;
    if common.output.is_json() {
        print::json(&Removed { schema: "synod.barrier.removed/1", removed })?;
        return if removed { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match removed {
        true => Ok(()),
        false => Err(Failure::no(format!("somebody waits at {name}; nothing was changed"))),
    }
}
