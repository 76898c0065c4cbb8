//! The log: real peers, and every order of what is said, synced, lost, doubled and crashed.

mod core;
mod laws;
mod tell;
mod vows;

use bytes::Bytes;
use synod_paxos::{Ballot, Decree, Envelope, Message, NodeId, Slot};

use self::core::Core;
use super::stage::{Effects, Event, Play, Scene, Stepped};
use crate::violation::Checked;

/// How much may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Three or five.
    pub(super) nodes: u16,
    /// Slots that are proposed for.
    pub(super) slots: u64,
    /// Campaigns, and so ballots, of all nodes together.
    pub(super) campaigns: u8,
    /// Who campaigns: bit by bit, node 1 the lowest. Two who do are as good as any two.
    pub(super) campaigners: u8,
    /// Decrees that are proposed, all different.
    pub(super) proposals: u8,
    /// Crashes of all nodes together. The node starts again at once: one that is away hears
    /// nothing, and so may any other.
    pub(super) crashes: u8,
    /// Crashes among them that leave one record unreadable.
    pub(super) damages: u8,
    /// Trims, each of which is a snapshot too.
    pub(super) trims: u8,
    /// Crashes among them that lose the snapshots of a node that has trimmed.
    pub(super) losses: u8,
    /// Reports in one page of a promise.
    pub(super) page_slots: usize,
    /// Syncs that may wait at a node. With none every write is durable at once; with one nothing is
    /// heard until it is, but for a crash; with two a node goes on meanwhile.
    pub(super) syncs_waiting_max: usize,
    /// Who asks the others for what is chosen, bit by bit.
    pub(super) askers: u8,
    /// Whether leaders' heartbeats are heard. With one slot the watermark says all that they say.
    pub(super) heartbeats: bool,
    /// Whether refusals are heard.
    pub(super) refusals: bool,
    /// Whether a word may be heard at any time after it was said, any number of times. If not, it
    /// is lost once it would change nothing in the hearer.
    pub(super) late: bool,
}

/// What befalls a node besides words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    /// Its disk completes the oldest sync.
    Sync,
    /// It campaigns. Whether it should is for the election to say, and safety rests on nothing that
    /// the election says: so it may at any time, whatever it has heard.
    Campaign,
    /// Its caller proposes the decree of this number.
    Propose(u8),
    /// It trims all that it knows to be chosen, and has a snapshot of it for the others.
    Trim,
    /// It loses its power and starts again; the record of a slot may have become unreadable.
    Crash(Option<Slot>),
    /// The same, and its snapshots are lost: the state begins anew, and the log does not.
    Lose,
}

/// What nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    /// A word of the protocol.
    Said(Envelope),
    /// A snapshot of everything up to this slot.
    Snapshot(Slot),
}

/// What a node has done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact {
    /// It has proposed a decree, in words or by a vote of its own.
    Proposed(Slot, Ballot, Named),
    /// Its vote for a decree is or was durable.
    Voted(Slot, Ballot, Named),
    /// It takes a decree for chosen.
    Believes(Slot, Named),
    /// It takes everything up to a slot for chosen, whatever it is.
    Settled(Slot),
}

/// A decree by its bytes; a no-op has none.
pub(super) type Named = Option<Bytes>;

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spent {
    campaigns: u8,
    proposals: u8,
    crashes: u8,
    damages: u8,
    trims: u8,
    losses: u8,
}

/// The play within its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log(pub(super) Bounds);

impl Play for Log {
    type Core = Core;
    type Word = Word;
    type Deed = Deed;
    type Fact = Fact;
    type Spent = Spent;

    fn cast(&self) -> Vec<(Core, Vec<Word>)> {
        let core = |node| (Core::new(NodeId::new(node), self.0), Vec::new());
        (1..=self.0.nodes).map(core).collect()
    }

    fn deeds(&self, place: usize, core: &Core, spent: Spent) -> Vec<Deed> {
        let bounds = self.0;
        let mut deeds = Vec::new();
        if core.waiting() > 0 {
            deeds.push(Deed::Sync);
        }
        if spent.crashes < bounds.crashes {
            deeds.push(Deed::Crash(None));
            if spent.losses < bounds.losses && core.has_trimmed() {
                deeds.push(Deed::Lose);
            }
            if spent.damages < bounds.damages {
                deeds.extend(core.readable().into_iter().map(|slot| Deed::Crash(Some(slot))));
            }
        }
        if self.hears(core) {
            let campaigns = bounds.campaigners & (1 << place) != 0;
            if campaigns && spent.campaigns < bounds.campaigns {
                deeds.push(Deed::Campaign);
            }
            if core.leads() && spent.proposals < bounds.proposals {
                deeds.push(Deed::Propose(spent.proposals + 1));
            }
            if core.may_trim() && spent.trims < bounds.trims {
                deeds.push(Deed::Trim);
            }
        }
        deeds
    }

    fn hears(&self, core: &Core) -> bool {
        core.waiting() < self.0.syncs_waiting_max.max(1)
    }

    fn step(&self, core: &mut Core, event: Event<&Word, Deed>) -> Stepped<Log> {
        core.step(event)
    }

    fn worth_hearing(&self, effects: &Effects<Word, Fact>) -> Option<bool> {
        let no = |(_, word): &(usize, Word)| match word {
            Word::Said(envelope) => matches!(envelope.message, Message::Refused { .. }),
            Word::Snapshot(_) => false,
        };
        (!self.0.late).then(|| effects.words.iter().any(no))
    }

    fn spend(&self, spent: &mut Spent, deed: Deed) {
        match deed {
            Deed::Sync => {}
            Deed::Campaign => spent.campaigns += 1,
            Deed::Propose(_) => spent.proposals += 1,
            Deed::Trim => spent.trims += 1,
            Deed::Lose => {
                spent.crashes += 1;
                spent.losses += 1;
            }
            Deed::Crash(unreadable) => {
                spent.crashes += 1;
                spent.damages += u8::from(unreadable.is_some());
            }
        }
    }

    fn obeys_the_laws(&self, scene: &Scene<'_, Log>) -> Checked {
        laws::hold(self.0, scene)
    }

    /// Whoever leads leads by chance here; that somebody does in the end is for the simulator.
    const RESTS: bool = false;

    fn comes_by_itself(&self, _deed: Deed) -> bool {
        false
    }

    fn rests_well(&self, _scene: &Scene<'_, Log>) -> Checked {
        Ok(())
    }

    fn tell_event(&self, place: usize, event: Event<&Word, Deed>) -> String {
        tell::event(place, event)
    }

    fn tell_effects(&self, core: &Core, effects: &Effects<Word, Fact>) -> Vec<String> {
        tell::effects(core, effects)
    }
}

/// The decree with this number, unlike any other.
fn decree(number: u8) -> Decree {
    Decree::Value(Bytes::from(format!("v{number}")))
}

fn named(decree: &Decree) -> Named {
    match decree {
        Decree::Noop => None,
        Decree::Value(bytes) => Some(bytes.clone()),
    }
}
