//! One node of a search through leases: the real peer, its promise on a disk, and a clock that runs
//! as fast or as slowly as it may.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use synod_paxos::{
    Ballot, Config, Envelope, Input, Leasing, Life, Members, Message, NodeId, Output, Peer, Policy,
    Role, Standing, Tick, Timing, Write,
};

use crate::{
    facts::Facts,
    search::{IDLE, guarded},
    violation::Violation,
};

/// How many nodes there are.
pub(super) const NODES: u16 = 3;

/// What a clock shows of one step of time: the fastest, and the slowest, by the bound of a part in
/// 64 that leases trust. Nothing that is short here comes near a second of it.
pub(super) const FAST: Duration = Duration::from_secs(65_000);
pub(super) const SLOW: Duration = Duration::from_secs(63_000);

/// What is left to chance and patience takes next to no time; whom a node has once heard it takes
/// to be there for ever.
const INSTANT: Duration = Duration::from_micros(2);
const SOON: Duration = Duration::from_millis(1);
const AGES: Duration = Duration::from_secs(1_000_000_000_000);

/// How others stand that see a leader and could be the next: whoever hears that does not campaign.
const LED: Standing = Standing { quorum: true, sees_leader: true, ..IDLE };

/// Beats after which whoever may campaign does.
const PATIENCE: usize = 3;

/// What befalls a node besides words and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::search) enum Deed {
    /// It finds that nobody leads, and that its turn has come: it campaigns, if it may.
    Campaign,
    /// A beat: a leader opens a round for its lease, and whoever waits for a vow to end is heard.
    Beat,
    /// It is told to let another lead.
    StepDown,
    /// It is told to hand the lead to this node, which answers that it is there.
    HandOver(u16),
    /// Its process ends, and another starts.
    Crash,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    config: Config,
    /// What its clock shows of one step of time.
    pace: Duration,
    now: Tick,
    peer: Peer,
    disk: Facts,
    /// Its last round of heartbeats, which the others answer when it is their part.
    round: u64,
}

impl Node {
    /// One that has been there for so long that its silence is over. A vow lasts so many steps of
    /// time on the fastest clock; a lease is then over after as many on the slowest, and would not
    /// be if it were any longer.
    pub(super) fn new(node: NodeId, pace: Duration, vow_steps: u32) -> Node {
        let vow = FAST * vow_steps;
        let lives = (1..=NODES).map(|node| Life::first(NodeId::new(node))).collect();
        let members = Members::new(lives).expect("three nodes are a cluster");
        let config = Config::new(Life::first(node), members).expect("it is one of them");
        let timing = Timing {
            heartbeat: INSTANT,
            suspect_min: INSTANT,
            suspect_max: INSTANT,
            disk_stall: AGES,
        };
        let config = Config {
            timing,
            detector: Policy::Fixed { timeout: AGES },
            look_every: AGES,
            leasing: Leasing { asks: true, vow },
            ..config
        };
        let disk = Facts::default();
        let peer = Peer::recover(config.clone(), disk.durable(), 0);
        let mut node = Node { config, pace, now: Tick::ZERO, peer, disk, round: 0 };
        drop(node.feed(Input::Wake));
        node.now = node.now.after(vow);
        drop(node.feed(Input::Wake));
        node
    }

    /// A step of time passes.
    pub(super) fn passes(&mut self) {
        self.now = self.now.after(self.pace);
    }

    /// It hears a word; what it says then.
    pub(super) fn hears(&mut self, word: &Envelope) -> Result<Vec<Envelope>, Violation> {
        guarded(|| {
            let mut said = Vec::new();
            if let Message::HandOver { .. } = word.message {
                said.append(&mut self.is_answered(LED));
            }
            said.append(&mut self.feed(Input::Deliver(word.clone())));
            Ok(said)
        })
    }

    /// Something befalls it; what it says then. Nothing has happened where it is no leader that has
    /// a beat, or one that may not campaign.
    pub(super) fn does(&mut self, deed: Deed) -> Result<Vec<Envelope>, Violation> {
        guarded(|| {
            Ok(match deed {
                Deed::Campaign => self.campaign(),
                Deed::Beat => self.beat(),
                Deed::StepDown => self.feed(Input::StepDown),
                Deed::HandOver(heir) => self.hand_over(NodeId::new(heir)),
                Deed::Crash => {
                    self.peer = Peer::recover(self.config.clone(), self.disk.durable(), 0);
                    self.round = 0;
                    self.feed(Input::Wake)
                }
            })
        })
    }

    /// The reign that it holds a lease for, by its own clock.
    pub(super) fn lease(&self) -> Option<Ballot> {
        self.peer.lease(self.now).and(self.leads())
    }

