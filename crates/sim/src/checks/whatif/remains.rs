//! What is left of what was: of a reign that a snapshot goes beyond, of decrees that one covers, of
//! another ballot's watermark, of what a reign was still to propose. A copy is asked.

use synod_paxos::{Ballot, Decree, Envelope, Input, Life, Message, Output, Role, Slot, Standing};

use super::{
    bounds::{Bounds, FAR_SLOTS, well},
    hash,
};
use crate::violation::{Checked, demand};

impl Bounds<'_> {
    /// A snapshot goes beyond all that a reign has given out: others have led meanwhile, and what
    /// they chose is not this reign's to propose over.
    pub(super) fn a_snapshot_beyond_a_reign_ends_it(&self) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let beyond = self.peer.settled().plus(FAR_SLOTS);
        let (copy, _) = self.given([Input::Installed(beyond)]);
        demand!(
            !matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot),
            "C4",
            "{} would lead on at {ballot} after a snapshot of {beyond}, which it never came to",
            self.node
        );
        Ok(())
    }

    /// What it remembers of the log ends where a snapshot takes its place: of what that covers it
    /// has no decree to tell.
    pub(super) fn nothing_below_a_snapshot_is_told(&self, other: Life) -> Checked {
        let upto = self.peer.settled().plus(FAR_SLOTS);
        let mut wrong = None;
        // One decree or many may be remembered: the last slot, and some before it.
        for first in [upto, Slot::new(upto.get() - 1), Slot::new(upto.get() - 7)] {
            let ask = self.word(other, Message::Ask { first, upto });
            let (_, out) = self.given([Input::Installed(upto), ask]);
            wrong = wrong.or(out.at_once.into_iter().find(|word| {
                let told = |decrees: &[_]| word.to == other.node && !decrees.is_empty();
                matches!(&word.message, Message::Learned { decrees, .. } if told(decrees))
            }));
        }
        demand!(
            wrong.is_none(),
            "C4",
            "{} would tell of what a snapshot of {upto} covers: {wrong:?}",
            self.node
        );
        Ok(())
    }

    /// The one that was promised asks for a vote and says nothing of what is chosen. Another says
    /// that far more is: at a ballot of its own above, or, erring, at that very one.
    pub(super) fn a_watermark_is_of_its_ballot_and_owner(&self, others: &[Life]) -> Checked {
        let (promised, slot) = (self.peer.promised(), self.peer.settled().next());
        let owner = promised.owner();
        let Some(other) = others.iter().find(|other| **other != owner) else { return Ok(()) };
        if promised == Ballot::ZERO || owner.node == self.node {
            return Ok(());
        }
        let chosen_upto = Slot::ZERO;
        let accept = Message::Accept { ballot: promised, slot, decree: Decree::Noop, chosen_upto };
        let accept = self.word(owner, accept);
        let (alone, _) = self.given([accept.clone()]);
        let above = self.beat(*other, promised.raised_by(*other));
        let same = self.beat(*other, promised);
        for told in [[above, accept.clone()], [accept, same]] {
            let (copy, _) = self.given(told);
            demand!(
                copy.chosen_upto() <= alone.chosen_upto(),
                "C4",
                "{} would take its vote in slot {slot} at {promised} for chosen, as {other} says",
                self.node
            );
        }
        Ok(())
    }

    /// A reign tells of a slot as chosen: it may have learned that, long deposed, of a reign far
    /// above it. What a reign between the two proposed there was not chosen, and a vote for that is
    /// not what the watermark covers.
    pub(super) fn no_earlier_watermark_covers_a_vote(&self, other: Life) -> Checked {
        let (slot, early) = (self.peer.settled().next(), self.peer.promised().raised_by(other));
        let between = early.raised_by(other);
        let accept = Message::Accept {
            ballot: between,
            slot,
            decree: Decree::Noop,
            chosen_upto: Slot::ZERO,
        };
        let accept = self.word(other, accept);
        let (alone, _) = self.given([accept.clone()]);
        let (copy, _) = self.given([self.watermark(other, early, slot), accept]);
        demand!(
            copy.chosen_upto() <= alone.chosen_upto(),
            "C4",
            "{} would take its vote in slot {slot} at {between} for chosen, as {early} said",
            self.node
        );
        Ok(())
    }

    /// A reign has told its watermark; what it told before that, and what one below it told, come
    /// late.
    pub(super) fn no_late_watermark_takes_one_back(&self, other: Life) -> Checked {
        let (upto, early) = (self.peer.settled().next(), self.peer.promised().raised_by(other));
        let reign = early.raised_by(other);
        let told = self.watermark(other, reign, upto);
        let (alone, _) = self.given([told.clone()]);
        for late in [reign, early] {
            let (copy, _) = self.given([told.clone(), self.watermark(other, late, Slot::ZERO)]);
            demand!(
                hash(&copy) == hash(&alone),
                "C4",
                "{} would forget that {reign} has told of {upto}, by what {late} told before",
                self.node
            );
        }
        Ok(())
    }

    fn watermark(&self, from: Life, ballot: Ballot, chosen_upto: Slot) -> Input {
        self.word(from, Message::Watermark { ballot, chosen_upto })
    }

    /// Somebody says that it reigns at `reign`, and knows of more than anybody.
    fn beat(&self, from: Life, reign: Ballot) -> Input {
        let upto = self.peer.settled().plus(FAR_SLOTS);
        let standing = Standing { promised: reign, reign: Some(reign), ..well(upto) };
        self.word(from, Message::Heartbeat { round: 1, standing })
    }

    /// A reign has still to propose what it adopted, and learns what was chosen there: it proposes
    /// nothing there any more, for its watermark covers that. It is told of what it has `proposed`,
    /// too.
    pub(super) fn what_is_known_is_proposed_no_more(
        &self,
        proposed: impl Fn(Slot) -> Option<Decree>,
        other: Life,
    ) -> Checked {
        let Role::Leading { ballot, inherited } = self.peer.role() else { return Ok(()) };
        let first = self.peer.chosen_upto().next();
        let (mut decrees, mut slot) = (Vec::new(), first);
        while let Some(own) = proposed(slot) {
            decrees.push((slot, own));
            slot = slot.next();
        }
        if slot > inherited {
            return Ok(());
        }
        decrees.push((slot, Decree::Value("another".into())));
        let told = self.word(other, Message::Learned { decrees, chosen_upto: Slot::ZERO });
        let (_, out) = self.given([told]);
        let again = out
            .at_once
            .iter()
            .find(|word| matches!(&word.message, Message::Accept { slot: at, .. } if *at == slot));
        demand!(
            again.is_none(),
            "C4",
            "{} at {ballot} has learned slot {slot} and would say {again:?}",
            self.node
        );
        Ok(())
    }

    /// Words for another node, and of another epoch.
    pub(super) fn what_is_not_for_it_changes_nothing(&self, other: Life) -> Checked {
        let epoch = postcard::from_bytes(&[1]).expect("an epoch is a number");
        let above = self.peer.promised().raised_by(other);
        let slot = self.peer.settled().next();
        let accept =
            Message::Accept { ballot: above, slot, decree: Decree::Noop, chosen_upto: slot };
        let right = Envelope::of(other, self.node, accept);
        let elsewhere = Envelope { to: other.node, ..right.clone() };
        let other_times = Envelope { epoch, ..right };
        for word in [elsewhere, other_times] {
            let (copy, out) = self.given([Input::Deliver(word.clone())]);
            demand!(
                hash(&copy) == hash(self.peer) && is_silent(&out),
                "B5",
                "{} heeds {word:?}",
                self.node
            );
        }
        Ok(())
    }
}

