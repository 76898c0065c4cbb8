use std::collections::BTreeSet;

use crate::{Barrier, BarrierId, NodeId, Slot, Tick};

/// Linearizable reads without a log entry: all reads that wait share one question to the members,
/// "have you promised anything above my ballot?" (Ongaro §6.4). An answer counts only for a question
/// asked after the read arrived.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Reads that the next question will serve, each with the watermark at its arrival.
    waiting: Vec<Barrier>,
    asked: Option<Question>,
    rounds: u64,
}

/// A question under way.
#[derive(Debug)]
struct Question {
    round: u64,
    reads: Vec<Barrier>,
    answered: BTreeSet<NodeId>,
    asked_at: Tick,
}

impl Reads {
    /// A read arrived while `upto` was the highest slot that anyone may have heard of.
    pub(crate) fn arrive(&mut self, id: BarrierId, upto: Slot) {
        self.waiting.push(Barrier { id, upto });
    }

    /// The round to ask now on behalf of all that wait; `None` while one is under way or none waits.
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
    pub(crate) fn finished(&mut self, quorum: usize) -> Vec<Barrier> {
        match self.asked.take_if(|question| question.answered.len() >= quorum) {
            Some(question) => question.reads,
            None => Vec::new(),
        }
    }

    /// The round to ask again of those who have not answered it.
    pub(crate) fn overdue(
        &mut self,
        now: Tick,
        patience: std::time::Duration,
    ) -> Option<(u64, &BTreeSet<NodeId>)> {
        let question = self.asked.as_mut().filter(|asked| now.since(asked.asked_at) >= patience)?;
        question.asked_at = now;
        Some((question.round, &question.answered))
    }
}
