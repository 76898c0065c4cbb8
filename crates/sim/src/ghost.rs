//! What really happened, as only the world can know it: every proposal, every durable vote, and
//! what follows from them. No replica sees it; the checks hold replicas against it.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::{Ballot, Decree, Durable, Life, NodeId, Slot, Write};

use crate::facts::Facts;

/// The ghost state of one universe.
#[derive(Debug)]
pub(crate) struct Ghost {
    quorum: usize,
    disks: BTreeMap<NodeId, Sides>,
    proposed: BTreeMap<(Slot, Ballot), Decree>,
    votes: BTreeMap<(Slot, Ballot), BTreeSet<Life>>,
    chosen: BTreeMap<Slot, (Ballot, Decree)>,
    upto: Slot,
}

/// A node's facts on both sides of its disk.
#[derive(Debug, Default)]
struct Sides {
    /// What a crash cannot take.
    durable: Facts,
    /// What the node has asked for, durable or not.
    asked: Facts,
    /// Where its log began before the last sync: words that this sync released may be older than
    /// what was trimmed with it.
    trimmed_before: Slot,
    /// The promise of then: whatever this sync released was said after it was made.
    promised_before: Option<Ballot>,
    /// Records that have ever decayed.
    decayed: BTreeSet<Slot>,
    /// Those that did since the node stopped: whatever was on its way to the disk then, too.
    decayed_since: BTreeSet<Slot>,
    /// What may be on the disk instead: of a batch that was under way when the node stopped,
    /// nothing may tell whether it is there, as long as a watermark covers it.
    doubts: Vec<Facts>,
    /// The same of a node that starts, until its store has been opened.
    doubts_at_start: Vec<Facts>,
}

impl Sides {
    /// Whatever may be on the disk.
    fn held(&mut self) -> impl Iterator<Item = &mut Facts> {
        std::iter::once(&mut self.durable).chain(&mut self.doubts)
    }
}

/// A disk gave back something else than what it was given.
#[derive(Debug)]
pub(crate) struct OtherFacts;

impl Ghost {
    /// Before anything has happened, among `voters`.
    pub(crate) fn new(voters: &[Life]) -> Ghost {
        Ghost {
            quorum: voters.len() / 2 + 1,
            disks: voters.iter().map(|life| (life.node, Sides::default())).collect(),
            proposed: BTreeMap::new(),
            votes: BTreeMap::new(),
            chosen: BTreeMap::new(),
            upto: Slot::ZERO,
        }
    }

    /// How many voters choose.
    pub(crate) fn quorum(&self) -> usize {
        self.quorum
    }

