mod handing;
mod learning;
mod leasing;
mod nearby;
mod phase1;
mod phase2;
mod trimming;
mod vitals;

pub use leasing::Bonds;

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    time::Duration,
};

use crate::{
    Ballot, Config, Decree, Durable, Durably, Envelope, Forgotten, Heard, Life, Mark, Marks,
    Message, NodeId, Process, Record, Slot, Tick, Unfit, Write,
    acceptor::{Acceptor, Vote},
    admit::admits,
    campaign::Campaign,
    catch_up::CatchUp,
    chance::Chance,
    cover::Cover,
    disk::Disk,
    election::Election,
    learner::Learner,
    limits::AHEAD_SLOTS_MAX,
    links::Links,
    nearby::Nearby,
    proposer::Proposer,
    voice::Voice,
    vow::Vow,
};

/// The caller's name for one linearizable read it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarrierId(pub u64);

/// A finished read barrier: a read served from a state that has applied `upto` is linearizable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Which.
    pub id: BarrierId,
    /// What must be applied before the read is served.
    pub upto: Slot,
    /// No quorum was asked, for this node holds a lease until then: whatever it answers is right
    /// only if its clock shows less when it has read.
    pub leased_until: Option<Tick>,
}

/// How far a state must have come for reads that waited here, whoever leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fathomed {
    /// The round that they were given.
    pub round: u64,
    /// When it was asked: later than each of them came.
    pub at: Tick,
    /// A state that has applied this lacks nothing that anybody was told of before `at`.
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
    /// The first slot wanted, when what stands there is damaged and will not be read later either.
    pub damaged: Option<Slot>,
}

/// "The log cannot bring this node further than it is: `peer` has trimmed what it needs, and a
/// snapshot of what that did." Said again for as long as it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Who has trimmed it.
    pub peer: NodeId,
    /// Up to here.
    pub trimmed: Slot,
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
    /// A linearizable read waits, whoever leads: [`Output::joined`] tells for what.
    ReadNearby,
    /// The store has read what a [`Fetch`] asked for.
    Fetched(Fetched),
    /// Durable snapshots of this node cover everything up to this slot, even if the newest of them
    /// is lost.
    Covered(Slot),
    /// The state above has been replaced by a snapshot of everything up to this slot, which is
    /// durable here.
    Installed(Slot),
    /// The moment of [`Peer::wake_at`] has come.
    Wake,
    /// Stop leading and let another lead: this node is about to stop. What it had proposed may
    /// still be chosen.
    StepDown,
    /// Let this node lead, or whoever is fit for it best. Where it cannot, [`Output::unfit`] says
    /// why and nothing else happens; so it is where this node does not lead.
    HandOver(Option<NodeId>),
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
    /// The rounds that `ReadNearby` inputs wait for, in their order.
    pub joined: Vec<u64>,
    /// Such rounds that are answered. There are some that nobody waits for.
    pub fathomed: Vec<Fathomed>,
    /// Decrees to read from the store.
    pub fetch: Vec<Fetch>,
    /// Peers from whom a snapshot is wanted.
    pub behind: Vec<Behind>,
    /// A slot that a peer lacks and that is damaged here: it needs a snapshot that covers it.
    pub damaged: Option<Slot>,
    /// Why the lead is not handed over: this node leads on.
    pub unfit: Option<Unfit>,
    /// The disk lacks what others were told to be there. The peer takes no further step; whoever
    /// runs it ends, and says why.
    pub forgotten: Option<Forgotten>,
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
#[derive(Clone, Debug)]
pub struct Peer {
    config: Config,
    process: Process,
    voice: Voice,
    acceptor: Acceptor,
    learner: Learner,
    reign: Reign,
    disk: Disk,
    links: Links,
    election: Election,
    catch_up: CatchUp,
    nearby: Nearby,
    vow: Vow,
    /// The highest round that others were heard to have promised: the next campaign goes above it,
    /// and above the own promise.
    round_heard: u64,
    /// The highest reign that told its watermark, and that watermark: it may come before the
    /// accepts that it covers.
    watermark: (Ballot, Slot),
    /// The last watermark written.
    upto_written: Slot,
    /// Everything up to here is gone from the store, or is about to be.
    trimmed: Slot,
    /// How far the state came from which this node started, where its log is behind and has yet to
    /// be told.
    ahead: Option<Slot>,
    cover: Cover,
    /// Peers for whom the store is reading, and since when.
    serving: BTreeMap<NodeId, Tick>,
    /// Whom this node takes for the leader.
    leader: Option<NodeId>,
    /// Whom the last leader has called to be the next, until somebody is.
    heir: Option<NodeId>,
    turned_away: u64,
    forgotten: Option<Forgotten>,
}

