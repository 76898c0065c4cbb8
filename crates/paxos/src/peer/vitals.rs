//! Heartbeats, the own tick, and who should lead (*OmniPaxos*, EuroSys'23 §5).

use super::{Peer, Reign};
use crate::{Life, Message, Output, Standing, Tick};

impl Peer {
    /// The moment of `wake_at`, or any other: everything that time alone brings about.
    pub(super) fn wake(&mut self, now: Tick, out: &mut Output) {
        let heartbeat = self.config.timing.heartbeat;
        match self.election.beat_at {
            Some(due) if now < due => {}
            due => {
                self.election.beat_at = Some(now.after(heartbeat));
                match due {
                    Some(due) => self.links.ticked(due, now),
                    None => self.begin(now),
                }
                self.disk.probe_when_idle(now);
                self.tend_reign(now, out);
                self.tend_campaign(now, out);
                self.beat(now, out);
                self.ask_for_missing(now, false, out);
                self.tend_nearby(now, out);
                self.trim(now, out);
            }
        }
        self.tend_handing(now, out);
        self.hear_who_waits(now, out);
        self.consider(now, out);
    }

    /// The first tick. A cluster may be at work: listen before speaking up.
    fn begin(&mut self, now: Tick) {
        if self.config.members.count() > 1 {
            self.election.wait_for_others(now, self.config.timing.suspect_min);
        }
    }

    /// Opens a heartbeat round.
    pub(super) fn beat(&mut self, now: Tick, out: &mut Output) {
        let round = self.links.open_round();
        let standing = self.standing(now);
        self.voice.say_to_others(out, &Message::Heartbeat { round, standing });
    }

    fn standing(&self, now: Tick) -> Standing {
        let disk_alive = self.disk.alive(now);
        let (reign, quorum) = match &self.reign {
            Reign::Leading(proposer) => (Some(proposer.ballot), self.has_quorum()),
            Reign::Following | Reign::Campaigning(_) => (None, self.is_connected_to_quorum(now)),
        };
        Standing {
            process: self.process,
            promised: self.acceptor.promised(),
            reign,
            quorum,
            sees_leader: self.has_quorum() || self.links.vouches_for_a_leader(now),
            disk_alive,
            chosen_upto: self.learner.upto(),
            covered: self.cover.own(),
        }
    }

    pub(super) fn on_heartbeat(
        &mut self,
        now: Tick,
        from: Life,
        round: u64,
        standing: Standing,
        out: &mut Output,
    ) {
        self.links.hears(from.node, standing, now);
        self.cover.told(from, standing.covered);
        let answer = Message::Alive { round, standing: self.standing(now) };
        self.voice.say(out, from.node, answer);
        self.on_standing(now, standing, out);
    }

    pub(super) fn on_alive(
        &mut self,
        now: Tick,
        from: Life,
        round: u64,
        standing: Standing,
        out: &mut Output,
    ) {
        if self.links.answers(from.node, round, standing, now) {
            self.cover.told(from, standing.covered);
            self.on_standing(now, standing, out);
            self.tend_handing(now, out);
        }
    }

    fn on_standing(&mut self, now: Tick, standing: Standing, out: &mut Output) {
        self.round_heard = self.round_heard.max(standing.promised.round());
        if let Some(reign) = standing.reign {
            self.on_watermark(now, reign, standing.chosen_upto, out);
        }
        // The speaker itself will vote for nothing below: as good as a refusal.
        if self.reign_ballot().is_some_and(|own| own < standing.promised) {
            self.election.failed(now);
            self.follow(now, out);
        }
        self.consider(now, out);
    }

    /// Whether this node should lead, looked at whenever something about it may have changed. Only
    /// the absence of a leader makes it campaign, never a ballot or a name that it hears of.
    fn consider(&mut self, now: Tick, out: &mut Output) {
        if !matches!(self.reign, Reign::Following) {
            return;
        }
        let seen_before = self.leader.is_some();
        self.leader = self.links.leader(now);
        self.heir = self.heir.filter(|_| self.leader.is_none());
        if seen_before && self.leader.is_none() {
            // Others hold back as long as this node says that it sees a leader.
            self.beat(now, out);
        }
        if self.leader.is_some_and(|leader| self.acceptor.promised().owner().node == leader) {
            self.election.has_yielded();
        }
        let led = self.leader.is_some() || self.links.somebody_sees_a_leader(now);
        if led || !self.is_connected_to_quorum(now) {
            return self.election.rest(led);
        }
        if !self.vow.allows(self.voice.life(), now) {
            // It has no turn to wait for before the vow ends.
            return self.election.rest(false);
        }
        let fresher = self.links.fresher(self.voice.me(), self.learner.upto(), now);
        // A cluster of one has nobody to meet.
        let alone = self.config.members.count() == 1;
        if alone || self.election.is_due(now, fresher) {
            self.campaign(now, out);
        }
    }

    /// Keeps a reign going, or ends it: without a quorum it takes no proposals from now on and
    /// abdicates after one more period; with a dead disk, or when nothing moves although a quorum
    /// answers, another should lead.
    fn tend_reign(&mut self, now: Tick, out: &mut Output) {
        let (timing, alive) = (self.config.timing, self.disk.alive(now));
        let upto = self.learner.upto();
        let Reign::Leading(proposer) = &mut self.reign else { return };
        // One that has promised above is no supporter, and its next word ends the reign.
        let connected = self.links.connected_count(alive, now);
        proposer.lost_since = match proposer.lost_since {
            _ if connected >= self.config.members.quorum() => None,
            Some(since) => Some(since),
            None => Some(now),
        };
        let nothing_to_do = proposer.is_idle() && upto >= proposer.inherited;
        if nothing_to_do || proposer.progress.0 < upto {
            proposer.progress = (upto, now);
        }
        let lost = proposer.lost_since.is_some_and(|at| now.since(at) >= timing.suspect_min);
        let stuck = now.since(proposer.progress.1) >= timing.suspect_max * 2;
        if lost || stuck || !alive {
            self.election.failed(now);
            return self.follow(now, out);
        }
        self.repeat_proposals(now, out);
        self.repeat_confirmation(now, out);
        self.prolong_lease(now, out);
    }

    /// Leaves the lead to another: others go first for a while.
    pub(super) fn step_down(&mut self, now: Tick, out: &mut Output) {
        self.election.wait_for_others(now, self.config.timing.suspect_max);
        if !matches!(self.reign, Reign::Following) {
            self.follow(now, out);
        }
    }

    /// Ends a reign or a campaign, and tells at once, so that nobody waits for a leader that is
    /// none.
    pub(super) fn follow(&mut self, now: Tick, out: &mut Output) {
        let ended = std::mem::replace(&mut self.reign, Reign::Following);
        self.leader = None;
        if let Reign::Leading(proposer) = ended {
            self.release(proposer.ballot, out);
        }
        self.beat(now, out);
    }
}
