use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    time::Duration,
};

use crate::{BarrierId, NodeId, Process, Slot, Tick};

/// Linearizable reads without a log entry: all reads that wait share one question to the members,
/// "have you promised anything above my ballot?" (Ongaro §6.4). An answer counts only for a
/// question asked after the read arrived.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// Reads that the next question will serve.
    waiting: Vec<Read>,
    asked: Option<Question>,
    rounds: u64,
}

/// A read, with the watermark at its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Read {
    pub(crate) reader: Reader,
    pub(crate) upto: Slot,
}

/// Who waits to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reader {
    /// A caller of this node.
    Caller(BarrierId),
    /// A member, whose question of this round waits for the answer.
    Member { node: NodeId, process: Process, round: u64 },
}

/// A question under way.
#[derive(Clone, Debug)]
struct Question {
    round: u64,
    reads: Vec<Read>,
    answered: BTreeSet<NodeId>,
    asked_at: Tick,
}

impl Reads {
    /// A read arrived while `upto` was the highest slot that anyone may have heard of.
    pub(crate) fn arrive(&mut self, reader: Reader, upto: Slot) {
        self.waiting.push(Read { reader, upto });
    }

    /// The round to ask now on behalf of all that wait; `None` while one is under way or none
    /// waits.
    pub(crate) fn ask(&mut self, me: NodeId, now: Tick) -> Option<u64> {
        if self.asked.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.rounds += 1;
        let reads = std::mem::take(&mut self.waiting);
        let answered = BTreeSet::from([me]);
        self.asked = Some(Question { round: self.rounds, reads, answered, asked_at: now });
        Some(self.rounds)
    }

    /// Counts an answer.
    pub(crate) fn answer(&mut self, member: NodeId, round: u64) {
        if let Some(question) = self.asked.as_mut().filter(|question| question.round == round) {
            question.answered.insert(member);
        }
    }

    /// The reads whose question a quorum has answered.
    pub(crate) fn finished(&mut self, quorum: usize) -> Vec<Read> {
        match self.asked.take_if(|question| question.answered.len() >= quorum) {
            Some(question) => question.reads,
            None => Vec::new(),
        }
    }

    /// The round to ask again of those who have not answered it.
    pub(crate) fn overdue(
        &mut self,
        now: Tick,
        patience: Duration,
    ) -> Option<(u64, &BTreeSet<NodeId>)> {
        let question = self.asked.as_mut().filter(|asked| now.since(asked.asked_at) >= patience)?;
        question.asked_at = now;
        Some((question.round, &question.answered))
    }
}

/// See the one of [`Peer`](crate::Peer).
impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Question { round, reads, answered, asked_at: _ } = self;
        (round, reads, answered).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId::new(1);
    const QUORUM: usize = 2;

    fn caller(id: u64) -> Reader {
        Reader::Caller(BarrierId(id))
    }

    fn readers(reads: &[Read]) -> Vec<Reader> {
        reads.iter().map(|read| read.reader).collect()
    }

    /// All reads that wait share one question.
    #[test]
    fn one_question_serves_all_that_waited_for_it() {
        let mut reads = Reads::default();
        reads.arrive(caller(1), Slot::new(4));
        reads.arrive(caller(2), Slot::new(5));
        let round = reads.ask(ME, Tick::ZERO).unwrap();
        assert!(reads.finished(QUORUM).is_empty());
        reads.answer(NodeId::new(2), round);
        let served = reads.finished(QUORUM);
        assert_eq!(readers(&served), [caller(1), caller(2)]);
        assert_eq!(served[0].upto, Slot::new(4));
        assert!(reads.finished(QUORUM).is_empty(), "served once");
    }

    /// Ongaro §6.4: an answer proves the reign for the moment of the question, not for reads that
    /// came after it.
    #[test]
    fn a_read_is_not_served_by_a_question_asked_before_it() {
        let mut reads = Reads::default();
        reads.arrive(caller(1), Slot::ZERO);
        let first = reads.ask(ME, Tick::ZERO).unwrap();
        reads.arrive(caller(2), Slot::ZERO);
        assert_eq!(reads.ask(ME, Tick::ZERO), None, "one question at a time");
        reads.answer(NodeId::new(2), first);
        assert_eq!(readers(&reads.finished(QUORUM)), [caller(1)]);
        let second = reads.ask(ME, Tick::ZERO).unwrap();
        reads.answer(NodeId::new(3), first);
        assert!(reads.finished(QUORUM).is_empty(), "a late answer to the first question");
        reads.answer(NodeId::new(3), second);
        assert_eq!(readers(&reads.finished(QUORUM)), [caller(2)]);
    }

    /// A lost question is asked again under its own number, of those who have not answered.
    #[test]
    fn an_unanswered_question_is_asked_again() {
        let mut reads = Reads::default();
        let patience = Duration::from_millis(10);
        reads.arrive(caller(1), Slot::ZERO);
        let round = reads.ask(ME, Tick::ZERO).unwrap();
        assert!(reads.overdue(Tick::from_micros(9_999), patience).is_none());
        let (again, answered) = reads.overdue(Tick::from_micros(10_000), patience).unwrap();
        assert_eq!((again, answered), (round, &BTreeSet::from([ME])));
        assert!(reads.overdue(Tick::from_micros(10_001), patience).is_none(), "not a storm");
    }
}
