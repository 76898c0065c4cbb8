//! The ghost: remembers every vote, proposal and choice there ever was, and asserts the invariants
//! A1-A4 (agreement) and B1-B4, B7 (acceptors) after each event.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::*;

use super::{Disk, Node};

pub(crate) struct Ghost {
    config: Config,
    pub(crate) chosen: BTreeMap<Slot, Decree>,
    /// Durable votes, crashed disks included.
    pub(crate) votes: BTreeMap<(Slot, Ballot), BTreeSet<Node>>,
    pub(crate) proposed: BTreeMap<(Slot, Ballot), Decree>,
    /// What a ghost quorum of durable votes has chosen, and the lowest ballot it was chosen at.
    by_votes: BTreeMap<Slot, (Ballot, Decree)>,
    promised: BTreeMap<Node, Ballot>,
    pub(crate) elected: BTreeMap<Ballot, Node>,
}

impl Ghost {
    pub(crate) fn new(config: Config) -> Ghost {
        Ghost {
            config,
            chosen: BTreeMap::new(),
            votes: BTreeMap::new(),
            proposed: BTreeMap::new(),
            by_votes: BTreeMap::new(),
            promised: BTreeMap::new(),
            elected: BTreeMap::new(),
        }
    }

    pub(crate) fn recovers(&mut self, node: Node, disk: &Disk) {
        if let Some(promised) = disk.promised {
            self.promised.insert(node, promised);
        } else {
            self.promised.remove(&node);
        }
    }

    pub(crate) fn stepped(&mut self, node: Node, peer: &Peer, out: &Output) {
        let before = self.promised.insert(node, peer.promised()).unwrap_or(Ballot::ZERO);
        assert!(peer.promised() >= before, "B1: n{node} promised {before}, then less");
        if let Role::Leading { ballot, .. } = peer.role() {
            assert_eq!(ballot.owner().node.get(), node, "D1: another's ballot");
            self.elected.insert(ballot, node);
        }
        for envelope in &out.at_once {
            match &envelope.message {
                Message::Accept { ballot, slot, decree, chosen_upto } => {
                    self.propose(*slot, *ballot, decree);
                    let window = self.config.window_slots;
                    assert!(*slot <= chosen_upto.plus(window), "D4: {slot} above {chosen_upto}");
                }
                Message::Accepted { slots, .. } => assert!(slots.is_empty(), "B3: unsynced vote"),
                Message::Prepare { .. } | Message::Promise { .. } | Message::Refused { .. } => {
                    panic!("B3: unsynced {:?}", envelope.message)
                }
                _ => {}
            }
        }
        for write in out.durably.writes() {
            if let Write::Accepted { slot, ballot, decree } = write {
                self.propose(*slot, *ballot, decree);
            }
        }
        for chosen in &out.chosen {
            self.choose(node, chosen);
        }
    }

    fn propose(&mut self, slot: Slot, ballot: Ballot, decree: &Decree) {
        let known = self.proposed.entry((slot, ballot)).or_insert_with(|| decree.clone());
        assert_eq!(known, decree, "A2: two decrees in slot {slot} at {ballot}");
        if let Some((at, chosen)) = self.by_votes.get(&slot) {
            assert!(
                ballot <= *at || chosen == decree,
                "A4: slot {slot} chosen at {at}, another proposed at {ballot}"
            );
        }
    }

    fn choose(&mut self, node: Node, chosen: &Chosen) {
        let Chosen { slot, decree } = chosen;
        let known = self.chosen.entry(*slot).or_insert_with(|| decree.clone());
        assert_eq!(known, decree, "A1: n{node} takes another decree for chosen in slot {slot}");
        let (_, by_votes) =
            self.by_votes.get(slot).unwrap_or_else(|| panic!("A3: no quorum voted in slot {slot}"));
        assert_eq!(by_votes, decree, "A3: slot {slot}, n{node}");
    }

