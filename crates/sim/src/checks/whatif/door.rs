//! What no honest cluster says, and what goes further than a peer keeps: a copy hears it.

use synod_paxos::{
    Ballot, Decree, Held, Life, Message, Page, Process, Report, Role, Slot, Span, Standing, Write,
};

use super::{
    bounds::{Bounds, FAR_SLOTS},
    hash,
};
use crate::violation::{Checked, demand};

/// Higher than any round or slot comes.
const BEYOND: u64 = 1 << 63;

/// More runs of votes than a campaigner names.
const RUNS: usize = 65;

impl Bounds<'_> {
    /// A round that leaves no ballot above it, slots that cannot be counted on from, a slot before
    /// the first, and more runs of votes than are ever named: such a word is noise.
    pub(super) fn what_cannot_be_is_turned_away(&self, other: Life) -> Checked {
        let (far, first, chosen_upto) = (Slot::new(BEYOND), Slot::new(1), Slot::ZERO);
        let (ballot, last) = (self.peer.promised().raised_by(other), Ballot::of(BEYOND, other));
        let prepare = |ballot, first, holds| Message::Prepare { ballot, first, holds };
        let accept = |ballot, slot, chosen_upto| Message::Accept {
            ballot,
            slot,
            decree: Decree::Noop,
            chosen_upto,
        };
        let beat = |promised, chosen_upto| {
            let standing = stands(promised, chosen_upto);
            Message::Heartbeat { round: 1, standing }
        };
        let learned = |slot| Message::Learned { decrees: vec![(slot, Decree::Noop)], chosen_upto };
        let held = Held { slots: Span { first, last: first }, ballot };
        for message in [
            prepare(last, first, Vec::new()),
            prepare(ballot, far, Vec::new()),
            prepare(ballot, Slot::ZERO, Vec::new()),
            prepare(ballot, first, vec![held; RUNS]),
            accept(last, first, chosen_upto),
            accept(ballot, far, chosen_upto),
            accept(ballot, Slot::ZERO, chosen_upto),
            accept(ballot, first, far),
            beat(last, chosen_upto),
            beat(ballot, far),
            learned(far),
            learned(Slot::ZERO),
        ] {
            let (copy, _) = self.given([self.word(other, message.clone())]);
            demand!(
                copy.turned_away() > self.peer.turned_away() && hash(&copy) == hash(self.peer),
                "I1",
                "{} takes in what no honest cluster comes to: {:.200}",
                self.node,
                format!("{message:?}")
            );
        }
        Ok(())
    }

    /// A decree of a slot that is known comes again, and one of a slot too far ahead to be kept.
    pub(super) fn what_is_not_taken_is_not_learned(&self, other: Life) -> Checked {
        let told = |slots: &[Slot]| {
            let decrees = slots.iter().map(|slot| (*slot, Decree::Noop)).collect();
            let learned = Message::Learned { decrees, chosen_upto: Slot::ZERO };
            let (copy, out) = self.given([self.word(other, learned)]);
            (hash(&copy), out.durably.writes().to_vec())
        };
        let nothing = told(&[]);
        let far = self.peer.settled().plus(FAR_SLOTS);
        for slot in [self.peer.chosen_upto(), far].into_iter().filter(|slot| *slot > Slot::ZERO) {
            demand!(
                told(&[slot]) == nothing,
                "I1",
                "{} knows what is chosen up to {}, and would learn slot {slot}",
                self.node,
                self.peer.chosen_upto()
            );
        }
        Ok(())
    }

    /// A leader asks for a vote further ahead than any window reaches.
    pub(super) fn no_vote_is_far_ahead(&self, other: Life) -> Checked {
        let ballot = self.peer.promised().raised_by(other);
        let slot = self.peer.settled().plus(FAR_SLOTS);
        let (decree, chosen_upto) = (Decree::Noop, Slot::ZERO);
        let accept = Message::Accept { ballot, slot, decree, chosen_upto };
        let (_, out) = self.given([self.word(other, accept)]);
        let votes = |write: &Write| matches!(write, Write::Accepted { .. });
        demand!(
            !out.durably.writes().iter().any(votes),
            "I1",
            "{} knows slots up to {} to be chosen, and would vote in slot {slot}",
            self.node,
            self.peer.settled()
        );
        Ok(())
    }

    /// A promise tells of a slot further ahead than anybody votes. To fill all slots up to there
    /// would take a campaigner for ever.
    pub(super) fn nothing_far_ahead_is_believed(&self, other: Life) -> Checked {
        let Role::Campaigning { ballot } = self.peer.role() else { return Ok(()) };
        let far = self.peer.settled().plus(FAR_SLOTS);
        let page = Page {
            first: Slot::new(1),
            // More is to come: whoever believes it does not begin to fill them yet.
            upto: Some(far),
            chosen_upto: Slot::ZERO,
            lost_upto: Slot::ZERO,
            reports: vec![(far, Report::Faulty)],
        };
        let (copy, _) = self.given([self.word(other, Message::Promise { ballot, page })]);
        demand!(
            hash(&copy) == hash(self.peer),
            "I1",
            "{} at {ballot} would believe a report of slot {far}",
            self.node
        );
        Ok(())
    }
}

/// One that has promised so much, and follows nobody.
pub(super) fn stands(promised: Ballot, chosen_upto: Slot) -> Standing {
    Standing {
        process: Process::new(1),
        promised,
        reign: None,
        quorum: true,
        sees_leader: false,
        disk_alive: true,
        chosen_upto,
        covered: Slot::ZERO,
    }
}
