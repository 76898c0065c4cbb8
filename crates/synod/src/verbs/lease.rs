//! `synod lease`: what ends unless it is renewed.

use std::time::Duration;

use serde::Serialize;
use synod_client::machine::{LeaseId, LeaseView};

use super::ask::{ask, failure};
use crate::{
    cli::{Common, LeaseVerb, Output},
    exit::{Code, Failure},
    print, units,
};

#[derive(Serialize)]
struct Shown {
    lease: u64,
    owner: String,
    ttl_ms: u64,
    /// In milliseconds since 1970, as stamped in the log.
    granted_at_ms: u64,
}

impl Shown {
    fn new(view: LeaseView) -> Shown {
        let LeaseView { lease, owner, ttl_ms, granted_at_ms, .. } = view;
        Shown { lease: lease.get(), owner, ttl_ms, granted_at_ms }
    }

    fn line(&self) -> String {
        let ttl = units::span(Duration::from_millis(self.ttl_ms));
        let since = print::moment(self.granted_at_ms);
        format!("{:<8} ttl {ttl}, of {}, granted {since}", self.lease, self.owner)
    }
}

#[derive(Serialize)]
struct One {
    schema: &'static str,
    #[serde(flatten)]
    lease: Shown,
}

const ONE: &str = "synod.lease/1";

/// What was done to a lease.
#[derive(Serialize)]
struct Done {
    schema: &'static str,
    lease: u64,
    /// Whether there was one to do it to.
    done: bool,
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &LeaseVerb) -> Result<(), Failure> {
    match verb {
        LeaseVerb::Grant { ttl } => grant(common, *ttl),
        LeaseVerb::Renew { lease } => {
            let id = LeaseId::new(*lease);
            let lives =
                ask(common, |client| async move { client.renew_lease(id).await.map_err(failure) })?;
            told(common, "synod.lease.renewed/1", id, lives)
        }
        LeaseVerb::Show { lease } => show(common, LeaseId::new(*lease)),
        LeaseVerb::Ls { limit } => list(common, *limit),
        LeaseVerb::Revoke { lease } => {
            let id = LeaseId::new(*lease);
            let known =
                ask(
                    common,
                    |client| async move { client.revoke_lease(id).await.map_err(failure) },
                )?;
            told(common, "synod.lease.revoked/1", id, known)
        }
    }
}

fn grant(common: &Common, ttl: Duration) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Granted {
        schema: &'static str,
        lease: u64,
        ttl_ms: u64,
    }
    let lease = ask(common, |client| async move {
        client.lease(ttl).await.map(synod_client::Lease::leave).map_err(failure)
    })?;
    if common.output.is_json() {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let schema = "synod.lease.granted/1";
        return print::json(&Granted { schema, lease: lease.get(), ttl_ms });
    }
    print::lines(&lease.to_string())
}

fn show(common: &Common, lease: LeaseId) -> Result<(), Failure> {
    let view =
        ask(common, |client| async move { client.lease_view(lease).await.map_err(failure) })?;
    match view.map(Shown::new) {
        Some(lease) if common.output.is_json() => print::json(&One { schema: ONE, lease }),
        Some(lease) => print::lines(&lease.line()),
        None if common.output.is_json() => told(common, ONE, lease, false),
        None => Err(gone(lease)),
    }
}

fn list(common: &Common, limit: u32) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        leases: Vec<Shown>,
        more: bool,
    }
    let (views, more) =
        ask(common, |client| async move { client.leases(None, limit).await.map_err(failure) })?;
    let leases: Vec<_> = views.into_iter().map(Shown::new).collect();
    match common.output {
        Output::Json => {
            return print::json(&Listed { schema: "synod.lease.list/1", leases, more });
        }
        Output::Jsonl => {
            for lease in leases {
                print::json(&One { schema: ONE, lease })?;
            }
        }
        Output::Text => {
            print::lines(&leases.iter().map(Shown::line).collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {limit}: --limit shows more of them");
    }
    Ok(())
}

fn told(common: &Common, schema: &'static str, lease: LeaseId, done: bool) -> Result<(), Failure> {
    if common.output.is_json() {
        print::json(&Done { schema, lease: lease.get(), done })?;
        return if done { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    if done { Ok(()) } else { Err(gone(lease)) }
}

fn gone(lease: LeaseId) -> Failure {
    Failure::no(format!("lease {lease} has ended, or never was"))
}
