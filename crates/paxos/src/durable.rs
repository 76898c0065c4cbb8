use crate::{Ballot, Decree, Envelope, Mark, Message, Slot, Span};

/// One fact for stable storage. A store applies them in the order given and adds no meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// No ballot below this one will be answered any more.
    Promised {
        /// The promised ballot; never below the one before.
        ballot: Ballot,
    },
    /// The decree accepted in `slot` at `ballot`, in place of what was accepted there before.
    Accepted {
        /// Where.
        slot: Slot,
        /// At which ballot.
        ballot: Ballot,
        /// What.
        decree: Decree,
    },
    /// The decree known to be chosen in `slot`. It is no vote: a learner writes it too.
    Chosen {
        /// Where.
        slot: Slot,
        /// What.
        decree: Decree,
    },
    /// Every slot up to this one stands in this store with its chosen decree. Lazy: a store that
    /// lost the last of these only learns again.
    ChosenUpto {
        /// The last of them.
        slot: Slot,
    },
    /// Every slot up to this one is chosen, a durable snapshot covers it, and its record goes. The
    /// watermark is at least this.
    Trimmed {
        /// The last of them; never below the one before.
        upto: Slot,
    },
    /// How much was written with this, in place of the mark before. Alone it is nothing but a sign
    /// that the disk takes writes.
    Marked {
        /// Higher than the one before.
        mark: Mark,
    },
}

impl Write {
    /// Bytes that the fact carries, for budgets.
    pub fn bytes(&self) -> usize {
        match self {
            Write::Accepted { decree, .. } | Write::Chosen { decree, .. } => decree.bytes(),
            Write::Promised { .. }
            | Write::ChosenUpto { .. }
            | Write::Trimmed { .. }
            | Write::Marked { .. } => 0,
        }
    }
}

/// What stands in the store for one slot above the chosen watermark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// A vote.
    Accepted {
        /// At which ballot.
        ballot: Ballot,
        /// For what.
        decree: Decree,
    },
    /// Known to be chosen.
    Chosen {
        /// What.
        decree: Decree,
    },
    /// Something was written here and cannot be read: neither a vote nor the absence of one.
    Faulty,
}

/// What a node finds on its disk when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The highest promise; `None` before the first.
    pub promised: Option<Ballot>,
    /// Every slot up to this one was trimmed; a snapshot covers it.
    pub trimmed: Slot,
    /// Every slot above `trimmed` up to this one is in the store with its chosen decree, readable.
    pub chosen_upto: Slot,
    /// What stands above `chosen_upto`, in slot order.
    pub records: Vec<(Slot, Record)>,
    /// How much was written.
    pub mark: Mark,
}

/// Facts to sync, and the words that rely on them, sealed.
///
/// [`Durably::synced`] consumes the batch, so nothing inside can leave before the disk has it. It
/// is called in two places only: the node's disk thread and the simulated disk.
#[must_use = "facts that are not written and words that are not spoken are lost"]
#[derive(Debug, Default)]
pub struct Durably {
    writes: Vec<Write>,
    then: Vec<Envelope>,
    /// How much the disk holds when this batch is durable.
    mark: Mark,
}

impl Durably {
    /// The facts, in the order in which they must become durable.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether there is nothing to write and nothing to say.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.then.is_empty()
    }

    /// Appends a later batch; one sync then covers both, in order.
    pub fn merge(&mut self, later: Durably) {
        self.writes.extend(later.writes);
        self.mark = self.mark.max(later.mark);
        for envelope in later.then {
            self.then_accepted(envelope);
        }
    }

    /// Opens the sealed words. Call it when the store has said that every write is durable, and
    /// never before.
    pub fn synced(mut self) -> Vec<Envelope> {
        for envelope in &mut self.then {
            envelope.marks.holds = envelope.marks.holds.map(|holds| holds.max(self.mark));
        }
        self.then
    }

    /// Everything written up to `mark` stands before this batch or in it.
    pub(crate) fn reaches(&mut self, mark: Mark) {
        self.mark = self.mark.max(mark);
    }

    /// Adds a fact.
    pub(crate) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Adds a word that relies on every fact added so far.
    pub(crate) fn then_send(&mut self, envelope: Envelope) {
        self.then.push(envelope);
    }

    /// Adds a word; votes go into the `Accepted` to the same leader that this batch holds already,
    /// if it does. That word then relies on later facts too, and so it may: the batch opens as a
    /// whole.
    pub(crate) fn then_accepted(&mut self, envelope: Envelope) {
        let Message::Accepted { ballot, slots, chosen_upto } = &envelope.message else {
            return self.then.push(envelope);
        };
        // A ballot has one owner: whatever is said at it goes to the same node.
        let folded = self.then.iter_mut().rev().filter_map(|then| {
            let Message::Accepted { ballot: at, slots, chosen_upto } = &mut then.message else {
                return None;
            };
            (at == ballot).then_some((slots, chosen_upto))
        });
        let Some((runs, upto)) = { folded }.next() else { return self.then.push(envelope) };
        *upto = *chosen_upto;
        for span in slots {
            append(runs, *span);
        }
    }
}

fn append(runs: &mut Vec<Span>, span: Span) {
    match runs.last_mut() {
        Some(run) if run.last.next() == span.first => run.last = span.last,
        Some(_) | None => runs.push(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Epoch, Life, Marks, NodeId};

    fn vote(at: Ballot, slot: u64, to: u16) -> Envelope {
        let place = Slot::new(slot);
        let slots = vec![Span { first: place, last: place }];
        let message = Message::Accepted { ballot: at, slots, chosen_upto: place };
        let from = Life::first(NodeId::new(1));
        let (to, epoch) = (NodeId::new(to), Epoch::FIRST);
        Envelope { from, to, epoch, marks: Marks::NONE, message }
    }

    /// Votes of one batch go as one word a leader and ballot, in runs.
    #[test]
    fn votes_of_one_batch_are_told_in_runs() {
        let (low, high) = (
            Ballot::first(Life::first(NodeId::new(2))),
            Ballot::first(Life::first(NodeId::new(3))),
        );
        let mut batch = Durably::default();
        for slot in [1, 2, 4] {
            batch.then_accepted(vote(low, slot, 2));
        }
        let mut later = Durably::default();
        later.then_accepted(vote(high, 5, 3));
        later.then_accepted(vote(low, 5, 2));
        batch.merge(later);
        let told: Vec<Message> = batch.synced().into_iter().map(|told| told.message).collect();
        let run = |first, last| Span { first: Slot::new(first), last: Slot::new(last) };
        let chosen_upto = Slot::new(5);
        let slots = vec![run(1, 2), run(4, 5)];
        let expected = [
            Message::Accepted { ballot: low, slots, chosen_upto },
            Message::Accepted { ballot: high, slots: vec![run(5, 5)], chosen_upto },
        ];
        assert_eq!(told, expected);
    }
}
