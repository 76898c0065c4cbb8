//! How this node stands, for `status`, the health pages and the gauges.

use std::time::{Duration, Instant};

use synod_machine::{
    Answer, Census, Query,
    door::{NodeStatus, PeerStatus},
};
use synod_paxos::{NodeId, Role};
use tracing::info;

use super::{Driver, Question};
use crate::{
    clock::unix_seconds,
    health::{Alive, Found, Ready},
    metrics::Gauges,
    reign::Change,
};

/// A peer that was silent for longer is shown as not heard.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

impl Driver {
    /// Answers a page, or begins to stop.
    pub(super) fn question(&mut self, question: Question) {
        // A page that has given up does not hear its answer.
        match question {
            Question::Alive(answer) => {
                let disk_busy_for = self.disk.busy_for(Instant::now());
                let _given_up = answer.send(Alive { disk_busy_for });
            }
            Question::Ready(answer) => {
                let _given_up = answer.send(self.ready());
            }
            Question::Measure(answer) => {
                self.metrics.measure(&self.gauges());
                let _given_up = answer.send(());
            }
            Question::Probe(answer) => self.probe(answer),
            Question::Stop => self.stop(),
        }
    }

    /// The answer to `Call::Status`.
    pub(super) fn status(&self) -> NodeStatus {
        let status = self.replica.status();
        let census = self.census();
        let name = |node: NodeId| self.roster.name(node).map(|name| name.as_str().to_owned());
        NodeStatus {
            cluster: self.roster.cluster().as_str().to_owned(),
            node: self.roster.own_name().as_str().to_owned(),
            role: role_word(status.role).to_owned(),
            leader: self.leader().and_then(name),
            ballot: self.ballot_word(),
            chosen_slot: status.chosen.get(),
            applied_slot: status.applied.get(),
            revision: self.replica.machine().revision(),
            state_hashes: Vec::new(),
            hashes_agreed: 0,
            hashes_differed: 0,
            leading_for_us: micros(self.reign.leading_for()),
            takeover_us: micros(self.reign.takeover().unwrap_or_default()),
            sync_us: self.disk.syncs().median_and_p99(),
            store_bytes: self.disk.store_bytes(),
            sessions: census.sessions,
            txns_unacked: census.commits_unacked,
            requests_in_flight: self.calls.count() as u64,
            certificate_ends_in_s: self.certificate_ends_at.saturating_sub(unix_seconds()),
            peers: self.roster.peers().map(|(node, _)| self.peer_status(node)).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn peer_status(&self, node: NodeId) -> PeerStatus {
        let name = self.roster.name(node);
        PeerStatus {
            node: name.map(|name| name.as_str().to_owned()).unwrap_or_default(),
            heard: self.reign.heard_within(node, HEARD_WITHIN),
            rtt_us: name.and_then(|name| self.mesh.rtt(name)).map(micros),
            chosen_slot: 0,
        }
    }

    fn census(&self) -> Census {
        match self.replica.machine().query(&Query::Census) {
            Answer::Census(census) => census,
            _ => Census::default(),
        }
    }

    /// Whom this node takes for the leader.
    fn leader(&self) -> Option<NodeId> {
        match self.replica.status().role {
            Role::Following { leader } => leader,
            Role::Campaigning { .. } => None,
            Role::Leading { .. } => Some(self.roster.me()),
        }
    }

    /// Notes a change of leader.
    pub(super) fn watch_reign(&mut self) {
        let (leader, serving) = (self.leader(), self.replica.status().serving);
        match self.reign.observe(self.roster.me(), leader, serving) {
            Some(Change::Leader(node)) => {
                self.metrics.leader_changed();
                let name = self.roster.name(node).map(|name| name.as_str());
                info!(leader = name, "another node leads");
            }
            Some(Change::TookOver(silence)) => {
                self.metrics.leader_changed();
                if let Some(silence) = silence {
                    self.metrics.took_over(silence);
                }
                let ballot = self.ballot_word();
                info!(ballot, elapsed_us = silence.map(micros), "this node leads");
            }
            None => {}
        }
    }

    fn gauges(&self) -> Gauges {
        let status = self.replica.status();
        let census = self.census();
        Gauges {
            is_leader: status.serving,
            ballot_round: 0,
            slot_chosen: status.chosen.get(),
            slot_applied: status.applied.get(),
            store_bytes: self.disk.store_bytes(),
            peer_rtts: self
                .roster
                .peers()
                .map(|(_, name)| (name.as_str().to_owned(), self.mesh.rtt(name)))
                .collect(),
            requests_in_flight: self.calls.count() as u64,
            sessions: census.sessions,
            txns_unacked: census.commits_unacked,
            state_hash_mismatches: 0,
            mesh: self.mesh.counters(),
        }
    }

    fn ready(&self) -> Ready {
        let status = self.replica.status();
        let certificate_ends_in_s = self.certificate_ends_at.saturating_sub(unix_seconds());
        Ready {
            quorum: self.quorum(),
            local_read: hold(status.applied == status.chosen, || {
                format!("applied {} of {} chosen slots", status.applied, status.chosen)
            }),
            state_hash: Ok(()),
            certificate: hold(certificate_ends_in_s > 0, || {
                format!("ended {} s ago", certificate_ends_in_s.saturating_neg())
            }),
            disk_full: self.disk.is_full(),
        }
    }

    /// A leader that serves is heard by a quorum, or it would not; others hear a leader.
    fn quorum(&self) -> Found {
        let me = self.roster.me();
        match self.leader() {
            Some(leader) if leader == me => {
                let peers = self.roster.peers();
                let heard =
                    peers.filter(|(node, _)| self.reign.heard_within(*node, HEARD_WITHIN)).count();
                let (heard, quorum) = (heard + 1, self.roster.count() / 2 + 1);
                hold(heard >= quorum, || format!("{heard} nodes are heard, {quorum} are needed"))
            }
            Some(leader) => hold(self.reign.heard_within(leader, HEARD_WITHIN), || {
                "the leader has fallen silent".to_owned()
            }),
            None => Err("no leader is known".to_owned()),
        }
    }

    fn ballot_word(&self) -> String {
        String::new()
    }
}

fn hold(holds: bool, why_not: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(why_not()) }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Following { .. } => "follower",
        Role::Campaigning { .. } => "candidate",
        Role::Leading { .. } => "leader",
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
