use std::time::Duration;

use crate::{Tick, Timing, chance::Chance};

/// When to campaign. Whether one *may* is a matter of links and disk; this is the patience between
/// seeing that nobody leads and doing something about it, so that not all do it at once.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    timing: Timing,
    /// When the next heartbeat round is due; `None` before the first step.
    pub(crate) beat_at: Option<Tick>,
    /// Since when nobody leads and this node may campaign, and how long it hesitates by chance.
    vacant: Option<(Tick, Duration)>,
    /// When to campaign, if nothing changes until then.
    patience_until: Option<Tick>,
    /// Not before this: this node just failed or stepped down.
    courtesy_until: Tick,
    /// Nor before this: somebody else campaigns.
    yields_until: Tick,
    /// Campaigns failed since a leader was last seen.
    failures: u32,
    chance: Chance,
}

/// Those that know more go first, each this part of a heartbeat before the next.
const TURNS_PER_HEARTBEAT: u32 = 4;

/// Failures after which courtesy grows no more.
const FAILURES_MAX: u32 = 3;

impl Election {
    pub(crate) fn new(timing: Timing, chance: Chance) -> Election {
        Election {
            timing,
            beat_at: None,
            vacant: None,
            patience_until: None,
            courtesy_until: Tick::ZERO,
            yields_until: Tick::ZERO,
            failures: 0,
            chance,
        }
    }

    /// When this has something to do.
    pub(crate) fn wake_at(&self) -> Tick {
        let beat_at = self.beat_at.unwrap_or(Tick::ZERO);
        self.patience_until.map_or(beat_at, |until| until.min(beat_at))
    }

    /// Gives somebody else `span` to become the leader.
    pub(crate) fn wait_for_others(&mut self, now: Tick, span: Duration) {
        self.courtesy_until = self.courtesy_until.max(now.after(span));
        self.calm();
    }

    /// Gives somebody else `span` at most to become the leader, and less once that one leads.
    pub(crate) fn yields(&mut self, now: Tick, span: Duration) {
        self.yields_until = self.yields_until.max(now.after(span));
        self.calm();
    }

    /// Whom this node yielded to leads: when that one is gone, it has waited enough.
    pub(crate) fn has_yielded(&mut self) {
        self.yields_until = Tick::ZERO;
    }

    /// A campaign failed: wait longer each time, by chance, so that two do not meet for ever.
    pub(crate) fn failed(&mut self, now: Tick) {
        let base = self.timing.suspect_min * (1 << self.failures.min(FAILURES_MAX));
        self.failures += 1;
        let span = base / 2 + self.chance.below(base);
        self.wait_for_others(now, span);
    }

    /// A leader is there, or this node may not campaign.
    pub(crate) fn rest(&mut self, leader_seen: bool) {
        self.calm();
        if leader_seen {
            self.failures = 0;
        }
    }

    /// Nobody leads and this node may campaign; `fresher` others, as far as is known now, should go
    /// first. True when its turn has come.
    ///
    /// A turn is a part of a heartbeat and no more: of two that campaign at once the higher ballot
    /// wins, and the other yields to it, so that meeting costs little, and waiting for somebody who
    /// does not come all of its time.
    pub(crate) fn is_due(&mut self, now: Tick, fresher: u32) -> bool {
        let turn = self.timing.heartbeat / TURNS_PER_HEARTBEAT;
        let (since, hesitation) = match self.vacant {
            Some(vacant) => vacant,
            None => {
                let since = now.max(self.courtesy_until).max(self.yields_until);
                (since, self.chance.below(turn / 2))
            }
        };
        let until = since.after(turn * fresher + hesitation);
        if now < until {
            self.vacant = Some((since, hesitation));
            self.patience_until = Some(until);
            return false;
        }
        self.calm();
        true
    }

    fn calm(&mut self) {
        self.vacant = None;
        self.patience_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1_000)
    }

    fn election() -> Election {
        Election::new(Timing::default(), Chance::new(7))
    }

    /// Who knows most goes first, within half a turn; each other a turn later. Patience shortens
    /// when those in front turn out to be unable.
    #[test]
    fn each_waits_a_turn_for_everyone_in_front_of_it() {
        let mut first = election();
        assert!(!first.is_due(at(100), 0) || first.wake_at() == Tick::ZERO);
        assert!(first.is_due(at(103), 0));
        let mut third = election();
        assert!(!third.is_due(at(100), 2));
        assert!(!third.is_due(at(109), 2));
        assert!(third.is_due(at(113), 2));
        let mut third = election();
        assert!(!third.is_due(at(100), 2));
        assert!(third.is_due(at(103), 0));
    }

    /// Whoever yielded waits, and no longer when the other has come to lead.
    #[test]
    fn a_leader_that_came_and_went_is_not_waited_for() {
        let mut election = election();
        election.yields(at(0), Duration::from_millis(200));
        assert!(!election.is_due(at(150), 0));
        election.has_yielded();
        election.rest(true);
        assert!(!election.is_due(at(150), 0) || election.wake_at() == Tick::ZERO);
        assert!(election.is_due(at(153), 0));
        election.wait_for_others(at(153), Duration::from_millis(1_000));
        election.has_yielded();
        assert!(!election.is_due(at(1_100), 0), "it has stepped down");
    }

    /// A failed campaign makes a node wait, longer each time, until a leader was seen.
    #[test]
    fn a_failed_campaign_waits_longer_each_time() {
        let mut election = election();
        election.failed(at(0));
        assert!(!election.is_due(at(49), 0));
        assert!(election.is_due(at(160), 0) || election.is_due(at(170), 0));
        for _ in 0..5 {
            election.failed(at(200));
        }
        assert!(!election.is_due(at(599), 0));
        election.rest(true);
        assert_eq!(election.failures, 0);
    }
}
