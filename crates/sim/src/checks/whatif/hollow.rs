//! What a node would do that starts when the snapshots of its state are lost, and then leads.

use synod_paxos::{
    Ballot, Config, Decree, Durable, Envelope, Input, Life, Message, NodeId, Output, Page, Peer,
    Process, Report, Role, Slot, Standing, Tick, Write,
};

use crate::violation::{Checked, demand};

/// In so many heartbeats a node that hears no leader has begun to campaign.
const BEATS_MAX: usize = 64;

/// A node without a state, and the others, who have lost theirs too and are all there.
pub(super) struct Hollow {
    pub(super) peer: Peer,
    node: NodeId,
    others: Vec<Life>,
    pub(super) now: Tick,
}

/// A node starts from `durable`. What it knows to be chosen there it has lost; others who voted for
/// it do not know that it is chosen, and tell a campaign of their votes. The decree is proposed
/// again, and this node does not vote: what it voted for there before it does not know.
pub(super) fn votes_for_nothing_it_lost(config: &Config, durable: &Durable) -> Checked {
    let lost = durable.chosen_upto;
    let mut hollow = Hollow::of(config, durable);
    match lost == Slot::ZERO || hollow.others.len() < config.members.quorum() {
        true => Ok(()),
        false => hollow.leads_without_a_vote_upto(lost),
    }
}

impl Hollow {
    pub(super) fn of(config: &Config, durable: &Durable) -> Hollow {
        let peer = Peer::recover_at(config.clone(), durable.clone(), Slot::ZERO, 0);
        let node = config.life.node;
        let others = config.members.iter().filter(|life| life.node != node).collect();
        Hollow { peer, node, others, now: Tick::ZERO }
    }

    fn leads_without_a_vote_upto(&mut self, lost: Slot) -> Checked {
        let Some(ballot) = self.campaigns() else { return Ok(()) };
        let out = self.is_told_of_a_vote(ballot);
        let votes = |write: &&Write| matches!(write, Write::Accepted { slot, .. } if *slot <= lost);
        let vote = out.durably.writes().iter().find(votes);
        demand!(
            vote.is_none(),
            "B7",
            "{} knew slots up to {lost} to be chosen, and would write {vote:?}",
            self.node
        );
        Ok(())
    }

    /// Time goes by, and everybody answers.
    pub(super) fn campaigns(&mut self) -> Option<Ballot> {
        for _ in 0..BEATS_MAX {
            self.is_answered();
            if let Role::Campaigning { ballot } = self.peer.role() {
                return Some(ballot);
            }
        }
        None
    }

    /// The next thing that it wakes for; everybody answers.
    pub(super) fn is_answered(&mut self) {
        self.now = self.peer.wake_at().unwrap_or(self.now).max(self.now);
        let out = self.given(Input::Wake);
        for word in &out.at_once {
            if let Message::Heartbeat { round, .. } = word.message {
                let alive = Message::Alive { round, standing: standing() };
                drop(self.hears(Life::first(word.to), alive));
            }
        }
    }

    /// Every other one reports a vote in the first slot, and nothing else.
    pub(super) fn is_told_of_a_vote(&mut self, ballot: Ballot) -> Output {
        let slot = Slot::new(1);
        let mut all = Output::default();
        for from in self.others.clone() {
            let decree = Decree::Value(bytes::Bytes::from_static(b"of a copy"));
            let report = Report::Accepted { ballot: Ballot::of(0, from), decree };
            let (chosen_upto, lost_upto) = (Slot::ZERO, Slot::ZERO);
            let reports = vec![(slot, report)];
            let page = Page { first: slot, upto: None, chosen_upto, lost_upto, reports };
            let out = self.hears(from, Message::Promise { ballot, page });
            all.durably.merge(out.durably);
        }
        all
    }

    pub(super) fn hears(&mut self, from: Life, message: Message) -> Output {
        self.given(Input::Deliver(Envelope::of(from, self.node, message)))
    }

    fn given(&mut self, input: Input) -> Output {
        let mut out = Output::default();
        self.peer.step(self.now, input, &mut out);
        out
    }
}

/// Of one that follows nobody.
fn standing() -> Standing {
    Standing {
        process: Process::new(1),
        promised: Ballot::ZERO,
        reign: None,
        quorum: false,
        sees_leader: false,
        disk_alive: true,
        chosen_upto: Slot::ZERO,
        covered: Slot::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::Members;

    use super::*;

    /// It comes to lead; and were it one that has not lost what is chosen, but never knew of it,
    /// its vote would be seen.
    #[test]
    fn a_hollow_node_comes_to_lead_and_has_the_others_vote() {
        let voters = [1, 2, 3].map(|id| Life::first(NodeId::new(id))).to_vec();
        let config = Config::new(voters[0], Members::new(voters.clone()).unwrap()).unwrap();
        let lost = Slot::new(7);
        let durable = Durable { chosen_upto: lost, ..Durable::default() };
        let mut hollow = Hollow::of(&config, &durable);
        assert_eq!(hollow.leads_without_a_vote_upto(lost), Ok(()));
        assert!(matches!(hollow.peer.role(), Role::Leading { .. }));
        let mut unknowing = Hollow::of(&config, &Durable::default());
        let seen = unknowing.leads_without_a_vote_upto(lost).unwrap_err();
        assert_eq!(seen.invariant, "B7");
    }
}
