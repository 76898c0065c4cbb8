//! `synod status`: the verdict first, then what it rests on.

mod text;

use serde::Serialize;
use synod_client::{Error, leader_among, machine::door::NodeStatus};

use super::ask::{ask, cause};
use crate::{
    cli::{Common, Output},
    exit::{Code, Failure},
    print,
    signs::signs,
    verbs::cert::WARN_DAYS,
};

/// Certificates end by the second; people plan by the day.
const DAY_S: i64 = 86_400;
/// A disk whose slowest syncs take longer makes every commit wait.
const SLOW_SYNC_US: u64 = 50_000;
/// A node that is further behind would have much to catch up with before it could lead.
const FAR_BEHIND_SLOTS: u64 = 1_000;

/// What each node said, or why it said nothing.
type Heard = Vec<(String, Result<NodeStatus, Error>)>;

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    cluster: String,
    verdict: Verdict,
    quorum: usize,
    /// How many more nodes may be lost before no quorum is left.
    can_lose: usize,
    leader: Option<Leader>,
    states_agree: bool,
    hashes_compared: u64,
    hashes_differed: u64,
    chosen_slot: u64,
    applied_slot: u64,
    snapshot_slot: u64,
    trimmed_slot: u64,
    revision: u64,
    sessions: u64,
    requests_in_flight: u64,
    txns_unacked: u64,
    nodes: Vec<Node>,
    warnings: Vec<Warning>,
}

/// The whole in two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Verdict {
    /// Every node is up, and one leads.
    #[serde(rename = "HEALTHY")]
    Healthy,
    /// It serves, and some node is down.
    #[serde(rename = "DEGRADED")]
    Degraded,
    /// A quorum is up, and no node says that it leads: an election is under way.
    #[serde(rename = "NO LEADER")]
    NoLeader,
    /// Too few nodes are up to choose anything.
    #[serde(rename = "NO QUORUM")]
    NoQuorum,
    /// Two nodes that applied the same hold different states: a bug, or memory that failed.
    #[serde(rename = "DIVERGED")]
    Diverged,
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
    /// Of a round trip to the leader.
    rtt_us: Option<u64>,
    applied_slot: Option<u64>,
    lag_slots: Option<u64>,
    snapshot_slot: Option<u64>,
    trimmed_slot: Option<u64>,
    catching_up: Option<CatchingUp>,
    sync_p50_us: Option<u64>,
    sync_p99_us: Option<u64>,
    store_bytes: Option<u64>,
    disk_full: Option<bool>,
    certificate_days: Option<i64>,
    version: Option<String>,
    error: Option<String>,
}

/// Something to do before it hurts.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Warning {
    node: String,
    what: String,
    hint: &'static str,
}

/// A snapshot on its way to a node.
#[derive(Clone, Copy, Serialize)]
struct CatchingUp {
    chunks: u32,
    of: u32,
}

/// Runs the verb. Exit 0 when the cluster serves, 1 when it does not.
pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let heard = ask(common, |client| async move { Ok(client.status_all().await) })?;
    let report = report(&heard);
    match common.output {
        Output::Json | Output::Jsonl => print::json(&report)?,
        Output::Text => print::coloured(&text::of(&report, signs()))?,
    }
    match report.verdict {
        Verdict::Healthy | Verdict::Degraded => Ok(()),
        Verdict::NoLeader | Verdict::NoQuorum | Verdict::Diverged => Err(Failure::silent(Code::No)),
    }
}

