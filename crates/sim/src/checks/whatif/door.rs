//! What no honest cluster says, and what goes further than a peer keeps: a copy hears it.

use synod_paxos::{
    Ballot, Decree, Envelope, Held, Incarnation, Input, Life, Mark, Marks, Message, Output, Page,
    Process, Report, Role, Slot, Span, Standing, Write,
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
    /// Somebody says that it has voted, in a run of slots that ends before it begins.
    pub(super) fn a_run_of_nothing_is_no_vote(&self, other: Life) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let last = self.peer.settled().next();
        let slots = vec![Span { first: last.next(), last }];
        let accepted = Message::Accepted { ballot, slots, chosen_upto: Slot::ZERO };
        let (_, out) = self.given([self.word(other, accepted)]);
        demand!(
            out.chosen.is_empty(),
            "A3",
            "{} takes for chosen in no slot at all: {:?}",
            self.node,
            out.chosen
        );
        Ok(())
    }

    /// A round that leaves no ballot above it, slots that cannot be counted on from, a slot before
    /// the first, more runs of votes than are ever named, and a disk that was written to for ever:
    /// such a word is noise.
    pub(super) fn what_cannot_be_is_turned_away(&self, other: Life) -> Checked {
        let promised = self.peer.promised();
        let theirs = questions(promised.raised_by(other), Ballot::of(BEYOND, other));
        let me = Life::first(self.node);
        let owed = answers(promised.raised_by(me), Ballot::of(BEYOND, me));
        let words = theirs.into_iter().chain(owed).chain(told());
        let words = words.map(|message| Envelope::of(other, self.node, message));
        let disks = [(Some(BEYOND), 0), (None, BEYOND)].map(|(holds, heard)| {
            let (holds, heard) = (holds.map(Mark::new), Mark::new(heard));
            let message = Message::Ask { first: Slot::new(1), upto: Slot::new(1) };
            // Of this life of the addressee it would end the copy.
            let marks = Marks { holds, of: Incarnation::new(2), heard };
            Envelope { marks, ..Envelope::of(other, self.node, message) }
        });
        self.turns_away("I1", words.chain(disks))
    }

    /// Each of these words is dropped and counted, and changes nothing.
    pub(super) fn turns_away(
        &self,
        invariant: &'static str,
        words: impl IntoIterator<Item = Envelope>,
    ) -> Checked {
        let (mut copy, mut out) = (self.peer.clone(), Output::default());
        for word in words {
            let before = copy.turned_away();
            self.give(&mut copy, self.now, Input::Deliver(word.clone()), &mut out);
            demand!(
                copy.turned_away() > before,
                invariant,
                "{} takes in what no honest node says: {:.200}",
                self.node,
                format!("{word:?}")
            );
        }
        let is_as_it_was = hash(&copy) == hash(self.peer);
        demand!(is_as_it_was, invariant, "{} heeds what it turns away", self.node);
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

/// What the owner of `ballot` asks, and of `beyond`.
fn questions(ballot: Ballot, beyond: Ballot) -> Vec<Message> {
    let (far, first, chosen_upto) = (Slot::new(BEYOND), Slot::new(1), Slot::ZERO);
    let held = Held { slots: Span { first, last: first }, ballot };
    let prepare = |ballot, first, holds| Message::Prepare { ballot, first, holds };
    let accept = |ballot, slot, chosen_upto| {
        let decree = Decree::Noop;
        Message::Accept { ballot, slot, decree, chosen_upto }
    };
    let call = |ballot, next, chosen_upto| Message::HandOver { ballot, next, chosen_upto };
    vec![
        prepare(beyond, first, Vec::new()),
        prepare(ballot, far, Vec::new()),
        prepare(ballot, Slot::ZERO, Vec::new()),
        prepare(ballot, first, vec![held; RUNS]),
        accept(beyond, first, chosen_upto),
        accept(ballot, far, chosen_upto),
        accept(ballot, Slot::ZERO, chosen_upto),
        accept(ballot, first, far),
        Message::Watermark { ballot: beyond, chosen_upto },
        Message::Watermark { ballot, chosen_upto: far },
        Message::Confirm { ballot: beyond, round: 1 },
        Message::Vow { ballot: beyond, round: 1 },
        Message::Release { ballot: beyond },
        call(beyond, ballot, chosen_upto),
        call(ballot, beyond, chosen_upto),
        call(ballot, ballot, far),
        beat(Standing { promised: beyond, ..stands(ballot, chosen_upto) }),
        beat(Standing { reign: Some(beyond), ..stands(ballot, chosen_upto) }),
        beat(stands(ballot, far)),
        beat(Standing { covered: far, ..stands(ballot, chosen_upto) }),
    ]
}

/// What the owner of `ballot` is answered, and of `beyond`.
fn answers(ballot: Ballot, beyond: Ballot) -> Vec<Message> {
    let (far, first, zero) = (Slot::new(BEYOND), Slot::new(1), Slot::ZERO);
    let page = || {
        let (upto, reports) = (None, Vec::new());
        Page { first, upto, chosen_upto: zero, lost_upto: zero, reports }
    };
    let promise = |page| Message::Promise { ballot, page };
    let reports = |slot, report| promise(Page { reports: vec![(slot, report)], ..page() });
    let slots = Vec::new;
    vec![
        Message::Promise { ballot: beyond, page: page() },
        promise(Page { first: far, ..page() }),
        promise(Page { upto: Some(far), ..page() }),
        promise(Page { chosen_upto: far, ..page() }),
        promise(Page { lost_upto: far, ..page() }),
        reports(far, Report::Faulty),
        reports(first, Report::Held { ballot: beyond }),
        reports(first, Report::Accepted { ballot: beyond, decree: Decree::Noop }),
        Message::Refused { ballot: beyond, promised: ballot },
        Message::Refused { ballot, promised: beyond },
        Message::Accepted { ballot: beyond, slots: slots(), chosen_upto: zero },
        Message::Accepted { ballot, slots: slots(), chosen_upto: far },
        Message::Confirmed { ballot: beyond, round: 1 },
        Message::Vowed { ballot: beyond, round: 1 },
    ]
}

/// What is asked and told at no ballot.
fn told() -> Vec<Message> {
    let (far, first, chosen_upto) = (Slot::new(BEYOND), Slot::new(1), Slot::ZERO);
    let learned = |slot, chosen_upto| {
        let decrees = vec![(slot, Decree::Noop)];
        Message::Learned { decrees, chosen_upto }
    };
    vec![
        Message::Ask { first: far, upto: first },
        Message::Ask { first, upto: far },
        learned(far, chosen_upto),
        learned(Slot::ZERO, chosen_upto),
        learned(first, far),
        Message::Trimmed { upto: far },
        Message::Fathomed { process: Process::new(1), round: 1, upto: far },
    ]
}

fn beat(standing: Standing) -> Message {
    Message::Heartbeat { round: 1, standing }
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
