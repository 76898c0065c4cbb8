//! `synod init`: everything a new cluster needs, made in one go or not at all.

mod build;
mod config;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use synod_client::net::Name;

pub(crate) use self::{
    build::{DOOR_HOSTS, build},
    config::{client_toml, node_toml},
};

use crate::{
    cli::{Common, InitArgs, Output},
    exit::{Code, Failure},
    print,
};

/// The name of the client that every new cluster has.
const CLIENT: &str = "client";
/// Where the authority's key is written, below the cluster's directory.
const AUTHORITY_KEY: &str = "authority/ca.key";
/// The client as which the doors of all nodes ask.
pub(crate) const DOOR: &str = "door";
/// The health page of node i listens this far above its mesh port.
const HTTP_PORT_OFFSET: u16 = 100;

/// One voter of the cluster to be made.
#[derive(Clone, Debug)]
pub(crate) struct Voter {
    pub(crate) id: u16,
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) listen: String,
    /// Where its health page listens.
    pub(crate) http: String,
    /// Where its door for programs without a client of ours listens, if it has one.
    pub(crate) door: Option<String>,
}

/// A cluster to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) cluster: String,
    pub(crate) cluster_id: u64,
    pub(crate) voters: Vec<Voter>,
    pub(crate) participants: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(common: &Common, args: &InitArgs) -> Result<(), Failure> {
    let plan = plan(args)?;
    build(&args.dir, &plan)?;
    match common.output {
        Output::Json | Output::Jsonl => print::json(&made(&args.dir, &plan)),
        Output::Text => print::lines(&told(&args.dir, &plan)),
    }
}

#[derive(Serialize)]
struct Made {
    schema: &'static str,
    cluster: String,
    /// As every configuration spells it.
    cluster_id: String,
    /// Configurations, one a node.
    nodes: Vec<PathBuf>,
    client: PathBuf,
    participants: Vec<PathBuf>,
    authority_key: PathBuf,
}

fn made(dir: &Path, plan: &Plan) -> Made {
    Made {
        schema: "synod.init/1",
        cluster: plan.cluster.clone(),
        cluster_id: format!("{:016x}", plan.cluster_id),
        nodes: plan.voters.iter().map(|voter| toml(dir, &voter.name)).collect(),
        client: toml(dir, CLIENT),
        participants: plan.participants.iter().map(|name| toml(dir, name)).collect(),
        authority_key: dir.join(AUTHORITY_KEY),
    }
}

fn told(dir: &Path, plan: &Plan) -> String {
    let shown = |path: PathBuf| path.display().to_string();
    let mut text = format!(
        "cluster {} with {} is in {}\n",
        plan.cluster,
        match plan.voters.len() {
            1 => "1 node".to_owned(),
            more => format!("{more} nodes"),
        },
        dir.display()
    );
    // Writing to a String cannot fail.
    for voter in &plan.voters {
        let _ = writeln!(text, "  synod start -c {}", shown(toml(dir, &voter.name)));
    }
    for name in &plan.participants {
        let (data, config) = (shown(dir.join(name)), shown(toml(dir, name)));
        let _ = writeln!(text, "  synod shard --name {name} --data {data} -c {config}");
    }
    let _ = writeln!(text, "  synod status -c {}", shown(toml(dir, CLIENT)));
    let key = shown(dir.join(AUTHORITY_KEY));
    let _ = writeln!(text, "{key} signs new identities: move it away from the nodes");
    text
}

fn plan(args: &InitArgs) -> Result<Plan, Failure> {
    let usage = |what: String| Failure::new(Code::Usage, "SYN-INIT-001", what);
    if !matches!(args.nodes, 1 | 3 | 5 | 7) {
        return Err(usage(format!("a cluster has 1, 3, 5 or 7 nodes, not {}", args.nodes))
            .hint("an even number tolerates no more failures than the odd one below it"));
    }
    let last =
        args.port.checked_add(HTTP_PORT_OFFSET).and_then(|port| port.checked_add(args.nodes));
    if last.is_none() {
        let what = format!("--port {} leaves no room for {} nodes", args.port, args.nodes);
        return Err(usage(what));
    }
    let voters = (0..args.nodes).map(|i| Voter {
        id: i + 1,
        name: format!("n{}", i + 1),
        listen: format!("127.0.0.1:{}", args.port + i),
        http: format!("127.0.0.1:{}", args.port + HTTP_PORT_OFFSET + i),
        // The mesh is UDP: the first door is one below, and the next where another's mesh is.
        door: Some(format!("127.0.0.1:{}", args.port - 1 + i)),
    });
    let voters: Vec<Voter> = voters.collect();
    name(&args.name)?;
    let mut taken: Vec<&str> = voters.iter().map(|voter| voter.name.as_str()).collect();
    taken.extend([CLIENT, DOOR, "ca", "certs", "authority"]);
    for participant in &args.participants {
        name(participant)?;
        if taken.contains(&participant.as_str()) {
            let what = format!("participant {participant:?}: the name is taken; choose another");
            return Err(usage(what));
        }
        taken.push(participant);
    }
    Ok(Plan {
        cluster: args.name.clone(),
        cluster_id: fastrand::u64(1..),
        voters,
        participants: args.participants.clone(),
    })
}

/// The configuration of `leaf` below the cluster's directory.
fn toml(dir: &Path, leaf: &str) -> PathBuf {
    dir.join(format!("{leaf}.toml"))
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| Failure::new(Code::Usage, "SYN-INIT-001", error))
}
