//! `synod cert issue` and `synod cert renew`: what the cluster's authority signs after `init`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use synod_client::net::{Authority, AuthorityError, Credentials, Identity, Name, Role, Who};

use crate::{
    cli::{CertRole, Common, IssueArgs, Output, RenewArgs, SignArgs},
    exit::{Code, Failure},
    print,
    verbs::init::{DOOR, DOOR_HOSTS},
};

#[derive(Serialize)]
struct Issued<'a> {
    schema: &'static str,
    certificate: &'a Path,
    key: &'a Path,
    /// Whose it is.
    who: String,
    days: u32,
}

/// Makes a key and a certificate of somebody new.
pub(super) fn issue(common: &Common, args: &IssueArgs) -> Result<(), Failure> {
    let name = Name::new(args.name.clone()).map_err(|error| failed(&error))?;
    let cluster = match &args.cluster {
        Some(cluster) => Name::new(cluster.clone()).map_err(|error| failed(&error))?,
        None => cluster_of(&args.sign.dir)?,
    };
    let client = |role| Who::Client { name: name.clone(), role };
    let who = match args.role {
        CertRole::Node => Who::Node(name.clone()),
        CertRole::Read => client(Role::Read),
        CertRole::Write => client(Role::Write),
        CertRole::Admin => client(Role::Admin),
        CertRole::Participant => client(Role::Participant),
        CertRole::Door => {
            let name = Name::new(DOOR).map_err(|error| failed(&error))?;
            Who::Client { name, role: Role::Admin }
        }
    };
    if !args.hosts.is_empty() && args.role != CertRole::Door {
        return Err(failed(&"--host is for a door: nobody else is called by a host's name"));
    }
    let identity = Identity { cluster, who };
    let (cert, key) = files(&args.sign.dir, name.as_str());
    let (authority, days) = (authority(&args.sign)?, args.sign.days);
    let issued = match args.role {
        CertRole::Door => {
            let here = DOOR_HOSTS.map(str::to_owned);
            let hosts = [&args.hosts[..], &here].concat();
            authority.issue_door(&identity, (days, &hosts), &cert, &key)
        }
        _ => authority.issue(&identity, days, &cert, &key),
    };
    issued.map_err(refused)?;
    tell(common, &identity, &cert, &key, args.sign.days, "")
}

/// Makes another certificate for a key that somebody has.
pub(super) fn renew(common: &Common, args: &RenewArgs) -> Result<(), Failure> {
    let name = Name::new(args.name.clone()).map_err(|error| failed(&error))?;
    let (cert, key) = files(&args.sign.dir, name.as_str());
    let identity = authority(&args.sign)?.renew(args.sign.days, &cert, &key).map_err(refused)?;
    let then = format!("{name} shows it from its next start on; what runs keeps the one it has\n");
    tell(common, &identity, &cert, &key, args.sign.days, &then)
}

fn files(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")))
}

/// The authority whose root stands in the directory. `init` writes its key beside that, and says
/// to move it away.
fn authority(args: &SignArgs) -> Result<Authority, Failure> {
    let beside = || args.dir.join("..").join("authority").join("ca.key");
    let key = args.authority_key.clone().unwrap_or_else(beside);
    Authority::load(&args.dir.join("ca.crt"), &key).map_err(|error| {
        failed(&error).hint("where is the cluster's ca.key now? --authority-key FILE says it")
    })
}

/// The cluster that every certificate of the directory names.
fn cluster_of(dir: &Path) -> Result<Name, Failure> {
    let unclear = |what: String| {
        failed(&format!("{}: {what}", dir.display())).hint("--cluster NAME says which cluster")
    };
    let mut found: Option<Name> = None;
    for leaf in super::leaves(dir)? {
        // What cannot be read names no cluster; `cert check` says why.
        let Ok(identity) = Credentials::named_by(&leaf) else { continue };
        if found.as_ref().is_some_and(|cluster| *cluster != identity.cluster) {
            return Err(unclear("certificates of several clusters".to_owned()));
        }
        found = Some(identity.cluster);
    }
    found.ok_or_else(|| unclear("no certificate here names a cluster".to_owned()))
}

fn tell(
    common: &Common,
    identity: &Identity,
    cert: &Path,
    key: &Path,
    days: u32,
    then: &str,
) -> Result<(), Failure> {
    let who = identity.to_string();
    match common.output {
        Output::Json | Output::Jsonl => {
            let schema = "synod.cert.issued/1";
            print::json(&Issued { schema, certificate: cert, key, who, days })
        }
        Output::Text => {
            let (cert, key) = (cert.display(), key.display());
            print::lines(&format!("{cert}  {key}  {who}  {days} d\n{then}"))
        }
    }
}

fn refused(error: AuthorityError) -> Failure {
    let exists = matches!(error, AuthorityError::Exists { .. });
    let failure = failed(&error);
    if exists { failure.hint("synod cert renew prolongs one that there is") } else { failure }
}

fn failed(what: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Usage, "SYN-CERT-002", what)
}
