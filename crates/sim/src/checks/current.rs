//! E2 at a node: what anybody knew to be chosen when a read came is in the answer, and so whatever
//! anybody had been told. (Who leads when a read is confirmed has chosen it, or inherited it.) A
//! read nearby waits for the answer to a question that its node asks after it came.

use std::collections::BTreeMap;

use synod_machine::door::Said;
use synod_paxos::{Envelope, Message, NodeId, Process, Slot};
use synod_replica::{ClientId, Response};

use crate::violation::{Checked, demand};

/// How far any state has come, and reads under way.
#[derive(Debug, Default)]
pub(crate) struct Current {
    applied: Slot,
    /// Each with how far any state had come when it came.
    reads: BTreeMap<ClientId, Slot>,
    asked: BTreeMap<NodeId, Asked>,
    /// Reads nearby, each with the question that it waits for at the earliest.
    nearby: BTreeMap<ClientId, u64>,
}

/// Questions of the present process of a node.
#[derive(Debug)]
struct Asked {
    process: Process,
    last: u64,
    answered: u64,
}

impl Current {
    /// A node has come so far.
    pub(crate) fn stepped(&mut self, applied: Slot) {
        self.applied = self.applied.max(applied);
    }

    /// A node starts.
    pub(crate) fn started(&mut self, node: NodeId) {
        self.asked.remove(&node);
    }

    /// A word leaves.
    pub(crate) fn spoken(&mut self, envelope: &Envelope) {
        if let Message::Fathom { process, round } = envelope.message {
            let first = Asked { process, last: round, answered: 0 };
            self.asked.entry(envelope.from.node).or_insert(first).last = round;
        }
    }

    /// A word arrives.
    pub(crate) fn heard(&mut self, envelope: &Envelope) {
        if let Message::Fathomed { process, round, .. } = envelope.message
            && let Some(asked) = self.asked.get_mut(&envelope.to)
            && asked.process == process
        {
            asked.answered = asked.answered.max(round);
        }
    }

    /// A read that is to see all comes to a node.
    pub(crate) fn reads(&mut self, client: ClientId) {
        self.reads.insert(client, self.applied);
    }

    /// And it is one for this node itself to answer.
    pub(crate) fn reads_nearby(&mut self, client: ClientId, node: NodeId) {
        let last = self.asked.get(&node).map_or(0, |asked| asked.last);
        self.nearby.insert(client, last + 1);
    }

    /// A node that has come to `applied` answers somebody.
    pub(crate) fn answers(
        &mut self,
        client: ClientId,
        (node, applied): (NodeId, Slot),
        response: &Response,
    ) -> Checked {
        let (floor, question) = (self.reads.remove(&client), self.nearby.remove(&client));
        let Some(floor) = floor else { return Ok(()) };
        let is_told = matches!(response, Response::Said(Said::Answer(_)));
        demand!(
            !is_told || applied >= floor,
            "E2",
            "a read is answered as of slot {applied}; another node had applied {floor} when it came"
        );
        let answered = self.asked.get(&node).map_or(0, |asked| asked.answered);
        demand!(
            !is_told || question.is_none_or(|question| question <= answered),
            "E2",
            "{node} answers a read that waits for question {question:?}; {answered} is answered"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::{Answer, Revision};
    use synod_paxos::Life;

    use super::*;

    #[test]
    fn a_read_that_misses_what_another_had_applied_is_seen() {
        let mut current = Current::default();
        current.stepped(Slot::new(3));
        let clients = [ClientId(1), ClientId(2), ClientId(3)];
        clients.into_iter().for_each(|client| current.reads(client));
        let answer = Answer::Key { revision: Revision::ZERO, entry: None };
        let told = Response::Said(Said::Answer(answer));
        let (node, no) = (NodeId::new(1), Response::NotLeader(None));
        assert_eq!(current.answers(clients[0], (node, Slot::new(3)), &told), Ok(()));
        assert_eq!(current.answers(clients[1], (node, Slot::ZERO), &no), Ok(()));
        let missed = current.answers(clients[2], (node, Slot::new(2)), &told);
        assert_eq!(missed.unwrap_err().invariant, "E2");
    }

    #[test]
    fn a_read_that_is_answered_by_a_question_asked_before_it_came_is_seen() {
        let (mut current, node, process) = (Current::default(), NodeId::new(1), Process::new(7));
        let word = |message| {
            let from = Life::first(node);
            Envelope::of(from, node, message)
        };
        let clients = [ClientId(1), ClientId(2)];
        for (client, round) in clients.into_iter().zip(1..) {
            current.reads(client);
            current.reads_nearby(client, node);
            current.spoken(&word(Message::Fathom { process, round }));
        }
        let upto = Slot::ZERO;
        current.heard(&word(Message::Fathomed { process, round: 1, upto }));
        let answer = Answer::Key { revision: Revision::ZERO, entry: None };
        let told = Response::Said(Said::Answer(answer));
        assert_eq!(current.answers(clients[0], (node, upto), &told), Ok(()));
        let early = current.answers(clients[1], (node, upto), &told);
        assert_eq!(early.unwrap_err().invariant, "E2");
    }
}
