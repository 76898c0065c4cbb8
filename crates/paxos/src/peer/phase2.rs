//! Phase 2 at the peer: proposing, voting, counting, and the reads that rest on a reign.

use super::{Barrier, BarrierId, Peer, Reign};
use crate::{
    Ballot, Decree, Message, NodeId, Output, Slot, Span, Tick,
    acceptor::Vote,
    reads::{Read, Reader},
    voice::Voice,
};

impl Peer {
    /// Gives the decree the next slot.
    pub(super) fn propose(&mut self, now: Tick, decree: Decree, out: &mut Output) {
        assert!(self.may_propose(), "a proposal while may_propose() says no");
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let slot = proposer.next_slot();
        out.proposed.push(slot);
        self.put(now, slot, decree, out);
    }

    /// Proposes what phase 1 adopted, as far as the window goes. However many bytes it holds, the
    /// first slot that is not chosen goes: all that is known above waits for that one.
    pub(super) fn propose_adopted(&mut self, now: Tick, out: &mut Output) {
        loop {
            let Reign::Leading(proposer) = &self.reign else { return };
            let end = match self.window_has_bytes(proposer) {
                true => self.window_end(),
                false => self.learner.upto().next(),
            };
            let Reign::Leading(proposer) = &mut self.reign else { return };
            let Some((slot, decree)) = proposer.next_adopted(end) else { return };
            self.put(now, slot, decree, out);
        }
    }

    /// Phase 2a. The others hear at once, while this node's own disk is at work: nothing that they
    /// are told relies on it. Its own vote is sealed like anyone's.
    fn put(&mut self, now: Tick, slot: Slot, decree: Decree, out: &mut Output) {
        let chosen_upto = self.learner.upto();
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let ballot = proposer.ballot;
        let patience = self.config.timing.suspect_min;
        proposer.spoken(slot, decree.clone(), now, patience);
        proposer.told = chosen_upto;
        if std::mem::take(&mut proposer.told_alone) {
            take_back_watermarks(&self.voice, ballot, out);
        }
        let accept = Message::Accept { ballot, slot, decree: decree.clone(), chosen_upto };
        self.voice.say_to_others(out, &accept);
        let settled = self.learner.settled();
        // Where it lost what it had voted for it votes no more; the others do.
        if slot > settled && self.acceptor.accept(slot, Vote { ballot, decree }, settled, out) {
            self.seal_accepted(ballot, slot, out);
        }
    }

    /// Answers phase 2a (*Paxos Made Simple* §2.2, P1a; PMMC).
    pub(super) fn on_accept(
        &mut self,
        now: Tick,
        slot: Slot,
        vote: Vote,
        upto: Slot,
        out: &mut Output,
    ) {
        let (ballot, leader) = (vote.ballot, vote.ballot.owner().node);
        self.links.claims(leader, upto);
        if ballot < self.acceptor.promised() {
            return self.refuse(ballot, out);
        }
        let newer = ballot > self.acceptor.promised();
        let (chosen_upto, settled) = (self.learner.upto(), self.learner.settled());
        if slot <= settled {
            // Chosen already: nothing to vote on. A leader that knows less is told to ask.
            let hint = Message::Accepted { ballot, slots: Vec::new(), chosen_upto };
            self.voice.say(out, leader, hint);
        } else if let Some(decree) = self.learner.known(slot) {
            let decrees = vec![(slot, decree.clone())];
            self.voice.say(out, leader, Message::Learned { decrees, chosen_upto });
        } else if !self.is_listening(now) && self.acceptor.accept(slot, vote, settled, out) {
            if newer {
                self.yield_to(now, ballot, out);
            }
            self.seal_accepted(ballot, slot, out);
        }
        self.on_watermark(now, ballot, upto, out);
    }

    fn seal_accepted(&self, ballot: Ballot, slot: Slot, out: &mut Output) {
        let slots = vec![Span { first: slot, last: slot }];
        let accepted = Message::Accepted { ballot, slots, chosen_upto: self.learner.upto() };
        self.voice.seal_accepted(out, ballot.owner().node, accepted);
    }

    /// Phase 2b at the leader: what a quorum accepted at its ballot is chosen.
    pub(super) fn on_accepted(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        slots: &[Span],
        out: &mut Output,
    ) {
        let quorum = self.config.members.quorum();
        let patience_max = self.config.timing.suspect_max;
        let Reign::Leading(proposer) = &mut self.reign else { return };
        if proposer.ballot != ballot {
            return;
        }
        for (slot, decree) in proposer.count(from, slots, quorum, now, patience_max) {
            self.learn(now, slot, decree, out);
        }
        self.go_on(now, out);
    }

