//! What ends a reign, and what it counts: a copy of a leader hears words of other ballots.

use synod_paxos::{Ballot, BarrierId, Decree, Input, Life, Message, Output, Role, Slot, Span};

use super::{bounds::Bounds, hash};
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

impl Bounds<'_> {
    /// Votes and confirmations of all others come that are of an earlier ballot of this node. It
    /// may have had that one, or not.
    pub(super) fn answers_are_for_their_ballot(&self, ghost: &Ghost) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let Some(round) = ballot.round().checked_sub(1) else { return Ok(()) };
        let earlier = Ballot::of(round, ballot.owner());
        let others = || ghost.nodes().filter(|other| *other != self.node).map(Life::first);
        let (first, chosen_upto) = (self.peer.chosen_upto().next(), Slot::ZERO);
        let slots = vec![Span { first, last: Slot::new(u64::MAX) }];
        let vote = Message::Accepted { ballot: earlier, slots, chosen_upto };
        let (copy, _) = self.given(others().map(|from| self.word(from, vote.clone())));
        demand!(
            hash(&copy) == hash(self.peer),
            "A3",
            "{} at {ballot} counts votes at {earlier}",
            self.node
        );
        let id = BarrierId(u64::MAX);
        let (mut copy, mut out) = self.given([Input::ReadBarrier(id)]);
        let Some(round) = asked(&out) else { return Ok(()) };
        for from in others() {
            let word = self.word(from, Message::Confirmed { ballot: earlier, round });
            self.give(&mut copy, self.now, word, &mut out);
        }
        demand!(
            out.barriers.iter().all(|barrier| barrier.id != id),
            "A3",
            "{} at {ballot} would confirm a read by what is said of {earlier}",
            self.node
        );
        Ok(())
    }

    /// Somebody reigns above it, of whose campaign it has not heard.
    pub(super) fn a_vote_ends_a_lower_reign(&self, other: Life) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        if self.peer.settled() > self.peer.chosen_upto() {
            return Ok(());
        }
        let (above, slot) = (ballot.raised_by(other), self.peer.settled().next());
        let (decree, chosen_upto) = (Decree::Noop, Slot::ZERO);
        let accept = Message::Accept { ballot: above, slot, decree, chosen_upto };
        let (copy, _) = self.given([self.word(other, accept)]);
        let leads = matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot);
        demand!(
            !leads,
            "D2",
            "{} would lead on at {ballot} when it is asked for a vote at {above}; it promises {}",
            self.node,
            copy.promised()
        );
        Ok(())
    }

    /// The first slot that a reign has not given out turns out to be chosen.
    pub(super) fn a_reign_ends_where_another_has_been(
        &self,
        ghost: &Ghost,
        other: Life,
    ) -> Checked {
        let Role::Leading { ballot, inherited } = self.peer.role() else { return Ok(()) };
        let mut slot = inherited.max(self.peer.chosen_upto()).next();
        while ghost.proposed(slot, ballot).is_some() {
            slot = slot.next();
        }
        let (decrees, chosen_upto) = (vec![(slot, Decree::Noop)], Slot::ZERO);
        let (copy, _) = self.given([self.word(other, Message::Learned { decrees, chosen_upto })]);
        demand!(
            !matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot),
            "C4",
            "{} would lead on at {ballot}, and give out slot {slot}, which it learned",
            self.node
        );
        Ok(())
    }

    /// It has campaigned at a ballot to which it was called, and no more than that is known of what
    /// came of it, as after a start; now the call comes again. A second reign at a ballot could
    /// give a slot out twice.
    pub(super) fn no_call_counts_twice(&self, other: Life) -> Checked {
        let next = self.peer.promised();
        let Some(round) = next.round().checked_sub(1) else { return Ok(()) };
        if next.owner().node != self.node || !matches!(self.peer.role(), Role::Following { .. }) {
            return Ok(());
        }
        let (ballot, chosen_upto) = (Ballot::of(round, other), Slot::ZERO);
        let (copy, _) =
            self.given([self.word(other, Message::HandOver { ballot, next, chosen_upto })]);
        demand!(
            matches!(copy.role(), Role::Following { .. }),
            "D1",
            "{} has campaigned at {next}, and is {:?} when the call to it comes again",
            self.node,
            copy.role()
        );
        Ok(())
    }

    /// Whoever leads or campaigns hears what was long on its way: a leader before it calls it to a
    /// ballot above its own, it is refused a ballot before its own, and its own by one who has
    /// promised no more than that. None of it says that it cannot win.
    pub(super) fn no_late_word_ends_a_reign(&self, other: Life) -> Checked {
        let (Role::Leading { ballot, .. } | Role::Campaigning { ballot }) = self.peer.role() else {
            return Ok(());
        };
        let Some(round) = ballot.round().checked_sub(1) else { return Ok(()) };
        let (earlier, chosen_upto) = (Ballot::of(round, ballot.owner()), Slot::ZERO);
        let next = self.peer.promised().raised_by(ballot.owner());
        for late in [
            Message::HandOver { ballot: Ballot::of(round, other), next, chosen_upto },
            Message::Refused { ballot: earlier, promised: ballot.raised_by(other) },
            Message::Refused { ballot, promised: ballot },
        ] {
            let (copy, _) = self.given([self.word(other, late.clone())]);
            demand!(
                copy.role() == self.peer.role(),
                "D1",
                "{} is {:?}, and would be {:?} by a late {late:?}",
                self.node,
                self.peer.role(),
                copy.role()
            );
        }
        Ok(())
    }

    /// A read arrives, and a quorum confirms the reign at once.
    pub(super) fn reads_wait_for_what_was_acknowledged(&self, ghost: &Ghost) -> Checked {
        let Role::Leading { ballot, inherited } = self.peer.role() else { return Ok(()) };
        let id = BarrierId(u64::MAX);
        let (mut copy, mut out) = self.given([Input::ReadBarrier(id)]);
        // Else another question is under way.
        let Some(round) = asked(&out) else { return Ok(()) };
        for from in ghost.nodes().filter(|other| *other != self.node).map(Life::first) {
            let word = self.word(from, Message::Confirmed { ballot, round });
            self.give(&mut copy, self.now, word, &mut out);
        }
        let upto = inherited.max(self.peer.chosen_upto());
        let served = out.barriers.iter().find(|barrier| barrier.id == id);
        demand!(
            served.is_some_and(|barrier| barrier.upto >= upto),
            "E2",
            "{} would serve a read as of {served:?}; {upto} may have been acknowledged",
            self.node
        );
        Ok(())
    }
}

