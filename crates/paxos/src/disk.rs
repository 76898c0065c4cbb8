use std::time::Duration;

use crate::{Mark, Message, Output, Tick, Write, voice::Voice};

/// Watches the node's own disk: what a step writes ends with a mark. One mark at a time is sealed
/// behind what it ends, and a disk that does not give that back is not alive.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Of the last step that wrote; it may be ahead of the disk.
    mark: Mark,
    /// The sealed mark under way, and since when.
    under_way: Option<(Mark, Tick)>,
    /// Whether something should be written for its own sake.
    probing: bool,
    quiet_since: Tick,
    stall: Duration,
}

impl Disk {
    /// A disk that holds all that was written up to `mark`.
    pub(crate) fn new(stall: Duration, mark: Mark) -> Disk {
        Disk { mark, under_way: None, probing: false, quiet_since: Tick::ZERO, stall }
    }

    /// How much was written, durable or not.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Something was written in this step, or should be: it ends with its mark.
    pub(crate) fn wrote(&mut self, now: Tick, voice: &Voice, out: &mut Output) {
        (self.quiet_since, self.probing) = (now, false);
        self.mark = self.mark.next();
        let mark = self.mark;
        out.durably.write(Write::Marked { mark });
        if self.under_way.is_none() {
            self.under_way = Some((mark, now));
            voice.seal(out, voice.me(), Message::Synced { mark });
        }
    }

    /// The disk gave a mark back.
    pub(crate) fn synced(&mut self, mark: Mark) {
        self.under_way = self.under_way.filter(|(under_way, _)| *under_way != mark);
    }

    /// Whether the oldest sync under way is younger than the stall limit.
    pub(crate) fn alive(&self, now: Tick) -> bool {
        self.under_way.is_none_or(|(_, since)| now.since(since) < self.stall)
    }

    /// Whether the oldest sync under way is younger than `span`: room for what can wait.
    pub(crate) fn keeps_up(&self, now: Tick, span: Duration) -> bool {
        self.under_way.is_none_or(|(_, since)| now.since(since) < span)
    }

    /// A mark alone is to be written when nothing was for half the stall limit: an idle disk shows
    /// that it is dead within one and a half.
    pub(crate) fn probe_when_idle(&mut self, now: Tick) {
        self.probing = self.under_way.is_none() && now.since(self.quiet_since) >= self.stall / 2;
    }

    /// Whether one is.
    pub(crate) fn is_probing(&self) -> bool {
        self.probing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Life, Members, NodeId};

    const STALL: Duration = Duration::from_millis(1_000);

    fn voice() -> Voice {
        let me = Life::first(NodeId::new(1));
        Voice::new(me, &Members::new(vec![me]).unwrap(), Mark::ZERO)
    }

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1_000)
    }

    /// The age of a disk's silence is that of the oldest sync under way, not of the newest.
    #[test]
    fn a_disk_with_an_old_sync_under_way_is_dead_until_it_ends() {
        let (mut disk, mut out) = (Disk::new(STALL, Mark::new(6)), Output::default());
        disk.wrote(at(0), &voice(), &mut out);
        disk.wrote(at(900), &voice(), &mut out);
        assert!(disk.alive(at(999)));
        assert!(!disk.alive(at(1_000)));
        assert_eq!(out.durably.synced().len(), 1, "one mark at a time");
        disk.synced(Mark::new(8));
        assert!(!disk.alive(at(1_000)), "not the mark that is under way");
        disk.synced(Mark::new(7));
        assert!(disk.alive(at(5_000)));
        assert_eq!(disk.mark(), Mark::new(8));
    }

    /// An idle disk is written to now and then, so that its death is seen.
    #[test]
    fn an_idle_disk_is_probed() {
        let (mut disk, mut out) = (Disk::new(STALL, Mark::ZERO), Output::default());
        disk.wrote(at(0), &voice(), &mut out);
        disk.synced(Mark::new(1));
        disk.probe_when_idle(at(499));
        assert!(!disk.is_probing());
        disk.probe_when_idle(at(500));
        assert!(disk.is_probing());
        disk.wrote(at(500), &voice(), &mut out);
        let marked = |number| Write::Marked { mark: Mark::new(number) };
        assert_eq!(out.durably.writes(), [marked(1), marked(2)]);
        assert!(!disk.is_probing());
    }
}