fn is_silent(out: &Output) -> bool {
    out.durably.is_empty() && out.at_once.is_empty() && out.chosen.is_empty()
}

#[cfg(test)]
mod tests {
    use synod_paxos::Tick;

    use super::{
        super::{
            bounds::Hears,
            tests::{OTHER, follower, said, seen},
        },
        *,
    };

    /// What one reign said is heard as a word of every other.
    #[test]
    fn a_vote_that_an_earlier_watermark_covers_is_seen() {
        let of_the_next: Hears = |input| {
            said(input, |word| {
                if let Message::Watermark { ballot, .. } = &mut word.message {
                    *ballot = ballot.raised_by(ballot.owner());
                }
            })
        };
        let check = |bounds: &Bounds<'_>| bounds.no_earlier_watermark_covers_a_vote(OTHER);
        assert_eq!(seen(&follower([]), Tick::ZERO, of_the_next, check), Some("C4"));
    }

    #[test]
    fn a_watermark_that_a_late_one_moves_is_seen() {
        let of_a_later: Hears = |input| {
            said(input, |word| {
                if let Message::Watermark { ballot, chosen_upto } = &mut word.message
                    && *chosen_upto == Slot::ZERO
                {
                    *ballot = Ballot::of(ballot.round() + 8, OTHER);
                }
            })
        };
        let check = |bounds: &Bounds<'_>| bounds.no_late_watermark_takes_one_back(OTHER);
        assert_eq!(seen(&follower([]), Tick::ZERO, of_a_later, check), Some("C4"));
    }
}
