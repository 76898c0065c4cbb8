use std::collections::{BTreeMap, VecDeque};

use crate::{
    Chosen, Decree, Output, Slot,
    limits::{AHEAD_SLOTS_MAX, PAGE_BYTES_MAX, PAGE_SLOTS_MAX, RECENT_BYTES_MAX, RECENT_SLOTS_MAX},
};

/// The learner: what is known to be chosen.
///
/// Invariant: every slot up to `upto` was handed out once, in order, and nothing above it was; what
/// is known above it waits for the gap to close.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Learner {
    upto: Slot,
    /// Every slot up to this one is known to be chosen, though between `upto` and it no longer with
    /// which decree: the state above was lost, and comes back by a snapshot.
    settled: Slot,
    above: BTreeMap<Slot, Decree>,
    above_bytes: usize,
    /// The last decrees up to `upto`, the last one at the back.
    recent: VecDeque<Decree>,
    recent_bytes: usize,
}

impl Learner {
    /// A learner above whom the state has come to `upto`.
    pub(crate) fn new(upto: Slot) -> Learner {
        Learner {
            upto,
            settled: upto,
            above: BTreeMap::new(),
            above_bytes: 0,
            recent: VecDeque::new(),
            recent_bytes: 0,
        }
    }

    /// Everything up to `settled` is chosen, says the log, wherever the state is.
    pub(crate) fn settle(&mut self, settled: Slot) {
        self.settled = settled;
    }

    /// The last slot of the gapless prefix.
    pub(crate) fn upto(&self) -> Slot {
        self.upto
    }

    /// The last slot of the gapless prefix of which it is known that it is chosen.
    pub(crate) fn settled(&self) -> Slot {
        self.settled.max(self.upto)
    }

    /// Whether the slot is known to be chosen, and with which decree.
    pub(crate) fn knows(&self, slot: Slot) -> bool {
        slot <= self.upto || self.above.contains_key(&slot)
    }

    /// The decree of a slot above the prefix that is known to be chosen.
    pub(crate) fn known(&self, slot: Slot) -> Option<&Decree> {
        self.above.get(&slot)
    }

    /// The slots above the prefix, from `first` on, that are known to be chosen.
    pub(crate) fn known_from(&self, first: Slot) -> impl Iterator<Item = Slot> + '_ {
        self.above.range(first..).map(|(slot, _)| *slot)
    }

    /// The first gap: from the slot after the prefix to the one before the next known slot.
    pub(crate) fn gap_end(&self) -> Option<Slot> {
        let (next, _) = self.above.first_key_value()?;
        Some(Slot::new(next.get() - 1))
    }

    /// Bytes of decrees that wait for a gap to close.
    pub(crate) fn above_bytes(&self) -> usize {
        self.above_bytes
    }

    /// Whether there is something to learn of the slot: it is neither known, nor too far ahead to
    /// be kept.
    pub(crate) fn takes(&self, slot: Slot) -> bool {
        !self.knows(slot) && slot.distance_from(self.upto) <= AHEAD_SLOTS_MAX
    }

    /// Takes in the decree that is chosen in a slot of which it [takes](Learner::takes) one.
    pub(crate) fn learn(&mut self, slot: Slot, decree: Decree) {
        self.above_bytes += decree.bytes();
        self.above.insert(slot, decree);
    }

    /// Takes back from the disk what was known to be chosen, however far it lies above a record
    /// that cannot be read: what it did not know any more it would report as empty.
    pub(crate) fn recall(&mut self, slot: Slot, decree: Decree) {
        if !self.knows(slot) {
            self.learn(slot, decree);
        }
    }

    /// Hands out what has become gapless.
    pub(crate) fn hand_out(&mut self, out: &mut Output) {
        while let Some(decree) = self.above.remove(&self.upto.next()) {
            self.upto = self.upto.next();
            self.above_bytes -= decree.bytes();
            self.remember(decree.clone());
            out.chosen.push(Chosen { slot: self.upto, decree });
        }
    }

    /// The state above has come to `upto` by a snapshot: what lies below needs no learning.
    pub(crate) fn install(&mut self, upto: Slot) {
        assert!(upto > self.upto, "a snapshot of {upto} over a state of {}", self.upto);
        self.upto = upto;
        self.above = self.above.split_off(&upto.next());
        self.above_bytes = self.above.values().map(Decree::bytes).sum();
        self.recent.clear();
        self.recent_bytes = 0;
    }

    /// A page of chosen decrees from `first` to at most `last`; `None` when memory no longer has
    /// them and the store must be asked.
    pub(crate) fn page(&self, first: Slot, last: Slot) -> Option<Vec<(Slot, Decree)>> {
        let forgotten = self.upto.get() - self.recent.len() as u64;
        if first > self.upto {
            return Some(Vec::new());
        }
        let skip = usize::try_from(first.get().checked_sub(forgotten + 1)?).ok()?;
        let slots = (first.get()..=last.get()).map(Slot::new);
        Some(cut(slots.zip(self.recent.iter().skip(skip).cloned())))
    }

    fn remember(&mut self, decree: Decree) {
        self.recent_bytes += decree.bytes();
        self.recent.push_back(decree);
        while self.recent.len() > RECENT_SLOTS_MAX || self.recent_bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.bytes();
        }
    }
}