    /// A batch became durable.
    pub(crate) fn synced(&mut self, node: Node, writes: &[Write], disk: &Disk) {
        for write in writes {
            let Write::Accepted { slot, ballot, decree } = write else { continue };
            assert!(disk.promised >= Some(*ballot), "B2: voted at {ballot}, promise lower");
            let voters = self.votes.entry((*slot, *ballot)).or_default();
            voters.insert(node);
            if voters.len() >= self.config.members.quorum() {
                self.chosen_by_votes(*slot, *ballot, decree);
            }
        }
    }

    fn chosen_by_votes(&mut self, slot: Slot, ballot: Ballot, decree: &Decree) {
        let known = self.by_votes.entry(slot).or_insert_with(|| (ballot, decree.clone()));
        assert_eq!(known.1, *decree, "A1: two decrees have a quorum in slot {slot}");
        known.0 = known.0.min(ballot);
        let lowest = known.0;
        for ((_, at), other) in self.proposed.range((slot, lowest)..=(slot, self.highest())) {
            assert!(*at <= lowest || other == decree, "A4: slot {slot}: {lowest}, then {at}");
        }
    }

    /// The slots in which a quorum has voted for one decree at one ballot.
    pub(crate) fn by_quorum(&self) -> Vec<Slot> {
        self.by_votes.keys().copied().collect()
    }

    fn highest(&self) -> Ballot {
        Ballot::of(u64::MAX, super::life(u16::MAX))
    }

    /// A sealed word is about to leave: it must say nothing that the disk does not hold.
    pub(crate) fn opened(&mut self, envelope: &Envelope, disk: &Disk) {
        match &envelope.message {
            Message::Prepare { ballot, .. } => {
                assert!(disk.promised >= Some(*ballot), "rule 1: {ballot} is not durable");
            }
            Message::Refused { promised, .. } => {
                assert!(disk.promised >= Some(*promised), "B3: refusal by an unsynced promise");
            }
            Message::Accepted { ballot, slots, .. } => {
                for span in slots {
                    for slot in span.first.get()..=span.last.get() {
                        let voter = envelope.from.node.get();
                        let votes = self.votes.get(&(Slot::new(slot), *ballot));
                        let durable = votes.is_some_and(|voters| voters.contains(&voter));
                        assert!(durable, "B3: unsynced vote in slot {slot} at {ballot}");
                    }
                }
            }
            Message::Promise { ballot, page } => {
                assert!(disk.promised >= Some(*ballot), "B3: unsynced promise {ballot}");
                promises_what_it_holds(*ballot, page, disk);
            }
            _ => {}
        }
    }
}

/// B3 and B7: what a page leaves out is empty, and what it reports is there.
fn promises_what_it_holds(ballot: Ballot, page: &Page, disk: &Disk) {
    let reports: BTreeMap<Slot, &Report> = page.reports.iter().map(|(s, r)| (*s, r)).collect();
    let first = page.first.max(page.chosen_upto.next());
    let held =
        disk.records.range(first..).filter(|(slot, _)| page.upto.is_none_or(|u| **slot <= u));
    for (slot, record) in held {
        match (record, reports.get(slot)) {
            (Record::Accepted { ballot: at, .. }, None) => {
                assert!(*at >= ballot, "B3: vote in slot {slot} at {at} left out of {ballot}");
            }
            // Learned since the page was written, in the same sync.
            (Record::Chosen { .. }, None) => {}
            (Record::Faulty, None) => panic!("B7: slot {slot} is faulty and reported empty"),
            (Record::Accepted { ballot: at, .. }, Some(Report::Faulty)) => {
                assert!(*at >= ballot, "slot {slot} is not faulty");
            }
            (_, Some(_)) => {}
        }
    }
    for (slot, report) in reports {
        if let Report::Accepted { ballot: at, .. } | Report::Held { ballot: at } = report {
            let held = disk.records.get(&slot);
            let there = match held {
                Some(Record::Accepted { ballot: held, .. }) => held >= at,
                Some(Record::Chosen { .. }) => true,
                Some(Record::Faulty) | None => false,
            };
            assert!(there, "B3: reported an unsynced vote in slot {slot} at {at}");
        }
    }
}
