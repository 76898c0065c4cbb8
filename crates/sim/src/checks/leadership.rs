//! D: at most one leader to a ballot, past a quorum of promises, and only while a quorum answers.

mod can_write;
pub(super) mod heard;
mod one_leader;
pub(super) mod promised;
mod window;

use synod_paxos::{Ballot, Envelope, Message, NodeId, Role, Tick};
use synod_replica::Status;

use self::{heard::Heard, one_leader::Reigns, promised::Promised};
use crate::{
    ghost::Ghost,
    sights::{Sight, Sights},
    violation::Checked,
};

/// Who leads, by whose promises, and who was heard.
#[derive(Debug)]
pub(crate) struct Leadership {
    window_slots: u64,
    /// How long a leader may take to notice that no quorum answers it, or that its disk does not.
    silence_us: u64,
    reigns: Reigns,
    promised: Promised,
    heard: Heard,
    pub(crate) seen: Sights,
}

impl Leadership {
    pub(crate) fn new(quorum: usize, window_slots: u64, silence_us: u64) -> Leadership {
        Leadership {
            window_slots,
            silence_us,
            reigns: Reigns::default(),
            promised: Promised::new(quorum),
            heard: Heard::default(),
            seen: Sights::default(),
        }
    }

    /// How many reigns there have been.
    pub(crate) fn reigns(&self) -> usize {
        self.reigns.count()
    }

    /// A word leaves.
    pub(crate) fn spoken(&mut self, ghost: &Ghost, envelope: &Envelope) -> Checked {
        match &envelope.message {
            Message::Promise { ballot, .. } => self.promised.gives(envelope.from, *ballot),
            Message::Accept { ballot, slot, .. } => {
                window::holds(envelope.from, *slot, ghost.upto(), self.window_slots)?;
                self.promised.by_a_quorum(*ballot)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a quorum has promised this ballot.
    pub(crate) fn has_promises(&self, ballot: Ballot) -> bool {
        self.promised.has(ballot)
    }

    /// A word of another node has arrived.
    pub(crate) fn heard(&mut self, at: NodeId, from: NodeId, now: u64) {
        self.heard.hears(at, from, now);
    }

    /// A node, in the `boot`th life of its process, has taken a step.
    pub(crate) fn stepped(
        &mut self,
        ghost: &Ghost,
        node: NodeId,
        boot: u64,
        status: &Status,
        times: Times,
    ) -> Checked {
        let Role::Leading { ballot, inherited } = status.role else {
            return promised::serves_not(node, status.serving);
        };
        one_leader::is_its_owner(node, ballot)?;
        if self.reigns.is_led(ballot, node, boot)? {
            self.seen.see(Sight::Reign);
        }
        self.promised.by_a_quorum(ballot)?;
        can_write::holds(node, ballot, self.silence_us, times)?;
        if status.serving {
            promised::serves(node, ballot, status.applied, inherited)?;
        }
        self.heard.by_a_leader(ghost.quorum(), self.silence_us, node, times)
    }
}

/// The world's time at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) now_us: u64,
    /// The same by the clock of the process.
    pub(crate) tick: Tick,
    /// For how long the node has run without being held up.
    pub(crate) awake_us: u64,
    /// For how long the sync under way at it has been; zero without one.
    pub(crate) syncing_us: u64,
}
