//! Words that no honest voter says now, or whose answers come in another order than asked: a copy
//! of a peer hears them.

use synod_paxos::{
    Ballot, BarrierId, Decree, Incarnation, Input, Life, Message, Page, Role, Slot, Write,
};

use super::{bounds::Bounds, hash};
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

impl Bounds<'_> {
    /// A former, or a later, life of a node has another disk: it is no voter. And nobody speaks at
    /// another's ballot.
    pub(super) fn strangers_are_turned_away(&self, other: Life) -> Checked {
        let (peer, node) = (self.peer, self.node);
        let stranger = Life { node: other.node, incarnation: Incarnation::new(2) };
        let ballot = peer.promised().raised_by(stranger);
        let prepare = Message::Prepare { ballot, first: Slot::new(1), holds: Vec::new() };
        let (copy, out) = self.given([self.word(stranger, prepare)]);
        demand!(
            hash(&copy) == hash(peer) && out.durably.writes().is_empty(),
            "B5",
            "{node} heeds {stranger}, which is no voter"
        );
        let ballot = peer.promised().raised_by(Life::first(node));
        let (slot, chosen_upto) = (peer.settled().next(), Slot::ZERO);
        let accept = Message::Accept { ballot, slot, decree: Decree::Noop, chosen_upto };
        let (_, out) = self.given([self.word(other, accept)]);
        demand!(
            !out.durably.writes().iter().any(|write| matches!(write, Write::Accepted { .. })),
            "A2",
            "{node} votes for what {other} proposes at {ballot}, which is another's"
        );
        Ok(())
    }

    /// This node has voted in a slot, and the owner of that ballot, which errs, proposes another
    /// decree there.
    pub(super) fn a_ballot_has_one_decree(
        &self,
        slot: Slot,
        ballot: Ballot,
        voted: &Decree,
    ) -> Checked {
        let decree = match voted {
            Decree::Noop => Decree::Value("another".into()),
            Decree::Value(_) => Decree::Noop,
        };
        let accept = Message::Accept { ballot, slot, decree, chosen_upto: Slot::ZERO };
        let (_, out) = self.given([self.word(ballot.owner(), accept)]);
        let mut words = out.durably.synced().into_iter().chain(out.at_once);
        let votes = words.any(
            |word| matches!(word.message, Message::Accepted { slots, .. } if !slots.is_empty()),
        );
        demand!(
            !votes,
            "A2",
            "{} would say at {ballot} that it has voted for another decree in slot {slot}",
            self.node
        );
        Ok(())
    }

    /// The last pages of all promises come, and not those before.
    pub(super) fn promises_count_when_whole(&self, ghost: &Ghost, far: Slot) -> Checked {
        let Role::Campaigning { ballot } = self.peer.role() else { return Ok(()) };
        let page = || Page {
            first: far,
            upto: None,
            chosen_upto: Slot::ZERO,
            lost_upto: Slot::ZERO,
            reports: Vec::new(),
        };
        let last = |from| self.word(from, Message::Promise { ballot, page: page() });
        let (copy, _) = self.given(ghost.nodes().map(Life::first).map(last));
        demand!(
            matches!(copy.role(), Role::Campaigning { ballot: at } if at == ballot),
            "A4",
            "{} would lead at {ballot} by promises whose first pages have not come",
            self.node
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

    /// A read arrives, and a quorum confirms the reign at once.
    pub(super) fn reads_wait_for_what_was_acknowledged(&self, ghost: &Ghost) -> Checked {
        let Role::Leading { ballot, inherited } = self.peer.role() else { return Ok(()) };
        let id = BarrierId(u64::MAX);
        let (mut copy, mut out) = self.given([Input::ReadBarrier(id)]);
        let asked = out.at_once.iter().find_map(|word| match word.message {
            Message::Confirm { round, .. } => Some(round),
            _ => None,
        });
        // Another question is under way.
        let Some(round) = asked else { return Ok(()) };
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