    /// The reign that it is past phase 1 of.
    pub(super) fn leads(&self) -> Option<Ballot> {
        match self.peer.role() {
            Role::Leading { ballot, .. } => Some(ballot),
            Role::Following { .. } | Role::Campaigning { .. } => None,
        }
    }

    /// Whether a word can make a difference to it now or later.
    pub(super) fn heeds(&self, message: &Message) -> bool {
        match message {
            Message::Prepare { ballot, .. } => *ballot > self.peer.promised(),
            Message::Promise { ballot, .. } => {
                matches!(self.peer.role(), Role::Campaigning { ballot: at } if at == *ballot)
            }
            Message::Vowed { ballot, .. } => self.reigns_from(*ballot),
            Message::Vow { .. } | Message::Release { .. } | Message::HandOver { .. } => true,
            _ => false,
        }
    }

    /// Whether an answer to a reign may be counted. That of another reign may not; so it stays on
    /// its way to whoever leads.
    fn reigns_from(&self, ballot: Ballot) -> bool {
        ballot.owner() == self.config.life
    }

    fn beat(&mut self) -> Vec<Envelope> {
        let before = self.clone();
        let mut said = Vec::new();
        if self.leads().is_some() {
            said.append(&mut self.is_answered(IDLE));
        }
        said.append(&mut self.feed(Input::Wake));
        if self.campaigns() && !before.campaigns() {
            *self = before;
            return Vec::new();
        }
        said
    }

    /// Whatever it hesitates for passes in an instant, and the others answer it, so that it finds
    /// that they are there and that nobody leads.
    fn campaign(&mut self) -> Vec<Envelope> {
        if !matches!(self.peer.role(), Role::Following { .. }) {
            return Vec::new();
        }
        let (before, now) = (self.clone(), self.now);
        let mut said = Vec::new();
        for _ in 0..PATIENCE {
            self.now = self.now.after(SOON);
            said.append(&mut self.feed(Input::Wake));
            if !self.campaigns() {
                said.append(&mut self.is_answered(IDLE));
            }
            if self.campaigns() {
                self.now = now;
                return said;
            }
        }
        *self = before;
        Vec::new()
    }

    fn campaigns(&self) -> bool {
        matches!(self.peer.role(), Role::Campaigning { .. })
    }

    /// The others answer that they are there and could lead, so that it calls the one it was told.
    fn hand_over(&mut self, heir: NodeId) -> Vec<Envelope> {
        let before = self.clone();
        let mut said = self.is_answered(LED);
        said.append(&mut self.feed(Input::HandOver(Some(heir))));
        said.append(&mut self.is_answered(LED));
        if self.leads().is_some() {
            *self = before;
            return Vec::new();
        }
        said
    }

    /// The others answer its last heartbeat, all alike.
    fn is_answered(&mut self, standing: Standing) -> Vec<Envelope> {
        let (me, round) = (self.config.life, self.round);
        let others: Vec<Life> = self.config.members.iter().filter(|life| *life != me).collect();
        let mut said = Vec::new();
        for from in others {
            let message = Message::Alive { round, standing };
            let word = Envelope::of(from, me.node, message);
            said.append(&mut self.feed(Input::Deliver(word)));
        }
        said
    }

    /// Steps the peer. Its disk writes at once, and what it says to itself it hears at once.
    fn feed(&mut self, input: Input) -> Vec<Envelope> {
        let mut out = Output::default();
        self.peer.step(self.now, input, &mut out);
        for write in out.durably.writes() {
            if let Write::Promised { .. } = write {
                self.disk.apply(write);
            }
        }
        let (own, others): (Vec<Envelope>, Vec<Envelope>) = (out.at_once.into_iter())
            .chain(out.durably.synced())
            .partition(|word| word.to == self.config.life.node);
        let mut said = Vec::new();
        for word in others {
            match word.message {
                Message::Heartbeat { round, .. } => self.round = self.round.max(round),
                Message::Prepare { .. }
                | Message::Promise { .. }
                | Message::Vow { .. }
                | Message::Vowed { .. }
                | Message::Release { .. }
                | Message::HandOver { .. } => said.push(word),
                // Hints, the log, and refusals, which only end what would fail.
                _ => {}
            }
        }
        for word in own {
            said.append(&mut self.feed(Input::Deliver(word)));
        }
        said
    }

    /// The node in a few words.
    pub(super) fn tell(&self) -> String {
        let role = self.peer.role();
        let (promised, lease) = (self.peer.promised(), self.lease());
        format!("{} is {role:?}, promised {promised}, leased {lease:?}", self.config.life)
    }
}

/// What it is, and how long that holds: as seen from now, since nothing tells one now from another.
/// Links, patience and what lies on the disk besides the promise make no difference here.
impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Node { config: _, pace, now, peer, disk, round: _ } = self;
        (pace, peer, peer.bonds(*now), disk).hash(state);
    }
}
