//! E2 at a copy: a read is confirmed by no answer to what was asked before it came.

use synod_paxos::{
    Barrier, BarrierId, Envelope, Input, Life, Message, NodeId, Output, Peer, Role, Tick,
};

use super::WhatIf;
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// Between two looks at a read that arrives.
const LOOK_EVERY_READS: u64 = 16;

impl WhatIf {
    /// A linearizable read arrives at a node that leads. Answers to what was asked before it came
    /// say nothing about it, and may come at once.
    pub(crate) fn reads(&mut self, ghost: &Ghost, peer: &Peer, node: NodeId, now: Tick) -> Checked {
        let Role::Leading { ballot, .. } = peer.role() else { return Ok(()) };
        let Some(round) = self.rounds.get(&ballot).copied() else { return Ok(()) };
        self.reads += 1;
        if !self.reads.is_multiple_of(LOOK_EVERY_READS) {
            return Ok(());
        }
        let (id, mut copy, mut out) = (BarrierId(u64::MAX), peer.clone(), Output::default());
        copy.step(now, Input::ReadBarrier(id), &mut out);
        for from in ghost.nodes().filter(|other| *other != node).map(Life::first) {
            let message = Message::Confirmed { ballot, round };
            let word = Envelope::of(from, node, message);
            copy.step(now, Input::Deliver(word), &mut out);
        }
        // What a lease vouches for needs no answer.
        let confirmed = |barrier: &Barrier| barrier.id == id && barrier.leased_until.is_none();
        demand!(
            ghost.quorum() == 1 || !out.barriers.iter().any(confirmed),
            "E2",
            "{node} at {ballot} would confirm a read by answers to round {round}, asked before it"
        );
        Ok(())
    }
}
