//! Requests that have gathered and are not proposed yet.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_machine::{Request, RequestId};
use synod_paxos::Tick;

use crate::{ClientId, batch};

/// The place of a request in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// First come, first proposed, within a budget of bytes. A request whose callers have all gone is
/// not proposed at all.
#[derive(Debug)]
pub(crate) struct Queue {
    gathered: BTreeMap<Ticket, Gathered>,
    by_request: BTreeMap<RequestId, Ticket>,
    next: u64,
    bytes: usize,
    bytes_max: usize,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) id: Option<RequestId>,
    pub(crate) encoded: Bytes,
    pub(crate) callers: Vec<ClientId>,
    /// When it came.
    pub(crate) since: Tick,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize) -> Queue {
        Queue {
            gathered: BTreeMap::new(),
            by_request: BTreeMap::new(),
            next: 0,
            bytes: 0,
            bytes_max,
        }
    }

    /// Takes a request in; `None` when that would exceed the budget.
    pub(crate) fn offer(
        &mut self,
        client: ClientId,
        request: &Request,
        now: Tick,
    ) -> Option<Ticket> {
        let encoded = batch::encode(request);
        let bytes = self.bytes.saturating_add(encoded.len());
        if bytes > self.bytes_max {
            return None;
        }
        self.bytes = bytes;
        let ticket = Ticket(self.next);
        self.next = self.next.checked_add(1).expect("2^64 requests in one process's life");
        if let Some(id) = request.id {
            self.by_request.insert(id, ticket);
        }
        let callers = vec![client];
        let gathered = Gathered { id: request.id, encoded, callers, since: now };
        self.gathered.insert(ticket, gathered);
        Some(ticket)
    }

    /// Lets another caller wait for a request that is here already.
    pub(crate) fn join(&mut self, client: ClientId, id: RequestId) -> Option<Ticket> {
        let ticket = *self.by_request.get(&id)?;
        self.gathered.get_mut(&ticket)?.callers.push(client);
        Some(ticket)
    }

    /// A caller waits no more, and with the last one the request goes.
    pub(crate) fn leave(&mut self, client: ClientId, ticket: Ticket) {
        let Some(gathered) = self.gathered.get_mut(&ticket) else { return };
        gathered.callers.retain(|caller| *caller != client);
        if gathered.callers.is_empty() {
            self.take(ticket);
        }
    }

    /// The next requests that fit a batch: at least one, if there is any.
    pub(crate) fn next_batch(&mut self, bytes_max: usize) -> Vec<Gathered> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((&ticket, next)) = self.gathered.first_key_value() {
            bytes += next.encoded.len();
            if bytes > bytes_max && !batch.is_empty() {
                break;
            }
            batch.extend(self.take(ticket));
        }
        batch
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Gathered> {
        self.by_request.clear();
        self.bytes = 0;
        std::mem::take(&mut self.gathered).into_values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.gathered.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, ticket: Ticket) -> Option<Gathered> {
        let gathered = self.gathered.remove(&ticket)?;
        self.bytes -= gathered.encoded.len();
        if let Some(id) = gathered.id
            && self.by_request.get(&id) == Some(&ticket)
        {
            self.by_request.remove(&id);
        }
        Some(gathered)
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::{Command, Seq, SessionId};

    use super::*;

    fn id(seq: u64) -> RequestId {
        RequestId { session: SessionId::new(1), seq: Seq::new(seq) }
    }

    fn put(seq: u64, value_len: usize) -> Request {
        let command = Command::Put { key: "k".into(), value: vec![0; value_len].into() };
        Request { id: Some(id(seq)), acked: Seq::ZERO, command }
    }

    /// A batch is filled up to its limit in the order of arrival, and a request above it travels
    /// alone.
    #[test]
    fn a_batch_keeps_its_limit_and_the_order_of_arrival() {
        let mut queue = Queue::new(10_000);
        for (seq, value_len) in [(1, 100), (2, 100), (3, 1_000), (4, 10)] {
            assert!(queue.offer(ClientId(seq), &put(seq, value_len), Tick::ZERO).is_some());
        }
        let mut batches = Vec::new();
        while !queue.is_empty() {
            let batch = queue.next_batch(300);
            batches.push(batch.iter().map(|one| one.callers[0].0).collect::<Vec<_>>());
        }
        assert_eq!(batches, [vec![1, 2], vec![3], vec![4]]);
        assert_eq!(queue.bytes, 0);
    }

    /// The budget is in bytes, and what leaves makes room.
    #[test]
    fn a_full_queue_takes_no_more_until_something_leaves() {
        let mut queue = Queue::new(300);
        let first = queue.offer(ClientId(1), &put(1, 200), Tick::ZERO).expect("there is room");
        assert_eq!(queue.offer(ClientId(2), &put(2, 200), Tick::ZERO), None);
        queue.leave(ClientId(1), first);
        assert!(queue.is_empty());
        assert!(queue.offer(ClientId(2), &put(2, 200), Tick::ZERO).is_some());
    }

    /// A retry of a request that still waits waits with it, and it goes with its last caller.
    #[test]
    fn a_retry_joins_the_request_that_waits() {
        let mut queue = Queue::new(1_000);
        let first = queue.offer(ClientId(1), &put(1, 1), Tick::ZERO).expect("there is room");
        assert_eq!(queue.join(ClientId(2), id(1)), Some(first));
        assert_eq!(queue.join(ClientId(3), id(2)), None);
        queue.leave(ClientId(1), first);
        assert_eq!(queue.count(), 1);
        queue.leave(ClientId(2), first);
        assert_eq!((queue.count(), queue.bytes), (0, 0));
        assert_eq!(queue.join(ClientId(4), id(1)), None);
    }
}
