//! D: at most one leader to a ballot, past a quorum of promises, and only while a quorum answers.

use std::collections::{BTreeMap, BTreeSet};

use synod_paxos::{Ballot, Envelope, Life, Message, NodeId, Role, Tick};
use synod_replica::Status;

use crate::{
    ghost::Ghost,
    sights::{Sight, Sights},
    violation::{Checked, demand},
};

/// Who leads, by whose promises, and who was heard.
#[derive(Debug)]
pub(crate) struct Leadership {
    quorum: usize,
    window_slots: u64,
    /// How long a leader may take to notice that no quorum answers it.
    silence_us: u64,
    /// Which life of which process was first seen past phase 1 at a ballot.
    reigns: BTreeMap<Ballot, (NodeId, u64)>,
    promises: BTreeMap<Ballot, BTreeSet<Life>>,
    /// When a node last received a word of another.
    heard: BTreeMap<(NodeId, NodeId), u64>,
    pub(crate) seen: Sights,
}

impl Leadership {
    pub(crate) fn new(quorum: usize, window_slots: u64, silence_us: u64) -> Leadership {
        Leadership {
            quorum,
            window_slots,
            silence_us,
            reigns: BTreeMap::new(),
            promises: BTreeMap::new(),
            heard: BTreeMap::new(),
            seen: Sights::default(),
        }
    }

    /// How many reigns there have been.
    pub(crate) fn reigns(&self) -> usize {
        self.reigns.len()
    }

    /// A word leaves.
    pub(crate) fn spoken(&mut self, ghost: &Ghost, envelope: &Envelope) -> Checked {
        match &envelope.message {
            Message::Promise { ballot, .. } => {
                self.promises.entry(*ballot).or_default().insert(envelope.from);
            }
            Message::Accept { ballot, slot, .. } => {
                demand!(
                    slot.distance_from(ghost.upto()) <= self.window_slots,
                    "D4",
                    "{} proposes in slot {slot}, the window is {} from {}",
                    envelope.from,
                    self.window_slots,
                    ghost.upto()
                );
                self.quorum_promised(*ballot)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a quorum has promised this ballot.
    pub(crate) fn has_promises(&self, ballot: Ballot) -> bool {
        self.promises.get(&ballot).is_some_and(|lives| lives.len() >= self.quorum)
    }

    /// A word of another node has arrived.
    pub(crate) fn heard(&mut self, at: NodeId, from: NodeId, now: u64) {
        self.heard.insert((at, from), now);
    }

    /// A node, in the `boot`th life of its process, begun at `since`, has taken a step.
    pub(crate) fn stepped(
        &mut self,
        ghost: &Ghost,
        node: NodeId,
        boot: u64,
        status: &Status,
        times: Times,
    ) -> Checked {
        let Role::Leading { ballot, inherited } = status.role else {
            demand!(!status.serving, "D2", "{node} serves and does not lead");
            return Ok(());
        };
        demand!(ballot.owner().node == node, "D1", "{node} leads at {ballot}, another's");
        let first = *self.reigns.entry(ballot).or_insert_with(|| {
            self.seen.see(Sight::Reign);
            (node, boot)
        });
        demand!(
            first == (node, boot),
            "D1",
            "{node} in its life {boot} leads at {ballot}, at which {first:?} led before"
        );
        self.quorum_promised(ballot)?;
        let deaf_to_disk = times.syncing_us.min(times.awake_us);
        demand!(
            deaf_to_disk < self.silence_us,
            "L5",
            "{node} leads at {ballot} and its disk has stood still for {deaf_to_disk} us"
        );
        if status.serving {
            demand!(
                status.applied >= inherited,
                "D2",
                "{node} serves at {ballot} with {} applied and {inherited} inherited",
                status.applied
            );
        }
        self.quorum_heard(ghost, node, times)
    }

    fn quorum_promised(&self, ballot: Ballot) -> Checked {
        let promised = self.promises.get(&ballot).map_or(0, BTreeSet::len);
        demand!(
            promised >= self.quorum,
            "D2",
            "phase 2 at {ballot} after {promised} promises of {}",
            self.quorum
        );
        Ok(())
    }

    fn quorum_heard(&self, ghost: &Ghost, node: NodeId, times: Times) -> Checked {
        if times.awake_us < self.silence_us {
            return Ok(());
        }
        let from = self.heard.range((node, NodeId::new(0))..=(node, NodeId::new(u16::MAX)));
        let lately = from.filter(|(_, at)| times.now_us - **at < self.silence_us).count();
        demand!(
            lately + 1 >= ghost.quorum(),
            "D3",
            "{node} leads and has heard {lately} others in the last {} us",
            self.silence_us
        );
        Ok(())
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