    /// All voters.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.disks.keys().copied()
    }

    /// What a crash cannot take from `node`.
    pub(crate) fn durable(&self, node: NodeId) -> &Facts {
        &self.sides(node).durable
    }

    /// What `node` has asked its disk for.
    pub(crate) fn asked(&self, node: NodeId) -> &Facts {
        &self.sides(node).asked
    }

    /// Whether `slot` is gone from some log.
    pub(crate) fn trimmed_above(&self, slot: Slot) -> bool {
        self.disks.values().any(|sides| sides.durable.trimmed() >= slot)
    }

    /// Where the log of `node` began when the words were said that its last sync released.
    pub(crate) fn trimmed_before(&self, node: NodeId) -> Slot {
        self.sides(node).trimmed_before
    }

    /// What `node` had promised, durably so, when the words were said that its last sync released.
    pub(crate) fn promised_before(&self, node: NodeId) -> Ballot {
        self.sides(node).promised_before.unwrap_or(Ballot::ZERO)
    }

    /// Facts are about to become durable.
    pub(crate) fn begin_sync(&mut self, node: NodeId) {
        let sides = self.sides_mut(node);
        sides.trimmed_before = sides.durable.trimmed();
        sides.promised_before = Some(sides.durable.promised());
    }

    /// What is proposed for `slot` at `ballot`.
    pub(crate) fn proposed(&self, slot: Slot, ballot: Ballot) -> Option<&Decree> {
        self.proposed.get(&(slot, ballot))
    }

    /// What is proposed for `slot` at ballots above `ballot`.
    pub(crate) fn proposed_above(
        &self,
        slot: Slot,
        ballot: Ballot,
    ) -> impl Iterator<Item = (Ballot, &Decree)> {
        let slots =
            self.proposed.range((slot, ballot)..).take_while(move |((at, _), _)| *at == slot);
        slots.map(|((_, at), decree)| (*at, decree)).filter(move |(at, _)| *at > ballot)
    }

    /// What is proposed for `slot`, at any ballot.
    pub(crate) fn proposed_in(&self, slot: Slot) -> impl Iterator<Item = (Ballot, &Decree)> {
        let slots = self.proposed.range((slot, Ballot::ZERO)..);
        slots.take_while(move |((at, _), _)| *at == slot).map(|((_, at), decree)| (*at, decree))
    }

    /// How many votes for `slot` were ever durable at each ballot below `ballot`.
    pub(crate) fn votes_below(
        &self,
        slot: Slot,
        ballot: Ballot,
    ) -> impl Iterator<Item = (Ballot, usize)> {
        let votes = self.votes.range((slot, Ballot::ZERO)..(slot, ballot));
        votes.map(|((_, at), lives)| (*at, lives.len()))
    }

    /// Whether this very vote was ever durable.
    pub(crate) fn voted(&self, life: Life, slot: Slot, ballot: Ballot) -> bool {
        self.votes.get(&(slot, ballot)).is_some_and(|lives| lives.contains(&life))
    }

    /// What is chosen in `slot`, and the lowest ballot at which a quorum was seen to vote for it.
    pub(crate) fn chosen(&self, slot: Slot) -> Option<&(Ballot, Decree)> {
        self.chosen.get(&slot)
    }

    /// The last slot of the gapless chosen prefix.
    pub(crate) fn upto(&self) -> Slot {
        self.upto
    }

    /// A decree is proposed. Whatever was proposed there before stays, for the check to see.
    pub(crate) fn propose(&mut self, slot: Slot, ballot: Ballot, decree: &Decree) {
        self.proposed.entry((slot, ballot)).or_insert_with(|| decree.clone());
    }

    /// A node asks its disk for a fact.
    pub(crate) fn ask(&mut self, node: NodeId, write: &Write) {
        self.sides_mut(node).asked.apply(write);
    }

    /// A fact has become durable: what is chosen by it, if it was the vote that decided.
    pub(crate) fn sync(&mut self, life: Life, write: &Write) -> Option<(Slot, Ballot, Decree)> {
        self.sides_mut(life.node).held().for_each(|facts| facts.apply(write));
        let Write::Accepted { slot, ballot, decree } = write else { return None };
        let lives = self.votes.entry((*slot, *ballot)).or_default();
        let decides = lives.insert(life) && lives.len() == self.quorum;
        decides.then(|| (*slot, *ballot, decree.clone()))
    }

    /// The store of `node` has been opened, and all that survived is durable.
    pub(crate) fn opened(&mut self, node: NodeId) {
        let sides = self.sides_mut(node);
        sides.durable = sides.asked.clone();
        sides.doubts = std::mem::take(&mut sides.doubts_at_start);
    }

    /// The record of a slot has decayed on `node`'s disk; the node learns of it at its next start.
    pub(crate) fn rot(&mut self, node: NodeId, slot: Slot, is_up: bool) {
        let sides = self.sides_mut(node);
        sides.held().for_each(|facts| facts.damage(slot));
        if !is_up {
            sides.decayed_since.insert(slot);
        }
        sides.decayed.insert(slot);
    }

    /// Whether the record of a slot ever decayed on `node`'s disk.
    pub(crate) fn decayed(&self, node: NodeId, slot: Slot) -> bool {
        self.sides(node).decayed.contains(&slot)
    }

    /// A decree is chosen. The first one stays, for the check to see; lower ballots replace the
    /// ballot, since what was chosen at a ballot binds every one above it.
    pub(crate) fn choose(&mut self, slot: Slot, ballot: Ballot, decree: Decree) {
        let entry = self.chosen.entry(slot).or_insert((ballot, decree));
        entry.0 = entry.0.min(ballot);
        while self.chosen.contains_key(&self.upto.next()) {
            self.upto = self.upto.next();
        }
    }

    /// A node starts from `found`. With `in_flight` on its way to the disk when the node crashed,
    /// all of it may be there or none: those facts that have become durable are returned.
    pub(crate) fn recover(
        &mut self,
        node: NodeId,
        in_flight: &[Write],
        found: &Durable,
    ) -> Result<bool, OtherFacts> {
        let sides = self.sides_mut(node);
        let decayed = std::mem::take(&mut sides.decayed_since);
        let mut may_be = Vec::new();
        for without in std::iter::once(&sides.durable).chain(&sides.doubts) {
            let mut with = without.clone();
            in_flight.iter().for_each(|write| with.apply(write));
            decayed.iter().for_each(|slot| with.damage(*slot));
            for (mut facts, survived) in [(with, true), (without.clone(), false)] {
                facts.open();
                if facts.durable() == *found && !may_be.iter().any(|(other, _)| *other == facts) {
                    may_be.push((facts, survived));
                }
            }
        }
        let mut may_be = may_be.into_iter();
        let (facts, survived) = may_be.next().ok_or(OtherFacts)?;
        sides.doubts_at_start = may_be.map(|(facts, _)| facts).collect();
        sides.asked = facts;
        Ok(survived)
    }

    fn sides(&self, node: NodeId) -> &Sides {
        self.disks.get(&node).expect("every voter has a disk")
    }

    fn sides_mut(&mut self, node: NodeId) -> &mut Sides {
        self.disks.get_mut(&node).expect("every voter has a disk")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Life = Life::first(NodeId::new(1));

    fn vote(slot: u64) -> Write {
        let ballot = Ballot::first(LIFE);
        Write::Accepted { slot: Slot::new(slot), ballot, decree: Decree::Noop }
    }

    /// Below a watermark nothing tells whether a batch in flight has made chosen records of votes;
    /// above damage something does, a write later. Both are what may be on the disk, and nothing
    /// else is. (In universe 38399 the ghost had made up its mind, and the disk was blamed.)
    #[test]
    fn what_nothing_tells_stays_in_doubt() {
        let chosen = Write::Chosen { slot: Slot::new(2), decree: Decree::Noop };
        for survived in [false, true] {
            let (mut ghost, mut disk) = (Ghost::new(&[LIFE]), Facts::default());
            for write in [vote(1), vote(2), Write::ChosenUpto { slot: Slot::new(2) }] {
                ghost.sync(LIFE, &write);
                disk.apply(&write);
            }
            let restart = |ghost: &mut Ghost, disk: &mut Facts, in_flight: &[Write]| {
                disk.open();
                let recovered = ghost.recover(LIFE.node, in_flight, &disk.durable());
                if let Ok(true) = recovered {
                    in_flight.iter().for_each(|write| drop(ghost.sync(LIFE, write)));
                }
                ghost.opened(LIFE.node);
                recovered.is_ok()
            };
            if survived {
                disk.apply(&chosen);
            }
            assert!(restart(&mut ghost, &mut disk, std::slice::from_ref(&chosen)));
            ghost.rot(LIFE.node, Slot::new(1), true);
            disk.damage(Slot::new(1));
            assert!(restart(&mut ghost, &mut disk, &[]));
            let write = Write::Promised { ballot: Ballot::first(LIFE) };
            ghost.sync(LIFE, &write);
            disk.apply(&write);
            let told = matches!(disk.durable().records[1].1, synod_paxos::Record::Chosen { .. });
            assert_eq!(told, survived);
            assert!(restart(&mut ghost, &mut disk, &[]), "survived: {survived}");
            disk.apply(&vote(3));
            assert!(!restart(&mut ghost, &mut disk, &[]), "nobody asked for that");
        }
    }
}
