//! Words that no honest voter says now: a copy of a peer hears them.

use synod_paxos::{
    Ballot, Decree, Envelope, Held, Incarnation, Input, Life, Mark, Marks, Message, Page, Report,
    Role, Slot, Span, Write,
};

use super::{bounds::Bounds, hash};
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// No disk of a universe is written to so often.
const NEVER_WRITTEN: Mark = Mark::new(1 << 40);

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

    /// Somebody asks for a promise and was told of far more than there is on the own disk: no word
    /// comes, now or later. Of another life's disk that says nothing.
    pub(super) fn what_is_forgotten_ends_it(&self, other: Life) -> Checked {
        let (ballot, first) = (self.peer.promised().raised_by(other), Slot::new(1));
        let prepare = Message::Prepare { ballot, first, holds: Vec::new() };
        let told = |of| {
            let marks = Marks { holds: None, of: Incarnation::new(of), heard: NEVER_WRITTEN };
            let word = Envelope::of(other, self.node, prepare.clone());
            self.given([Input::Deliver(Envelope { marks, ..word }), Input::Wake])
        };
        let (_, out) = told(1);
        let quiet = out.durably.is_empty() && out.at_once.is_empty();
        demand!(
            out.forgotten.is_some() && quiet,
            "B8",
            "{} has forgotten what it told {other} of, and would go on: {out:?}",
            self.node
        );
        let (_, out) = told(2);
        demand!(
            out.forgotten.is_none(),
            "B8",
            "{} would end for what another life of it told {other}",
            self.node
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

    /// A campaigner names another vote than this node has in a slot: it needs to be told that one.
    pub(super) fn what_was_not_named_is_told(
        &self,
        slot: Slot,
        voted: Ballot,
        other: Life,
    ) -> Checked {
        let ballot = self.peer.promised().raised_by(other);
        let held = Held { slots: Span { first: slot, last: slot }, ballot };
        let prepare = Message::Prepare { ballot, first: slot, holds: vec![held] };
        let (_, out) = self.given([self.word(other, prepare)]);
        let held = out.durably.synced().into_iter().any(|word| match word.message {
            Message::Promise { page, .. } => {
                page.reports.iter().any(|(_, report)| matches!(report, Report::Held { .. }))
            }
            _ => false,
        });
        demand!(
            !held,
            "A4",
            "{} has voted in slot {slot} at {voted} and would say that {other} holds that vote",
            self.node
        );
        Ok(())
    }
}