    /// After the watermark may have risen: the window may have room, and the followers want to hear
    /// of it. With an accept on its way, or votes outstanding that will bring the next, the
    /// watermark rides; with nothing in flight it goes alone, at once.
    pub(super) fn go_on(&mut self, now: Tick, out: &mut Output) {
        self.propose_adopted(now, out);
        let chosen_upto = self.learner.upto();
        let Reign::Leading(proposer) = &mut self.reign else { return };
        if proposer.told < chosen_upto && proposer.is_idle() {
            proposer.told = chosen_upto;
            proposer.told_alone = true;
            let ballot = proposer.ballot;
            self.voice.say_to_others(out, &Message::Watermark { ballot, chosen_upto });
        }
        self.tend_handing(now, out);
    }

    /// Says again what was not answered, to those who are there and have not voted.
    pub(super) fn repeat_proposals(&mut self, now: Tick, out: &mut Output) {
        let chosen_upto = self.learner.upto();
        let patience_max = self.config.timing.suspect_max;
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let ballot = proposer.ballot;
        for (slot, decree, voters) in proposer.overdue(now, patience_max) {
            for to in self.voice.others().iter().filter(|to| !voters.contains(to)) {
                if self.links.is_connected(*to, now) {
                    let decree = decree.clone();
                    let accept = Message::Accept { ballot, slot, decree, chosen_upto };
                    self.voice.say(out, *to, accept);
                }
            }
        }
    }

    /// A linearizable read waits for this node, which leads.
    pub(super) fn read_barrier(&mut self, now: Tick, id: BarrierId, out: &mut Output) {
        let leads = matches!(self.reign, Reign::Leading(_));
        assert!(leads, "a read barrier {id:?} at a node that does not lead");
        self.read(now, Reader::Caller(id), out);
    }

    /// A linearizable read waits. It is served once a quorum has confirmed this reign after now, or
    /// at once where this node holds a lease; from a state that holds all this reign inherited and
    /// all it knows to be chosen now: whatever was acknowledged to anyone before the read began is
    /// among it. What a member asks is always confirmed: nobody would look at the clock afterwards.
    pub(super) fn read(&mut self, now: Tick, reader: Reader, out: &mut Output) {
        let (chosen_upto, leased) = (self.learner.upto(), self.lease(now));
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let upto = proposer.inherited.max(chosen_upto);
        if let (Reader::Caller(id), Some(_)) = (reader, leased) {
            return out.barriers.push(Barrier { id, upto, leased_until: leased });
        }
        proposer.reads.arrive(reader, upto);
        self.ask_for_confirmation(now, out);
    }

    fn ask_for_confirmation(&mut self, now: Tick, out: &mut Output) {
        let me = self.voice.me();
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let ballot = proposer.ballot;
        if let Some(round) = proposer.reads.ask(me, now) {
            self.voice.say_to_others(out, &Message::Confirm { ballot, round });
        }
        self.finish_reads(now, out);
    }

    fn finish_reads(&mut self, now: Tick, out: &mut Output) {
        let quorum = self.config.members.quorum();
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let finished = proposer.reads.finished(quorum);
        if !finished.is_empty() {
            finished.into_iter().for_each(|read| self.serve(read, out));
            self.ask_for_confirmation(now, out);
        }
    }

    fn serve(&self, Read { reader, upto }: Read, out: &mut Output) {
        match reader {
            Reader::Caller(id) => out.barriers.push(Barrier { id, upto, leased_until: None }),
            Reader::Member { node, process, round } => {
                self.voice.say(out, node, Message::Fathomed { process, round, upto });
            }
        }
    }

    /// Asks again whoever has not confirmed a waiting read.
    pub(super) fn repeat_confirmation(&mut self, now: Tick, out: &mut Output) {
        let patience = self.config.timing.suspect_min;
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let ballot = proposer.ballot;
        let Some((round, answered)) = proposer.reads.overdue(now, patience) else { return };
        for to in self.voice.others().iter().filter(|to| !answered.contains(to)) {
            self.voice.say(out, *to, Message::Confirm { ballot, round });
        }
    }

    /// A member that has promised nothing above `ballot` at this moment is no part of a later
    /// leader's quorum yet, whatever its disk still has to do.
    pub(super) fn on_confirm(
        &self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        round: u64,
        out: &mut Output,
    ) {
        if self.acceptor.promised() > ballot {
            self.refuse(ballot, out);
        } else if !self.is_listening(now) {
            self.voice.say(out, from, Message::Confirmed { ballot, round });
        }
    }

    pub(super) fn on_confirmed(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        round: u64,
        out: &mut Output,
    ) {
        let Reign::Leading(proposer) = &mut self.reign else { return };
        if proposer.ballot == ballot {
            proposer.reads.answer(from, round);
            self.finish_reads(now, out);
        }
    }
}

/// An accept follows in the same batch of steps: it carries the watermark, so the words that carry
/// nothing else need not go.
fn take_back_watermarks(voice: &Voice, own: Ballot, out: &mut Output) {
    out.at_once.retain(|envelope| {
        let alone = matches!(envelope.message, Message::Watermark { ballot, .. } if ballot == own);
        !(alone && envelope.from == voice.life())
    });
}
