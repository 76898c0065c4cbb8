use std::time::Duration;

use crate::{Message, Output, Tick, Write, voice::Voice};

/// Watches the node's own disk: a mark is sealed behind a write, and a disk that does not give it
/// back is not alive. At most one mark is under way.
#[derive(Clone, Debug)]
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

    /// Whether the oldest sync under way is younger than `span`: room for what can wait.
    pub(crate) fn keeps_up(&self, now: Tick, span: Duration) -> bool {
        self.under_way.is_none_or(|(_, since)| now.since(since) < span)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Life, Members, NodeId};

    const STALL: Duration = Duration::from_millis(1_000);

    fn voice() -> Voice {
        let me = Life::first(NodeId::new(1));
        Voice::new(me, &Members::new(vec![me]).unwrap())
    }

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1_000)
    }

    /// The age of a disk's silence is that of the oldest sync under way, not of the newest.
    #[test]
    fn a_disk_with_an_old_sync_under_way_is_dead_until_it_ends() {
        let (mut disk, mut out) = (Disk::new(STALL), Output::default());
        disk.wrote(at(0), &voice(), &mut out);
        disk.wrote(at(900), &voice(), &mut out);
        assert!(disk.alive(at(999)));
        assert!(!disk.alive(at(1_000)));
        assert_eq!(out.durably.synced().len(), 1, "one mark at a time");
        disk.synced(9);
        assert!(!disk.alive(at(1_000)), "not the mark that is under way");
        disk.synced(1);
        assert!(disk.alive(at(5_000)));
        assert_eq!(disk.sequence(), 1);
    }

    /// An idle disk is written to now and then, so that its death is seen.
    #[test]
    fn an_idle_disk_is_probed() {
        let (mut disk, mut out) = (Disk::new(STALL), Output::default());
        disk.wrote(at(0), &voice(), &mut out);
        disk.synced(1);
        disk.probe_when_idle(at(499), &mut out);
        assert!(out.durably.writes().is_empty());
        disk.probe_when_idle(at(500), &mut out);
        assert_eq!(out.durably.writes(), [Write::Probe { sequence: 1 }]);
    }
}
