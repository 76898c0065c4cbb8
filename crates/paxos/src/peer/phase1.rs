//! Phase 1 at the peer: campaigning, and answering those who do.

use super::{Peer, Reign};
use crate::{
    Ballot, Held, Life, Message, NodeId, Output, Page, Report, Slot, Tick, campaign::Campaign,
    proposer::Proposer, vow::Waiting,
};

/// Heartbeats after which whoever has not answered a `Prepare` is sent another.
const ASKS_AGAIN_AFTER: u32 = 2;

impl Peer {
    /// Opens a campaign above every round this node ever heard of or promised, durably so before
    /// anyone hears: crashed and come back, it never uses a ballot twice.
    pub(super) fn campaign(&mut self, now: Tick, out: &mut Output) {
        let ballot = self.ballot_above_all(self.voice.life());
        self.campaign_at(now, ballot, false, out);
    }

    /// A ballot of `owner` that is above all that this node promised or heard of.
    pub(super) fn ballot_above_all(&self, owner: Life) -> Ballot {
        self.acceptor.promised().max(Ballot::of(self.round_heard, owner)).raised_by(owner)
    }

    /// The same at a ballot of this node's that is above all that it promised; `called`, if the
    /// leader before chose it.
    pub(super) fn campaign_at(
        &mut self,
        now: Tick,
        ballot: Ballot,
        called: bool,
        out: &mut Output,
    ) {
        // Whoever is called may have waited for its turn; there is none to wake for any more.
        self.election.rest(false);
        let promised = self.acceptor.promise(ballot, out);
        assert!(promised, "own ballot {ballot} is not above {}", self.acceptor.promised());
        let first = self.learner.upto().next();
        let mut campaign = Campaign::new(ballot, first, now);
        campaign.ask_again_at = now.after(self.config.timing.heartbeat * ASKS_AGAIN_AFTER);
        campaign.called = called;
        (self.leader, self.heir) = (None, None);
        self.reign = Reign::Campaigning(campaign);
        let holds = self.acceptor.held(first);
        for to in self.voice.others() {
            let holds = holds.clone();
            self.voice.seal(out, *to, Message::Prepare { ballot, first, holds });
        }
        // One's own promise counts like any other: when it is durable.
        self.seal_promise(self.voice.me(), ballot, first, &holds, out);
    }

    /// Answers phase 1a (*Paxos Made Simple* §2.2, P1a).
    pub(super) fn on_prepare(
        &mut self,
        now: Tick,
        ballot: Ballot,
        first: Slot,
        holds: &[Held],
        out: &mut Output,
    ) {
        let newer = ballot > self.acceptor.promised();
        if newer && !self.vow.allows(ballot.owner(), now) {
            let holds = holds.to_vec();
            return self.vow.keep_waiting(Waiting { ballot, first, holds });
        }
        if ballot == self.acceptor.promised() && self.is_listening(now) {
            return;
        }
        if !self.acceptor.promise(ballot, out) {
            return self.refuse(ballot, out);
        }
        if newer {
            self.yield_to(now, ballot, out);
        }
        self.seal_promise(ballot.owner().node, ballot, first, holds, out);
    }

    /// The "no". It names the promise, so it waits until that is durable.
    pub(super) fn refuse(&self, ballot: Ballot, out: &mut Output) {
        let promised = self.acceptor.promised();
        self.voice.seal(out, ballot.owner().node, Message::Refused { ballot, promised });
    }

    pub(super) fn seal_promise(
        &self,
        to: NodeId,
        ballot: Ballot,
        first: Slot,
        holds: &[Held],
        out: &mut Output,
    ) {
        let page = self.acceptor.page(first, holds, &self.learner, self.config.page_slots);
        self.voice.seal(out, to, Message::Promise { ballot, page });
    }