/// What this node does besides accepting and learning. What only a phase needs lives in it.
#[derive(Clone, Debug, Hash)]
enum Reign {
    Following,
    Campaigning(Campaign),
    Leading(Proposer),
}

impl Peer {
    /// The peer that `durable` remembers. `seed` feeds timer jitter, and by it others tell this
    /// process from the one before: another at every start. Safety never rests on it.
    pub fn recover(config: Config, durable: Durable, seed: u64) -> Peer {
        let applied = durable.chosen_upto;
        Peer::recover_at(config, durable, applied, seed)
    }

    /// The same with a state above it that has come to `applied` by a snapshot and the log: further
    /// than the log, when the node died before the log knew of the snapshot; or not as far, when
    /// snapshots were lost. What was trimmed or chosen is known to be chosen either way.
    pub fn recover_at(config: Config, durable: Durable, applied: Slot, seed: u64) -> Peer {
        let mut acceptor = Acceptor::new(durable.promised.unwrap_or(Ballot::ZERO));
        let mut learner = Learner::new(applied);
        learner.settle(durable.chosen_upto);
        for (slot, record) in durable.records.into_iter().filter(|(slot, _)| *slot > applied) {
            match record {
                Record::Accepted { ballot, decree } => {
                    acceptor.recall(slot, Vote { ballot, decree });
                }
                Record::Chosen { decree } => learner.recall(slot, decree),
                Record::Faulty => acceptor.recall_faulty(slot),
            }
        }
        let (life, timing) = (config.life, config.timing);
        let alone = config.members.count() == 1;
        // Nodes given one seed still differ.
        let chance = Chance::new(seed ^ (u64::from(life.node.get()) << 48));
        Peer {
            process: Process::new(seed),
            voice: Voice::new(life, &config.members, durable.mark),
            round_heard: 0,
            acceptor,
            learner,
            reign: Reign::Following,
            disk: Disk::new(timing.disk_stall, durable.mark),
            links: Links::new(&config),
            election: Election::new(timing, chance),
            catch_up: CatchUp::new(&timing),
            nearby: Nearby::default(),
            // A cluster of one has nobody to vow to.
            vow: Vow::new(life, if alone { Duration::ZERO } else { config.leasing.vow }),
            watermark: (Ballot::ZERO, Slot::ZERO),
            upto_written: durable.chosen_upto,
            trimmed: durable.trimmed,
            ahead: (applied > durable.chosen_upto).then_some(applied),
            cover: Cover::new(life),
            serving: BTreeMap::new(),
            leader: None,
            heir: None,
            turned_away: 0,
            forgotten: None,
            config,
        }
    }

