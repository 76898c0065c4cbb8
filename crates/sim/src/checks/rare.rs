//! Rare states of consensus, seen in words and roles. Nothing is demanded here: a run that never
//! came through them has tested little.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::{
    Ballot, Decree, Envelope, Life, Message, NodeId, Page, Record, Report, Role, Slot, Write,
};
use synod_replica::Status;

use crate::{
    ghost::Ghost,
    plan::SECOND,
    sights::{Sight, Sights},
};

/// Slots that are looked at for one word, so that a far watermark costs no more than a near one.
const LOOKED_AT_MAX: u64 = 64;

/// A disk is not alive with a sync this long under way.
const STALL_US: u64 = SECOND;

/// What each node is, and what was seen.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    roles: BTreeMap<NodeId, (Role, bool)>,
    /// Ballots that a leader has called another to lead at.
    called: BTreeSet<Ballot>,
    pub(crate) seen: Sights,
}

impl Rare {
    /// A node is off: it is nothing any more.
    pub(crate) fn stopped(&mut self, node: NodeId) {
        self.roles.remove(&node);
    }

    /// Whether this node serves, as it was seen last.
    pub(crate) fn serves(&self, node: NodeId) -> bool {
        self.roles.get(&node).is_some_and(|(_, serving)| *serving)
    }

    /// A node has taken a step.
    pub(crate) fn stepped(&mut self, node: NodeId, status: &Status, syncing_us: u64) {
        let before = self.roles.insert(node, (status.role, status.serving));
        let is_new = before.is_none_or(|(role, _)| kind(role) != kind(status.role));
        if let Some((Role::Leading { ballot, .. }, _)) = before
            && matches!(status.role, Role::Following { .. })
        {
            // Whoever was deposed has promised more than its own ballot.
            let deposed = status.promised > ballot;
            self.seen.see(if deposed { Sight::Deposed } else { Sight::Abdicated });
            if syncing_us >= STALL_US {
                self.seen.see(Sight::StalledLeader);
            }
        }
        if !is_new && before.is_some_and(|(_, serving)| serving == status.serving) {
            return;
        }
        let others = || self.roles.iter().filter(|(other, _)| **other != node);
        let leads = others().any(|(_, (role, _))| matches!(role, Role::Leading { .. }));
        let campaigns = others().any(|(_, (role, _))| matches!(role, Role::Campaigning { .. }));
        let serves = others().any(|(_, (_, serving))| *serving);
        match status.role {
            Role::Leading { ballot, .. } if is_new && self.called.contains(&ballot) => {
                self.seen.see(Sight::LeadsAsCalled);
            }
            Role::Leading { .. } if leads => self.seen.see(Sight::TwoLeaders),
            Role::Campaigning { .. } if campaigns => self.seen.see(Sight::TwoCampaigns),
            Role::Campaigning { .. } if leads => self.seen.see(Sight::CampaignUnderLeader),
            Role::Leading { .. } | Role::Campaigning { .. } | Role::Following { .. } => {}
        }
        if status.serving && serves {
            self.seen.see(Sight::TwoServe);
        }
    }

    /// A word leaves its speaker.
    pub(crate) fn spoken(&mut self, ghost: &Ghost, envelope: &Envelope) {
        match &envelope.message {
            Message::Promise { page, .. } => self.promised(envelope, page),
            Message::Accept { ballot, slot, decree, .. } => {
                self.proposed(ghost, *slot, *ballot, decree);
            }
            Message::Refused { ballot, .. } => {
                let leads = |(role, _): &(Role, bool)| match role {
                    Role::Leading { ballot: at, .. } => at == ballot,
                    Role::Campaigning { .. } | Role::Following { .. } => false,
                };
                let owner = self.roles.get(&ballot.owner().node);
                let sight = match owner.is_some_and(leads) {
                    true => Sight::LeaderRefused,
                    false => Sight::CampaignRefused,
                };
                self.seen.see(sight);
            }
            Message::HandOver { next, .. } => {
                self.called.insert(*next);
                self.seen.see(Sight::CalledToLead);
            }
            Message::Learned { decrees, .. } if !decrees.is_empty() => {
                self.seen.see(Sight::Learned);
            }
            _ => {}
        }
    }

