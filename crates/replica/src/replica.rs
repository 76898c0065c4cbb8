use synod_machine::{Machine, Timestamp};
use synod_paxos::{Decree, Durable, Peer, Role, Slot, Tick};

use crate::{Config, Input, Output};

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
