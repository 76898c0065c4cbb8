//! What nodes and participants say, and what may happen to it on the way.

use std::time::Duration;

use bytes::Bytes;
use synod_machine::{
    ParticipantName, Query, Rejection, Reply, Revision,
    door::{self, Call, NodeStatus, Said, Spent},
    participant_door::{self, Info, NoReason, Vote},
};

use super::{NODES, Play, SHARDS, is_no_change};
use crate::wire::{decode, encode};

/// What is asked, as far as scripts tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Anything that names itself.
    Submit,
    OpenSession,
    Settle,
    /// A submit of neither of these without a name.
    Unnamed,
    KeepAlive,
    Read,
    Attend,
    Status,
    HandOver,
    Renew,
    Watch,
    Prepare,
    Finish,
    OtherOfParticipant,
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub(crate) enum Twist {
    None,
    /// It is not heard, and the asker learns that it was lost.
    Lost,
    /// It is done, and the asker learns that the answer was lost.
    DoneAndLost,
    /// It is not heard, and nothing comes back.
    Silence,
    /// It is done, and nothing comes back.
    DoneAndSilence,
    /// It is done, and bytes follow the answer.
    DoneAndSurplus,
    /// It is heard later, and answered.
    Late(Duration),
    /// It is not done, and this is said.
    Say(Box<Said>),
    /// It is not done, and bytes come back that are no answer.
    Garbage,
}

impl Twist {
    pub(crate) fn say(said: Said) -> Twist {
        Twist::Say(Box::new(said))
    }
}

impl Kind {
    pub(super) fn of_node(call: &Call) -> Kind {
        use synod_machine::Command;
        match call {
            Call::Submit(request) => match (&request.command, request.id) {
                (Command::OpenSession { .. }, _) => Kind::OpenSession,
                (Command::Settle { .. }, _) => Kind::Settle,
                (_, Some(_)) => Kind::Submit,
                (_, None) => Kind::Unnamed,
            },
            Call::KeepAlive { .. } => Kind::KeepAlive,
            Call::Read { .. } => Kind::Read,
            Call::Attend { .. } => Kind::Attend,
            Call::Renew { .. } => Kind::Renew,
            Call::Watch { .. } | Call::WatchAny { .. } => Kind::Watch,
            Call::HandOver { .. } => Kind::HandOver,
            Call::Status => Kind::Status,
        }
    }

    pub(super) fn of_participant(call: &participant_door::Call) -> Kind {
        match call {
            participant_door::Call::Prepare { .. } => Kind::Prepare,
            participant_door::Call::Finish { .. } => Kind::Finish,
            _ => Kind::OtherOfParticipant,
        }
    }
}

impl Play {
    pub(super) fn hear(&mut self, address: &str, kind: Kind, body: &Bytes) -> Bytes {
        match kind {
            Kind::Prepare | Kind::Finish | Kind::OtherOfParticipant => {
                let ask: participant_door::Ask = decode(body).unwrap();
                encode(&self.shard_says(address, ask.call))
            }
            _ => {
                let ask: door::Ask = decode(body).unwrap();
                assert!(ask.within_ms > 0);
                encode(&self.node_says(address, ask.call))
            }
        }
    }

