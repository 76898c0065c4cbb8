use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Ballot, Decree, Held, Output, Page, Report, Slot, Span, Write,
    learner::Learner,
    limits::{AHEAD_BYTES_MAX, AHEAD_SLOTS_MAX, HELD_RUNS_MAX, PAGE_BYTES_MAX},
};

/// The acceptor: one promise, and one vote per slot above the chosen watermark.
///
/// Invariants: `promised` never falls; every vote's ballot is at most `promised`; a slot's vote is
/// replaced only by one at a higher ballot; memory may be ahead of the disk, never behind a reply.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Acceptor {
    promised: Ballot,
    votes: BTreeMap<Slot, Vote>,
    /// Slots whose record cannot be read: there may have been a vote, at any ballot.
    faulty: BTreeSet<Slot>,
    bytes: usize,
}

/// A decree accepted at a ballot.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Vote {
    pub(crate) ballot: Ballot,
    pub(crate) decree: Decree,
}

impl Acceptor {
    pub(crate) fn new(promised: Ballot) -> Acceptor {
        Acceptor { promised, votes: BTreeMap::new(), faulty: BTreeSet::new(), bytes: 0 }
    }

    /// Takes back a vote from the disk. A vote implies the promise.
    pub(crate) fn recall(&mut self, slot: Slot, vote: Vote) {
        self.promised = self.promised.max(vote.ballot);
        self.keep(slot, vote);
    }

    /// Takes note of a record that cannot be read.
    pub(crate) fn recall_faulty(&mut self, slot: Slot) {
        self.faulty.insert(slot);
    }

    pub(crate) fn promised(&self) -> Ballot {
        self.promised
    }

    pub(crate) fn vote(&self, slot: Slot) -> Option<&Vote> {
        self.votes.get(&slot)
    }

    /// The slots up to `upto` with a vote at exactly `ballot`, and what was voted for.
    pub(crate) fn votes_at(&self, ballot: Ballot, upto: Slot) -> Vec<(Slot, Decree)> {
        let votes = self.votes.range(..=upto).filter(|(_, vote)| vote.ballot == ballot);
        votes.map(|(slot, vote)| (*slot, vote.decree.clone())).collect()
    }

    /// Promises `ballot` (*Paxos Made Simple* §2.2, P1a): false when a higher one is promised.
    pub(crate) fn promise(&mut self, ballot: Ballot, out: &mut Output) -> bool {
        if ballot < self.promised {
            return false;
        }
        if ballot > self.promised {
            self.promised = ballot;
            out.durably.write(Write::Promised { ballot });
        }
        true
    }

    /// Votes for `decree` in `slot` (phase 2b): false when this acceptor must not or cannot. The
    /// caller has seen that the slot lies above the watermark `chosen_upto`.
    ///
    /// A vote implies the promise, in the same batch and before it: an acceptor that accepts at a
    /// ballot and could still promise a lower one would serve two leaders (PMMC).
    pub(crate) fn accept(
        &mut self,
        slot: Slot,
        vote: Vote,
        chosen_upto: Slot,
        out: &mut Output,
    ) -> bool {
        assert!(slot > chosen_upto, "vote for slot {slot}, chosen up to {chosen_upto}");
        if slot.distance_from(chosen_upto) > AHEAD_SLOTS_MAX {
            return false;
        }
        let earlier = self.votes.get(&slot);
        if let Some(same) = earlier.filter(|earlier| earlier.ballot == vote.ballot) {
            // The same word again. One ballot has one decree per slot; another is not ours to take.
            return same.decree == vote.decree;
        }
        let others_bytes = self.bytes - earlier.map_or(0, |earlier| earlier.decree.bytes());
        if others_bytes + vote.decree.bytes() > AHEAD_BYTES_MAX {
            return false;
        }
        if !self.promise(vote.ballot, out) {
            return false;
        }
        let (ballot, decree) = (vote.ballot, vote.decree.clone());
        out.durably.write(Write::Accepted { slot, ballot, decree });
        self.faulty.remove(&slot);
        self.keep(slot, vote);
        true
    }

