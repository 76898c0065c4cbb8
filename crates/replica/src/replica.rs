use std::time::Duration;

use synod_machine::{Machine, Timestamp, door};
use synod_paxos::{
    Decree, Durable, Durably, Envelope, Fetch, Fetched, NodeId, Peer, Role, Slot, Tick,
};

/// The driver's name for one call of one client; never used twice in a process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Everything a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// What its peer is told.
    pub paxos: synod_paxos::Config,
    /// Bytes of one batch.
    pub batch_bytes_max: usize,
    /// Bytes of client requests that may wait to be proposed.
    pub queue_bytes_max: usize,
    /// Slots between two state digests that nodes compare.
    pub hash_every_slots: u64,
    /// A session is fenced when it was silent for its time to live and this much longer.
    pub session_grace: Duration,
}

impl Config {
    /// Default limits around a peer's configuration.
    pub fn new(paxos: synod_paxos::Config) -> Config {
        Config {
            paxos,
            batch_bytes_max: 1 << 20,
            queue_bytes_max: 16 << 20,
            hash_every_slots: 64,
            session_grace: Duration::from_millis(500),
        }
    }
}

/// Everything that can happen to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// A word of a peer (or of itself, out of a sealed batch).
    Peer(Envelope),
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
    /// Decrees to read from the store.
    pub fetch: Vec<Fetch>,
    /// Answers to clients.
    pub responses: Vec<(ClientId, Response)>,
}

/// How a replica stands, for status, health and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its peer's role.
    pub role: Role,
    /// Whether it leads and has applied all it inherited.
    pub serving: bool,
    /// Everything up to this slot is chosen.
    pub chosen: Slot,
    /// Everything up to this slot is applied.
    pub applied: Slot,
}

/// One node.
#[derive(Debug)]
pub struct Replica {
    peer: Peer,
    machine: Machine,
}

impl Replica {
    /// The replica that `durable` remembers. `log` yields every slot from 1 to
    /// `durable.chosen_upto` with its chosen decree, in order.
    pub fn recover(
        config: Config,
        durable: Durable,
        log: impl IntoIterator<Item = (Slot, Decree)>,
        seed: u64,
    ) -> Replica {
        let _ = log.into_iter().count();
        Replica { peer: Peer::recover(config.paxos, durable, seed), machine: Machine::new() }
    }

    /// Takes one input. `wall` is wall-clock time, used for batch stamps only.
    pub fn step(&mut self, now: Tick, wall: Timestamp, input: Input, out: &mut Output) {
        let _ = (now, wall, input, out);
    }

    /// When to step [`Input::Wake`].
    pub fn wake_at(&self) -> Option<Tick> {
        self.peer.wake_at()
    }

    /// Whether requests wait to be proposed, so that [`Input::DiskFree`] would do something.
    pub fn gathered(&self) -> bool {
        false
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        Status {
            role: self.peer.role(),
            serving: false,
            chosen: self.peer.chosen_upto(),
            applied: Slot::ZERO,
        }
    }

    /// The machine, for stale reads, status and checks.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}
