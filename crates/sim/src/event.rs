use std::{cmp::Ordering, collections::BinaryHeap};

use synod_machine::{door, participant_door};
use synod_paxos::{Envelope, Fetch, NodeId};
use synod_replica::{Carried, Checkpoint, Response};

use crate::{trouble::Trouble, txn::Speaker};

/// Whoever asks nodes for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    /// A client of keys.
    Client(usize),
    /// An owner of transactions.
    Owner(usize),
    /// A participant of transactions.
    Participant(usize),
    /// One that holds leases and locks.
    Holder(usize),
    /// One that watches at one node.
    Observer(usize),
    /// One that reads participants' books.
    Auditor(usize),
}

/// What can happen in a universe.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A word arrives at its node.
    Word(Envelope),
    /// A node's digest arrives at another.
    Checkpoint { from: NodeId, to: NodeId, checkpoint: Checkpoint },
    /// A node's word about snapshots arrives at another.
    Carried { from: NodeId, to: NodeId, carried: Carried },
    /// A node's shelf has done its first job.
    Shelved { node: NodeId, boot: u64 },
    /// The sync under way at a node is done.
    Synced { node: NodeId, boot: u64 },
    /// A node that was put on an older image must know it by now.
    Known { node: NodeId },
    /// A node's disk is free, and nothing else waits there.
    DiskFree { node: NodeId, boot: u64 },
    /// A node's store has read what was asked of it.
    Fetched { node: NodeId, boot: u64, fetch: Fetch },
    /// A node's moment to wake.
    Wake { node: NodeId, boot: u64 },
    /// A node is switched on.
    Start { node: NodeId },
    /// A call arrives at a node.
    Call { node: NodeId, caller: Caller, call: u64, ask: door::Ask },
    /// The answer to a call arrives at its caller.
    Answer { caller: Caller, call: u64, response: Response },
    /// A caller's moment to wake.
    Alarm { caller: Caller },
    /// A word of an owner or an auditor arrives at a participant.
    Errand { from: Speaker, to: usize, call: participant_door::Call },
    /// What a participant says arrives at an owner or an auditor.
    Report { from: usize, to: Speaker, said: participant_door::Said },
    /// The sync under way at a participant is done.
    Sealed { participant: usize, life: u64 },
    /// A participant is switched on.
    Return { participant: usize },
    /// Something goes wrong.
    Trouble(Trouble),
    /// A node's full disk is offered the same again.
    Retry { node: NodeId, boot: u64 },
    /// There is room on a node's disk again.
    Room { node: NodeId },
    /// Trouble ends.
    Heal,
}

impl Event {
    /// The caller of nodes or of participants that it happens to, if it is one.
    pub(crate) fn caller(&self) -> Option<Caller> {
        match self {
            Event::Answer { caller, .. } | Event::Alarm { caller } => Some(*caller),
            Event::Errand { to, .. } => Some(Caller::Participant(*to)),
            Event::Report { to, .. } => Some(to.caller()),
            Event::Sealed { participant, .. } => Some(Caller::Participant(*participant)),
            Event::Word(_)
            | Event::Checkpoint { .. }
            | Event::Carried { .. }
            | Event::Shelved { .. }
            | Event::Synced { .. }
            | Event::Known { .. }
            | Event::DiskFree { .. }
            | Event::Fetched { .. }
            | Event::Wake { .. }
            | Event::Start { .. }
            | Event::Call { .. }
            | Event::Return { .. }
            | Event::Trouble(_)
            | Event::Retry { .. }
            | Event::Room { .. }
            | Event::Heal => None,
        }
    }

    /// Two numbers that tell events apart in a trace: the kind, and whom it concerns.
    pub(crate) fn label(&self) -> (u8, u64) {
        let whose = |caller: &Caller| match caller {
            Caller::Client(place) => *place as u64,
            Caller::Owner(place) => 100 + *place as u64,
            Caller::Participant(place) => 200 + *place as u64,
            Caller::Holder(place) => 300 + *place as u64,
            Caller::Observer(place) => 400 + *place as u64,
            Caller::Auditor(place) => 500 + *place as u64,
        };
        // An owner is known by its place alone where nobody else can be meant.
        let speaker = |speaker: &Speaker| match speaker {
            Speaker::Owner(teller) => teller.owner as u64,
            Speaker::Auditor(question) => whose(&Caller::Auditor(question.auditor)),
        };
        let number = |node: &NodeId| u64::from(node.get());
        match self {
            Event::Word(word) => (0, number(&word.to) << 16 | number(&word.from.node)),
            Event::Synced { node, .. } => (1, number(node)),
            Event::Known { node } => (20, number(node)),
            Event::DiskFree { node, .. } => (2, number(node)),
            Event::Fetched { node, .. } => (3, number(node)),
            Event::Wake { node, .. } => (4, number(node)),
            Event::Start { node } => (5, number(node)),
            Event::Call { node, caller, .. } => (6, number(node) << 16 | whose(caller)),
            Event::Answer { caller, call, .. } => (7, call << 16 | whose(caller)),
            Event::Alarm { caller, .. } => (8, whose(caller)),
            Event::Errand { from, to, .. } => (9, speaker(from) << 16 | *to as u64),
            Event::Report { from, to, .. } => (10, speaker(to) << 16 | *from as u64),
            Event::Sealed { participant, .. } => (11, *participant as u64),
            Event::Return { participant } => (12, *participant as u64),
            Event::Trouble(trouble) => (13, *trouble as u64),
            Event::Heal => (14, 0),
            Event::Retry { node, .. } => (17, number(node)),
            Event::Room { node } => (16, number(node)),
            Event::Checkpoint { from, to, .. } => (15, number(to) << 16 | number(from)),
            Event::Carried { from, to, .. } => (18, number(to) << 16 | number(from)),
            Event::Shelved { node, .. } => (19, number(node)),
        }
    }
}

/// What will happen, the earliest first; of what happens at one moment, what was planned first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Planned>,
    planned: u64,
}

#[derive(Debug)]
struct Planned {
    at_us: u64,
    order: u64,
    event: Event,
}

impl Queue {
    /// Plans an event.
    pub(crate) fn plan(&mut self, at_us: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Planned { at_us, order: self.planned, event });
    }

    /// The next event and its moment.
    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|planned| (planned.at_us, planned.event))
    }
}

impl Ord for Planned {
    /// The heap yields its greatest: the earliest is greatest.
    fn cmp(&self, other: &Planned) -> Ordering {
        (other.at_us, other.order).cmp(&(self.at_us, self.order))
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Planned {}