    /// The slot is known to be chosen: its vote, or the lack of one, no longer matters.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.faulty.remove(&slot);
        if let Some(vote) = self.votes.remove(&slot) {
            self.bytes -= vote.decree.bytes();
        }
    }

    /// The same of every slot up to `upto`.
    pub(crate) fn forget_upto(&mut self, upto: Slot) {
        self.faulty = self.faulty.split_off(&upto.next());
        self.votes = self.votes.split_off(&upto.next());
        self.bytes = self.votes.values().map(|vote| vote.decree.bytes()).sum();
    }

    /// The runs of votes from `first` on, as a campaigner names them.
    pub(crate) fn held(&self, first: Slot) -> Vec<Held> {
        let mut runs: Vec<Held> = Vec::new();
        for (slot, vote) in self.votes.range(first..) {
            let full = runs.len() == HELD_RUNS_MAX;
            match runs.last_mut() {
                Some(run) if run.ballot == vote.ballot && run.slots.last.next() == *slot => {
                    run.slots.last = *slot;
                }
                Some(_) if full => break,
                Some(_) | None => {
                    let slots = Span { first: *slot, last: *slot };
                    runs.push(Held { slots, ballot: vote.ballot });
                }
            }
        }
        runs
    }

    /// One page of what this acceptor holds from `first` on: votes, faults, and what `learner`
    /// knows to be chosen above its watermark. What is trimmed here is chosen, never empty: the
    /// page says so even when the state that it made is lost, and then that it is lost. Votes named
    /// in `holds` go without their decree.
    ///
    /// While the promise stands nothing below its ballot is accepted, so what a page says of a slot
    /// stays true, or becomes *chosen*: pages of different moments fit together.
    pub(crate) fn page(
        &self,
        first: Slot,
        holds: &[Held],
        learner: &Learner,
        slots_max: usize,
    ) -> Page {
        let (chosen_upto, settled) = (learner.upto(), learner.settled());
        let lost_upto = if settled > chosen_upto { settled } else { Slot::ZERO };
        let mut page = Page { first, upto: None, chosen_upto, lost_upto, reports: Vec::new() };
        let mut bytes = 0;
        let from = first.max(chosen_upto.next());
        for slot in self.reported(from, learner) {
            let report = self.report(slot, holds, learner);
            bytes += report_bytes(&report);
            let full = bytes > PAGE_BYTES_MAX || page.reports.len() >= slots_max;
            if let (true, Some((last, _))) = (full, page.reports.last()) {
                page.upto = Some(*last);
                break;
            }
            page.reports.push((slot, report));
        }
        page
    }

    fn reported(&self, from: Slot, learner: &Learner) -> BTreeSet<Slot> {
        let votes = self.votes.range(from..).map(|(slot, _)| *slot);
        let faults = self.faulty.range(from..).copied();
        votes.chain(faults).chain(learner.known_from(from)).collect()
    }

    fn report(&self, slot: Slot, holds: &[Held], learner: &Learner) -> Report {
        if let Some(decree) = learner.known(slot) {
            return Report::Chosen { decree: decree.clone() };
        }
        match self.votes.get(&slot) {
            Some(vote) if holds.iter().any(|held| names(held, slot, vote.ballot)) => {
                Report::Held { ballot: vote.ballot }
            }
            Some(vote) => Report::Accepted { ballot: vote.ballot, decree: vote.decree.clone() },
            None => Report::Faulty,
        }
    }

    fn keep(&mut self, slot: Slot, vote: Vote) {
        self.bytes += vote.decree.bytes();
        if let Some(earlier) = self.votes.insert(slot, vote) {
            self.bytes -= earlier.decree.bytes();
        }
    }
}

fn names(held: &Held, slot: Slot, ballot: Ballot) -> bool {
    held.ballot == ballot && held.slots.first <= slot && slot <= held.slots.last
}