fn report(heard: &Heard) -> Report {
    let up: Vec<&NodeStatus> = heard.iter().filter_map(|(_, said)| said.as_ref().ok()).collect();
    let leader = leader_among(up.iter().copied());
    let quorum = heard.len() / 2 + 1;
    let differed: u64 = up.iter().map(|status| status.hashes_differed).sum();
    let chosen = up.iter().map(|status| status.chosen_slot).max().unwrap_or_default();
    let best = leader.or(up.first().copied());
    let whole = up.len() == heard.len();
    let nodes: Vec<_> = heard.iter().map(|(name, said)| node(name, said, chosen, leader)).collect();
    Report {
        schema: "synod.status/1",
        cluster: best.map(|status| status.cluster.clone()).unwrap_or_default(),
        verdict: match leader {
            _ if differed > 0 => Verdict::Diverged,
            None if up.len() < quorum => Verdict::NoQuorum,
            None => Verdict::NoLeader,
            Some(_) if whole => Verdict::Healthy,
            Some(_) => Verdict::Degraded,
        },
        quorum,
        can_lose: up.len().saturating_sub(quorum),
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
        snapshot_slot: best.map_or(0, |status| status.snapshot_slot),
        trimmed_slot: best.map_or(0, |status| status.trimmed_slot),
        revision: best.map_or(0, |status| status.revision.get()),
        sessions: best.map_or(0, |status| status.sessions),
        requests_in_flight: up.iter().map(|status| status.requests_in_flight).sum(),
        txns_unacked: best.map_or(0, |status| status.txns_unacked),
        warnings: nodes.iter().flat_map(warnings).collect(),
        nodes,
    }
}

fn node(
    name: &str,
    said: &Result<NodeStatus, Error>,
    chosen: u64,
    leader: Option<&NodeStatus>,
) -> Node {
    let status = said.as_ref().ok();
    let peer = leader.and_then(|leader| leader.peers.iter().find(|peer| peer.node == name));
    Node {
        node: name.to_owned(),
        up: status.is_some(),
        role: status.map(|status| status.role.clone()),
        rtt_us: peer.and_then(|peer| peer.rtt_us),
        applied_slot: status.map(|status| status.applied_slot),
        lag_slots: status.map(|status| chosen.saturating_sub(status.applied_slot)),
        snapshot_slot: status.map(|status| status.snapshot_slot),
        trimmed_slot: status.map(|status| status.trimmed_slot),
        catching_up: status
            .and_then(|status| status.catching_up)
            .map(|(chunks, of)| CatchingUp { chunks, of }),
        sync_p50_us: status.map(|status| status.sync_us.0),
        sync_p99_us: status.map(|status| status.sync_us.1),
        store_bytes: status.map(|status| status.store_bytes),
        disk_full: status.map(|status| status.disk_full),
        certificate_days: status.map(|status| status.certificate_ends_in_s / DAY_S),
        version: status.map(|status| status.version.clone()),
        error: said.as_ref().err().map(cause),
    }
}

fn warnings(node: &Node) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |what: String, hint| {
        found.push(Warning { node: node.node.clone(), what, hint });
    };
    if let Some(error) = &node.error {
        warn(format!("is down: {error}"), "is it running? synod start -c FILE runs it");
    }
    if node.disk_full == Some(true) {
        warn("its disk is full".to_owned(), "free some space; it serves again by itself");
    }
    if let Some(days) = node.certificate_days.filter(|days| *days < WARN_DAYS) {
        let hint = "synod cert renew NAME DIR, then start it again";
        warn(format!("its certificate ends in {days} days"), hint);
    }
    if let Some(us) = node.sync_p99_us.filter(|us| *us > SLOW_SYNC_US) {
        let what = format!("its slowest syncs take {}", crate::units::span_us(us));
        warn(what, "what else uses this disk?");
    }
    if let Some(CatchingUp { chunks, of }) = node.catching_up {
        let what = format!("it is sent a snapshot: {chunks} of {of} chunks have come");
        warn(what, "it goes on by itself, also after a restart");
    }
    if let Some(slots) = node.lag_slots.filter(|slots| *slots > FAR_BEHIND_SLOTS) {
        let what = format!("it is {} slots behind", crate::units::grouped(slots));
        warn(what, "it catches up by itself while a quorum is up");
    }
    found
}

#[cfg(test)]
mod tests;