/// The round that asks whether a reign still stands.
fn asked(out: &Output) -> Option<u64> {
    out.at_once.iter().find_map(|word| match word.message {
        Message::Confirm { round, .. } => Some(round),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use synod_paxos::Envelope;

    use super::{
        super::{
            bounds::Hears,
            tests::{OTHER, leader, said, seen},
        },
        *,
    };

    /// It ends its reign, and is called again.
    #[test]
    fn a_reign_that_a_call_ends_is_seen() {
        let steps_down: Hears = |input| match input {
            Input::Deliver(Envelope { message: Message::HandOver { .. }, .. }) => {
                vec![Input::StepDown, input]
            }
            input => vec![input],
        };
        let leader = leader();
        let check = |bounds: &Bounds<'_>| bounds.no_late_word_ends_a_reign(OTHER);
        assert_eq!(seen(&leader.peer, leader.now, steps_down, check), Some("D1"));
    }

    #[test]
    fn a_reign_that_a_late_refusal_ends_is_seen() {
        let of_its_own: Hears = |input| {
            said(input, |word| {
                if let Message::Refused { ballot, promised } = &mut word.message {
                    *promised = promised.raised_by(OTHER);
                    *ballot = ballot.raised_by(ballot.owner());
                }
            })
        };
        let leader = leader();
        let check = |bounds: &Bounds<'_>| bounds.no_late_word_ends_a_reign(OTHER);
        assert_eq!(seen(&leader.peer, leader.now, of_its_own, check), Some("D1"));
    }
}
