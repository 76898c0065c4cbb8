//! Learning at the peer: watermarks, and decrees fetched from others.

use super::{Fetch, Fetched, Peer, Reign};
use crate::{Ballot, Decree, Message, NodeId, Output, Slot, Tick, Write, learner::cut};

impl Peer {
    /// A decree is chosen for ever. To learn is not to accept: `promised` stays as it is, and the
    /// slot is reported as chosen from now on, never with a ballot.
    pub(super) fn learn(&mut self, now: Tick, slot: Slot, decree: Decree, out: &mut Output) {
        if !self.learner.takes(slot) {
            return;
        }
        // Chosen with another decree than this reign proposed: a higher ballot has been here. The
        // watermark of this reign must never cover such a slot (a follower would take its own vote
        // at this ballot for the chosen decree), so the reign ends before the slot is learned.
        let deposed = match &mut self.reign {
            Reign::Leading(proposer) => !proposer.agrees(slot, &decree),
            Reign::Following | Reign::Campaigning(_) => false,
        };
        if deposed {
            self.election.failed(now);
            self.follow(now, out);
        }
        // The store holds the decree already where this node voted for it.
        let stands = self.acceptor.vote(slot).is_some_and(|vote| vote.decree == decree);
        self.learner.learn(slot, decree.clone());
        // A decree that was trimmed here is learned for the state above alone.
        if !stands && slot > self.trimmed {
            out.durably.write(Write::Chosen { slot, decree });
        }
        self.acceptor.forget(slot);
        self.learner.hand_out(out);
    }

    /// The reign at `ballot` says that everything up to `upto` is chosen. Where this node voted at
    /// that very ballot, its own vote is the chosen decree; anything else it must fetch.
    pub(super) fn on_watermark(&mut self, now: Tick, ballot: Ballot, upto: Slot, out: &mut Output) {
        self.watermark = match self.watermark {
            (heard, mark) if heard == ballot => (ballot, mark.max(upto)),
            (heard, mark) if heard > ballot => (heard, mark),
            (_, _) => (ballot, upto),
        };
        // It may have come before accepts that it covers: they are looked at when they come.
        let upto = if self.watermark.0 == ballot { self.watermark.1 } else { upto };
        for (slot, decree) in self.acceptor.votes_at(ballot, upto) {
            self.learn(now, slot, decree, out);
        }
    }

    /// Asks somebody for what is missing, if it is time.
    pub(super) fn ask_for_missing(&mut self, now: Tick, at_once: bool, out: &mut Output) {
        let upto = self.learner.upto();
        let ahead = self.links.ahead_of(upto);
        let Some((to, claim)) = self.catch_up.whom(now, upto, &ahead, at_once) else { return };
        let upto = self.learner.gap_end().map_or(claim, |end| end.min(claim));
        self.voice.say(out, to, Message::Ask { first: self.learner.upto().next(), upto });
    }

    /// Answers from memory, or has the store read.
    pub(super) fn on_ask(
        &mut self,
        now: Tick,
        from: NodeId,
        first: Slot,
        upto: Slot,
        out: &mut Output,
    ) {
        let upto = upto.min(self.learner.upto());
        if let Some(decrees) = self.learner.page(first, upto) {
            return self.tell(from, decrees, out);
        }
        if first <= self.trimmed {
            return self.voice.say(out, from, Message::Trimmed { upto: self.trimmed });
        }
        let patience = self.config.timing.suspect_max;
        let reading = self.serving.get(&from).is_some_and(|since| now.since(*since) < patience);
        if !reading && first <= upto {
            self.serving.insert(from, now);
            out.fetch.push(Fetch { to: from, first, upto });
        }
    }

    /// The store has read what a peer asked for. What is damaged is gone as if it were trimmed, and
    /// perhaps nobody else knows it to be chosen: the peer is told to fetch a snapshot.
    pub(super) fn fetched(&mut self, fetched: Fetched, out: &mut Output) {
        self.serving.remove(&fetched.to);
        if let Some(upto) = fetched.damaged {
            out.damaged = out.damaged.max(Some(upto));
            return self.voice.say(out, fetched.to, Message::Trimmed { upto });
        }
        self.tell(fetched.to, cut(fetched.decrees), out);
    }

    fn tell(&self, to: NodeId, decrees: Vec<(Slot, Decree)>, out: &mut Output) {
        let chosen_upto = self.learner.upto();
        self.voice.say(out, to, Message::Learned { decrees, chosen_upto });
    }

    pub(super) fn on_learned(
        &mut self,
        now: Tick,
        from: NodeId,
        decrees: Vec<(Slot, Decree)>,
        out: &mut Output,
    ) {
        let before = self.learner.upto();
        for (slot, decree) in decrees {
            self.learn(now, slot, decree, out);
        }
        let useful = self.learner.upto() > before;
        self.catch_up.answered(from, useful);
        if useful {
            self.ask_for_missing(now, true, out);
        }
        self.settle_campaign(now, out);
        self.go_on(now, out);
    }
}
