use serde::{Deserialize, Serialize};
use synod_machine::{StateHash, door};
use synod_paxos::{Durably, Envelope, Fetch, Fetched, Lane, NodeId, Slot};

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
}

impl Word {
    /// How urgent it is.
    pub fn lane(&self) -> Lane {
        match self {
            Word::Paxos(envelope) => envelope.lane(),
            Word::Checkpoint(_) => Lane::Bulk,
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
    /// Nothing more waits to be stepped in and the disk is free: propose what has gathered.
    DiskFree,
    /// The store has read what a fetch asked for.
    Fetched(Fetched),
    /// The moment of `wake_at` has come.
    Wake,
    /// Let another node lead: this one is about to stop, or cannot write.
    StepDown,
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
    /// Answers to clients.
    pub responses: Vec<(ClientId, Response)>,
}
