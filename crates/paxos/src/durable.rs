use crate::{Ballot, Decree, Envelope, Message, Slot, Span};

/// One fact for stable storage. A store applies them in the order given and adds no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Nothing but a sign that the disk takes writes; overwrites the probe before.
    Probe {
        /// Grows by one each time.
        sequence: u64,
    },
}

/// What stands in the store for one slot above the chosen watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The highest promise; `None` before the first.
    pub promised: Option<Ballot>,
    /// Every slot up to this one is in the store with its chosen decree, readable.
    pub chosen_upto: Slot,
    /// What stands above `chosen_upto`, in slot order.
    pub records: Vec<(Slot, Record)>,
}

/// Facts to sync, and the words that rely on them, sealed.
///
/// [`Durably::synced`] consumes the batch, so nothing inside can leave before the disk has it. It is
/// called in two places only: the node's disk thread and the simulated disk.
#[must_use = "facts that are not written and words that are not spoken are lost"]
#[derive(Debug, Default)]
pub struct Durably {
    writes: Vec<Write>,
    then: Vec<Envelope>,
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
        self.then.extend(later.then);
    }

    /// Opens the sealed words. Call it when the store has said that every write is durable, and
    /// never before.
    pub fn synced(self) -> Vec<Envelope> {
        self.then
    }

    /// Adds a fact.
    pub(crate) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Adds a word that relies on every fact added so far.
    pub(crate) fn then_send(&mut self, envelope: Envelope) {
        self.then.push(envelope);
    }

    /// Adds votes, as part of the `Accepted` to the same leader that this batch holds already, if it
    /// does. That word then relies on later facts too, and so it may: the batch opens as a whole.
    pub(crate) fn then_accepted(&mut self, envelope: Envelope) {
        let Message::Accepted { ballot, slots, chosen_upto } = &envelope.message else {
            return self.then.push(envelope);
        };
        let earlier = self.then.iter_mut().rev().filter(|then| then.to == envelope.to);
        let folded = earlier.filter_map(|then| match &mut then.message {
            Message::Accepted { ballot: at, slots, chosen_upto } if at == ballot => {
                Some((slots, chosen_upto))
            }
            _ => None,
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
