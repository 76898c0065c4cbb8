//! A small world for peers: virtual time, a network that may do anything, disks that lose what was
//! not synced, and a ghost that remembers everything and checks it after each event.
#![allow(dead_code, reason = "each test file uses a part of the world")]
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod disk;
mod ghost;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use synod_paxos::*;

pub(crate) use disk::Disk;
pub(crate) use ghost::Ghost;

pub(crate) type Node = u16;

/// How long members vow, where a leader asks for a lease.
pub(crate) const VOW: Duration = Duration::from_millis(90);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Leaders ask for leases.
pub(crate) fn leasing(config: &mut Config) {
    config.leasing = Leasing { asks: true, vow: VOW };
}

#[derive(Debug)]
enum Event {
    Deliver(Envelope),
    Synced { node: Node, life: u64 },
    Wake { node: Node, life: u64 },
}

/// One process and its disk.
struct Machine {
    peer: Option<Peer>,
    disk: Disk,
    /// Grows with each restart of the process: events of an earlier one are void.
    process: u64,
    wake_at: Option<Tick>,
    asleep_until: Tick,
    /// What a restarted process would have applied: everything up to here, in order.
    chosen_upto: Slot,
    pub(crate) barriers: Vec<Barrier>,
}

/// What the network does to a word between two nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss_percent: u64,
    pub(crate) doubled_percent: u64,
    pub(crate) sync: Duration,
    pub(crate) sync_jitter: Duration,
}

impl Weather {
    pub(crate) const FAIR: Weather = Weather {
        delay: Duration::from_micros(200),
        jitter: Duration::ZERO,
        loss_percent: 0,
        doubled_percent: 0,
        sync: Duration::from_micros(500),
        sync_jitter: Duration::ZERO,
    };
    pub(crate) const FOUL: Weather = Weather {
        delay: Duration::from_micros(200),
        jitter: Duration::from_millis(8),
        loss_percent: 5,
        doubled_percent: 10,
        sync: Duration::from_millis(1),
        sync_jitter: Duration::from_millis(9),
    };
}

pub(crate) struct World {
    pub(crate) now: Tick,
    pub(crate) config: Config,
    pub(crate) weather: Weather,
    pub(crate) ghost: Ghost,
    machines: BTreeMap<Node, Machine>,
    /// Directed links that carry nothing.
    cut: BTreeSet<(Node, Node)>,
    events: BTreeMap<(Tick, u64), Event>,
    scheduled: u64,
    chance: u64,
    proposals: u64,
    pub(crate) words: BTreeMap<&'static str, u64>,
}

pub(crate) fn life(node: Node) -> Life {
    Life::first(NodeId::new(node))
}

pub(crate) fn members(count: Node) -> Members {
    Members::new((1..=count).map(life).collect()).unwrap()
}

impl World {
    pub(crate) fn new(count: Node, seed: u64) -> World {
        World::with(count, seed, |_| {})
    }

