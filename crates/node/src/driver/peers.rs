//! Words from and to peers.

use bytes::Bytes;
use synod_net::{Lane, Name};
use synod_paxos::{Envelope, NodeId};
use synod_replica::{Carried, Checkpoint, Input, Word};
use tracing::{trace, warn};

use super::Driver;

/// Why a frame is nobody's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Its bytes are no envelope, or more than one.
    Malformed,
    /// It claims another sender than its certificate.
    Sender,
    /// It is for somebody else.
    Receiver,
}

impl Foreign {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Foreign::Malformed => "malformed",
            Foreign::Sender => "sender",
            Foreign::Receiver => "receiver",
        }
    }
}

impl Driver {
    /// Steps in a peer's word, if it is one.
    pub(super) fn frame(&mut self, from: &Name, lane: Lane, body: &[u8]) {
        if lane != Lane::Control && self.disk.is_swamped() {
            self.metrics.frame_shed();
            return;
        }
        match self.word_of(from, body) {
            Ok(input) => {
                trace!(peer = %from, bytes = body.len(), "heard");
                self.step(input);
            }
            Err(foreign) => {
                self.metrics.frame_foreign(foreign.as_str());
                if let Some(count) = self.state.foreign_frames.count() {
                    warn!(peer = %from, why = foreign.as_str(), count, "dropped frames");
                }
            }
        }
    }

    /// What a frame says, if its certificate may say it to this node.
    fn word_of(&self, from: &Name, body: &[u8]) -> Result<Input, Foreign> {
        let sender = self.roster.node(from).ok_or(Foreign::Sender)?;
        let (word, rest): (Word, &[u8]) =
            postcard::take_from_bytes(body).map_err(|_| Foreign::Malformed)?;
        if !rest.is_empty() {
            return Err(Foreign::Malformed);
        }
        match word {
            Word::Paxos(envelope) if envelope.from.node != sender => Err(Foreign::Sender),
            Word::Paxos(envelope) if envelope.to != self.roster.me() => Err(Foreign::Receiver),
            Word::Paxos(envelope) => Ok(Input::Peer(envelope)),
            Word::Checkpoint(checkpoint) => Ok(Input::Checkpoint { from: sender, checkpoint }),
            Word::Snapshot(carried) => Ok(Input::Carried { from: sender, carried }),
        }
    }

    /// Carries words to their nodes; those to this node are stepped in before anything else.
    pub(super) fn speak(&mut self, words: Vec<Envelope>) {
        for envelope in words {
            if envelope.to == self.roster.me() {
                self.state.to_self.push_back(Input::Peer(envelope));
            } else if let Some(peer) = self.roster.name(envelope.to) {
                self.send(peer, &Word::Paxos(envelope));
            } else {
                warn!(peer = %envelope.to, "a word to a node that is no voter was dropped");
            }
        }
    }

    /// Tells every other node a digest of the state here.
    pub(super) fn tell(&self, checkpoint: Checkpoint) {
        for (_, peer) in self.roster.peers() {
            self.send(peer, &Word::Checkpoint(checkpoint));
        }
    }

    /// Tells a node something of snapshots.
    pub(super) fn carry(&self, node: NodeId, carried: Carried) {
        if let Some(peer) = self.roster.name(node) {
            self.send(peer, &Word::Snapshot(carried));
        }
    }

    fn send(&self, peer: &Name, word: &Word) {
        match postcard::to_allocvec(word) {
            Ok(bytes) => self.mesh.send(peer, lane_of(word), Bytes::from(bytes)),
            Err(error) => tracing::error!(%error, %peer, "a word could not be encoded"),
        }
    }
}

fn lane_of(word: &Word) -> Lane {
    match word.lane() {
        synod_paxos::Lane::Control => Lane::Control,
        synod_paxos::Lane::Log => Lane::Log,
        synod_paxos::Lane::Bulk => Lane::Bulk,
    }
}
