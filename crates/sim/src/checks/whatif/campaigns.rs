//! What a campaign makes of promises that hardly ever come so: a copy of a peer hears them as soon
//! as it campaigns, of the others alone; its own promise is still on its way to the disk.

use bytes::Bytes;
use synod_paxos::{Ballot, Decree, Input, Life, Message, Output, Page, Peer, Report, Role, Slot};

use super::bounds::{Bounds, FAR_SLOTS};
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// Further than the window of most universes.
const AHEAD_SLOTS: u64 = 40;

/// A campaign that has just begun, and as many others as make a quorum without its candidate.
pub(super) struct Campaign<'p> {
    bounds: Bounds<'p>,
    ballot: Ballot,
    first: Slot,
    /// The last slot that the candidate may have heard of.
    last: Slot,
    others: Vec<Life>,
}

impl<'p> Campaign<'p> {
    /// The one of this peer; `None` where its own vote is always needed.
    pub(super) fn of(bounds: Bounds<'p>, ballot: Ballot, ghost: &Ghost) -> Option<Campaign<'p>> {
        let others = ghost.nodes().filter(|other| *other != bounds.node).map(Life::first);
        let others: Vec<Life> = others.take(ghost.quorum()).collect();
        let first = bounds.peer.chosen_upto().next();
        let last = ghost.asked(bounds.node).records_from(first).last();
        let last = last.map_or(first, |(slot, _)| slot).max(bounds.peer.settled());
        (others.len() == ghost.quorum()).then_some(Campaign { bounds, ballot, first, last, others })
    }

    /// It goes by what it is told, and by nothing else.
    pub(super) fn goes_by_what_it_is_told(&self) -> Checked {
        self.held_is_ones_own_vote()?;
        self.what_is_lost_is_inherited()?;
        self.who_lost_it_says_nothing()?;
        self.nothing_was_not_chosen()?;
        self.the_highest_vote_is_adopted()?;
        self.what_is_chosen_is_proposed()?;
        self.what_is_learned_is_proposed_no_more()
    }

    /// The vote that somebody says the candidate holds is not the candidate's: the speaker errs, or
    /// the slot was learned in the meantime. It is no answer for that slot, and no more is a record
    /// that cannot be read.
    pub(super) fn held_is_ones_own_vote(&self) -> Checked {
        let held = Report::Held { ballot: Ballot::ZERO };
        for slot in self.own_vote().into_iter().chain([self.last.next()]) {
            for report in [held.clone(), Report::Faulty] {
                let page = Page { reports: vec![(slot, report)], ..self.page() };
                self.waits(&page, &self.page(), "promises of which one is no clean answer")?;
            }
        }
        Ok(())
    }

    /// Somebody knows of one slot more that it is chosen, and nobody what with.
    pub(super) fn what_is_lost_is_inherited(&self) -> Checked {
        self.waits(&self.lost(), &self.page(), "promises of which one lost what nobody else has")
    }

    /// The same, and one of the others has a vote there, at a ballot that may not be the highest.
    pub(super) fn who_lost_it_says_nothing(&self) -> Checked {
        let (ballot, decree) = (Ballot::of(0, self.others[0]), decree());
        let vote = Report::Accepted { ballot, decree };
        let voted = Page { reports: vec![(self.last.next(), vote)], ..self.page() };
        self.waits(&self.lost(), &voted, "one clean answer less than a quorum")
    }

    /// The same, and the candidate, which has promised by now, and all of the others have nothing
    /// there. It cannot be so: some of them errs.
    pub(super) fn nothing_was_not_chosen(&self) -> Checked {
        let (mut copy, mut out) = self.hears(&self.lost(), &self.page());
        let (ballot, page) = (self.ballot, self.page());
        let own =
            self.bounds.word(Life::first(self.bounds.node), Message::Promise { ballot, page });
        self.bounds.give(&mut copy, self.bounds.now, own, &mut out);
        demand!(
            self.is_waiting(&copy),
            "A4",
            "{} would lead at {ballot} and fill slot {}, which somebody knows to be chosen",
            self.bounds.node,
            self.last.next()
        );
        Ok(())
    }

    /// One of the others has a vote where the candidate has none, and the rest another at a lower
    /// ballot, or at a higher one: in whatever order they say so, the lower one is not proposed.
    pub(super) fn the_highest_vote_is_adopted(&self) -> Checked {
        let slot = self.last.next();
        let voted = |owner: Life, decree| {
            let ballot = Ballot::of(0, owner);
            Page { reports: vec![(slot, Report::Accepted { ballot, decree })], ..self.page() }
        };
        let mut owners = [self.others[0], self.others[1]];
        owners.sort();
        let lower = Decree::Value(Bytes::from_static(b"lower, of a copy"));
        let (low, high) = (voted(owners[0], lower.clone()), voted(owners[1], decree()));
        for (first, rest) in [(&low, &high), (&high, &low)] {
            let (_, out) = self.hears(first, rest);
            demand!(
                proposed(&out, slot).as_ref() != Some(&lower),
                "A4",
                "{} at {} is told of two votes in slot {slot}, and adopts the one at {}",
                self.bounds.node,
                self.ballot,
                Ballot::of(0, owners[0])
            );
        }
        Ok(())
    }

    /// Somebody knows what is chosen, so far ahead that the candidate cannot keep it; then a
    /// snapshot brings the candidate as far.
    pub(super) fn what_is_chosen_is_proposed(&self) -> Checked {
        let upto = self.last.plus(FAR_SLOTS);
        let (slot, decree) = (upto.plus(2), decree());
        let chosen = vec![(slot, Report::Chosen { decree: decree.clone() })];
        let far = Page { chosen_upto: upto, reports: chosen, ..self.page() };
        let (mut copy, _) = self.hears(&far, &self.page());
        let mut out = Output::default();
        self.bounds.give(&mut copy, self.bounds.now, Input::Installed(upto), &mut out);
        let told = proposed(&out, slot);
        demand!(
            told == Some(decree),
            "A4",
            "{} at {} was told what is chosen in slot {slot}, and proposes {told:?}",
            self.bounds.node,
            self.ballot
        );
        Ok(())
    }

    /// Somebody has a vote further ahead than a small window goes; before there is room for all
    /// that, the first of what waits for the window turns out to be chosen.
    pub(super) fn what_is_learned_is_proposed_no_more(&self) -> Checked {
        let (ballot, decree) = (Ballot::of(0, self.others[0]), decree());
        let reports = vec![(self.last.plus(AHEAD_SLOTS), Report::Accepted { ballot, decree })];
        let ahead = Page { reports, ..self.page() };
        let (leader, out) = self.hears(&ahead, &self.page());
        let bounds = Bounds { peer: &leader, ..self.bounds };
        bounds.what_is_known_is_proposed_no_more(|slot| proposed(&out, slot), self.others[0])
    }

    /// With these promises it must go on asking.
    fn waits(&self, one: &Page, rest: &Page, what: &str) -> Checked {
        let (copy, _) = self.hears(one, rest);
        demand!(
            self.is_waiting(&copy),
            "A4",
            "{} would lead at {} by {what}: {one:?} and {rest:?}",
            self.bounds.node,
            self.ballot
        );
        Ok(())
    }

    fn is_waiting(&self, copy: &Peer) -> bool {
        matches!(copy.role(), Role::Campaigning { ballot } if ballot == self.ballot)
    }

    /// The promise of one of the others, and those of the rest.
    fn hears(&self, one: &Page, rest: &Page) -> (Peer, Output) {
        let pages = [one].into_iter().chain(std::iter::repeat(rest));
        self.bounds.given(self.others.iter().zip(pages).map(|(from, page)| {
            let (ballot, page) = (self.ballot, page.clone());
            self.bounds.word(*from, Message::Promise { ballot, page })
        }))
    }

    /// A whole promise of somebody who knows no more than the candidate and has no vote.
    fn page(&self) -> Page {
        let (chosen_upto, lost_upto) = (self.bounds.peer.chosen_upto(), Slot::ZERO);
        Page { first: self.first, upto: None, chosen_upto, lost_upto, reports: Vec::new() }
    }

    /// The same of somebody who knows more, and of one slot above that only that it is chosen.
    fn lost(&self) -> Page {
        Page { chosen_upto: self.last, lost_upto: self.last.next(), ..self.page() }
    }

    /// A slot in which the candidate has voted and knows nothing to be chosen: one that it would
    /// report.
    fn own_vote(&self) -> Option<Slot> {
        let (ballot, first) = (self.ballot, self.first);
        let prepare = Message::Prepare { ballot, first, holds: Vec::new() };
        let me = Life::first(self.bounds.node);
        let (_, out) = self.bounds.given([self.bounds.word(me, prepare)]);
        out.durably.synced().into_iter().find_map(|word| {
            let Message::Promise { page, .. } = word.message else { return None };
            let is_vote = |(_, report): &&(Slot, Report)| matches!(report, Report::Accepted { .. });
            page.reports.iter().find(is_vote).map(|(slot, _)| *slot)
        })
    }
}

/// What a step proposes in a slot.
fn proposed(out: &Output, slot: Slot) -> Option<Decree> {
    out.at_once.iter().find_map(|word| match &word.message {
        Message::Accept { slot: at, decree, .. } if *at == slot => Some(decree.clone()),
        _ => None,
    })
}

/// One that nobody in a universe proposes.
fn decree() -> Decree {
    Decree::Value(Bytes::from_static(b"of a copy"))
}