    fn node_says(&mut self, address: &str, call: Call) -> Said {
        let name = NODES.iter().find(|name| super::address(name) == address).copied();
        if call == Call::Status {
            return Said::Status(Box::new(self.status(name.unwrap())));
        }
        self.heard.push((address.to_owned(), call.clone()));
        let leads = self.leader == name;
        match call {
            Call::Read { query, freshness: door::Freshness::Stale } => {
                Said::Stale { answer: self.machine.query(&query), age_ms: Some(3) }
            }
            Call::Read { query, freshness: door::Freshness::AtLeast(least) } => {
                let revision = self.machine.revision();
                match revision >= least {
                    true => Said::Answer(self.machine.query(&query)),
                    false => Said::NotApplied(door::NotApplied::Behind { revision }),
                }
            }
            Call::Read { query, freshness: door::Freshness::Nearby } => match self.leader {
                Some(_) => Said::Answer(self.machine.query(&query)),
                None => Said::NotApplied(door::NotApplied::NoQuorum),
            },
            Call::Attend { participant, in_doubt, finished } => {
                Said::Verdicts(self.machine.news_for(&participant, &in_doubt, &finished))
            }
            Call::Watch { interest, after } => {
                let news = self.machine.query(&Query::Changes { interest, after });
                Said::Watched { news, silent_ms: 0 }
            }
            Call::WatchAny { watches } => {
                let news =
                    |(interest, after)| self.machine.query(&Query::Changes { interest, after });
                let news = (0..).zip(watches.into_iter().map(news));
                let news = news.filter(|(_, news)| !is_no_change(news)).collect();
                Said::WatchedAny { news, upto: self.machine.revision(), silent_ms: 0 }
            }
            _ if !leads => Said::NotLeader { leader: self.leader.map(str::to_owned) },
            Call::HandOver { to } => {
                self.leader = NODES.iter().copied().find(|name| *name == to);
                Said::Kept
            }
            Call::Submit(request) => Said::Reply(self.apply(request)),
            Call::Read { query, .. } => Said::Answer(self.machine.query(&query)),
            Call::KeepAlive { session } => {
                if self.machine.live_sessions().any(|(live, ..)| live == session) {
                    Said::Kept
                } else {
                    Said::Reply(Reply::Rejected(Rejection::SessionEnded))
                }
            }
            Call::Renew { lease } => match self.machine.lease_owner(lease) {
                Some(_) => Said::Kept,
                None => Said::Reply(Reply::Rejected(Rejection::LeaseEnded)),
            },
            Call::Status => unreachable!("answered above"),
        }
    }

    fn shard_says(
        &mut self,
        address: &str,
        call: participant_door::Call,
    ) -> participant_door::Said {
        let place = SHARDS.iter().position(|name| super::address(name) == address).unwrap();
        let shard = self.shards.get_mut(address).unwrap();
        match call {
            participant_door::Call::Prepare { txn, work } => {
                let told = shard.told.iter().any(|(told, _)| *told == txn);
                participant_door::Said::Vote(if told || Some(txn.session) <= shard.forgotten {
                    Vote::No { reason: NoReason::Ended }
                } else if work.guards.is_empty() {
                    shard.prepared.push(txn);
                    Vote::Yes { incarnation: shard.store }
                } else {
                    // On this stage a guard never holds.
                    Vote::No { reason: NoReason::GuardFailed { place: place as u32 } }
                })
            }
            participant_door::Call::Finish { txn, verdict } => {
                shard.prepared.retain(|prepared| *prepared != txn);
                shard.told.push((txn, verdict));
                participant_door::Said::Finished
            }
            participant_door::Call::InDoubt => participant_door::Said::InDoubt(Vec::new()),
            participant_door::Call::Info => participant_door::Said::Info(Info {
                name: ParticipantName::new(SHARDS[place]),
                incarnation: shard.store,
                revision: Revision::ZERO,
                in_doubt: shard.prepared.len() as u64,
                held: 0,
                keys: 0,
                committed: 0,
                aborted: 0,
            }),
            _ => participant_door::Said::Refused(door::Refusal::Misuse("not played".to_owned())),
        }
    }

    fn status(&self, name: &str) -> NodeStatus {
        let claims = [self.leader, self.pretender].contains(&Some(name));
        let role = if claims { "leader" } else { "follower" };
        NodeStatus {
            cluster: "stage".to_owned(),
            node: name.to_owned(),
            role: role.to_owned(),
            leader: self.leader.map(str::to_owned),
            ballot: "1.n1".to_owned(),
            chosen_slot: 0,
            applied_slot: 0,
            snapshot_slot: 0,
            trimmed_slot: 0,
            catching_up: None,
            revision: self.machine.revision(),
            state_hashes: Vec::new(),
            hashes_agreed: 0,
            hashes_differed: 0,
            leading_for_us: 0,
            takeover_us: 0,
            phase_1_us: 0,
            sync_us: (0, 0),
            store_bytes: 0,
            disk_full: self.full.contains(&name),
            sessions: 0,
            txns_unacked: self.unacked(),
            requests_in_flight: 0,
            certificate_ends_in_s: 0,
            peers: Vec::new(),
            spent: Spent::default(),
            version: "stage".to_owned(),
        }
    }

    fn unacked(&self) -> u64 {
        match self.machine.query(&Query::Census) {
            synod_machine::Answer::Census(census) => census.commits_unacked,
            _ => 0,
        }
    }
}