    pub(crate) fn with(count: Node, seed: u64, tune: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::new(life(1), members(count)).unwrap();
        config.look_every = Duration::MAX;
        tune(&mut config);
        let mut world = World {
            now: Tick::ZERO,
            ghost: Ghost::new(config.clone()),
            config,
            weather: Weather::FAIR,
            machines: BTreeMap::new(),
            cut: BTreeSet::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            chance: seed,
            proposals: 0,
            words: BTreeMap::new(),
        };
        for node in 1..=count {
            let machine = Machine {
                peer: None,
                disk: Disk::default(),
                process: 0,
                wake_at: None,
                asleep_until: Tick::ZERO,
                chosen_upto: Slot::ZERO,
                barriers: Vec::new(),
            };
            world.machines.insert(node, machine);
            world.restart(node);
        }
        world
    }

    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.machines.keys().copied().collect()
    }

    pub(crate) fn quorum(&self) -> usize {
        self.config.members.quorum()
    }

    pub(crate) fn peer(&self, node: Node) -> &Peer {
        self.machines[&node].peer.as_ref().expect("the node is up")
    }

    pub(crate) fn is_up(&self, node: Node) -> bool {
        self.machines[&node].peer.is_some()
    }

    pub(crate) fn disk(&mut self, node: Node) -> &mut Disk {
        &mut self.machines.get_mut(&node).unwrap().disk
    }

    pub(crate) fn barriers(&self, node: Node) -> &[Barrier] {
        &self.machines[&node].barriers
    }

    pub(crate) fn random(&mut self, below: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) % below.max(1)
    }

    fn some(&mut self, below: Duration) -> Duration {
        Duration::from_micros(self.random(below.as_micros() as u64 + 1))
    }

    // What can be done to it.

    pub(crate) fn cut_one_way(&mut self, from: Node, to: Node) {
        self.cut.insert((from, to));
    }

    pub(crate) fn cut(&mut self, one: Node, two: Node) {
        self.cut.extend([(one, two), (two, one)]);
    }

    pub(crate) fn mend(&mut self, one: Node, two: Node) {
        self.cut.remove(&(one, two));
        self.cut.remove(&(two, one));
    }

    pub(crate) fn mend_all(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn isolate(&mut self, node: Node) {
        for other in self.nodes() {
            if other != node {
                self.cut(node, other);
            }
        }
    }

    /// The process dies; what was not synced is lost.
    pub(crate) fn crash(&mut self, node: Node) {
        let machine = self.machines.get_mut(&node).unwrap();
        machine.peer = None;
        machine.process += 1;
        machine.wake_at = None;
        machine.barriers.clear();
        machine.disk.crash();
    }

    pub(crate) fn restart(&mut self, node: Node) {
        let seed = self.random(u64::MAX);
        let mut config = self.config.clone();
        config.life = life(node);
        let machine = self.machines.get_mut(&node).unwrap();
        assert!(machine.peer.is_none(), "n{node} is up");
        let durable = machine.disk.durable();
        machine.chosen_upto = durable.chosen_upto;
        self.ghost.recovers(node, &machine.disk);
        machine.peer = Some(Peer::recover(config, durable, seed));
        self.schedule_wake(node);
    }

    pub(crate) fn stall_disk(&mut self, node: Node, stalled: bool) {
        let machine = self.machines.get_mut(&node).unwrap();
        machine.disk.stalled = stalled;
        if !stalled {
            self.sync_next(node);
        }
    }

    /// Runs until a value that was proposed after this moment is chosen: whoever may propose does.
    pub(crate) fn chooses_within(&mut self, span: Duration) -> bool {
        let (end, earlier) = (self.now.after(span), self.proposals);
        let mut asked = BTreeSet::new();
        while self.now < end {
            for node in self.nodes() {
                if self.is_up(node) && asked.insert((node, self.peer(node).promised())) {
                    match self.propose(node) {
                        Some(_) => {}
                        None => _ = asked.remove(&(node, self.peer(node).promised())),
                    }
                }
            }
            let fresh = |decree: &Decree| number_of(decree).is_some_and(|number| number > earlier);
            if self.ghost.chosen.values().rev().any(fresh) {
                return true;
            }
            self.run_for(Duration::from_millis(1));
        }
        false
    }

    /// Proposes a fresh value at `node`; `None` when it may not.
    pub(crate) fn propose(&mut self, node: Node) -> Option<Slot> {
        self.propose_bytes(node, 8)
    }

    pub(crate) fn propose_bytes(&mut self, node: Node, bytes: usize) -> Option<Slot> {
        if !self.is_up(node) || !self.peer(node).may_propose() {
            return None;
        }
        self.proposals += 1;
        let mut value = self.proposals.to_be_bytes().to_vec();
        value.resize(bytes.max(8), 0);
        let out = self.step(node, Input::Propose(Decree::Value(Bytes::from(value))));
        Some(out[0])
    }

    pub(crate) fn read(&mut self, node: Node, id: u64) {
        self.step(node, Input::ReadBarrier(BarrierId(id)));
    }

    /// The process does nothing for `span`; what arrives in the meantime waits.
    pub(crate) fn sleep(&mut self, node: Node, span: Duration) {
        let until = self.now.after(span);
        self.machines.get_mut(&node).unwrap().asleep_until = until;
    }

    pub(crate) fn step_down(&mut self, node: Node) {
        self.step(node, Input::StepDown);
    }

    pub(crate) fn hand_over(&mut self, node: Node, to: Option<Node>) {
        self.step(node, Input::HandOver(to.map(NodeId::new)));
    }

    /// Puts a word on the wire that nobody said.
    pub(crate) fn forge(&mut self, envelope: Envelope) {
        self.step(envelope.to.get(), Input::Deliver(envelope));
    }

    // What can be seen of it.

    /// The node that leads with a quorum, at the highest ballot.
    pub(crate) fn leader(&self) -> Option<Node> {
        let mut leading: Vec<(Ballot, Node)> = Vec::new();
        for (node, machine) in &self.machines {
            let Some(peer) = &machine.peer else { continue };
            if let (Role::Leading { ballot, .. }, true) = (peer.role(), peer.has_quorum()) {
                leading.push((ballot, *node));
            }
        }
        leading.iter().max().map(|(_, node)| *node)
    }

    pub(crate) fn chosen_upto(&self, node: Node) -> Slot {
        self.machines[&node].chosen_upto
    }

    pub(crate) fn told(&self, kind: &str) -> u64 {
        self.words.get(kind).copied().unwrap_or(0)
    }

    // Time.

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        self.run_until(end, |_| false);
    }

    /// Runs until `done` or the end; true when done.
    pub(crate) fn run_until(&mut self, end: Tick, done: impl Fn(&World) -> bool) -> bool {
        while !done(self) {
            let Some(&(at, order)) = self.events.keys().next() else { break };
            if at > end {
                break;
            }
            let event = self.events.remove(&(at, order)).unwrap();
            self.now = at;
            self.happen(event);
        }
        if done(self) {
            return true;
        }
        self.now = self.now.max(end);
        false
    }

    pub(crate) fn within(&mut self, span: Duration, done: impl Fn(&World) -> bool) -> bool {
        let end = self.now.after(span);
        self.run_until(end, done)
    }

    pub(crate) fn elect(&mut self) -> Node {
        assert!(self.within(Duration::from_secs(2), |world| world.leader().is_some()), "no leader");
        self.leader().unwrap()
    }

    fn happen(&mut self, event: Event) {
        let node = match &event {
            Event::Deliver(envelope) => envelope.to.get(),
            Event::Synced { node, .. } | Event::Wake { node, .. } => *node,
        };
        let asleep_until = self.machines[&node].asleep_until;
        if self.now < asleep_until {
            // It wakes to its own timer first, and to all that waited unread a moment later.
            let unread = !matches!(event, Event::Wake { .. });
            let at = asleep_until.after(Duration::from_micros(unread.into()));
            return self.schedule(at, event);
        }
        match event {
            Event::Deliver(envelope) => {
                if self.is_up(envelope.to.get()) {
                    self.step(envelope.to.get(), Input::Deliver(envelope));
                }
            }
            Event::Wake { node, life } => {
                let machine = &self.machines[&node];
                if machine.process == life && machine.wake_at.is_some_and(|at| at <= self.now) {
                    self.machines.get_mut(&node).unwrap().wake_at = None;
                    self.step(node, Input::Wake);
                }
            }
            Event::Synced { node, life } => {
                if self.machines[&node].process == life {
                    let machine = self.machines.get_mut(&node).unwrap();
                    let Some(batch) = machine.disk.complete() else { return };
                    self.ghost.synced(node, batch.writes(), &machine.disk);
                    for envelope in batch.synced() {
                        self.ghost.opened(&envelope, &self.machines[&node].disk);
                        self.send(envelope);
                    }
                    self.sync_next(node);
                }
            }
        }
    }

    fn step(&mut self, node: Node, input: Input) -> Vec<Slot> {
        let mut out = Output::default();
        let now = self.now;
        let machine = self.machines.get_mut(&node).unwrap();
        let peer = machine.peer.as_mut().expect("the node is up");
        peer.step(now, input, &mut out);
        assert_eq!(out.forgotten, None, "n{node} lost nothing that was durable");
        self.ghost.stepped(node, peer, &out);
        for chosen in &out.chosen {
            assert_eq!(chosen.slot, machine.chosen_upto.next(), "a gap at n{node}");
            machine.chosen_upto = chosen.slot;
        }
        assert_eq!(machine.chosen_upto, peer.chosen_upto(), "watermark of n{node}");
        machine.barriers.extend(out.barriers);
        machine.disk.push(out.durably);
        for envelope in out.at_once {
            self.send(envelope);
        }
        self.sync_next(node);
        for fetch in out.fetch {
            let decrees = self.machines[&node].disk.chosen(fetch.first, fetch.upto);
            self.step(node, Input::Fetched(Fetched { to: fetch.to, decrees, damaged: None }));
        }
        self.schedule_wake(node);
        out.proposed
    }

    fn send(&mut self, envelope: Envelope) {
        let (from, to) = (envelope.from.node.get(), envelope.to.get());
        *self.words.entry(kind(&envelope.message)).or_default() += 1;
        let payload = decree_bytes(&envelope.message) > 0;
        assert!(!payload || envelope.lane() != Lane::Control, "a payload among the heartbeats");
        if from == to {
            return self.schedule(self.now, Event::Deliver(envelope));
        }
        let weather = self.weather;
        if self.cut.contains(&(from, to)) || self.random(100) < weather.loss_percent {
            return;
        }
        let copies = if self.random(100) < weather.doubled_percent { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now.after(weather.delay + self.some(weather.jitter));
            self.schedule(at, Event::Deliver(envelope.clone()));
        }
    }

    fn sync_next(&mut self, node: Node) {
        let span = self.weather.sync + self.some(self.weather.sync_jitter);
        let machine = self.machines.get_mut(&node).unwrap();
        if machine.disk.start() {
            let life = machine.process;
            self.schedule(self.now.after(span), Event::Synced { node, life });
        }
    }

    fn schedule_wake(&mut self, node: Node) {
        let machine = self.machines.get_mut(&node).unwrap();
        let Some(at) = machine.peer.as_ref().and_then(Peer::wake_at) else { return };
        let at = at.max(self.now);
        if machine.wake_at != Some(at) {
            machine.wake_at = Some(at);
            let life = machine.process;
            self.schedule(at, Event::Wake { node, life });
        }
    }

    fn schedule(&mut self, at: Tick, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }
}

