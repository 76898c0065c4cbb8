use std::time::Duration;

use crate::{Tick, Timing, chance::Chance};

/// When to campaign. Whether one *may* is a matter of links and disk; this is the patience between
/// seeing that nobody leads and doing something about it, so that not all do it at once.
#[derive(Debug)]
pub(crate) struct Election {
    timing: Timing,
    /// When the next heartbeat round is due; `None` before the first step.
    pub(crate) beat_at: Option<Tick>,
    /// When to campaign, if nothing changes until then.
    patience_until: Option<Tick>,
    /// Not before this: somebody else campaigns, or this node just failed or stepped down.
    courtesy_until: Tick,
    /// Campaigns failed since a leader was last seen.
    failures: u32,
    chance: Chance,
}

/// Failures after which courtesy grows no more.
const FAILURES_MAX: u32 = 3;

impl Election {
    pub(crate) fn new(timing: Timing, chance: Chance) -> Election {
        Election {
            timing,
            beat_at: None,
            patience_until: None,
            courtesy_until: Tick::ZERO,
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
        self.patience_until = None;
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
        self.patience_until = None;
        if leader_seen {
            self.failures = 0;
        }
    }

    /// Nobody leads and this node may campaign; `fresher` others should go first. True when its
    /// turn has come.
    pub(crate) fn is_due(&mut self, now: Tick, fresher: u32) -> bool {
        if now < self.courtesy_until {
            self.patience_until = Some(self.courtesy_until);
            return false;
        }
        let heartbeat = self.timing.heartbeat;
        match self.patience_until.filter(|until| *until != self.courtesy_until) {
            Some(until) if now < until => false,
            Some(_) => {
                self.patience_until = None;
                true
            }
            None => {
                let span = heartbeat * fresher + self.chance.below(heartbeat / 2);
                self.patience_until = Some(now.after(span));
                false
            }
        }
    }
}