    /// One page of a promise. Pages may come twice or out of order; a promise counts when it is
    /// whole.
    pub(super) fn on_promise(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        page: Page,
        out: &mut Output,
    ) {
        let Reign::Campaigning(campaign) = &mut self.reign else { return };
        if campaign.ballot != ballot {
            return;
        }
        self.links.claims(from, page.chosen_upto);
        if !campaign.report(from, &page, &self.acceptor) {
            return;
        }
        campaign.progress_at = now;
        if let Some(first) = campaign.wants_of(from) {
            self.prepare(from, ballot, first, out);
        }
        for (slot, report) in page.reports {
            if let Report::Chosen { decree } = report {
                self.learn(now, slot, decree, out);
            }
        }
        self.settle_campaign(now, out);
    }

    /// Asks for what is missing of one promise. Sealed like the first `Prepare`: a timer may well
    /// run out before the own ballot is durable.
    fn prepare(&self, to: NodeId, ballot: Ballot, first: Slot, out: &mut Output) {
        let holds = self.acceptor.held(first);
        self.voice.seal(out, to, Message::Prepare { ballot, first, holds });
    }

    /// Begins the reign when phase 1 is complete.
    pub(super) fn settle_campaign(&mut self, now: Tick, out: &mut Output) {
        let Reign::Campaigning(campaign) = &self.reign else { return };
        let quorum = self.config.members.quorum();
        let Some(legacy) = campaign.settle(quorum, &self.learner) else { return };
        self.reign = Reign::Leading(Proposer::new(campaign.ballot, legacy, now));
        self.election.rest(true);
        self.propose_adopted(now, out);
        // The others hear at once who leads.
        self.beat(now, out);
        self.prolong_lease(now, out);
        self.ask_for_missing(now, true, out);
    }

    /// Keeps a campaign going, or gives it up when it cannot win.
    pub(super) fn tend_campaign(&mut self, now: Tick, out: &mut Output) {
        let connected = self.is_connected_to_quorum(now);
        let timing = self.config.timing;
        let Reign::Campaigning(campaign) = &mut self.reign else { return };
        let stuck = now.since(campaign.progress_at) >= timing.suspect_max;
        if !connected || stuck {
            self.election.failed(now);
            return self.follow(now, out);
        }
        if now < campaign.ask_again_at {
            return;
        }
        campaign.ask_again_at = now.after(timing.heartbeat * ASKS_AGAIN_AFTER);
        // Pages that are on their way are many bytes; a word that was lost is few.
        let slow = now.since(campaign.progress_at) >= timing.suspect_min;
        let ballot = campaign.ballot;
        let wanted: Vec<(NodeId, Slot)> = (self.config.members.iter())
            .filter(|member| slow || campaign.is_unheard(member.node))
            .filter_map(|member| Some((member.node, campaign.wants_of(member.node)?)))
            .collect();
        for (member, first) in wanted {
            self.prepare(member, ballot, first, out);
        }
    }

    /// Somebody refuses this node's ballot. It stops at once; when to try again, and how high, is
    /// for the election alone to say, or two would outbid each other for ever.
    pub(super) fn on_refused(
        &mut self,
        now: Tick,
        ballot: Ballot,
        promised: Ballot,
        out: &mut Output,
    ) {
        self.round_heard = self.round_heard.max(promised.round());
        if self.reign_ballot() == Some(ballot) && promised > ballot {
            self.election.failed(now);
            self.follow(now, out);
        }
    }

    /// This node has promised `ballot`: a lower reign of its own is over, and its owner gets the
    /// time to become the leader.
    pub(super) fn yield_to(&mut self, now: Tick, ballot: Ballot, out: &mut Output) {
        self.heir = self.heir.filter(|heir| *heir == ballot.owner().node);
        if ballot.owner() != self.voice.life() {
            // A round trip and a sync, and the word that it leads.
            self.election.yields(now, self.config.timing.suspect_min * 2);
        }
        if self.reign_ballot().is_some_and(|own| own < ballot) {
            self.follow(now, out);
        }
    }

    /// The ballot this node campaigns or leads at.
    pub(super) fn reign_ballot(&self) -> Option<Ballot> {
        match &self.reign {
            Reign::Following => None,
            Reign::Campaigning(campaign) => Some(campaign.ballot),
            Reign::Leading(proposer) => Some(proposer.ballot),
        }
    }
}
