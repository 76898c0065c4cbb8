use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synod_machine::{Machine, Snapshot, StateHash, door};
use synod_paxos::{Durably, Envelope, Fetch, Fetched, Forgotten, Lane, NodeId, Slot};

use crate::{Lapsed, Leased, Passed};

/// The driver's name for one call of one client; never used twice in a process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// What one node says to another, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// Of the consensus: steps in as [`Input::Peer`].
    Paxos(Envelope),
    /// Of the comparison of states: steps in as [`Input::Checkpoint`].
    Checkpoint(Checkpoint),
    /// Of a snapshot: steps in as [`Input::Carried`].
    Snapshot(Carried),
}

impl Word {
    /// How urgent it is.
    pub fn lane(&self) -> Lane {
        match self {
            Word::Paxos(envelope) => envelope.lane(),
            Word::Checkpoint(_) | Word::Snapshot(Carried::Chunk { .. }) => Lane::Bulk,
            Word::Snapshot(Carried::Want { .. } | Carried::Gone { .. }) => Lane::Control,
        }
    }
}

/// The digest of a machine after a slot: two nodes that differ at one slot have a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// After which slot.
    pub slot: Slot,
    /// The digest.
    pub hash: StateHash,
}

/// What nodes say to each other of snapshots. Chunks come one at a time, each when it is asked for:
/// so they are paced by who needs them, and a transfer that breaks off goes on where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carried {
    /// Send me a chunk of this snapshot, or of your newest.
    Want {
        /// The slot that it is of.
        slot: Option<Slot>,
        /// Which chunk, from 0 on.
        number: u32,
    },
    /// Here it is, sealed, as it stands on the shelf.
    Chunk {
        /// The slot that the snapshot is of.
        slot: Slot,
        /// Which chunk.
        number: u32,
        /// Of how many.
        count: u32,
        /// What the shelf made of it.
        sealed: Bytes,
    },
    /// I do not have that one, or that chunk of it.
    Gone {
        /// As it was asked for.
        slot: Option<Slot>,
    },
}

/// What a replica wants of the shelf on which snapshots stand, in this order. None of it may hold
/// up anything else.
#[derive(Clone, Debug)]
pub enum ShelfJob {
    /// Put up a snapshot: [`ShelfNews::Written`].
    Write {
        /// The slot that it is of.
        slot: Slot,
        /// The state after it.
        state: Box<Snapshot>,
    },
    /// Read a chunk for a peer: [`ShelfNews::Read`].
    Read {
        /// For whom.
        to: NodeId,
        /// Of which snapshot.
        slot: Slot,
        /// Which.
        number: u32,
    },
    /// Keep a chunk that was received: [`ShelfNews::Received`], or with the last one
    /// [`ShelfNews::Whole`].
    Receive {
        /// Of which snapshot.
        slot: Slot,
        /// Which.
        number: u32,
        /// Of how many.
        count: u32,
        /// Sealed.
        sealed: Bytes,
    },
    /// Nobody needs this one any more.
    Remove {
        /// Which.
        slot: Slot,
    },
}

/// What the shelf has done.
#[derive(Clone, Debug)]
pub enum ShelfNews {
    /// A snapshot stands, durable; or there was no room, or the medium said no, and it does not.
    Written {
        /// The slot that it is of.
        slot: Slot,
        /// Whether it stands.
        stands: bool,
    },
    /// A chunk was read; its count and bytes, or nothing.
    Read {
        /// For whom.
        to: NodeId,
        /// Of which snapshot.
        slot: Slot,
        /// Which.
        number: u32,
        /// Of how many, and what it is.
        chunk: Option<(u32, Bytes)>,
    },
    /// A snapshot is damaged.
    Lost {
        /// Which.
        slot: Slot,
    },
    /// A chunk was kept, or it was damaged: this one is wanted next.
    Received {
        /// Of which snapshot.
        slot: Slot,
        /// The next chunk.
        next: u32,
    },
    /// A snapshot was received whole, is durable, and this is its state.
    Whole {
        /// The slot that it is of.
        slot: Slot,
        /// The machine after it.
        machine: Box<Machine>,
    },
    /// What was received cannot be kept, or is no state that this build reads.
    Unusable,
}

/// Everything that can happen to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// A word of a peer (or of itself, out of a sealed batch).
    Peer(Envelope),
    /// Another node tells its digest. `from` is who the transport says it is.
    Checkpoint {
        /// Who.
        from: NodeId,
        /// What.
        checkpoint: Checkpoint,
    },
    /// A call of a client. `Call::Status` is answered by the driver, which knows the devices.
    Client {
        /// Which call.
        client: ClientId,
        /// What is asked, and how long the caller waits.
        ask: door::Ask,
    },
    /// The caller of this call is gone; nothing needs to be said to it.
    Gone(ClientId),
    /// An answer was opened when the lease that vouches for it had run out.
    Lapsed(Lapsed),
    /// Nothing more waits to be stepped in and the disk is free: propose what has gathered.
    DiskFree,
    /// The store has read what a fetch asked for.
    Fetched(Fetched),
    /// Another node speaks of snapshots. `from` is who the transport says it is.
    Carried {
        /// Who.
        from: NodeId,
        /// What.
        carried: Carried,
    },
    /// The shelf has done something.
    Shelf(ShelfNews),
    /// The moment of `wake_at` has come.
    Wake,
    /// Let another node lead: this one is about to stop, or cannot write.
    StepDown,
    /// Hand the lead over, if this node has it.
    HandOver {
        /// To whom; else to whoever is fit for it best.
        to: Option<NodeId>,
        /// Who is told what comes of it.
        client: Option<ClientId>,
    },
}

/// What is said to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// This.
    Said(door::Said),
    /// Not done: this node does not lead. The driver puts the name in.
    NotLeader(Option<NodeId>),
}

/// Everything a replica wants of the world. One value may collect several steps.
#[must_use = "an output that is dropped is a promise broken"]
#[derive(Debug, Default)]
pub struct Output {
    /// Facts to sync, and the words that rely on them.
    pub durably: Durably,
    /// Words that rely on nothing unsynced.
    pub at_once: Vec<Envelope>,
    /// To be told to every other node, as [`Word::Checkpoint`]. Losing one loses a comparison.
    pub checkpoints: Vec<Checkpoint>,
    /// Decrees to read from the store.
    pub fetch: Vec<Fetch>,
    /// What the shelf is to do.
    pub shelf: Vec<ShelfJob>,
    /// What other nodes are to be told of snapshots, as [`Word::Snapshot`].
    pub carried: Vec<(NodeId, Carried)>,
    /// Answers to clients.
    pub responses: Vec<(ClientId, Response)>,
    /// Answers to clients that the driver opens with a look at the clock.
    pub leased: Vec<Leased>,
    /// Stages that batches have come through: to be measured, or not.
    pub passed: Vec<Passed>,
    /// The disk is older than what this node told others. It takes no further step: the driver
    /// ends, and says nothing of what it still holds.
    pub forgotten: Option<Forgotten>,
}