/// As much of a run of decrees as one page holds: at least the first.
pub(crate) fn cut(decrees: impl IntoIterator<Item = (Slot, Decree)>) -> Vec<(Slot, Decree)> {
    let mut bytes = 0;
    let fits = |(_, decree): &(Slot, Decree)| {
        let first = bytes == 0;
        // A decree of no bytes still costs a few on the wire.
        bytes += decree.bytes() + 1;
        first || bytes <= PAGE_BYTES_MAX
    };
    decrees.into_iter().take(PAGE_SLOTS_MAX).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decree(bytes: usize) -> Decree {
        Decree::Value(Bytes::from(vec![7; bytes]))
    }

    fn handed_out(learner: &mut Learner) -> Vec<u64> {
        let mut out = Output::default();
        learner.hand_out(&mut out);
        out.chosen.iter().map(|chosen| chosen.slot.get()).collect()
    }

    /// C3: slots are handed out in order, without gaps, each once.
    #[test]
    fn slots_are_handed_out_in_order_once() {
        let mut learner = Learner::new(Slot::new(2));
        learner.learn(Slot::new(4), Decree::Noop);
        assert_eq!(handed_out(&mut learner), []);
        assert_eq!(learner.gap_end(), Some(Slot::new(3)));
        learner.learn(Slot::new(3), Decree::Noop);
        assert!(!learner.takes(Slot::new(3)), "known");
        assert_eq!(handed_out(&mut learner), [3, 4]);
        assert!(!learner.takes(Slot::new(4)), "known");
        assert_eq!(handed_out(&mut learner), []);
    }

    /// Memory holds a bounded number of chosen decrees, by count and by bytes.
    #[test]
    fn memory_of_chosen_decrees_is_bounded() {
        let mut learner = Learner::new(Slot::ZERO);
        for number in 1..=2_000 {
            learner.learn(Slot::new(number), decree(1));
            handed_out(&mut learner);
        }
        assert_eq!(learner.recent.len(), RECENT_SLOTS_MAX);
        for number in 2_001..=2_020 {
            learner.learn(Slot::new(number), decree(1 << 20));
            handed_out(&mut learner);
        }
        assert!(learner.recent_bytes <= RECENT_BYTES_MAX);
        assert_eq!(learner.recent_bytes, learner.recent.iter().map(Decree::bytes).sum::<usize>());
        assert!(!learner.takes(Slot::new(2_021).plus(AHEAD_SLOTS_MAX)), "too far");
    }

    /// What the disk knew is known, also further above damage than anything new is learned.
    #[test]
    fn what_the_disk_knew_is_known_however_far_above() {
        let mut learner = Learner::new(Slot::ZERO);
        let far = Slot::new(2).plus(AHEAD_SLOTS_MAX);
        learner.recall(far, decree(1));
        assert!(!learner.takes(far) && learner.known(far).is_some());
    }

    /// A page comes from memory, begins where asked, and is cut at its bytes; what memory forgot is
    /// the store's to read.
    #[test]
    fn a_page_begins_where_asked_and_is_cut_at_its_bytes() {
        let mut learner = Learner::new(Slot::new(10));
        for number in 11..=14 {
            learner.learn(Slot::new(number), decree(400_000));
        }
        handed_out(&mut learner);
        let slots = |page: Option<Vec<(Slot, Decree)>>| {
            page.map(|page| page.iter().map(|(slot, _)| slot.get()).collect::<Vec<_>>())
        };
        let upto = learner.upto();
        assert_eq!(slots(learner.page(Slot::new(12), upto)), Some(vec![12, 13]));
        assert_eq!(slots(learner.page(Slot::new(14), upto)), Some(vec![14]));
        assert_eq!(slots(learner.page(Slot::new(11), Slot::new(11))), Some(vec![11]));
        assert_eq!(slots(learner.page(Slot::new(15), upto)), Some(vec![]));
        assert_eq!(slots(learner.page(Slot::new(10), upto)), None);
    }

    /// One decree larger than a page still goes: alone.
    #[test]
    fn a_decree_larger_than_a_page_goes_alone() {
        let big = decree(PAGE_BYTES_MAX * 2);
        let decrees = vec![(Slot::new(1), big.clone()), (Slot::new(2), big)];
        assert_eq!(cut(decrees).len(), 1);
    }
}
