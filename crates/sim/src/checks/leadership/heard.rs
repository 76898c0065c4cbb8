//! D3: whoever leads has heard a quorum lately, and takes no proposals when none answers it.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, NodeId, Peer};

use super::Times;
use crate::violation::{Checked, demand};

/// When each node last received a word of another.
#[derive(Debug, Default)]
pub(super) struct Heard {
    at: BTreeMap<(NodeId, NodeId), u64>,
}

impl Heard {
    /// A word of another node has arrived.
    pub(super) fn hears(&mut self, at: NodeId, from: NodeId, now: u64) {
        self.at.insert((at, from), now);
    }

    /// A node leads that may take so long to notice that no quorum answers it.
    pub(super) fn by_a_leader(
        &self,
        quorum: usize,
        silence_us: u64,
        node: NodeId,
        times: Times,
    ) -> Checked {
        if times.awake_us < silence_us {
            return Ok(());
        }
        let from = self.at.range((node, NodeId::new(0))..=(node, NodeId::new(u16::MAX)));
        let lately = from.filter(|(_, at)| times.now_us - **at < silence_us).count();
        demand!(
            lately + 1 >= quorum,
            "D3",
            "{node} leads and has heard {lately} others in the last {silence_us} us"
        );
        Ok(())
    }
}

/// A peer leads.
pub(in crate::checks) fn by_whoever_proposes(node: NodeId, ballot: Ballot, peer: &Peer) -> Checked {
    demand!(
        peer.has_quorum() || !peer.may_propose(),
        "D3",
        "{node} leads at {ballot}, no quorum answers it, and it takes proposals"
    );
    Ok(())
}
