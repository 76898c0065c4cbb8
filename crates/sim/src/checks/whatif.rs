//! What would come of words and decrees that may come at any moment and hardly ever do: a copy of
//! the peer, or of the machine, is given one, and must stay, or end its reign, as the rule says.

mod bounds;
mod campaigns;
mod door;
mod hollow;
mod listens;
mod questions;
mod reigns;
mod remains;
mod starts;
mod strangers;
#[cfg(test)]
mod tests;
mod vows;

use std::{collections::BTreeMap, time::Duration};

use synod_machine::{
    Batch, Command, FenceCause, FenceGuard, Machine, Reign, Rejection, Reply, Request, Seq,
    Timestamp,
};
use synod_paxos::{
    Ballot, Barrier, BarrierId, Config, Decree, Durable, Envelope, Input, Leasing, Life, Message,
    NodeId, Output, Peer, Role, Slot, Tick,
};

use self::{
    bounds::Bounds,
    campaigns::Campaign,
    starts::{RECOVER, Starts},
};
use super::hash;
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// Between two looks at a leader's open slots.
const LOOK_EVERY_STEPS: u64 = 64;

/// Between two looks at what any peer keeps to.
const LOOK_EVERY_BOUNDS: u64 = 512;

/// Between two looks at what it does in time.
const LOOK_EVERY_WHILE: u64 = 8 * LOOK_EVERY_BOUNDS;

/// Between two looks at a read that arrives.
const LOOK_EVERY_READS: u64 = 16;

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

    /// A node starts from its disk, with a state that has come to `applied`.
    pub(crate) fn recovers(config: &Config, durable: &Durable, applied: Slot) -> Checked {
        vows::a_start_is_silent(config, durable, RECOVER)?;
        listens::a_start_listens(config, durable, RECOVER)?;
        // What other copies promise they promise at once.
        let leasing = Leasing { asks: false, vow: Duration::ZERO };
        let config = &Config { leasing, ..config.clone() };
        hollow::votes_for_nothing_it_lost(config, durable)?;
        Starts { config, durable, applied, start: RECOVER }.hold()
    }

    /// A node has taken a step. Where its reign has a slot open, a higher ballot may have chosen
    /// something else there; the reign ends with the word that says so, or the snapshot that covers
    /// it.
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
        demand!(
            peer.has_quorum() || !peer.may_propose(),
            "D3",
            "{node} leads at {ballot}, no quorum answers it, and it takes proposals"
        );
        demand!(
            peer.promised() == ballot,
            "D2",
            "{node} leads at {ballot} and has promised {}",
            peer.promised()
        );
        self.steps += 1;
        if !self.steps.is_multiple_of(LOOK_EVERY_STEPS) {
            return Ok(());
        }
        let slot = peer.chosen_upto().next();
        let Some(own) = ghost.proposed(slot, ballot).filter(|_| ghost.chosen(slot).is_none())
        else {
            return Ok(());
        };
        let other = match own {
            Decree::Noop => Decree::Value("another".into()),
            Decree::Value(_) => Decree::Noop,
        };
        let Some(from) = ghost.nodes().find(|other| *other != node) else { return Ok(()) };
        let message = Message::Learned { decrees: vec![(slot, other)], chosen_upto: Slot::ZERO };
        let from = Life::first(from);
        let word = Envelope::of(from, node, message);
        for input in [Input::Deliver(word), Input::Installed(slot)] {
            let mut copy = peer.clone();
            copy.step(now, input.clone(), &mut Output::default());
            let leads_on = matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot);
            demand!(
                !leads_on,
                "C4",
                "{node} would lead on at {ballot} over its open slot {slot} after {input:?}"
            );
        }
        Ok(())
    }

    /// A request is applied by `machine`. A fence of the reign before may come behind the start of
    /// a new one, adopted from an acceptor that alone had it: it is overruled.
    pub(crate) fn applied(&mut self, request: &Request, machine: &Machine) -> Checked {
        let Command::LeaderStart { reign } = request.command else { return Ok(()) };
        demand!(
            machine.reign() >= reign,
            "F3",
            "{reign:?} has begun, and the log knows {:?}",
            machine.reign()
        );
        let before = std::mem::replace(&mut self.reign, machine.reign());
        let Some((session, _, renewals)) = machine.live_sessions().next() else { return Ok(()) };
        if before == machine.reign() {
            return Ok(());
        }
        let guard = Some(FenceGuard { reign: before, renewals });
        let command = Command::Fence { session, cause: FenceCause::Expired, guard };
        let requests = vec![Request { id: None, acked: Seq::ZERO, command }];
        let results = machine.clone().apply(Batch { stamp: Timestamp(0), requests });
        let reply = results.first().map(|result| &result.reply);
        demand!(
            reply == Some(&Reply::Rejected(Rejection::FenceOverruled)),
            "F3",
            "{session} would end by a fence of {before:?} under {:?}: {reply:?}",
            machine.reign()
        );
        Ok(())
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
