//! This node's snapshots: when to take one, which to keep, and the one that is being fetched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use synod_paxos::{NodeId, Slot, Tick};

/// Snapshots that are kept. The log is trimmed below the older one only: if the newer is damaged
/// when the node starts, the older and the log make the same state.
const KEPT: usize = 2;

/// A snapshot that was read for a peer so lately is kept for it.
const SERVING: Duration = Duration::from_secs(5);

/// A snapshot that is taken for a damaged slot alone is so much later than the last one: that one
/// may have been written in vain, for want of room.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Bytes that a slot costs in the log beside its batch.
const SLOT_BYTES: u64 = 128;

/// What a node finds on its shelf when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelved {
    /// Whole snapshots, in any order.
    pub slots: Vec<Slot>,
    /// One that was being received, and how many of its chunks are there.
    pub part: Option<(Slot, u32)>,
}

/// When a snapshot is taken, and how fast one is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// After so many bytes of the log since the last one.
    pub every_bytes: u64,
    /// Or so long after it, if anything happened since.
    pub every: Duration,
    /// Between two chunks that are fetched.
    pub pause: Duration,
}

impl Default for Cadence {
    fn default() -> Cadence {
        Cadence {
            every_bytes: 64 << 20,
            every: Duration::from_secs(3_600),
            pause: Duration::from_millis(4),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Snapshots {
    cadence: Cadence,
    /// Durable here.
    kept: BTreeSet<Slot>,
    /// Being written.
    writing: Option<Slot>,
    /// Bytes of the log since the last one was taken, and when that was.
    bytes: u64,
    taken: (Slot, Tick),
    /// A slot that is damaged in the log here and that a peer needs: the next snapshot is due when
    /// the state has come to it.
    must_cover: Option<Slot>,
    /// What peers are being sent, and when they last asked.
    serving: BTreeMap<NodeId, (Slot, Tick)>,
    /// What was received of a snapshot that is not whole.
    part: Option<(Slot, u32)>,
    pub(crate) fetching: Option<Fetching>,
}

/// A snapshot on its way here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetching {
    pub(crate) from: NodeId,
    /// Which; `None` until the first chunk has come, unless a part of it is here.
    pub(crate) slot: Option<Slot>,
    /// The chunk that is wanted, and of how many.
    pub(crate) next: u32,
    pub(crate) count: u32,
    /// When to ask, for the first time or again.
    pub(crate) ask_at: Tick,
    pub(crate) tries: u32,
    /// Whether the shelf is at work on a chunk; nothing is asked for meanwhile.
    pub(crate) on_shelf: bool,
}

impl Snapshots {
    /// `phase`, below one, is how much of the first interval counts as over: nodes of one cluster
    /// that start together then do not write theirs at one moment.
    pub(crate) fn new(cadence: Cadence, shelved: Shelved, phase: (u64, u64)) -> Snapshots {
        let (part, whole) = phase;
        Snapshots {
            cadence,
            bytes: cadence.every_bytes / whole.max(1) * part,
            taken: (shelved.slots.iter().copied().max().unwrap_or(Slot::ZERO), Tick::ZERO),
            kept: shelved.slots.into_iter().collect(),
            writing: None,
            must_cover: None,
            serving: BTreeMap::new(),
            part: shelved.part,
            fetching: None,
        }
    }

    /// A decree of so many bytes was applied.
    pub(crate) fn grew(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64).saturating_add(SLOT_BYTES);
    }

    /// A peer lacks this slot, and the log here cannot give it: unless a snapshot can, one is to be
    /// taken. If that fails the peer asks again.
    pub(crate) fn must_cover(&mut self, slot: Slot) {
        if self.newest().max(self.writing) < Some(slot) {
            self.must_cover = self.must_cover.max(Some(slot));
        }
    }

    /// Whether to take one of the state after `applied` now; if so it is being written from here
    /// on.
    pub(crate) fn take(&mut self, applied: Slot, now: Tick) -> bool {
        let many = self.bytes >= self.cadence.every_bytes;
        let old = now.since(self.taken.1) >= self.cadence.every;
        let waited = self.taken.1 == Tick::ZERO || now.since(self.taken.1) >= AGAIN_AFTER;
        let needed = waited && self.must_cover.is_some_and(|slot| slot <= applied);
        let grown = applied > self.taken.0 && (many || old);
        let due = self.writing.is_none() && (grown || needed);
        if due {
            self.must_cover = None;
            self.writing = Some(applied);
            self.begin_anew(applied, now);
        }
        due
    }

    /// It stands now, if it was not written in vain.
    pub(crate) fn written(&mut self, slot: Slot, stands: bool) {
        self.writing = None;
        if stands {
            self.kept.insert(slot);
        }
    }

    /// One was received whole: it is as good as one that was written here.
    pub(crate) fn received(&mut self, slot: Slot, now: Tick) {
        self.kept.insert(slot);
        (self.part, self.fetching) = (None, None);
        if slot > self.taken.0 {
            self.begin_anew(slot, now);
        }
    }

    /// One is damaged or gone.
    pub(crate) fn lost(&mut self, slot: Slot) {
        self.kept.remove(&slot);
    }

    fn begin_anew(&mut self, slot: Slot, now: Tick) {
        self.taken = (slot, now);
        self.bytes = 0;
    }

    /// What snapshots cover even if the newest is lost.
    pub(crate) fn covered(&self) -> Slot {
        self.kept.iter().rev().nth(KEPT - 1).copied().unwrap_or(Slot::ZERO)
    }

    pub(crate) fn newest(&self) -> Option<Slot> {
        self.kept.last().copied()
    }

    pub(crate) fn holds(&self, slot: Slot) -> bool {
        self.kept.contains(&slot)
    }

    /// A peer is being sent this one.
    pub(crate) fn serves(&mut self, peer: NodeId, slot: Slot, now: Tick) {
        self.serving.insert(peer, (slot, now));
    }

    /// Takes out those that nobody needs any more.
    pub(crate) fn superfluous(&mut self, now: Tick) -> Vec<Slot> {
        self.serving.retain(|_, (_, at)| now.since(*at) < SERVING);
        let old = self.kept.iter().rev().skip(KEPT).copied();
        let served = |slot: &Slot| self.serving.values().any(|(served, _)| served == slot);
        let superfluous: Vec<Slot> = old.filter(|slot| !served(slot)).collect();
        for slot in &superfluous {
            self.kept.remove(slot);
        }
        superfluous
    }

    /// Begins to fetch one from `peer`, unless one is on its way; a part that is here is gone on
    /// with, if that peer still has the rest.
    pub(crate) fn fetch_from(&mut self, peer: NodeId, applied: Slot, now: Tick) {
        if self.fetching.is_some() {
            return;
        }
        let part = self.part.filter(|(slot, _)| *slot > applied);
        let (slot, next) = part.map_or((None, 0), |(slot, next)| (Some(slot), next));
        let fetching =
            Fetching { from: peer, slot, next, count: 0, ask_at: now, tries: 0, on_shelf: false };
        self.fetching = Some(fetching);
    }

    /// The peer does not have it any more; its newest is as good, unless that is what was asked
    /// for.
    pub(crate) fn gone(&mut self, now: Tick) {
        self.part = None;
        self.fetching = self
            .fetching
            .filter(|fetching| fetching.slot.is_some())
            .map(|fetching| Fetching { slot: None, next: 0, count: 0, ask_at: now, ..fetching });
    }

    /// The shelf wants this chunk next.
    pub(crate) fn wants(&mut self, slot: Slot, next: u32, now: Tick) {
        self.part = Some((slot, next));
        if let Some(fetching) = self.fetching.as_mut().filter(|at| at.slot == Some(slot)) {
            fetching.on_shelf = false;
            fetching.next = next;
            fetching.tries = 0;
            fetching.ask_at = now.after(self.cadence.pause);
        }
    }

    /// When something is due that time alone brings about.
    pub(crate) fn wake_at(&self, applied: Slot) -> Option<Tick> {
        let fetching = self.fetching.filter(|fetching| !fetching.on_shelf);
        let old = applied > self.taken.0 && self.writing.is_none();
        let take_at = old.then(|| self.taken.1.after(self.cadence.every));
        fetching.map(|fetching| fetching.ask_at).into_iter().chain(take_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u64) -> Slot {
        Slot::new(number)
    }

    fn at(seconds: u64) -> Tick {
        Tick::ZERO.after(Duration::from_secs(seconds))
    }

    fn kept(slots: &[u64]) -> Snapshots {
        let slots = slots.iter().map(|number| slot(*number)).collect();
        let shelved = Shelved { slots, part: None };
        let every = Duration::from_secs(60);
        let cadence = Cadence { every_bytes: 1_000, every, ..Cadence::default() };
        Snapshots::new(cadence, shelved, (0, 1))
    }

    /// One is taken after so many bytes, or so long after the last; one at a time, and none of a
    /// state of which there is one.
    #[test]
    fn a_snapshot_is_taken_by_bytes_and_by_age() {
        let mut snapshots = kept(&[]);
        snapshots.grew(500);
        assert!(!snapshots.take(slot(1), at(1)));
        snapshots.grew(500);
        assert!(snapshots.take(slot(2), at(1)));
        snapshots.grew(5_000);
        assert!(!snapshots.take(slot(9), at(1)), "one at a time");
        snapshots.written(slot(2), true);
        assert!(snapshots.take(slot(9), at(1)));
        snapshots.written(slot(9), true);
        assert!(!snapshots.take(slot(9), at(99)), "nothing happened since");
        snapshots.grew(1);
        assert_eq!(snapshots.wake_at(slot(10)), Some(at(61)));
        assert!(snapshots.take(slot(10), at(61)));
    }

    /// The log is needed from the older of two on: if the newer is lost, it makes up for it.
    #[test]
    fn the_older_of_two_is_what_snapshots_cover() {
        let mut snapshots = kept(&[]);
        assert_eq!(snapshots.covered(), Slot::ZERO);
        snapshots.written(slot(5), true);
        assert_eq!(snapshots.covered(), Slot::ZERO, "if it is lost, the whole log is needed");
        snapshots.written(slot(9), true);
        assert_eq!(snapshots.covered(), slot(5));
        snapshots.written(slot(12), false);
        assert_eq!(snapshots.covered(), slot(5), "it was written in vain");
        snapshots.lost(slot(9));
        assert_eq!(snapshots.covered(), Slot::ZERO);
    }

    /// A slot that is damaged in the log is covered at once, by no more than one snapshot, and not
    /// before the state has come to it; one that is covered already, or is being, needs none. If
    /// that one was written in vain, the next comes a while later.
    #[test]
    fn what_is_damaged_is_covered_at_once() {
        let cadence = Cadence { every_bytes: u64::MAX, ..Cadence::default() };
        let shelved = Shelved { slots: vec![slot(5)], part: None };
        let mut snapshots = Snapshots::new(cadence, shelved, (0, 1));
        snapshots.must_cover(slot(5));
        assert!(!snapshots.take(slot(9), at(1)));
        snapshots.must_cover(slot(8));
        assert!(!snapshots.take(slot(7), at(1)));
        assert!(snapshots.take(slot(8), at(1)));
        snapshots.must_cover(slot(8));
        snapshots.written(slot(8), false);
        assert!(!snapshots.take(slot(9), at(1)), "the peer asks again");
        snapshots.must_cover(slot(8));
        assert!(!snapshots.take(slot(9), at(2)) && snapshots.take(slot(9), at(4)));
        snapshots.must_cover(slot(8));
        snapshots.written(slot(9), true);
        assert!(!snapshots.take(slot(9), at(9)));
    }

    /// Two stay, and one that a peer is being sent.
    #[test]
    fn old_snapshots_go_when_nobody_needs_them() {
        let mut snapshots = kept(&[3, 5, 9]);
        snapshots.serves(NodeId::new(2), slot(3), at(1));
        assert_eq!(snapshots.superfluous(at(2)), []);
        assert_eq!(snapshots.superfluous(at(8)), [slot(3)]);
        assert_eq!(snapshots.superfluous(at(8)), []);
        assert!(snapshots.holds(slot(5)) && snapshots.holds(slot(9)));
    }

    /// A transfer that broke off is taken up where it ended, by whoever has the same snapshot; and
    /// when nobody has, another is fetched from its beginning.
    #[test]
    fn a_part_is_gone_on_with_or_given_up() {
        let mut snapshots = kept(&[]);
        snapshots.part = Some((slot(40), 7));
        snapshots.fetch_from(NodeId::new(2), slot(3), at(1));
        let begun = snapshots.fetching.map(|fetching| (fetching.slot, fetching.next));
        assert_eq!(begun, Some((Some(slot(40)), 7)));
        snapshots.gone(at(2));
        let anew = snapshots.fetching.map(|fetching| (fetching.slot, fetching.next));
        assert_eq!(anew, Some((None, 0)));
        snapshots.gone(at(2));
        assert_eq!(snapshots.fetching, None, "it has none at all");
    }
}
