//! How long the batches of a reign take, stage by stage. It is measured and nothing rests on it.

use std::{collections::BTreeMap, time::Duration};

use synod_paxos::{Slot, Span, Tick};

/// A batch has come through a stage, on the leader that proposed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It was proposed, so long after the first of its requests had come.
    Queue(Duration),
    /// The leader's own vote is durable, so long after it was proposed.
    Sync(Duration),
    /// It is chosen.
    Quorum {
        /// So long after it was proposed.
        after: Duration,
        /// Then: what is left is to apply it and to answer.
        at: Tick,
    },
}

/// When what is under way was proposed. The leader's own vote and the quorum's are waited for
/// apart: with a slow disk the others choose first, and that is when the sync is of interest.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    unsynced: BTreeMap<Slot, Tick>,
    unchosen: BTreeMap<Slot, Tick>,
}

impl Stages {
    pub(crate) fn proposed(&mut self, slot: Slot, now: Tick) {
        self.unsynced.insert(slot, now);
        self.unchosen.insert(slot, now);
    }

    /// The own votes in these slots are durable.
    pub(crate) fn synced(&mut self, slots: &[Span], now: Tick) -> Vec<Passed> {
        let spans = slots.iter().filter(|span| span.first <= span.last);
        let voted = spans.flat_map(|span| self.unsynced.range(span.first..=span.last));
        let voted: Vec<(Slot, Tick)> = voted.map(|(slot, since)| (*slot, *since)).collect();
        let passed = voted.into_iter().filter(|(slot, _)| self.unsynced.remove(slot).is_some());
        passed.map(|(_, since)| Passed::Sync(now.since(since))).collect()
    }

    /// What was proposed in this slot is chosen.
    pub(crate) fn chosen(&mut self, slot: Slot, now: Tick) -> Option<Passed> {
        let since = self.unchosen.remove(&slot)?;
        Some(Passed::Quorum { after: now.since(since), at: now })
    }

    /// The reign is over: what comes of its batches is others' to see.
    pub(crate) fn end(&mut self) {
        *self = Stages::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Tick {
        Tick::from_micros(micros)
    }

    fn span(first: u64, last: u64) -> Span {
        Span { first: Slot::new(first), last: Slot::new(last) }
    }

    /// The slow disk of a leader is seen although the others' votes have chosen long before.
    #[test]
    fn a_sync_that_comes_after_the_quorum_is_measured_all_the_same() {
        let mut stages = Stages::default();
        stages.proposed(Slot::new(3), at(100));
        stages.proposed(Slot::new(4), at(200));
        let after = Duration::from_micros(400);
        let chosen = stages.chosen(Slot::new(3), at(500));
        assert_eq!(chosen, Some(Passed::Quorum { after, at: at(500) }));
        assert_eq!(stages.chosen(Slot::new(3), at(501)), None);
        let sync = |micros| Passed::Sync(Duration::from_micros(micros));
        assert_eq!(stages.synced(&[span(1, 4), span(4, 2)], at(900)), [sync(800), sync(700)]);
        assert_eq!(stages.synced(&[span(1, 4)], at(901)), []);
    }
}
