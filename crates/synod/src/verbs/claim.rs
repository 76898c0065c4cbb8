//! `synod claim`: names that one owner may have at a time.

use serde::Serialize;
use synod_client::{
    Claimed, Unclaimed,
    machine::{ClaimView, LeaseId},
};

use super::ask::{ask, failure, pages};
use crate::{
    cli::{ClaimVerb, Common, NamesArgs, Output},
    exit::{Code, Failure},
    print,
};

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &ClaimVerb) -> Result<(), Failure> {
    match verb {
        ClaimVerb::Take { name, owner, lease } => {
            take(common, name, owner, lease.map(LeaseId::new))
        }
        ClaimVerb::Show { name } => show(common, name),
        ClaimVerb::Ls(args) => list(common, args),
        ClaimVerb::Release { name, owner } => release(common, name, owner),
        ClaimVerb::Break { name, reason } => break_it(common, name, reason),
    }
}

#[derive(Serialize)]
struct Shown {
    name: String,
    owner: String,
    client: String,
    lease: Option<u64>,
    revision: u64,
    since_ms: u64,
}

impl Shown {
    fn new(claim: &ClaimView) -> Shown {
        Shown {
            name: claim.name.to_string(),
            owner: claim.owner.clone(),
            client: claim.client.clone(),
            lease: claim.lease.map(LeaseId::get),
            revision: claim.at.get(),
            since_ms: claim.since_ms,
        }
    }
}

/// One claim, or that there is none.
#[derive(Serialize)]
struct Found {
    schema: &'static str,
    claim: Option<Shown>,
}

impl Found {
    fn of(claim: Option<&ClaimView>) -> Found {
        Found { schema: "synod.claim/1", claim: claim.map(Shown::new) }
    }
}

fn take(common: &Common, name: &str, owner: &str, lease: Option<LeaseId>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Taken {
        schema: &'static str,
        ours: bool,
        revision: u64,
        by: String,
    }
    let claimed = ask(common, |client| async move {
        let claim = client.claim(name);
        let claimed = match lease {
            Some(lease) => claim.take_on(owner, lease).await,
            None => claim.take(owner).await,
        };
        claimed.map_err(failure)
    })?;
    let (ours, at, by) = match &claimed {
        Claimed::Ours(at) => (true, *at, owner),
        Claimed::TakenBy(claim) => (false, claim.at, claim.owner.as_str()),
    };
    if common.output.is_json() {
        let (schema, revision, by) = ("synod.claim.taken/1", at.get(), by.to_owned());
        print::json(&Taken { schema, ours, revision, by })?;
    }
    match (common.output, claimed) {
        (Output::Text, Claimed::Ours(at)) => print::lines(&format!("revision {at}")),
        (Output::Text, Claimed::TakenBy(claim)) => Err(taken(&claim)),
        (_, Claimed::Ours(_)) => Ok(()),
        (_, Claimed::TakenBy(_)) => Err(Failure::silent(Code::No)),
    }
}

fn taken(claim: &ClaimView) -> Failure {
    let ClaimView { name, owner, at, .. } = claim;
    Failure::no(format!("{owner} has {name} since revision {at}; nothing was changed"))
}

fn show(common: &Common, name: &str) -> Result<(), Failure> {
    let found =
        ask(common, |client| async move { client.claim(name).view().await.map_err(failure) })?;
    if common.output.is_json() {
        print::json(&Found::of(found.as_ref()))?;
        return if found.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match found {
        Some(claim) => print::lines(&line(&claim)),
        None => Err(Failure::no(format!("nobody has {name}"))),
    }
}

fn line(claim: &ClaimView) -> String {
    let ClaimView { name, owner, client, lease, at, .. } = claim;
    let hangs = lease.map_or(String::new(), |lease| format!(", on lease {lease}"));
    format!("{name}\t{owner}\tby {client}, since revision {at}{hangs}")
}

fn list(common: &Common, args: &NamesArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        claims: Vec<Shown>,
        more: bool,
    }
    let (claims, more) = ask(common, |client| async move {
        let page = async |after, left| client.claims(args.prefix.clone(), after, left).await;
        pages(args.limit, page, |claim: &ClaimView| claim.name.clone()).await
    })?;
    match common.output {
        Output::Json => {
            let claims = claims.iter().map(Shown::new).collect();
            return print::json(&Listed { schema: "synod.claim.list/1", claims, more });
        }
        Output::Jsonl => {
            claims.iter().try_for_each(|claim| print::json(&Found::of(Some(claim))))?;
        }
        Output::Text => print::lines(&claims.iter().map(line).collect::<Vec<_>>().join("\n"))?,
    }
    if more {
        anstream::eprintln!("there are more than {}: --limit shows more of them", args.limit);
    }
    Ok(())
}

fn release(common: &Common, name: &str, owner: &str) -> Result<(), Failure> {
    let released =
        ask(
            common,
            |client| async move { client.claim(name).release(owner).await.map_err(failure) },
        )?;
    tell(common, name, &released)
}

fn break_it(common: &Common, name: &str, reason: &str) -> Result<(), Failure> {
    let broken =
        ask(
            common,
            |client| async move { client.claim(name).break_it(reason).await.map_err(failure) },
        )?;
    tell(common, name, &broken)
}

fn tell(common: &Common, name: &str, released: &Unclaimed) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Released {
        schema: &'static str,
        released: bool,
    }
    if common.output.is_json() {
        let done = matches!(released, Unclaimed::Released(_));
        print::json(&Released { schema: "synod.claim.released/1", released: done })?;
        return if done { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match released {
        Unclaimed::Released(_) => Ok(()),
        Unclaimed::Absent => Err(Failure::no(format!("nobody had {name}"))),
        Unclaimed::TakenBy(claim) => Err(taken(claim)),
    }
}