fn number_of(decree: &Decree) -> Option<u64> {
    match decree {
        Decree::Noop => None,
        Decree::Value(bytes) => Some(u64::from_be_bytes(bytes.get(..8)?.try_into().unwrap())),
    }
}

fn decree_bytes(message: &Message) -> usize {
    match message {
        Message::Accept { decree, .. } => decree.bytes(),
        Message::Learned { decrees, .. } => decrees.iter().map(|(_, decree)| decree.bytes()).sum(),
        Message::Promise { page, .. } => page.reports.iter().map(|(_, r)| report_bytes(r)).sum(),
        _ => 0,
    }
}

fn report_bytes(report: &Report) -> usize {
    match report {
        Report::Accepted { decree, .. } | Report::Chosen { decree } => decree.bytes(),
        Report::Held { .. } | Report::Faulty => 0,
    }
}

pub(crate) fn kind(message: &Message) -> &'static str {
    match message {
        Message::Prepare { .. } => "prepare",
        Message::Promise { .. } => "promise",
        Message::Refused { .. } => "refused",
        Message::Accept { .. } => "accept",
        Message::Accepted { .. } => "accepted",
        Message::Watermark { .. } => "watermark",
        Message::Heartbeat { .. } => "heartbeat",
        Message::Alive { .. } => "alive",
        Message::Ask { .. } => "ask",
        Message::Learned { .. } => "learned",
        Message::Trimmed { .. } => "trimmed",
        Message::Confirm { .. } => "confirm",
        Message::Confirmed { .. } => "confirmed",
        Message::Fathom { .. } => "fathom",
        Message::Fathomed { .. } => "fathomed",
        Message::Vow { .. } => "vow",
        Message::Vowed { .. } => "vowed",
        Message::Release { .. } => "release",
        Message::HandOver { .. } => "hand-over",
        Message::Synced { .. } => "synced",
    }
}
