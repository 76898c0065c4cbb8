//! A lead that is handed over (*TimeoutNow* in Ongaro's thesis, §3.10), with one word less: the
//! leader promises its successor the next ballot unasked, at the moment at which it calls it. It is
//! phase 1 all the same, and any quorum of promises will do.

use super::{Peer, Reign};
use crate::{Ballot, Message, NodeId, Output, Slot, Tick, Unfit, handing::Handing};

impl Peer {
    /// Prepares to hand the lead to `to`, or to whoever is fit for it best, and asks that one
    /// first whether it is there. Nothing happens where this node does not lead, or is about to
    /// hand over already.
    pub(super) fn hand_over(&mut self, now: Tick, to: Option<NodeId>, out: &mut Output) {
        let Reign::Leading(proposer) = &self.reign else { return };
        if proposer.handing.is_some() {
            return;
        }
        let upto = self.learner.upto();
        let fit = match to {
            Some(node) => self.links.fit(node, upto, now).map(|()| node),
            None => self.links.fittest(upto, now),
        };
        match fit {
            Ok(to) => {
                self.beat(now, out);
                let (asked, until) =
                    (self.links.round(), now.after(self.config.timing.suspect_min));
                let Reign::Leading(proposer) = &mut self.reign else { return };
                let handing = Handing { to, asked, answered: false, until };
                proposer.handing = Some(Box::new(handing));
            }
            Err(unfit) => out.unfit = Some(unfit),
        }
    }

    /// Hands over what is ready to be, or leads on where the successor turns out not to be fit.
    pub(super) fn tend_handing(&mut self, now: Tick, out: &mut Output) {
        let upto = self.learner.upto();
        let Reign::Leading(proposer) = &mut self.reign else { return };
        let open = !proposer.is_idle() || upto < proposer.inherited;
        let Some(handing) = &mut proposer.handing else { return };
        let (to, late) = (handing.to, handing.until <= now);
        match self.links.fit_since(to, handing.asked, upto, now) {
            Ok(true) if late || !open => self.call(now, to, out),
            Ok(true) => handing.answered = true,
            Ok(false) if late => self.leads_on(Unfit::Silent, out),
            Ok(false) => {}
            Err(unfit) => self.leads_on(unfit, out),
        }
    }

    fn leads_on(&mut self, unfit: Unfit, out: &mut Output) {
        let Reign::Leading(proposer) = &mut self.reign else { return };
        proposer.handing = None;
        out.unfit = Some(unfit);
    }

    /// Ends the reign, and its lease with it, and only then calls the successor: to a ballot above
    /// all that this node knows of, which it promises as it would, had it been asked.
    fn call(&mut self, now: Tick, to: NodeId, out: &mut Output) {
        let Some(heir) = self.config.members.iter().find(|life| life.node == to) else { return };
        let Some(ballot) = self.reign_ballot() else { return };
        self.reign = Reign::Following;
        (self.leader, self.heir) = (None, Some(to));
        self.vow.release(ballot);
        self.hear_who_waits(now, out);
        let next = self.ballot_above_all(heir);
        self.round_heard = next.round();
        let chosen_upto = self.learner.upto();
        let call = Message::HandOver { ballot, next, chosen_upto };
        self.voice.say_to_others_after(out, to, &call);
        self.election.wait_for_others(now, self.config.timing.suspect_min * 2);
        if self.vow.allows(heir, now) && self.acceptor.promise(next, out) {
            let first = self.links.claimed(to).next();
            self.seal_promise(to, next, first, &[], out);
        }
        self.beat(now, out);
    }

    /// A leader has ended its reign and calls the owner of `next`. Whoever that is campaigns at
    /// once, if it may at all; the others give it the time.
    pub(super) fn on_hand_over(
        &mut self,
        now: Tick,
        ballot: Ballot,
        next: Ballot,
        chosen_upto: Slot,
        out: &mut Output,
    ) {
        self.on_release(now, ballot, out);
        self.on_watermark(now, ballot, chosen_upto, out);
        self.round_heard = self.round_heard.max(next.round());
        if next <= self.acceptor.promised() || !matches!(self.reign, Reign::Following) {
            return;
        }
        let me = self.voice.life();
        if next.owner() != me {
            self.heir = Some(next.owner().node);
            return self.election.wait_for_others(now, self.config.timing.suspect_min);
        }
        if self.vow.allows(me, now) && self.is_connected_to_quorum(now) {
            self.campaign_at(now, next, true, out);
        }
    }

    /// Whether the lead of this node is about to be handed over.
    pub fn is_handing_over(&self) -> bool {
        matches!(&self.reign, Reign::Leading(proposer) if proposer.handing.is_some())
    }

    /// Whether this node campaigns because the leader has called it.
    pub fn is_called(&self) -> bool {
        matches!(&self.reign, Reign::Campaigning(campaign) if campaign.called)
    }

    /// Whether somebody has been called to lead next and, as far as is known here, does not yet.
    pub fn was_handed_over(&self) -> bool {
        self.heir.is_some()
    }

    /// Whom to ask instead of this node: the leader, or who has been called to be the next.
    pub fn leader_or_heir(&self) -> Option<NodeId> {
        self.leader().or(self.heir)
    }
}