    /// Takes one input. Effects are appended to `out`.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Output) {
        if self.forgotten.is_some() {
            return;
        }
        let written = out.durably.writes().len();
        self.vow.tick(now);
        self.learner.hand_out(out);
        match input {
            Input::Deliver(envelope) => self.deliver(now, envelope, out),
            Input::Propose(decree) => self.propose(now, decree, out),
            Input::ReadBarrier(id) => self.read_barrier(now, id, out),
            Input::ReadNearby => self.read_nearby(now, out),
            Input::Fetched(fetched) => self.fetched(fetched, out),
            Input::Covered(upto) => self.cover.told(self.voice.life(), upto),
            Input::Installed(upto) => self.installed(now, upto, out),
            Input::Wake => self.wake(now, out),
            Input::StepDown => self.step_down(now, out),
            Input::HandOver(to) => self.hand_over(now, to, out),
        }
        let to_tell = self.ahead.is_some() || self.disk.is_probing();
        if to_tell || out.durably.writes().len() > written {
            self.write_along(now, out);
        }
        out.durably.reaches(self.disk.mark());
    }

    /// When to step [`Input::Wake`]; earlier is harmless, later costs liveness.
    pub fn wake_at(&self) -> Option<Tick> {
        if self.forgotten.is_some() {
            return None;
        }
        let due = self.election.wake_at();
        // The leader's silence is noticed when it is long enough, not at the next round.
        let follows = matches!(self.reign, Reign::Following);
        let leader = self.leader.filter(|_| follows);
        let silent_at = leader.and_then(|leader| self.links.silent_at(leader));
        let free_at = self.vow.ends_at(follows && leader.is_none());
        let handing = match &self.reign {
            Reign::Leading(proposer) => proposer.handing.as_ref().map(|handing| handing.until),
            Reign::Following | Reign::Campaigning(_) => None,
        };
        [silent_at, free_at, handing].into_iter().flatten().chain([due]).min()
    }

    /// What this peer is.
    pub fn role(&self) -> Role {
        match &self.reign {
            Reign::Following => Role::Following { leader: self.leader },
            Reign::Campaigning(campaign) => Role::Campaigning { ballot: campaign.ballot },
            Reign::Leading(proposer) => {
                Role::Leading { ballot: proposer.ballot, inherited: proposer.inherited }
            }
        }
    }

    /// Whether a proposal would be given a slot now: leading with a quorum heard lately, the next
    /// leader not ready yet where the lead is handed over, and the window has room.
    pub fn may_propose(&self) -> bool {
        let Reign::Leading(proposer) = &self.reign else { return false };
        if proposer.handing.as_ref().is_some_and(|handing| handing.answered) {
            return false;
        }
        self.has_quorum() && proposer.next <= self.window_end() && self.window_has_bytes(proposer)
    }

    /// Whether this node leads and a quorum answers it. Without one it takes no proposals, and soon
    /// abdicates.
    pub fn has_quorum(&self) -> bool {
        matches!(&self.reign, Reign::Leading(proposer) if proposer.lost_since.is_none())
    }

    /// Whether a quorum with working disks, this node's own included, answers this node.
    pub fn is_connected_to_quorum(&self, now: Tick) -> bool {
        let alive = self.disk.alive(now);
        alive && self.links.connected_count(alive, now) >= self.config.members.quorum()
    }

    /// Whom this node takes for the leader, itself included: a hint.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.reign {
            Reign::Leading(_) => Some(self.voice.me()),
            Reign::Following => self.leader,
            Reign::Campaigning(_) => None,
        }
    }

    /// What `peer` last told; `None` before its first word, and for this node itself.
    pub fn heard(&self, peer: NodeId, now: Tick) -> Option<Heard> {
        self.links.heard(peer, now)
    }

    /// The last slot below which everything is known to be chosen.
    pub fn chosen_upto(&self) -> Slot {
        self.learner.upto()
    }

    /// The last slot up to which everything is known to be chosen, though no longer with which
    /// decree where the state above was lost; else [`Peer::chosen_upto`].
    pub fn settled(&self) -> Slot {
        self.learner.settled()
    }

    /// Everything up to here is gone from the log.
    pub fn trimmed(&self) -> Slot {
        self.trimmed
    }

    /// The highest ballot promised.
    pub fn promised(&self) -> Ballot {
        self.acceptor.promised()
    }

    /// How many words were turned away at the door: from no voter, of another epoch, about
    /// another's ballot, or of numbers that no honest cluster reaches.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    fn deliver(&mut self, now: Tick, envelope: Envelope, out: &mut Output) {
        if !admits(&envelope, self.voice.life(), &self.config.members) {
            self.turned_away += 1;
            return;
        }
        self.remembers(envelope.from, envelope.marks, out);
        if self.forgotten.is_some() {
            return;
        }
        let from = envelope.from.node;
        match envelope.message {
            Message::Prepare { ballot, first, holds } => {
                self.on_prepare(now, ballot, first, &holds, out);
            }
            Message::Promise { ballot, page } => self.on_promise(now, from, ballot, page, out),
            Message::Refused { ballot, promised } => self.on_refused(now, ballot, promised, out),
            Message::Accept { ballot, slot, decree, chosen_upto } => {
                self.on_accept(now, slot, Vote { ballot, decree }, chosen_upto, out);
            }
            Message::Accepted { ballot, slots, chosen_upto } => {
                self.links.claims(from, chosen_upto);
                self.on_accepted(now, from, ballot, &slots, out);
            }
            Message::Watermark { ballot, chosen_upto } => {
                self.links.claims(from, chosen_upto);
                self.on_watermark(now, ballot, chosen_upto, out);
            }
            Message::Heartbeat { round, standing } => {
                self.on_heartbeat(now, envelope.from, round, standing, out);
            }
            Message::Alive { round, standing } => {
                self.on_alive(now, envelope.from, round, standing, out);
            }
            Message::Ask { first, upto } => self.on_ask(now, from, first, upto, out),
            Message::Learned { decrees, chosen_upto } => {
                self.links.claims(from, chosen_upto);
                self.on_learned(now, from, decrees, out);
            }
            Message::Trimmed { upto } => self.on_trimmed(from, upto, out),
            Message::Confirm { ballot, round } => self.on_confirm(now, from, ballot, round, out),
            Message::Confirmed { ballot, round } => {
                self.on_confirmed(now, from, ballot, round, out)
            }
            Message::Synced { mark } => self.disk.synced(mark),
            Message::Fathom { process, round } => self.on_fathom(now, from, process, round, out),
            Message::Vow { ballot, round } => self.on_vow(now, from, ballot, round, out),
            Message::Vowed { ballot, round } => self.on_vowed(from, ballot, round),
            Message::Release { ballot } => self.on_release(now, ballot, out),
            Message::HandOver { ballot, next, chosen_upto } => {
                self.on_hand_over(now, ballot, next, chosen_upto, out);
            }
            Message::Fathomed { process, round, upto } => {
                self.on_fathomed(now, process, round, upto, out);
            }
        }
    }

    /// Looks at what a word says of both disks, before anything else: a node that has forgotten
    /// what it promised must not answer the very word that would tell it so.
    fn remembers(&mut self, from: Life, marks: Marks, out: &mut Output) {
        let (me, holds) = (self.voice.life(), marks.holds.unwrap_or(Mark::ZERO));
        if from == me {
            return self.voice.holds(holds);
        }
        let is = self.voice.hears(from, holds, self.disk.mark());
        if marks.of == me.incarnation && marks.heard > is {
            self.forgotten = Some(Forgotten { told: from.node, was: marks.heard, is });
            out.forgotten = self.forgotten;
        }
    }

    /// Whether this node, just started, gives no word of an acceptor yet: somebody has not been
    /// heard who may know that it has forgotten something. Nobody is waited for longer than a vow
    /// lasts, or a dead member would keep a quorum from its work.
    pub fn is_listening(&self, now: Tick) -> bool {
        self.vow.is_silent(now) && !self.links.have_all_spoken()
    }

    /// What goes along with the writes of a step: the watermark, lazily, and the mark of the step.
    fn write_along(&mut self, now: Tick, out: &mut Output) {
        self.tell_the_log(out);
        let upto = self.learner.upto();
        if self.upto_written < upto {
            self.upto_written = upto;
            out.durably.write(Write::ChosenUpto { slot: upto });
        }
        self.disk.wrote(now, &self.voice, out);
    }

    /// The last slot that may be proposed now (PMMC's window).
    fn window_end(&self) -> Slot {
        self.learner.upto().plus(self.config.window_slots.min(AHEAD_SLOTS_MAX))
    }

    fn window_has_bytes(&self, proposer: &Proposer) -> bool {
        proposer.bytes() + self.learner.above_bytes() < self.config.window_bytes
    }
}

/// What safety rests on: what is promised, voted for and known to be chosen, and the campaign or
/// reign. Moments are left out, and with them the links, the election and all that says *when*
/// something is done: peers with equal hashes answer one word alike, but may campaign at other
/// times. So is what reads wait for here while another leads: on that no word of the log rests; and
/// what was vowed, which is all about moments.
impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Peer { config: _, disk: _, links: _, election: _, catch_up: _, serving: _, .. } = self;
        let Peer { leader: _, heir: _, turned_away: _, nearby: _, vow: _, forgotten: _, .. } = self;
        let Peer { voice, acceptor, learner, reign, .. } = self;
        let Peer { round_heard, watermark, upto_written, .. } = self;
        (voice.life(), acceptor, learner, reign).hash(state);
        (round_heard, watermark, upto_written).hash(state);
        let Peer { trimmed, ahead, cover, .. } = self;
        (trimmed, ahead, cover).hash(state);
    }
}
