//! I1: what waits, what is proposed at once, and what is known of what is over stays within its
//! budget.

use synod_machine::{Command, LeaseCommand, Request, TxnId, Verdict};
use synod_paxos::{Envelope, Message, NodeId};

use super::order;
use crate::violation::{Checked, demand};

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
        if decree.bytes() <= self.batch_bytes {
            return Ok(());
        }
        // What a leader ends that finds many sessions and leases silent is counted, not weighed;
        // nor is the beginning of its reign, which takes along what had gathered by then.
        let weighed = |request: &&Request| {
            !matches!(
                request.command,
                Command::Fence { .. }
                    | Command::Lease(LeaseCommand::Expire { .. })
                    | Command::LeaderStart { .. }
            )
        };
        let batch = order::batch_of(decree).map_or_else(Vec::new, |batch| batch.requests);
        let requests: Vec<usize> = batch.iter().filter(weighed).map(encoded_bytes).collect();
        let bytes: usize = requests.iter().sum();
        demand!(
            requests.len() <= 1 || bytes <= self.batch_bytes,
            "I1",
            "{} proposes {} requests of {bytes} bytes at once in slot {slot}, of {} at most",
            envelope.from,
            requests.len(),
            self.batch_bytes
        );
        Ok(())
    }
}

/// The horizon of a session that has ended has passed, and nobody waits for its parts: what had
/// committed is `then` read as retired, for the log has forgotten it.
pub(crate) fn is_forgotten(txn: TxnId, before: Verdict, then: Verdict) -> Checked {
    demand!(
        before != Verdict::Committed || then == Verdict::Retired,
        "I1",
        "{txn} is {then:?} still, long after the end of its session"
    );
    Ok(())
}

fn encoded_bytes(request: &Request) -> usize {
    postcard::to_allocvec(request).map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use synod_machine::{Batch, FenceCause, FenceGuard, LeaseId, Reign, Seq, SessionId, Timestamp};
    use synod_paxos::{Ballot, Decree, Life, Slot};
    use synod_replica::BATCH_VERSION;

    use super::*;

    const BUDGETS: Budgets = Budgets { queue_bytes: 300, batch_bytes: 200 };

    fn proposes(count: usize, value_bytes: usize, ends: usize) -> Checked {
        let value = vec![7; value_bytes].into();
        let command = Command::Put { key: "key".into(), value };
        let request = Request { id: None, acked: Seq::ZERO, command };
        let fence =
            Command::Fence { session: SessionId::new(1), cause: FenceCause::Expired, guard: None };
        let guard = FenceGuard { reign: Reign::default(), renewals: 0 };
        let expiry = LeaseCommand::Expire { lease: LeaseId::new(1), guard };
        let start = Command::LeaderStart { reign: Reign::default() };
        let of_the_leader = [fence, Command::Lease(expiry), start]
            .map(|command| vec![Request { id: None, acked: Seq::ZERO, command }; ends]);
        let requests = [vec![request; count], of_the_leader.concat()].concat();
        let batch = Batch { stamp: Timestamp(1), requests };
        let mut bytes = vec![BATCH_VERSION];
        bytes.extend(postcard::to_allocvec(&batch).unwrap());
        let from = Life::first(NodeId::new(1));
        let message = Message::Accept {
            ballot: Ballot::first(from),
            slot: Slot::new(1),
            decree: Decree::Value(bytes.into()),
            chosen_upto: Slot::ZERO,
        };
        BUDGETS.spoken(&Envelope::of(from, NodeId::new(2), message))
    }

    /// What is beyond a budget is caught, what fills it is not; one large request goes alone, and
    /// the ends of sessions and leases, and the beginning of a reign, weigh
    /// nothing.
    #[test]
    fn what_is_beyond_a_budget_is_caught() {
        let node = NodeId::new(1);
        BUDGETS.waits(node, 300).unwrap();
        assert_eq!(BUDGETS.waits(node, 301).unwrap_err().invariant, "I1");
        proposes(2, 80, 99).unwrap();
        proposes(1, 800, 0).unwrap();
        assert_eq!(proposes(2, 120, 0).unwrap_err().invariant, "I1");
    }
}
