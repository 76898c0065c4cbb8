use crate::{Ballot, Config, Decree, Durable, Durably, Envelope, NodeId, Slot, Tick};

/// The caller's name for one linearizable read it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BarrierId(pub u64);

/// A finished read barrier: a read served from a state that has applied `upto` is linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Which.
    pub id: BarrierId,
    /// What must be applied before the read is served.
    pub upto: Slot,
}

/// A decree chosen for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Where.
    pub slot: Slot,
    /// What.
    pub decree: Decree,
}

/// "Read the chosen decrees of these slots from the store and step them in as [`Input::Fetched`]."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The peer that asked for them.
    pub to: NodeId,
    /// The first slot wanted.
    pub first: Slot,
    /// The last slot wanted; fewer may be handed over, from `first` on and without a gap.
    pub upto: Slot,
}

/// What a [`Fetch`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The peer that asked.
    pub to: NodeId,
    /// Chosen decrees, gapless, from the first slot wanted; empty when that one is unreadable.
    pub decrees: Vec<(Slot, Decree)>,
}

/// Everything that can happen to a peer.
#[derive(Clone, Debug)]
pub enum Input {
    /// A word arrived.
    Deliver(Envelope),
    /// Propose this; allowed only while [`Peer::may_propose`].
    Propose(Decree),
    /// A linearizable read waits; allowed only while leading.
    ReadBarrier(BarrierId),
    /// The store has read what a [`Fetch`] asked for.
    Fetched(Fetched),
    /// The moment of [`Peer::wake_at`] has come.
    Wake,
}

/// Everything a peer wants of the world. One value may collect several steps.
#[must_use = "an output that is dropped is a promise broken"]
#[derive(Debug, Default)]
pub struct Output {
    /// Facts to sync, and the words that rely on them.
    pub durably: Durably,
    /// Words that rely on nothing unsynced.
    pub at_once: Vec<Envelope>,
    /// Chosen decrees: gapless, in slot order, each once per life.
    pub chosen: Vec<Chosen>,
    /// The slots that `Propose` inputs were given, in their order.
    pub proposed: Vec<Slot>,
    /// Finished read barriers.
    pub barriers: Vec<Barrier>,
    /// Decrees to read from the store.
    pub fetch: Vec<Fetch>,
}

/// What a peer is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepts and learns; `leader` is who it takes for the leader, a hint.
    Following {
        /// The hint.
        leader: Option<NodeId>,
    },
    /// Runs phase 1.
    Campaigning {
        /// At this ballot.
        ballot: Ballot,
    },
    /// Past phase 1 at this ballot. `inherited` must be applied before anything is served.
    Leading {
        /// At this ballot.
        ballot: Ballot,
        /// The last slot that phase 1 reported or re-proposed.
        inherited: Slot,
    },
}

/// One member of the cluster as one steppable value.
#[derive(Debug)]
pub struct Peer {}

impl Peer {
    /// The peer that `durable` remembers. `seed` feeds timer jitter only; safety never rests on it.
    pub fn recover(config: Config, durable: Durable, seed: u64) -> Peer {
        let _ = (config, durable, seed);
        Peer {}
    }

    /// Takes one input. Effects are appended to `out`.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Output) {
        let _ = (now, input, out);
    }

    /// When to step [`Input::Wake`]; earlier is harmless, later costs liveness.
    pub fn wake_at(&self) -> Option<Tick> {
        None
    }

    /// What this peer is.
    pub fn role(&self) -> Role {
        Role::Following { leader: None }
    }

    /// Whether a proposal would be given a slot now: leading with a quorum heard lately, and the
    /// window has room.
    pub fn may_propose(&self) -> bool {
        false
    }

    /// The last slot below which everything is known to be chosen.
    pub fn chosen_upto(&self) -> Slot {
        Slot::ZERO
    }

    /// The highest ballot promised.
    pub fn promised(&self) -> Ballot {
        Ballot::ZERO
    }
}