    fn promised(&mut self, envelope: &Envelope, page: &Page) {
        if page.upto.is_some() {
            self.seen.see(Sight::ManyPages);
        }
        if page.lost_upto > page.chosen_upto {
            self.seen.see(Sight::LostReported);
        }
        for (_, report) in &page.reports {
            match report {
                Report::Faulty if envelope.from.node == envelope.to => {
                    self.seen.see(Sight::FaultyOwn);
                }
                Report::Faulty => self.seen.see(Sight::FaultyReported),
                Report::Held { .. } => self.seen.see(Sight::HeldReported),
                Report::Chosen { .. } => self.seen.see(Sight::ChosenReported),
                Report::Accepted { .. } => {}
            }
        }
    }

    /// Something is proposed; perhaps it was before, at a lower ballot.
    fn proposed(&mut self, ghost: &Ghost, slot: Slot, ballot: Ballot, decree: &Decree) {
        let mut earlier = ghost.votes_below(slot, ballot);
        if *decree == Decree::Noop {
            if earlier.any(|(at, _)| ghost.proposed(slot, at) != Some(decree)) {
                self.seen.see(Sight::NoopOverVotes);
            }
            return;
        }
        let chosen = ghost.chosen(slot).is_some_and(|(at, _)| *at < ballot);
        let same = earlier.find(|(at, _)| ghost.proposed(slot, *at) == Some(decree));
        match (chosen, same) {
            (true, _) => self.seen.see(Sight::ChosenAdopted),
            (false, Some((_, votes))) if votes < ghost.quorum() => {
                self.seen.see(Sight::MinorityAdopted);
            }
            (false, _) => {}
        }
    }

    /// A word arrives at a node that is up.
    pub(crate) fn heard(&mut self, ghost: &Ghost, envelope: &Envelope, chosen: Slot) {
        let (ballot, upto) = match &envelope.message {
            Message::Watermark { ballot, chosen_upto }
            | Message::Accept { ballot, chosen_upto, .. } => (*ballot, *chosen_upto),
            _ => return,
        };
        let facts = ghost.asked(envelope.to);
        let looked_at = upto.distance_from(chosen).min(LOOKED_AT_MAX);
        let overtaken = (1..=looked_at).map(|ahead| chosen.plus(ahead)).any(|slot| {
            let voted = matches!(facts.record(slot),
                Some(Record::Accepted { ballot: at, .. }) if *at == ballot);
            ghost.proposed(slot, ballot).is_some() && !voted
        });
        if overtaken {
            self.seen.see(Sight::WatermarkFirst);
        }
    }

    /// A fact is asked for, before the ghost knows of it.
    pub(crate) fn asked(&mut self, ghost: &Ghost, life: Life, write: &Write) {
        match write {
            Write::Accepted { slot, ballot, decree } => {
                let before = ghost.asked(life.node).record(*slot);
                if matches!(before, Some(Record::Accepted { ballot: at, decree: first })
                    if at < ballot && first != decree)
                {
                    self.seen.see(Sight::VoteReplaced);
                }
            }
            Write::Chosen { slot, decree } => {
                let own = ghost
                    .proposed_in(*slot)
                    .any(|(ballot, proposed)| ballot.owner() == life && proposed != decree);
                if own {
                    self.seen.see(Sight::OwnLost);
                }
            }
            Write::Promised { .. }
            | Write::ChosenUpto { .. }
            | Write::Trimmed { .. }
            | Write::Marked { .. } => {}
        }
    }

    /// A quorum has voted.
    pub(crate) fn chosen(&mut self, ghost: &Ghost, slot: Slot, ballot: Ballot) {
        if !ghost.voted(ballot.owner(), slot, ballot) {
            self.seen.see(Sight::LeaderVotesLast);
        }
        if !self.roles.contains_key(&ballot.owner().node) {
            self.seen.see(Sight::ChosenWithoutLeader);
        }
        if slot > ghost.upto().next() {
            self.seen.see(Sight::ChosenAboveGap);
        }
    }
}

fn kind(role: Role) -> u8 {
    match role {
        Role::Following { .. } => 0,
        Role::Campaigning { .. } => 1,
        Role::Leading { .. } => 2,
    }
}
