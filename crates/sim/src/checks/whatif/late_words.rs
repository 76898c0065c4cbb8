//! A3 at a copy: answers that come late are counted for nothing.

use synod_paxos::{Envelope, Input, Message, Output, Peer, Role, Tick};

use super::{WhatIf, at_rest, hash};
use crate::violation::{Checked, demand};

impl WhatIf {
    /// A word arrives. If it answers a ballot at which its hearer asks no more, or a round before
    /// the last one, then nothing that safety rests on may change by it.
    pub(crate) fn heard(&self, peer: &Peer, now: Tick, envelope: &Envelope) -> Checked {
        let own = match peer.role() {
            Role::Following { .. } => None,
            Role::Campaigning { ballot } | Role::Leading { ballot, .. } => Some(ballot),
        };
        let is_late = match &envelope.message {
            Message::Promise { ballot, .. } | Message::Accepted { ballot, .. } => {
                own != Some(*ballot)
            }
            Message::Confirmed { ballot, round } => {
                own != Some(*ballot) || self.rounds.get(ballot).is_some_and(|last| round < last)
            }
            _ => false,
        };
        if !is_late {
            return Ok(());
        }
        let rest = at_rest(peer, now, envelope.to);
        let (mut copy, mut out) = (rest.clone(), Output::default());
        copy.step(now, Input::Deliver(envelope.clone()), &mut out);
        demand!(
            hash(&copy) == hash(&rest) && out.barriers.is_empty(),
            "A3",
            "{} at {own:?} takes a late word in: {:?}",
            envelope.to,
            envelope.message
        );
        Ok(())
    }
}
