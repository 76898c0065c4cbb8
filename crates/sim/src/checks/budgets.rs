//! I: what waits, and what is proposed at once, stays within its budget.

use synod_machine::{Command, Request};
use synod_paxos::{Envelope, Message, NodeId};

use super::order;
use crate::violation::{Checked, demand};

/// What a batch has beside its requests: a version, a stamp and their number.
const HEAD_BYTES_MAX: usize = 1 + 10 + 5;

/// What a universe's plan allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budgets {
    /// Bytes of requests that wait to be proposed.
    queue_bytes: usize,
    /// Bytes of the requests of one batch, unless it is one request.
    batch_bytes: usize,
}

impl Budgets {
    pub(crate) fn new((queue_bytes, batch_bytes): (usize, usize)) -> Budgets {
        Budgets { queue_bytes, batch_bytes }
    }

    /// After a step of a node the requests that wait there have so many bytes.
    pub(crate) fn waits(self, node: NodeId, bytes: usize) -> Checked {
        let most = self.queue_bytes;
        demand!(bytes <= most, "I1", "{bytes} bytes wait at {node}, of {most} at most");
        Ok(())
    }

    /// A word leaves.
    pub(crate) fn spoken(self, envelope: &Envelope) -> Checked {
        let Message::Accept { slot, decree, .. } = &envelope.message else { return Ok(()) };
        let bytes = decree.bytes();
        if bytes <= self.batch_bytes + HEAD_BYTES_MAX {
            return Ok(());
        }
        // The fences of a leader that finds many sessions silent are counted, not weighed.
        let weighed = |request: &&Request| !matches!(request.command, Command::Fence { .. });
        let requests = order::batch_of(decree)
            .map_or(0, |batch| batch.requests.iter().filter(weighed).count());
        demand!(
            requests <= 1,
            "I1",
            "{} proposes {requests} requests of {bytes} bytes at once in slot {slot}, of {} at most",
            envelope.from,
            self.batch_bytes
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::{Batch, Seq, Timestamp};
    use synod_paxos::{Ballot, Decree, Epoch, Life, Slot};

    use super::*;

    const BUDGETS: Budgets = Budgets { queue_bytes: 300, batch_bytes: 200 };

    fn proposes(count: usize, value_bytes: usize) -> Checked {
        let value = vec![7; value_bytes].into();
        let command = Command::Put { key: "key".into(), value };
        let request = Request { id: None, acked: Seq::ZERO, command };
        let batch = Batch { stamp: Timestamp(1), requests: vec![request; count] };
        let mut bytes = vec![1];
        bytes.extend(postcard::to_allocvec(&batch).unwrap());
        let from = Life::first(NodeId::new(1));
        let message = Message::Accept {
            ballot: Ballot::first(from),
            slot: Slot::new(1),
            decree: Decree::Value(bytes.into()),
            chosen_upto: Slot::ZERO,
        };
        BUDGETS.spoken(&Envelope { from, to: NodeId::new(2), epoch: Epoch::FIRST, message })
    }

    /// What is beyond a budget is caught, what fills it is not; and one large request goes alone.
    #[test]
    fn what_is_beyond_a_budget_is_caught() {
        let node = NodeId::new(1);
        BUDGETS.waits(node, 300).unwrap();
        assert_eq!(BUDGETS.waits(node, 301).unwrap_err().invariant, "I1");
        proposes(2, 80).unwrap();
        proposes(1, 800).unwrap();
        assert_eq!(proposes(2, 120).unwrap_err().invariant, "I1");
    }
}
