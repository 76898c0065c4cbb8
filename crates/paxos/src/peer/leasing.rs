//! The leader's lease of reads, and the vows on which it rests (Gray and Cheriton, SOSP 1989;
//! Chandra et al., *Paxos Made Live* §5.2).

use std::time::Duration;

use super::{Peer, Reign};
use crate::{Ballot, Message, NodeId, Output, Tick, vow};

/// What a peer has vowed and what it has been vowed, as seen from a moment: what its [`Hash`]
/// leaves out. Two peers of equal hashes and equal bonds keep the same promises for as long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bonds {
    vow: vow::Ages,
    lease: Option<(Duration, Vec<(u64, Duration)>)>,
}

impl Peer {
    /// What a beat of a leader brings: a round that prolongs its lease. It vows as the others do,
    /// and before them.
    pub(super) fn prolong_lease(&mut self, now: Tick, out: &mut Output) {
        let (me, leasing) = (self.voice.me(), self.config.leasing);
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let ballot = proposer.ballot;
        if leasing.asks && !self.voice.others().is_empty() && self.vow.give(ballot, now) {
            let round = proposer.lease.ask(me, now, leasing.term());
            self.voice.say_to_others(out, &Message::Vow { ballot, round });
        }
    }

    /// Until when this node, as the leader, may answer reads without asking, if it may now. It
    /// holds for what was read before that moment, and not for what was read after a look at the
    /// clock: whoever answers looks at the clock once more when it has read.
    pub fn lease(&self, now: Tick) -> Option<Tick> {
        let Reign::Leading(proposer) = &self.reign else { return None };
        Some(proposer.lease.until()).filter(|until| now < *until)
    }

    /// What binds it now, for whoever tells apart what time makes of it.
    pub fn bonds(&self, now: Tick) -> Bonds {
        let lease = match &self.reign {
            Reign::Leading(proposer) => Some(proposer.lease.ages(now, self.config.leasing.term())),
            Reign::Following | Reign::Campaigning(_) => None,
        };
        Bonds { vow: self.vow.ages(now), lease }
    }

    /// A leader asks for a vow. Whoever has promised a higher ballot is part of another leader's
    /// quorum by now, or will be.
    pub(super) fn on_vow(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        round: u64,
        out: &mut Output,
    ) {
        if self.acceptor.promised() > ballot {
            return self.refuse(ballot, out);
        }
        if self.vow.give(ballot, now) {
            self.voice.say(out, from, Message::Vowed { ballot, round });
        }
    }

    pub(super) fn on_vowed(&mut self, from: NodeId, ballot: Ballot, round: u64) {
        let (quorum, term) = (self.config.members.quorum(), self.config.leasing.term());
        let Reign::Leading(proposer) = &mut self.reign else { return };
        if proposer.ballot == ballot {
            proposer.lease.answer(from, round, quorum, term);
        }
    }

    pub(super) fn on_release(&mut self, now: Tick, ballot: Ballot, out: &mut Output) {
        self.vow.release(ballot);
        self.hear_who_waits(now, out);
    }

    /// The reign at `ballot` is over here, and its lease with it: only then is anybody free.
    pub(super) fn release(&mut self, ballot: Ballot, out: &mut Output) {
        assert!(self.reign_ballot() != Some(ballot), "releases {ballot}, at which it reigns");
        self.vow.release(ballot);
        if self.config.leasing.asks {
            self.voice.say_to_others(out, &Message::Release { ballot });
        }
    }

    /// Answers a campaign that had to wait for the end of a vow.
    pub(super) fn hear_who_waits(&mut self, now: Tick, out: &mut Output) {
        if let Some(waiting) = self.vow.let_go(now) {
            self.on_prepare(now, waiting.ballot, waiting.first, &waiting.holds, out);
        }
    }
}
