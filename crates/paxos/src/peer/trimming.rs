//! The log's beginning at the peer: what snapshots cover goes, and a snapshot takes the place of
//! what is gone.

use super::{Behind, Peer, Reign};
use crate::{NodeId, Output, Slot, Tick, Write, limits::TRIM_SLOTS_MAX};

impl Peer {
    /// Trims a little of what snapshots of a quorum cover, if the disk keeps up.
    pub(super) fn trim(&mut self, now: Tick, out: &mut Output) {
        let covered = self.cover.by_quorum(&self.config.members).min(self.learner.upto());
        let upto = covered.get().saturating_sub(self.config.tail_slots);
        let upto = Slot::new(upto).min(self.trimmed.plus(TRIM_SLOTS_MAX));
        if upto > self.trimmed && self.disk.keeps_up(now, self.config.timing.heartbeat) {
            self.forget_below(upto, out);
        }
    }

    /// The log cannot bring this node further, says a peer.
    pub(super) fn on_trimmed(&self, peer: NodeId, trimmed: Slot, out: &mut Output) {
        if self.learner.upto() < trimmed {
            out.behind.push(Behind { peer, trimmed });
        }
    }

    /// The state above is that of everything up to `upto` from now on. Votes above stay, votes
    /// below no longer matter, and the promise is as high as it was.
    pub(super) fn installed(&mut self, now: Tick, upto: Slot, out: &mut Output) {
        if upto <= self.learner.upto() {
            return;
        }
        // What this reign proposed there may have been chosen with another decree, and its
        // watermark must not cover that: see `learn`.
        if matches!(&self.reign, Reign::Leading(proposer) if proposer.is_open_below(upto)) {
            self.election.failed(now);
            self.follow(now, out);
        }
        self.ahead = None;
        self.learner.install(upto);
        self.acceptor.forget_upto(upto);
        self.forget_below(upto, out);
        self.learner.hand_out(out);
        self.settle_campaign(now, out);
        self.go_on(now, out);
        self.ask_for_missing(now, true, out);
    }

    /// A node that died before its log knew of a snapshot tells it in the first step of its next
    /// life: later the snapshot may be lost, and the log is not to begin behind what there is not.
    pub(super) fn tell_the_log(&mut self, out: &mut Output) {
        if let Some(upto) = self.ahead.take() {
            self.forget_below(upto, out);
        }
    }

    fn forget_below(&mut self, upto: Slot, out: &mut Output) {
        // After snapshots were lost, the first one of a peer may not reach the log yet.
        if upto > self.trimmed {
            self.trimmed = upto;
            self.upto_written = self.upto_written.max(upto);
            out.durably.write(Write::Trimmed { upto });
        }
    }
}
