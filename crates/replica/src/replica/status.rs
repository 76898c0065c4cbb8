use synod_paxos::{Ballot, NodeId, Role, Slot, Tick};

use super::Replica;
use crate::{Takeover, Tally};

/// How a replica stands, for status, health and metrics. What a peer was last heard to say is
/// [`Peer::heard`](synod_paxos::Peer::heard)'s, how much the machine holds
/// [`Machine::census`](synod_machine::Machine::census)'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its peer's role.
    pub role: Role,
    /// Whom it takes for the leader, itself included: a hint.
    pub leader: Option<NodeId>,
    /// Whether it leads and has applied all it inherited.
    pub serving: bool,
    /// The highest ballot it promised.
    pub promised: Ballot,
    /// Everything up to this slot is chosen.
    pub chosen: Slot,
    /// Everything up to this slot is applied.
    pub applied: Slot,
    /// The slot of the newest snapshot here, or zero.
    pub snapshot: Slot,
    /// Everything up to this slot is gone from the log.
    pub trimmed: Slot,
    /// Whether the state here is that of everything known to be chosen; it is not after snapshots
    /// were lost, until one has come from a peer.
    pub whole: bool,
    /// Chunks of a snapshot that is being fetched: how many are here, and of how many.
    pub fetched: Option<(u32, u32)>,
    /// Since when it leads.
    pub leading_since: Option<Tick>,
    /// From when the last leader was missed until this node served in its place, the last time that
    /// it did.
    pub takeover: Option<Takeover>,
    /// What comparing digests with other nodes has shown.
    pub hashes: Tally,
    /// Calls that wait for an answer, of whatever kind.
    pub calls: usize,
    /// Requests that wait to be proposed.
    pub requests_queued: usize,
    /// Their bytes.
    pub bytes_queued: usize,
    /// Requests that wait to be chosen and applied.
    pub requests_proposed: usize,
    /// Chosen decrees that no honest node proposes, skipped on every node alike.
    pub malformed: u64,
}

impl Replica {
    /// How it stands.
    pub fn status(&self) -> Status {
        Status {
            role: self.peer.role(),
            leader: self.peer.leader(),
            serving: self.reign.is_serving(),
            promised: self.peer.promised(),
            chosen: self.peer.chosen_upto(),
            applied: self.state.applied,
            snapshot: self.snapshots.newest().unwrap_or(Slot::ZERO),
            trimmed: self.peer.trimmed(),
            whole: self.state.applied >= self.peer.settled(),
            fetched: self.snapshots.fetching.map(|fetching| (fetching.next, fetching.count)),
            leading_since: self.reign.since(),
            takeover: self.absence.takeover(),
            hashes: self.state.checkpoints.tally(),
            calls: self.calls.count(),
            requests_queued: self.queue.count(),
            bytes_queued: self.queue.bytes(),
            requests_proposed: self.proposed.count(),
            malformed: self.state.malformed,
        }
    }
}
