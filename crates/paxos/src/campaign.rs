use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

use crate::{
    Ballot, Decree, NodeId, Page, Report, Slot, Tick, acceptor::Acceptor, learner::Learner,
    limits::AHEAD_SLOTS_MAX,
};

/// Phase 1 over the whole open suffix, once per reign.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) ballot: Ballot,
    /// Whether the leader before has called for it.
    pub(crate) called: bool,
    /// When something last came in; a campaign that stands still gives up.
    pub(crate) progress_at: Tick,
    /// When to ask again those who have not reported everything.
    pub(crate) ask_again_at: Tick,
    first: Slot,
    progress: BTreeMap<NodeId, Progress>,
    /// What is known of each slot that somebody reported.
    evidence: BTreeMap<Slot, Evidence>,
    /// The highest watermark reported: below it decrees are learned, not proposed.
    chosen_upto: Slot,
    /// Of whom knows that slots are chosen and not what with: after which slot, and up to which.
    lost: BTreeMap<NodeId, (Slot, Slot)>,
}

/// How much one acceptor has reported of its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Progress {
    /// The next page begins here.
    Upto(Slot),
    /// Every page arrived: the promise counts.
    Whole,
}

/// What acceptors reported of one slot.
#[derive(Clone, Debug, Default, Hash)]
struct Evidence {
    /// What somebody knows to be chosen there.
    chosen: Option<Decree>,
    /// The vote at the highest ballot (*Paxos Made Simple* §2.2, P2c).
    highest: Option<(Ballot, Decree)>,
    /// Who cannot read what it wrote there.
    faulty: BTreeSet<NodeId>,
}

/// What a finished campaign leaves to its leader.
#[derive(Debug)]
pub(crate) struct Legacy {
    /// Decrees to propose again at the new ballot.
    pub(crate) adopted: BTreeMap<Slot, Decree>,
    /// The last slot that may have been touched before this reign.
    pub(crate) inherited: Slot,
}

impl Campaign {
    /// A campaign at `ballot` for everything from `first` on.
    pub(crate) fn new(ballot: Ballot, first: Slot, now: Tick) -> Campaign {
        Campaign {
            ballot,
            called: false,
            progress_at: now,
            ask_again_at: now,
            first,
            progress: BTreeMap::new(),
            evidence: BTreeMap::new(),
            chosen_upto: Slot::ZERO,
            lost: BTreeMap::new(),
        }
    }

    /// The first slot that `member` has still to report; `None` when its promise is whole.
    pub(crate) fn wants_of(&self, member: NodeId) -> Option<Slot> {
        match self.progress.get(&member) {
            Some(Progress::Whole) => None,
            Some(Progress::Upto(next)) => Some(*next),
            None => Some(self.first),
        }
    }

    /// Whether `member` has reported nothing yet.
    pub(crate) fn is_unheard(&self, member: NodeId) -> bool {
        !self.progress.contains_key(&member)
    }

    /// Takes in one page of `member`'s promise. False when it brings nothing: it leaves a gap to
    /// the pages before, came already, or speaks of slots that nobody can have voted in.
    pub(crate) fn report(&mut self, member: NodeId, page: &Page, acceptor: &Acceptor) -> bool {
        let Some(wanted) = self.wants_of(member) else { return false };
        let fits = page.first <= wanted && page.upto.is_none_or(|upto| upto >= wanted);
        let known = page.chosen_upto.max(page.lost_upto);
        let far = |slot: Slot| slot.distance_from(known) > AHEAD_SLOTS_MAX;
        if !fits || page.reports.iter().any(|(slot, _)| far(*slot)) {
            return false;
        }
        self.chosen_upto = self.chosen_upto.max(page.chosen_upto);
        if page.lost_upto > page.chosen_upto {
            self.lost.insert(member, (page.chosen_upto, page.lost_upto));
        }
        for (slot, report) in &page.reports {
            self.weigh(member, *slot, report, acceptor);
        }
        let progress = page.upto.map_or(Progress::Whole, |upto| Progress::Upto(upto.next()));
        self.progress.insert(member, progress);
        true
    }

