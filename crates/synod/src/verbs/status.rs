//! `synod status`: the verdict first, then what it rests on.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;
use synod_client::{Error, machine::door::NodeStatus};

use super::ask::ask;
use crate::{
    cli::{Common, Output},
    exit::{Code, Failure},
    print,
};

/// What one node said, or why it said nothing.
pub(crate) type Heard = Vec<(String, Result<NodeStatus, Error>)>;

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    cluster: String,
    verdict: &'static str,
    /// How many more nodes may be lost before no quorum is left.
    can_lose: u64,
    leader: Option<Leader>,
    states_agree: bool,
    hashes_compared: u64,
    hashes_differed: u64,
    chosen_slot: u64,
    applied_slot: u64,
    revision: u64,
    sessions: u64,
    txns_unacked: u64,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Leader {
    node: String,
    ballot: String,
    leading_for_ms: u64,
    takeover_ms: u64,
}

#[derive(Serialize)]
struct Node {
    node: String,
    up: bool,
    role: Option<String>,
    applied_slot: Option<u64>,
    lag_slots: Option<u64>,
    sync_p50_us: Option<u64>,
    sync_p99_us: Option<u64>,
    store_bytes: Option<u64>,
    certificate_days: Option<i64>,
    version: Option<String>,
    error: Option<String>,
}

/// Runs the verb. Exit 0 when the cluster serves, 1 when it does not.
pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let heard = ask(common, |client| async move { Ok(client.status_all().await) })?;
    if heard.iter().all(|(_, said)| said.is_err()) {
        return Err(nobody(&heard));
    }
    let report = report(&heard);
    match common.output {
        Output::Json => print::json(&report)?,
        Output::Text => print::lines(&text(&report))?,
    }
    if report.leader.is_some() { Ok(()) } else { Err(Failure::silent_no()) }
}

fn nobody(heard: &Heard) -> Failure {
    let mut failure = Failure::new(Code::NotApplied, "SYN-STATUS-001", "no node answered");
    for (name, said) in heard {
        if let Err(error) = said {
            failure = failure.detail(format!("{name}  {error}"));
        }
    }
    failure.hint("is any node running? `synod start -c n1.toml` runs one")
}

fn report(heard: &Heard) -> Report {
    let up: Vec<&NodeStatus> = heard.iter().filter_map(|(_, said)| said.as_ref().ok()).collect();
    let leader = up.iter().find(|status| status.role == "leader").copied();
    let quorum = heard.len() / 2 + 1;
    let differed: u64 = up.iter().map(|status| status.hashes_differed).sum();
    let chosen = up.iter().map(|status| status.chosen_slot).max().unwrap_or_default();
    let best = leader.or(up.first().copied());
    let verdict = match (leader, up.len() == heard.len()) {
        _ if differed > 0 => "DIVERGED",
        (None, _) => "NO LEADER",
        (Some(_), true) => "HEALTHY",
        (Some(_), false) => "DEGRADED",
    };
    Report {
        schema: "synod.status/1",
        cluster: best.map(|status| status.cluster.clone()).unwrap_or_default(),
        verdict,
        can_lose: up.len().saturating_sub(quorum) as u64,
        leader: leader.map(|status| Leader {
            node: status.node.clone(),
            ballot: status.ballot.clone(),
            leading_for_ms: status.leading_for_us / 1_000,
            takeover_ms: status.takeover_us / 1_000,
        }),
        states_agree: differed == 0,
        hashes_compared: up.iter().map(|status| status.hashes_agreed).sum(),
        hashes_differed: differed,
        chosen_slot: chosen,
        applied_slot: best.map_or(0, |status| status.applied_slot),
        revision: best.map_or(0, |status| status.revision.get()),
        sessions: best.map_or(0, |status| status.sessions),
        txns_unacked: best.map_or(0, |status| status.txns_unacked),
        nodes: heard.iter().map(|(name, said)| node(name, said, chosen)).collect(),
    }
}

fn node(name: &str, said: &Result<NodeStatus, Error>, chosen: u64) -> Node {
    const DAY_S: i64 = 86_400;
    let status = said.as_ref().ok();
    Node {
        node: name.to_owned(),
        up: status.is_some(),
        role: status.map(|status| status.role.clone()),
        applied_slot: status.map(|status| status.applied_slot),
        lag_slots: status.map(|status| chosen.saturating_sub(status.applied_slot)),
        sync_p50_us: status.map(|status| status.sync_us.0),
        sync_p99_us: status.map(|status| status.sync_us.1),
        store_bytes: status.map(|status| status.store_bytes),
        certificate_days: status.map(|status| status.certificate_ends_in_s / DAY_S),
        version: status.map(|status| status.version.clone()),
        error: said.as_ref().err().map(ToString::to_string),
    }
}

fn text(report: &Report) -> String {
    let nodes = report.nodes.len();
    let up = report.nodes.iter().filter(|node| node.up).count();
    let agree = if report.states_agree { "states agree" } else { "STATES DIFFER" };
    let mut text = format!(
        "{:<12} {}   {up} of {nodes} nodes, quorum {}: can lose {} more   {agree} \
         ({} compared, {} differ)\n",
        report.cluster,
        report.verdict,
        nodes / 2 + 1,
        report.can_lose,
        report.hashes_compared,
        report.hashes_differed,
    );
    // Writing to a String cannot fail.
    let _ = match &report.leader {
        Some(leader) => writeln!(
            text,
            "leader       {} for {:?}, ballot {}   last takeover {} ms",
            leader.node,
            Duration::from_secs(leader.leading_for_ms / 1_000),
            leader.ballot,
            leader.takeover_ms
        ),
        None => writeln!(text, "leader       none that is heard"),
    };
    let _ = writeln!(
        text,
        "log          chosen {}   applied {}   revision {}\n\
         sessions     {}   commits not acknowledged by all {}\n\n\
         {:<8} {:<10} {:>10} {:>6} {:>9} {:>9} {:>10} {:>6} VERSION",
        report.chosen_slot,
        report.applied_slot,
        report.revision,
        report.sessions,
        report.txns_unacked,
        "NODE",
        "ROLE",
        "APPLIED",
        "LAG",
        "SYNC p50",
        "p99",
        "DISK",
        "CERT"
    );
    for node in &report.nodes {
        text.push_str(&row(node));
    }
    text
}

fn row(node: &Node) -> String {
    if let Some(error) = &node.error {
        return format!("{:<8} {:<10} {error}\n", node.node, "down");
    }
    format!(
        "{:<8} {:<10} {:>10} {:>6} {:>6} us {:>6} us {:>6} KiB {:>4} d {}\n",
        node.node,
        node.role.as_deref().unwrap_or_default(),
        node.applied_slot.unwrap_or_default(),
        node.lag_slots.unwrap_or_default(),
        node.sync_p50_us.unwrap_or_default(),
        node.sync_p99_us.unwrap_or_default(),
        node.store_bytes.unwrap_or_default() / 1_024,
        node.certificate_days.unwrap_or_default(),
        node.version.as_deref().unwrap_or_default(),
    )
}
