//! Makes what a plan says: certificates, configuration, empty stores.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use synod_client::net::{Authority, AuthorityError, Identity, Name, Role, Who};

use super::{AUTHORITY_KEY, CLIENT, DOOR, Plan, Voter, client_toml, name, node_toml, toml};
use crate::exit::{Code, Failure};

/// How programs on this machine call it.
pub(crate) const DOOR_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes the cluster's directory. All is built in a workshop and moved to its place when it is
/// whole; an empty directory that is there already keeps its own owner and mode.
pub(crate) fn build(dir: &Path, plan: &Plan) -> Result<(), Failure> {
    let there = dir.exists();
    let occupied = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || (there && !dir.is_dir()) {
        let what = format!("{} is not an empty directory; nothing was changed", dir.display());
        return Err(Failure::new(Code::Usage, "SYN-INIT-002", what).hint(
            "choose another directory, or remove the cluster there by hand if it is not needed",
        ));
    }
    let site = if there { dir } else { parent(dir) };
    let workshop = site.join(format!(".synod-init-{:016x}", fastrand::u64(..)));
    let made = fs::create_dir_all(site)
        .and_then(|()| private_dir(&workshop))
        .map_err(|error| io_failure(dir, &error))
        .and_then(|()| fill(&workshop, plan))
        .and_then(|()| {
            let moved = if there { empty(&workshop, dir) } else { fs::rename(&workshop, dir) };
            moved.map_err(|error| io_failure(dir, &error))
        });
    if made.is_err() {
        // What was half made is of no use to anybody; that it is gone matters less than the error.
        let _ = fs::remove_dir_all(&workshop);
    }
    made
}

fn parent(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Moves all that is in `workshop` to `dir`.
fn empty(workshop: &Path, dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(workshop)? {
        let entry = entry?;
        fs::rename(entry.path(), dir.join(entry.file_name()))?;
    }
    fs::remove_dir(workshop)
}

/// Makes everything in `dir`, which is empty.
fn fill(dir: &Path, plan: &Plan) -> Result<(), Failure> {
    let (certs, authority_key) = (dir.join("certs"), dir.join(AUTHORITY_KEY));
    for folder in [&certs, parent(&authority_key)] {
        private_dir(folder).map_err(|error| io_failure(folder, &error))?;
    }
    let cluster = name(&plan.cluster)?;
    let authority = Authority::create(&cluster).map_err(cert_failure)?;
    authority.save(&certs.join("ca.crt"), &authority_key).map_err(cert_failure)?;
    let issue = |leaf: &str, who: Who| {
        let identity = Identity { cluster: cluster.clone(), who };
        let file = |end: &str| -> PathBuf { certs.join(format!("{leaf}.{end}")) };
        authority
            .issue(&identity, Authority::LEAF_DAYS, &file("crt"), &file("key"))
            .map_err(cert_failure)
    };
    for voter in &plan.voters {
        issue(&voter.name, Who::Node(name(&voter.name)?))?;
        write(&toml(dir, &voter.name), &node_toml(plan, voter))?;
        issue_door(&authority, &certs, &cluster, voter)?;
    }
    issue(CLIENT, Who::Client { name: name(CLIENT)?, role: Role::Admin })?;
    write(&toml(dir, CLIENT), &client_toml(plan, CLIENT))?;
    for participant in &plan.participants {
        issue(participant, Who::Client { name: name(participant)?, role: Role::Participant })?;
        write(&toml(dir, participant), &client_toml(plan, participant))?;
    }
    for voter in &plan.voters {
        let config = synod_node::Config::load(&toml(dir, &voter.name))
            .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-002", error))?;
        synod_node::format(&config)
            .map_err(|error| Failure::new(Code::Machine, "SYN-INIT-003", error))?;
    }
    Ok(())
}

/// One name for the doors of all nodes, and a key for each. It may do what any caller may; what a
/// caller may is decided at the door.
fn issue_door(
    authority: &Authority,
    certs: &Path,
    cluster: &Name,
    voter: &Voter,
) -> Result<(), Failure> {
    if voter.door.is_none() {
        return Ok(());
    }
    let who = Who::Client { name: name(DOOR)?, role: Role::Admin };
    let identity = Identity { cluster: cluster.clone(), who };
    let file = |end: &str| certs.join(format!("{}-door.{end}", voter.name));
    let hosts = DOOR_HOSTS.map(str::to_owned);
    let for_so_long = (Authority::LEAF_DAYS, &hosts[..]);
    authority.issue_door(&identity, for_so_long, &file("crt"), &file("key")).map_err(cert_failure)
}

fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| io_failure(path, &error))
}

fn io_failure(path: &Path, error: &io::Error) -> Failure {
    let what = format!("{}: {error}", path.display());
    Failure::new(Code::Usage, "SYN-INIT-003", what)
}

fn cert_failure(error: AuthorityError) -> Failure {
    Failure::new(Code::Usage, "SYN-INIT-003", error)
}