    /// Whatever is reported of a slot at all, by a page whose promise is not whole yet too, is a
    /// promise for that slot: to weigh it in early is safe, only *empty* needs whole promises.
    fn weigh(&mut self, member: NodeId, slot: Slot, report: &Report, acceptor: &Acceptor) {
        let evidence = self.evidence.entry(slot).or_default();
        let (ballot, decree) = match report {
            Report::Accepted { ballot, decree } => (*ballot, decree.clone()),
            Report::Held { ballot } => match acceptor.vote(slot) {
                Some(own) if own.ballot == *ballot => (own.ballot, own.decree.clone()),
                // The slot was learned in the meantime, or the speaker errs: not a clean answer.
                Some(_) | None => {
                    evidence.faulty.insert(member);
                    return;
                }
            },
            Report::Faulty => {
                evidence.faulty.insert(member);
                return;
            }
            // Who knows it chosen may have forgotten its vote. The peer learns it too, unless the
            // slot is too far ahead of it: then this report is all that is left.
            Report::Chosen { decree } => {
                evidence.chosen = Some(decree.clone());
                return;
            }
        };
        if evidence.highest.as_ref().is_none_or(|(highest, _)| ballot > *highest) {
            evidence.highest = Some((ballot, decree));
        }
    }

    /// What the reign begins with, once a quorum of promises is whole and every slot is settled.
    ///
    /// A slot is settled when anybody knows it to be chosen, or when a promise quorum gave a
    /// *clean* answer for it: then the vote at the highest ballot is adopted, or, if there is none,
    /// the gap is filled with a no-op. A faulty answer may hide the vote at the highest ballot, so
    /// it counts neither as a vote nor as its absence; and so it is with the answer of one that
    /// knows the slot to be chosen and has lost what with. It may be the only one that knows.
    pub(crate) fn settle(&self, quorum: usize, learner: &Learner) -> Option<Legacy> {
        let whole: BTreeSet<NodeId> = self
            .progress
            .iter()
            .filter(|(_, progress)| **progress == Progress::Whole)
            .map(|(member, _)| *member)
            .collect();
        if whole.len() < quorum {
            return None;
        }
        let known = self.chosen_upto.max(learner.upto());
        let reported = self.evidence.last_key_value().map_or(Slot::ZERO, |(slot, _)| *slot);
        let lost = self.lost.values().map(|(_, upto)| *upto).max().unwrap_or(Slot::ZERO);
        let inherited = known.max(reported).max(lost);
        let mut adopted = BTreeMap::new();
        let mut slot = known;
        while slot < inherited {
            slot = slot.next();
            if learner.knows(slot) {
                continue;
            }
            adopted.insert(slot, self.settle_slot(slot, &whole, quorum)?);
        }
        Some(Legacy { adopted, inherited })
    }

    fn settle_slot(&self, slot: Slot, whole: &BTreeSet<NodeId>, quorum: usize) -> Option<Decree> {
        let unseen = Evidence::default();
        let evidence = self.evidence.get(&slot).unwrap_or(&unseen);
        if let Some(chosen) = &evidence.chosen {
            return Some(chosen.clone());
        }
        let lost = |member: &&NodeId| self.lost(**member, slot);
        let clean = whole.difference(&evidence.faulty).filter(|member| !lost(member));
        if clean.count() < quorum {
            return None;
        }
        match &evidence.highest {
            Some((_, decree)) => Some(decree.clone()),
            // Where somebody knows that something was chosen, nothing is no answer.
            None if self.lost.keys().any(|member| lost(&member)) => None,
            None => Some(Decree::Noop),
        }
    }

    /// Whether `member` knows the slot to be chosen and has lost what with.
    fn lost(&self, member: NodeId, slot: Slot) -> bool {
        self.lost.get(&member).is_some_and(|(known, upto)| *known < slot && slot <= *upto)
    }
}

