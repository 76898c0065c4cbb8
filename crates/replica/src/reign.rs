//! This node's lead: from when it is the distinguished proposer until it may serve, and how long
//! the cluster had to do without.

use std::time::Duration;

use synod_paxos::{Ballot, Slot, Tick};

/// How far this node's lead has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reign {
    /// It does not lead.
    None,
    /// The leader before has called it: it campaigns, and clients are sent to it. They wait here
    /// until it serves, or turns out not to lead.
    Called { ballot: Ballot },
    /// It is past phase 1. It serves nothing before its `LeaderStart` is applied: then everything
    /// that was chosen before is applied too.
    Starting {
        ballot: Ballot,
        since: Tick,
        /// Where the `LeaderStart` stands, once it is proposed.
        start: Option<Slot>,
    },
    /// It serves.
    Serving { ballot: Ballot, since: Tick },
}

impl Reign {
    pub(crate) fn ballot(self) -> Option<Ballot> {
        match self {
            Reign::None | Reign::Called { .. } => None,
            Reign::Starting { ballot, .. } | Reign::Serving { ballot, .. } => Some(ballot),
        }
    }

    /// Whether questions for a leader may wait here.
    pub(crate) fn takes_in(self) -> bool {
        self != Reign::None
    }

    pub(crate) fn since(self) -> Option<Tick> {
        match self {
            Reign::None | Reign::Called { .. } => None,
            Reign::Starting { since, .. } | Reign::Serving { since, .. } => Some(since),
        }
    }

    pub(crate) fn is_serving(self) -> bool {
        matches!(self, Reign::Serving { .. })
    }

    /// What the machine calls this reign: reigns are ordered as their ballots are.
    pub(crate) fn name_of(ballot: Ballot) -> synod_machine::Reign {
        let owner = ballot.owner();
        let (node, incarnation) = (u64::from(owner.node.get()), owner.incarnation.get());
        synod_machine::Reign(ballot.round(), node, incarnation)
    }
}

/// How long the cluster had to do without a leader, until this node was it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takeover {
    /// From when the last leader was missed until a quorum had promised.
    pub phase_1: Duration,
    /// From there until this node's first command was applied, and it served.
    pub first_commit: Duration,
}

impl Takeover {
    /// From when the last leader was missed until this node served.
    pub fn whole(self) -> Duration {
        self.phase_1 + self.first_commit
    }
}

/// How long this node saw no leader.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Absence {
    led_before: bool,
    since: Option<Tick>,
    takeover: Option<Takeover>,
}

impl Absence {
    /// Takes in whether another node leads, as this one sees it.
    pub(crate) fn observe(&mut self, another_leads: bool, now: Tick) {
        if another_leads {
            (self.led_before, self.since) = (true, None);
        } else if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// This node serves now; it was past phase 1 at `promised`.
    pub(crate) fn ends(&mut self, promised: Tick, now: Tick) {
        let since = self.since.take().filter(|_| self.led_before);
        let takeover = since.map(|since| Takeover {
            phase_1: promised.since(since),
            first_commit: now.since(promised),
        });
        self.takeover = takeover.or(self.takeover);
        self.led_before = true;
    }

    /// The last absence that this node ended.
    pub(crate) fn takeover(&self) -> Option<Takeover> {
        self.takeover
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Tick {
        Tick::from_micros(ms * 1_000)
    }

    /// A takeover runs from when the leader was missed to when this node serves; the first reign of
    /// all is none.
    #[test]
    fn a_takeover_is_measured_from_the_absence() {
        let mut absence = Absence::default();
        absence.observe(false, ms(1));
        absence.ends(ms(4), ms(5));
        assert_eq!(absence.takeover(), None);
        absence.observe(true, ms(10));
        absence.observe(false, ms(20));
        absence.observe(false, ms(30));
        absence.ends(ms(42), ms(50));
        let (phase_1, first_commit) = (Duration::from_millis(22), Duration::from_millis(8));
        assert_eq!(absence.takeover(), Some(Takeover { phase_1, first_commit }));
        assert_eq!(absence.takeover().map(Takeover::whole), Some(Duration::from_millis(30)));
    }
}
