//! How this node stands, for `status`, the health pages and the gauges.

use std::time::{Duration, Instant};

use synod_machine::door::{NodeStatus, PeerStatus};
use synod_net::Name;
use synod_paxos::{Ballot, NodeId, Role};
use synod_replica::Takeover;
use tracing::{error, info};

use super::{Driver, Question};
use crate::{
    health::{Alive, Ready},
    metrics::Gauges,
    page::Found,
    reign::Change,
    usage,
};

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
        let (status, census) = (self.replica.status(), self.replica.machine().census());
        let now = self.clock.now();
        let name = |node: NodeId| self.roster.name(node).map(|name| name.as_str().to_owned());
        let hashes = self.replica.checkpoints().map(|at| (at.slot.get(), at.hash.0));
        NodeStatus {
            cluster: self.roster.cluster().as_str().to_owned(),
            node: self.roster.own_name().as_str().to_owned(),
            role: role_word(status.role).to_owned(),
            leader: status.leader.and_then(name),
            ballot: self.ballot_word(status.promised),
            chosen_slot: status.chosen.get(),
            applied_slot: status.applied.get(),
            snapshot_slot: status.snapshot.get(),
            trimmed_slot: status.trimmed.get(),
            catching_up: status.fetched,
            revision: self.replica.machine().revision(),
            state_hashes: hashes.collect(),
            hashes_agreed: status.hashes.agreed,
            hashes_differed: status.hashes.differed,
            leading_for_us: status.leading_since.map_or(0, |since| micros(now.since(since))),
            takeover_us: status.takeover.map_or(0, |takeover| micros(takeover.whole())),
            phase_1_us: status.takeover.map_or(0, |takeover| micros(takeover.phase_1)),
            sync_us: self.disk.syncs().median_and_p99(),
            store_bytes: self.disk.store_bytes(),
            disk_full: self.disk.is_full(),
            sessions: census.sessions,
            txns_unacked: census.commits_unacked,
            requests_in_flight: self.calls.count() as u64,
            certificate_ends_in_s: self
                .certificate_ends_at
                .saturating_sub(self.clock.unix_seconds()),
            peers: self.roster.peers().map(|(node, name)| self.peer_status(node, name)).collect(),
            spent: usage::spent(self.state.stages),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn peer_status(&self, node: NodeId, name: &Name) -> PeerStatus {
        let heard = self.replica.peer().heard(node, self.clock.now());
        PeerStatus {
            node: name.as_str().to_owned(),
            heard: heard.is_some_and(|heard| heard.connected),
            rtt_us: self.mesh.rtt(name).map(micros),
            chosen_slot: heard.map_or(0, |heard| heard.standing.chosen_upto.get()),
        }
    }

    /// Notes a change of leader, and a difference between nodes that must never be.
    pub(super) fn watch(&mut self) {
        let status = self.replica.status();
        let change = self.reign.observe(self.roster.me(), status.leader, status.serving);
        match change {
            Some(Change::Leader(node)) => {
                self.metrics.leader_changed();
                let name = self.roster.name(node).map(|name| name.as_str());
                info!(leader = name, "another node leads");
            }
            Some(Change::Serves) => {
                self.metrics.leader_changed();
                if let Some(span) = status.takeover.map(Takeover::whole) {
                    self.metrics.took_over(span);
                }
                let elapsed_us = status.takeover.map(|takeover| micros(takeover.whole()));
                info!(ballot = self.ballot_word(status.promised), elapsed_us, "this node leads");
            }
            Some(Change::Ceased) => info!("this node leads no more"),
            None => {}
        }
        let differed = status.hashes.differed;
        if differed > self.state.hashes_differed {
            self.state.hashes_differed = differed;
            let first = status.hashes.first_difference;
            let slot = first.map(|(_, slot)| slot.get());
            let peer = first.and_then(|(node, _)| self.roster.name(node)).map(|name| name.as_str());
            error!(peer, slot, differed, "the states of two nodes differ; this is a bug");
        }
    }

    fn gauges(&self) -> Gauges {
        let (status, census) = (self.replica.status(), self.replica.machine().census());
        let peer = |name: &Name| {
            let name_word = name.as_str().to_owned();
            (name_word, self.mesh.rtt(name), self.mesh.lost_packets(name))
        };
        let now = self.clock.wall();
        let oldest = self.replica.machine().oldest_unacked();
        Gauges {
            is_leader: status.serving,
            ballot_round: status.promised.round(),
            slot_chosen: status.chosen.get(),
            slot_applied: status.applied.get(),
            slot_snapshot: status.snapshot.get(),
            slot_trimmed: status.trimmed.get(),
            catch_up_chunks: status.fetched.map_or(0, |(here, all)| u64::from(all - here.min(all))),
            store_bytes: self.disk.store_bytes(),
            peers: self.roster.peers().map(|(_, name)| peer(name)).collect(),
            requests_in_flight: self.calls.count() as u64,
            census,
            // The stamp is a leader's, whose clock may be ahead of this one.
            txn_oldest: oldest
                .map_or(Duration::ZERO, |at| Duration::from_millis(now.0.saturating_sub(at.0))),
            state_hash_mismatches: status.hashes.differed,
            words_turned_away: self.replica.peer().turned_away(),
            mesh: self.mesh.counters(),
        }
    }

    fn ready(&self) -> Ready {
        let status = self.replica.status();
        let ends_in_s = self.certificate_ends_at.saturating_sub(self.clock.unix_seconds());
        Ready {
            quorum: self.quorum(),
            local_read: hold(status.applied == status.chosen && status.whole, || {
                let why = if status.whole { "" } else { ", and waits for a snapshot" };
                format!("applied {} of {} chosen slots{why}", status.applied, status.chosen)
            }),
            state_hash: hold(status.hashes.differed == 0, || {
                format!("{} checkpoints of peers differed", status.hashes.differed)
            }),
            certificate: hold(ends_in_s > 0, || {
                format!("it ended {} s ago", ends_in_s.saturating_neg())
            }),
            disk_full: self.disk.is_full(),
        }
    }

    fn quorum(&self) -> Found {
        let peer = self.replica.peer();
        hold(peer.is_connected_to_quorum(self.clock.now()), || {
            "fewer nodes than a quorum, with working disks, answer this one".to_owned()
        })?;
        hold(peer.leader().is_some(), || "no leader is known".to_owned())
    }

    /// `round.node`: the number of the node's name is nobody's business.
    fn ballot_word(&self, ballot: Ballot) -> String {
        let owner = ballot.owner().node;
        match self.roster.name(owner) {
            Some(name) => format!("{}.{name}", ballot.round()),
            None => ballot.to_string(),
        }
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

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