/// See the one of [`Peer`](crate::Peer).
impl Hash for Campaign {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Campaign { progress_at: _, ask_again_at: _, called: _, ballot, first, .. } = self;
        let Campaign { progress, evidence, chosen_upto, lost, .. } = self;
        (ballot, first, progress, evidence, chosen_upto, lost).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Life, Output, acceptor::Vote};

    fn ballot(round: u64) -> Ballot {
        Ballot::of(round, Life::first(NodeId::new(1)))
    }

    fn page(reports: Vec<(u64, Report)>) -> Page {
        let reports = reports.into_iter().map(|(slot, report)| (Slot::new(slot), report));
        Page {
            first: Slot::new(1),
            upto: None,
            chosen_upto: Slot::ZERO,
            lost_upto: Slot::ZERO,
            reports: reports.collect(),
        }
    }

    /// A held vote stands for the campaigner's own vote at that very ballot; of another ballot it
    /// says nothing that can be used, and is no clean answer.
    #[test]
    fn a_held_report_stands_for_the_own_vote_at_that_ballot_only() {
        let mut own = Acceptor::new(Ballot::ZERO);
        let vote = Vote { ballot: ballot(2), decree: Decree::Value("own".into()) };
        assert!(own.accept(Slot::new(1), vote, Slot::ZERO, &mut Output::default()));
        let learner = Learner::new(Slot::ZERO);
        for (held, adopted) in [(2, Some(Decree::Value("own".into()))), (1, None)] {
            let mut campaign = Campaign::new(ballot(3), Slot::new(1), Tick::ZERO);
            let report = Report::Held { ballot: ballot(held) };
            assert!(campaign.report(NodeId::new(2), &page(vec![(1, report)]), &own));
            let legacy = campaign.settle(1, &learner);
            let settled = legacy.and_then(|legacy| legacy.adopted.get(&Slot::new(1)).cloned());
            assert_eq!(settled, adopted, "held at {held}");
        }
    }

    /// Who knows a slot to be chosen has forgotten its vote there. A campaigner so far behind that
    /// it cannot keep what it is told must not take that for an empty slot: it once filled it with
    /// a no-op beside the chosen decree.
    #[test]
    fn a_chosen_report_settles_a_slot_too_far_ahead_to_be_learned() {
        let own = Acceptor::new(Ballot::ZERO);
        let learner = Learner::new(Slot::ZERO);
        let upto = Slot::new(AHEAD_SLOTS_MAX);
        let slot = upto.plus(2);
        let chosen = Decree::Value("chosen".into());
        assert!(!learner.takes(slot), "too far ahead");
        let report = Report::Chosen { decree: chosen.clone() };
        let page = Page { chosen_upto: upto, ..page(vec![(slot.get(), report)]) };
        let mut campaign = Campaign::new(ballot(3), Slot::new(1), Tick::ZERO);
        assert!(campaign.report(NodeId::new(2), &page, &own));
        let adopted = campaign.settle(1, &learner).map(|legacy| legacy.adopted).unwrap();
        assert_eq!(adopted.get(&slot), Some(&chosen));
        assert_eq!(adopted.get(&upto.next()), Some(&Decree::Noop), "a gap below it");
    }

    /// Of three, one knows that slot 1 is chosen and has lost what with. What the other two say
    /// is clean, and one of them must have voted for it: their highest vote is adopted. One of them
    /// alone does not do, and nothing is never what was chosen.
    ///
    /// Simulator, seed 171: a node started from a snapshot that its log did not know of, the log
    /// was cut off there, and the snapshot decayed. It told every campaign that the slot was
    /// chosen, so nobody proposed it, and nobody could tell what it was.
    #[test]
    fn what_is_lost_where_it_was_known_is_adopted_from_the_others() {
        let own = Acceptor::new(Ballot::ZERO);
        let learner = Learner::new(Slot::ZERO);
        let hollow = Page { lost_upto: Slot::new(1), ..page(vec![]) };
        let decree = Decree::Value("chosen".into());
        let voted = page(vec![(1, Report::Accepted { ballot: ballot(2), decree: decree.clone() })]);
        let settled = |others: &[&Page]| {
            let mut campaign = Campaign::new(ballot(3), Slot::new(1), Tick::ZERO);
            assert!(campaign.report(NodeId::new(1), &hollow, &own));
            for (member, page) in (2..).map(NodeId::new).zip(others) {
                assert!(campaign.report(member, page, &own));
            }
            let legacy = campaign.settle(2, &learner)?;
            Some((legacy.adopted.get(&Slot::new(1)).cloned(), legacy.inherited))
        };
        assert_eq!(settled(&[&voted]), None, "one clean answer of three");
        assert_eq!(settled(&[&voted, &page(vec![])]), Some((Some(decree), Slot::new(1))));
        assert_eq!(settled(&[&page(vec![]), &page(vec![])]), None, "nothing was not chosen");
    }

    /// A promise that reports votes further ahead than any acceptor votes is noise.
    #[test]
    fn a_report_far_ahead_is_not_believed() {
        let own = Acceptor::new(Ballot::ZERO);
        let mut campaign = Campaign::new(ballot(3), Slot::new(1), Tick::ZERO);
        let far = page(vec![(AHEAD_SLOTS_MAX + 1, Report::Faulty)]);
        assert!(!campaign.report(NodeId::new(2), &far, &own));
        assert!(campaign.settle(1, &Learner::new(Slot::ZERO)).is_none());
    }
}
