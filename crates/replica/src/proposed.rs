//! What this reign has put into the log and has not seen applied.

use std::collections::BTreeMap;

use synod_machine::{LeaseId, RequestId, SessionId};
use synod_paxos::{Decree, Slot};

use crate::{ClientId, queue::Gathered};

/// Who waits for what of each slot.
#[derive(Debug, Default)]
pub(crate) struct Proposed {
    slots: BTreeMap<Slot, Sent>,
    by_request: BTreeMap<RequestId, (Slot, usize)>,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct Sent {
    decree: Decree,
    /// Whose each request of the batch is, in its order.
    pub(crate) owners: Vec<Owner>,
}

/// On whose behalf something was proposed.
#[derive(Debug)]
pub(crate) enum Owner {
    /// Of clients: one, and its own retries.
    Callers { id: Option<RequestId>, callers: Vec<ClientId> },
    /// Of the reign, which begins with it.
    Start,
    /// Of the reign, which holds this session to be gone.
    Fence(SessionId),
    /// Of the reign, which holds this lease to be over.
    Expiry(LeaseId),
}

impl Proposed {
    /// A decree was given a slot.
    pub(crate) fn sent(&mut self, slot: Slot, decree: Decree, owners: Vec<Owner>) {
        for (place, owner) in owners.iter().enumerate() {
            if let Owner::Callers { id: Some(id), .. } = owner {
                self.by_request.insert(*id, (slot, place));
            }
        }
        let before = self.slots.insert(slot, Sent { decree, owners });
        assert!(before.is_none(), "slot {slot} was proposed twice in one reign");
    }

    /// Lets another caller wait for a request that is in the log already.
    pub(crate) fn join(&mut self, client: ClientId, id: RequestId) -> bool {
        let Some(&(slot, place)) = self.by_request.get(&id) else { return false };
        let owner = self.slots.get_mut(&slot).and_then(|sent| sent.owners.get_mut(place));
        let Some(Owner::Callers { callers, .. }) = owner else { return false };
        callers.push(client);
        true
    }

    /// The slot is decided: takes out what was proposed in it.
    pub(crate) fn decided(&mut self, slot: Slot) -> Option<Sent> {
        let sent = self.slots.remove(&slot)?;
        for owner in &sent.owners {
            if let Owner::Callers { id: Some(id), .. } = owner
                && self.by_request.get(id).is_some_and(|(at, _)| *at == slot)
            {
                self.by_request.remove(id);
            }
        }
        Some(sent)
    }

    /// Every slot up to `upto` is decided, nobody here knows how: takes out whose they were.
    pub(crate) fn take_upto(&mut self, upto: Slot) -> Vec<Owner> {
        let slots: Vec<Slot> = self.slots.range(..=upto).map(|(slot, _)| *slot).collect();
        let sent = slots.into_iter().filter_map(|slot| self.decided(slot));
        sent.flat_map(|sent| sent.owners).collect()
    }

    /// The reign is over: takes out everything.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Owner> {
        self.by_request.clear();
        std::mem::take(&mut self.slots).into_values().flat_map(|sent| sent.owners)
    }

    /// How many requests these are.
    pub(crate) fn count(&self) -> usize {
        self.slots.values().map(|sent| sent.owners.len()).sum()
    }
}

impl Sent {
    /// Whether this very decree was chosen, so that the places of its replies are ours.
    pub(crate) fn is(&self, chosen: &Decree) -> bool {
        self.decree == *chosen
    }
}

impl From<Gathered> for Owner {
    fn from(gathered: Gathered) -> Owner {
        Owner::Callers { id: gathered.id, callers: gathered.callers }
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::Seq;

    use super::*;

    fn id(seq: u64) -> RequestId {
        RequestId { session: SessionId::new(1), seq: Seq::new(seq) }
    }

    fn callers(seq: u64) -> Owner {
        Owner::Callers { id: Some(id(seq)), callers: vec![ClientId(seq)] }
    }

    /// A retry waits with the copy in the log, in whatever slot and place that is.
    #[test]
    fn a_retry_joins_the_request_that_is_in_the_log() {
        let mut proposed = Proposed::default();
        proposed.sent(Slot::new(3), Decree::Noop, vec![callers(1), callers(2)]);
        proposed.sent(Slot::new(4), Decree::Noop, vec![callers(3)]);
        assert!(proposed.join(ClientId(20), id(2)));
        assert!(!proposed.join(ClientId(40), id(4)));
        let sent = proposed.decided(Slot::new(3)).expect("it was proposed");
        let Owner::Callers { callers, .. } = &sent.owners[1] else { panic!("a request") };
        assert_eq!(callers, &[ClientId(2), ClientId(20)]);
        assert!(!proposed.join(ClientId(21), id(2)), "it is decided");
        assert_eq!(proposed.count(), 1);
    }
}
