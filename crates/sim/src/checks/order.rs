//! C: every machine is the same function of the chosen log, applied in order and without a gap.

mod gapless;
pub(super) mod rising;
pub(super) mod same_state;

use std::collections::BTreeMap;

use synod_machine::{Applied, Batch, Command, Machine, Reply, StateHash, Timestamp};
use synod_paxos::{Decree, Life, NodeId, Slot, Write};
use synod_replica::{BATCH_VERSION, Replica};

use super::{
    acceptor::never_empty,
    agreement::{asked_for, believed, voted_for},
};
use crate::{
    ghost::Ghost,
    sights::{Sight, Sights},
    violation::{Checked, Violation},
};

/// How many slots a node applies between two computations of its digest from scratch.
const ANEW_EVERY_SLOTS: u64 = 64;

/// The machine that the chosen log makes, and how far each node has come.
#[derive(Debug)]
pub(crate) struct Order {
    machine: Machine,
    /// The digest after each slot, from slot 0 on.
    hashes: Vec<StateHash>,
    marks: BTreeMap<NodeId, Marks>,
    pub(crate) seen: Sights,
}

/// How far a node has come in this life of its process.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    chosen: Slot,
    applied: Slot,
    anew: u64,
}

/// One chosen slot with what it did.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) batch: Batch,
    pub(crate) results: Vec<Applied>,
}

impl Order {
    pub(crate) fn new() -> Order {
        let machine = Machine::new();
        let (marks, seen) = (BTreeMap::new(), Sights::default());
        Order { hashes: vec![machine.hash()], machine, marks, seen }
    }

    /// The machine after everything chosen without a gap.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Applies the next slot of the chosen prefix, if there is one.
    pub(crate) fn advance(&mut self, ghost: &Ghost) -> Result<Option<(Slot, Effect)>, Violation> {
        let slot = Slot::new(self.hashes.len() as u64);
        let Some((_, decree)) = ghost.chosen(slot) else { return Ok(None) };
        let effect = match decree {
            Decree::Noop => {
                self.seen.see(Sight::Noop);
                let batch = Batch { stamp: Timestamp(0), requests: Vec::new() };
                Effect { batch, results: Vec::new() }
            }
            Decree::Value(bytes) => {
                let batch = asked_for::is_a_batch(slot, bytes, decode(bytes))?;
                let results = self.machine.apply(batch.clone());
                (0..fences(&batch, &results)).for_each(|_| self.seen.see(Sight::Fence));
                Effect { batch, results }
            }
        };
        self.hashes.push(self.machine.hash());
        Ok(Some((slot, effect)))
    }

    /// A node starts anew: what is not durable may fall behind.
    pub(crate) fn restarted(&mut self, node: NodeId) {
        self.marks.remove(&node);
    }

    /// A node has taken a step.
    pub(crate) fn stepped(&mut self, ghost: &Ghost, node: NodeId, replica: &Replica) -> Checked {
        let status = replica.status();
        let marks = self.marks.get(&node).copied().unwrap_or_default();
        let mut anew = marks.anew;
        let before = (marks.chosen, marks.applied);
        rising::goes_on(node, before, (status.chosen, status.applied))?;
        rising::is_applied(node, status.applied, status.chosen)?;
        voted_for::is_known_upto(ghost, node, status.chosen)?;
        if status.applied > marks.applied {
            let (here, there) = (replica.machine().hash(), self.hash(status.applied));
            same_state::is_made(node, status.applied, here, there)?;
            anew = status.applied.get() / ANEW_EVERY_SLOTS;
            if anew > marks.anew {
                same_state::is_kept(node, here, replica.machine().hash_anew())?;
            }
        }
        self.marks.insert(node, Marks { chosen: status.chosen, applied: status.applied, anew });
        Ok(())
    }

    /// A node promises, and tells up to where it knows what is chosen.
    pub(crate) fn tells(&self, node: NodeId, upto: Slot) -> Checked {
        let knows = self.marks.get(&node).map_or(Slot::ZERO, |marks| marks.chosen);
        never_empty::is_known_upto(node, upto, knows)
    }

    fn hash(&self, slot: Slot) -> Option<StateHash> {
        self.hashes.get(usize::try_from(slot.get()).ok()?).copied()
    }
}

/// A node writes down what it takes for chosen: its own record of a slot below the watermark, or a
/// decree that it learned.
pub(crate) fn asked(ghost: &Ghost, life: Life, write: &Write) -> Checked {
    match write {
        Write::Chosen { slot, decree } => believed(ghost, life, *slot, decree),
        Write::ChosenUpto { slot } => {
            let facts = ghost.asked(life.node);
            let first = facts.chosen_upto().next();
            for below in (first.get()..=slot.get()).map(Slot::new) {
                let decree = gapless::has(life, *slot, below, decree_of(facts.record(below)))?;
                believed(ghost, life, below, decree)?;
            }
            Ok(())
        }
        Write::Trimmed { upto } => rising::is_trimmed(life, *upto, ghost.upto()),
        Write::Promised { .. } | Write::Accepted { .. } | Write::Marked { .. } => Ok(()),
    }
}

fn fences(batch: &Batch, results: &[Applied]) -> usize {
    let fenced = batch.requests.iter().zip(results).filter(|(request, result)| {
        matches!(request.command, Command::Fence { .. }) && matches!(result.reply, Reply::Done(_))
    });
    fenced.count()
}

/// What a decree does; nothing where it is a no-op, or no batch.
pub(super) fn batch_of(decree: &Decree) -> Option<Batch> {
    match decree {
        Decree::Value(bytes) => decode(bytes),
        Decree::Noop => None,
    }
}

/// The batch that a value carries, as `docs/format.md` has it: a version byte, then postcard.
pub(super) fn decode(value: &[u8]) -> Option<Batch> {
    match value.split_first() {
        Some((&BATCH_VERSION, body)) => postcard::from_bytes(body).ok(),
        Some(_) | None => None,
    }
}

fn decree_of(record: Option<&synod_paxos::Record>) -> Option<&Decree> {
    match record? {
        synod_paxos::Record::Accepted { decree, .. } | synod_paxos::Record::Chosen { decree } => {
            Some(decree)
        }
        synod_paxos::Record::Faulty => None,
    }
}
