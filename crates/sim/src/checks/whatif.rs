//! What would come of words and decrees that may come at any moment and hardly ever do: a copy of
//! the peer, or of the machine, is given one, and must stay, or end its reign, as the rule says.

mod bounds;
mod campaigns;
mod clusters;
mod confirmed;
mod door;
mod fences;
mod hollow;
mod late_words;
mod listens;
mod names;
mod open_slots;
mod questions;
mod reigns;
mod remains;
mod starts;
mod strangers;
#[cfg(test)]
mod tests;
mod vows;

use std::{collections::BTreeMap, time::Duration};

use synod_machine::Reign;
use synod_paxos::{
    Ballot, Config, Durable, Envelope, Input, Leasing, Life, Members, Message, NodeId, Output,
    Peer, Role, Slot, Tick,
};

use self::{
    bounds::Bounds,
    campaigns::Campaign,
    starts::{RECOVER, Starts},
};
use super::{
    hash,
    leadership::{heard, promised},
};
use crate::{ghost::Ghost, violation::Checked};

/// Between two looks at a leader's open slots.
const LOOK_EVERY_STEPS: u64 = 64;

/// Between two looks at what any peer keeps to.
const LOOK_EVERY_BOUNDS: u64 = 512;

/// Between two looks at what it does in time.
const LOOK_EVERY_WHILE: u64 = 8 * LOOK_EVERY_BOUNDS;

/// What was asked and begun last.
#[derive(Debug, Default)]
pub(crate) struct WhatIf {
    /// The last round in which each reign asked to be confirmed.
    rounds: BTreeMap<Ballot, u64>,
    steps: u64,
    all_steps: u64,
    reads: u64,
    /// The reign that last started in the log.
    reign: Reign,
    /// At which ballot each node last campaigned.
    campaigns: BTreeMap<NodeId, Ballot>,
    /// How long vows last.
    vow: Duration,
}

impl WhatIf {
    /// Where vows last so long.
    pub(crate) fn new(vow: Duration) -> WhatIf {
        WhatIf { vow, ..WhatIf::default() }
    }

    /// A word leaves.
    pub(crate) fn spoken(&mut self, envelope: &Envelope) {
        if let Message::Confirm { ballot, round } = &envelope.message {
            let last = self.rounds.entry(*ballot).or_default();
            *last = (*last).max(*round);
        }
    }

    /// A node starts from its disk, with a state that has come to `applied`.
    pub(crate) fn recovers(config: &Config, durable: &Durable, applied: Slot) -> Checked {
        clusters::no_other_is_one(config, Members::new)?;
        vows::a_start_is_silent(config, durable, RECOVER)?;
        listens::a_start_listens(config, durable, RECOVER)?;
        // What other copies promise they promise at once.
        let leasing = Leasing { asks: false, vow: Duration::ZERO };
        let config = &Config { leasing, ..config.clone() };
        hollow::votes_for_nothing_it_lost(config, durable)?;
        Starts { config, durable, applied, start: RECOVER }.hold()
    }

    /// A node has taken a step.
    pub(crate) fn stepped(
        &mut self,
        ghost: &Ghost,
        peer: &Peer,
        node: NodeId,
        now: Tick,
    ) -> Checked {
        self.all_steps += 1;
        if self.all_steps.is_multiple_of(LOOK_EVERY_BOUNDS) {
            let rest = at_rest(peer, now, node);
            let bounds = Bounds::of(&rest, node, now);
            bounds.hold(ghost)?;
            bounds.leases_are_sound(ghost, self.vow)?;
            if self.all_steps.is_multiple_of(LOOK_EVERY_WHILE) {
                bounds.hold_in_time(ghost)?;
            }
        }
        if let Role::Campaigning { ballot } = peer.role()
            && self.campaigns.insert(node, ballot) != Some(ballot)
        {
            let campaign = Campaign::of(Bounds::of(peer, node, now), ballot, ghost);
            campaign.map_or(Ok(()), |campaign| campaign.goes_by_what_it_is_told())?;
        }
        let Role::Leading { ballot, inherited } = peer.role() else { return Ok(()) };
        if inherited > peer.chosen_upto() && ghost.proposed(inherited, ballot).is_none() {
            let other = ghost.nodes().find(|other| *other != node).map(Life::first);
            let bounds = Bounds::of(peer, node, now);
            let proposed = |slot| ghost.proposed(slot, ballot).cloned();
            let check = |other| bounds.what_is_known_is_proposed_no_more(proposed, other);
            other.map_or(Ok(()), check)?;
        }
        heard::by_whoever_proposes(node, ballot, peer)?;
        promised::is_its_own(node, ballot, peer.promised())?;
        self.steps += 1;
        if !self.steps.is_multiple_of(LOOK_EVERY_STEPS) {
            return Ok(());
        }
        Bounds::of(peer, node, now).an_open_slot_ends_it(ghost, ballot)
    }
}

/// The peer as it is when it has handed out what a snapshot has made gapless. Any word has it do
/// so, also one that says nothing: what a word changes is held against this.
fn at_rest(peer: &Peer, now: Tick, node: NodeId) -> Peer {
    let (ballot, slots, chosen_upto) = (Ballot::ZERO, Vec::new(), Slot::ZERO);
    let message = Message::Accepted { ballot, slots, chosen_upto };
    let word = Envelope::of(Life::first(node), node, message);
    let mut copy = peer.clone();
    copy.step(now, Input::Deliver(word), &mut Output::default());
    copy
}
