use std::time::Duration;

use crate::{Message, Output, Tick, Write, voice::Voice};

/// Watches the node's own disk: a mark is sealed behind a write, and a disk that does not give it
/// back is not alive. At most one mark is under way.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The mark under way, and since when.
    under_way: Option<(u64, Tick)>,
    marks: u64,
    completed: u64,
    probes: u64,
    quiet_since: Tick,
    stall: Duration,
}

impl Disk {
    pub(crate) fn new(stall: Duration) -> Disk {
        Disk { under_way: None, marks: 0, completed: 0, probes: 0, quiet_since: Tick::ZERO, stall }
    }

    /// Something was written in this step: seal a mark behind it.
    pub(crate) fn wrote(&mut self, now: Tick, voice: &Voice, out: &mut Output) {
        self.quiet_since = now;
        if self.under_way.is_none() {
            self.marks += 1;
            self.under_way = Some((self.marks, now));
            voice.seal(out, voice.me(), Message::Synced { sequence: self.marks });
        }
    }

    /// The disk gave a mark back.
    pub(crate) fn synced(&mut self, sequence: u64) {
        if self.under_way.is_some_and(|(mark, _)| mark == sequence) {
            self.under_way = None;
            self.completed = sequence;
        }
    }

    /// Whether the oldest sync under way is younger than the stall limit.
    pub(crate) fn alive(&self, now: Tick) -> bool {
        self.under_way.is_none_or(|(_, since)| now.since(since) < self.stall)
    }

    /// How many marks came back.
    pub(crate) fn sequence(&self) -> u64 {
        self.completed
    }

    /// A small write when nothing was written for half the stall limit: an idle disk shows that it
    /// is dead within one and a half.
    pub(crate) fn probe_when_idle(&mut self, now: Tick, out: &mut Output) {
        if self.under_way.is_none() && now.since(self.quiet_since) >= self.stall / 2 {
            self.probes += 1;
            out.durably.write(Write::Probe { sequence: self.probes });
        }
    }
}