fn report_bytes(report: &Report) -> usize {
    match report {
        Report::Accepted { decree, .. } | Report::Chosen { decree } => decree.bytes(),
        Report::Held { .. } | Report::Faulty => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Life, NodeId};

    fn ballot(round: u64) -> Ballot {
        Ballot::of(round, Life::first(NodeId::new(2)))
    }

    fn vote(round: u64, bytes: usize) -> Vote {
        Vote { ballot: ballot(round), decree: Decree::Value(Bytes::from(vec![7; bytes])) }
    }

    fn accepts(acceptor: &mut Acceptor, slot: u64, vote: Vote) -> bool {
        acceptor.accept(Slot::new(slot), vote, Slot::ZERO, &mut Output::default())
    }

    /// P1a, whoever calls.
    #[test]
    fn nothing_is_accepted_below_the_promise() {
        let mut acceptor = Acceptor::new(ballot(3));
        let mut out = Output::default();
        assert!(!acceptor.accept(Slot::new(1), vote(2, 1), Slot::ZERO, &mut out));
        assert!(!acceptor.promise(ballot(2), &mut out));
        assert!(out.durably.is_empty());
        assert_eq!(acceptor.promised(), ballot(3));
    }

    /// B2: what the disk remembers as accepted was promised too.
    #[test]
    fn a_recalled_vote_implies_its_promise() {
        let mut acceptor = Acceptor::new(ballot(1));
        acceptor.recall(Slot::new(1), vote(4, 1));
        assert_eq!(acceptor.promised(), ballot(4));
    }

    /// Votes above the watermark are bounded in slots and bytes; one vote in place of another
    /// counts its own bytes only.
    #[test]
    fn votes_are_bounded() {
        let mut acceptor = Acceptor::new(Ballot::ZERO);
        assert!(accepts(&mut acceptor, AHEAD_SLOTS_MAX, vote(1, 1)));
        assert!(!accepts(&mut acceptor, AHEAD_SLOTS_MAX + 1, vote(1, 1)));
        assert!(accepts(&mut acceptor, 1, vote(1, AHEAD_BYTES_MAX - 1)));
        assert!(!accepts(&mut acceptor, 2, vote(1, 1)), "full");
        assert!(accepts(&mut acceptor, 1, vote(2, AHEAD_BYTES_MAX - 2)), "in place of the other");
        assert!(accepts(&mut acceptor, 2, vote(2, 1)));
        acceptor.forget(Slot::new(1));
        assert_eq!(acceptor.bytes, 2);
    }

    /// Votes that the campaigner named go without their decree: slot and ballot name it.
    #[test]
    fn a_vote_that_the_campaigner_holds_is_not_sent_again() {
        let (mut ours, mut theirs) = (Acceptor::new(Ballot::ZERO), Acceptor::new(Ballot::ZERO));
        for (slot, round) in [(1, 1), (2, 1), (3, 2), (5, 2)] {
            accepts(&mut ours, slot, vote(round, 1));
        }
        let holds = ours.held(Slot::new(1));
        let run = |first, last, round| Held {
            slots: Span { first: Slot::new(first), last: Slot::new(last) },
            ballot: ballot(round),
        };
        assert_eq!(holds, [run(1, 2, 1), run(3, 3, 2), run(5, 5, 2)]);
        for (slot, round) in [(1, 1), (2, 2), (4, 2)] {
            accepts(&mut theirs, slot, vote(round, 1));
        }
        let page = theirs.page(Slot::new(1), &holds, &Learner::new(Slot::ZERO), 4);
        let told =
            |round| Report::Accepted { ballot: ballot(round), decree: vote(round, 1).decree };
        let expected = [(1, Report::Held { ballot: ballot(1) }), (2, told(2)), (4, told(2))];
        let expected = expected.map(|(slot, report)| (Slot::new(slot), report));
        assert_eq!(page.reports, expected);
    }

    /// Pages are cut at their bytes, continue where the last ended, and leave nothing out.
    #[test]
    fn pages_cover_every_slot_once() {
        let mut acceptor = Acceptor::new(Ballot::ZERO);
        for slot in [1, 2, 3, 7, 9] {
            accepts(&mut acceptor, slot, vote(1, 400_000));
        }
        acceptor.recall_faulty(Slot::new(8));
        let mut slots = Vec::new();
        let mut next = Some(Slot::new(1));
        while let Some(first) = next {
            let page = acceptor.page(first, &[], &Learner::new(Slot::ZERO), 4);
            let bytes: usize = page.reports.iter().map(|(_, report)| report_bytes(report)).sum();
            assert!(bytes <= PAGE_BYTES_MAX);
            slots.extend(page.reports.iter().map(|(slot, _)| slot.get()));
            next = page.upto.map(Slot::next);
        }
        assert_eq!(slots, [1, 2, 3, 7, 8, 9]);
    }
}
