//! Three replicas, a network that loses and delays, and disks that forget what was not synced.

mod disk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use synod_machine::{
    Answer, Batch, Command, Query, Reply, Request, RequestId, Revision, Seq, SessionId, StateHash,
    Timestamp,
    door::{Ask, Call, Freshness, Said},
};
use synod_paxos::{Decree, Durably, Life, Members, NodeId, Slot, Tick};
use synod_replica::{ClientId, Config, Input, Output, Passed, Replica, Response, Restored, Word};

pub(crate) use disk::Disk;

/// How long a call waits unless it says otherwise.
pub(crate) const WITHIN_MS: u32 = 1_000;

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now_us: u64,
    pub(crate) loss_percent: u64,
    /// Whether leaders ask for leases.
    leasing: bool,
    /// How much later than a step was told the time its answers are opened: its process stood
    /// still.
    pub(crate) late_us: u64,
    /// Answers that a lease vouched for, and those that came too late for it.
    pub(crate) leased: u64,
    pub(crate) lapsed: u64,
    pub(crate) responses: BTreeMap<ClientId, Response>,
    /// Stages that batches came through, whoever led.
    pub(crate) passed: Vec<Passed>,
    /// Directed links that carry nothing.
    cut: BTreeSet<(usize, usize)>,
    /// By arrival; the number keeps apart what arrives together.
    network: BTreeMap<(u64, u64), (usize, usize, Word)>,
    sent: u64,
    clients: u64,
    chance: u64,
    /// The digest after each slot, as the first node that got there had it.
    digests: BTreeMap<Slot, StateHash>,
}

pub(crate) struct Node {
    pub(crate) disk: Disk,
    pub(crate) replica: Option<Replica>,
    /// Frozen: it is not stepped, and what arrives waits.
    pub(crate) paused: bool,
    out: Output,
    to_self: VecDeque<Input>,
    syncing: Option<(u64, Durably)>,
}

fn config(number: u16, nodes: u16) -> Config {
    let lives = (1..=nodes).map(|node| Life::first(NodeId::new(node))).collect();
    let members = Members::new(lives).expect("an odd number of nodes");
    let paxos = synod_paxos::Config::new(Life::first(NodeId::new(number)), members);
    let paxos = paxos.expect("every node is a member");
    Config { hash_every_slots: 4, ..Config::new(paxos) }
}

impl World {
    pub(crate) fn new(nodes: usize, seed: u64) -> World {
        World::with(nodes, seed, false)
    }

    fn with(nodes: usize, seed: u64, leasing: bool) -> World {
        let node = |_| Node {
            disk: Disk::default(),
            replica: None,
            paused: false,
            out: Output::default(),
            to_self: VecDeque::new(),
            syncing: None,
        };
        let mut world = World {
            nodes: (0..nodes).map(node).collect(),
            now_us: 1_000,
            loss_percent: 0,
            leasing,
            late_us: 0,
            leased: 0,
            lapsed: 0,
            responses: BTreeMap::new(),
            passed: Vec::new(),
            cut: BTreeSet::new(),
            network: BTreeMap::new(),
            sent: 0,
            clients: 0,
            chance: seed | 1,
            digests: BTreeMap::new(),
        };
        for node in 0..nodes {
            world.start(node);
        }
        world
    }

    /// A world in which somebody serves, and who.
    pub(crate) fn serving(nodes: usize) -> (World, usize) {
        let mut world = World::new(nodes, 7);
        let leader = world.run_until_served(5_000);
        (world, leader)
    }

    /// The same where leaders ask for leases.
    pub(crate) fn leasing(nodes: usize) -> (World, usize) {
        let mut world = World::with(nodes, 7, true);
        let leader = world.run_until_served(5_000);
        (world, leader)
    }

    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].replica.is_some() {
            return;
        }
        let mut config = config(node as u16 + 1, self.nodes.len() as u16);
        config.paxos.leasing.asks = self.leasing;
        let disk = &self.nodes[node].disk;
        let replica =
            Replica::recover(config, disk.durable(), Restored::default(), disk.log(), self.chance);
        self.nodes[node].replica = Some(replica);
    }

    /// The process dies, and with it everything that was not synced.
    pub(crate) fn crash(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.replica = None;
        node.paused = false;
        let Output { durably, .. } = std::mem::take(&mut node.out);
        drop((durably, node.syncing.take()));
        node.to_self.clear();
    }

    pub(crate) fn cut(&mut self, one: usize, other: usize) {
        self.cut.extend([(one, other), (other, one)]);
    }

    pub(crate) fn isolate(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.cut(node, other);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn replica(&self, node: usize) -> &Replica {
        self.nodes[node].replica.as_ref().expect("the node is up")
    }

    pub(crate) fn life(&self, node: usize) -> Life {
        Life::first(NodeId::new(node as u16 + 1))
    }

    pub(crate) fn server(&self) -> Option<usize> {
        let serves = |node: &Node| node.replica.as_ref().is_some_and(|one| one.status().serving);
        self.nodes.iter().position(serves)
    }

    pub(crate) fn ask_within(&mut self, node: usize, within_ms: u32, call: Call) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        if !self.nodes[node].paused {
            self.step(node, Input::Client { client, ask: Ask { within_ms, call } });
        }
        client
    }

    /// Wants the lead of a node handed over to another.
    pub(crate) fn move_lead(&mut self, node: usize, to: usize) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        let to = Some(self.life(to).node);
        self.step(node, Input::HandOver { to, client: Some(client) });
        client
    }

    /// The caller of this call is gone, whichever node it asked.
    pub(crate) fn gone(&mut self, client: ClientId) {
        for node in
            (0..self.nodes.len()).filter(|node| !self.nodes[*node].paused).collect::<Vec<_>>()
        {
            self.step(node, Input::Gone(client));
        }
    }

    pub(crate) fn ask(&mut self, node: usize, call: Call) -> ClientId {
        self.ask_within(node, WITHIN_MS, call)
    }

    /// Asks and runs until there is an answer.
    pub(crate) fn answer(&mut self, node: usize, call: Call) -> Response {
        let client = self.ask(node, call);
        self.run_until(2 * u64::from(WITHIN_MS), |world| world.responses.contains_key(&client));
        self.responses[&client].clone()
    }

    pub(crate) fn reply(&mut self, node: usize, request: Request) -> Reply {
        match self.answer(node, Call::Submit(request)) {
            Response::Said(Said::Reply(reply)) => reply,
            other => panic!("{other:?} instead of a reply"),
        }
    }

    pub(crate) fn open_session(&mut self, node: usize, ttl_ms: u64) -> SessionId {
        let command = Command::OpenSession { owner: "test".to_owned(), ttl_ms };
        match self.reply(node, Request { id: None, acked: Seq::ZERO, command }) {
            Reply::Session(session) => session,
            other => panic!("{other:?} instead of a session"),
        }
    }

    /// Whether the node's own state has the key.
    pub(crate) fn has(&self, node: usize, key: &str) -> bool {
        let query = Query::Get { key: key.to_owned().into() };
        matches!(self.replica(node).machine().query(&query), Answer::Key { entry: Some(_), .. })
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        let end = self.now_us + ms * 1_000;
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.now_us = self.now_us.max(at);
            self.happen();
        }
        self.now_us = end;
    }

    /// Runs until something holds, which must be within `ms`.
    pub(crate) fn run_until(&mut self, ms: u64, mut holds: impl FnMut(&World) -> bool) {
        let end = self.now_us + ms * 1_000;
        while !holds(self) {
            let at = self.next_event().filter(|at| *at <= end);
            let at = at.unwrap_or_else(|| panic!("it does not hold within {ms} ms"));
            self.now_us = self.now_us.max(at);
            self.happen();
        }
    }

    pub(crate) fn run_until_served(&mut self, ms: u64) -> usize {
        self.run_until(ms, |world| world.server().is_some());
        self.server().expect("somebody serves")
    }

    /// Everything up and connected: until all have applied the same.
    pub(crate) fn run_until_level(&mut self, ms: u64) {
        self.run_until(ms, |world| {
            let statuses: Vec<_> =
                (0..world.nodes.len()).map(|node| world.replica(node).status()).collect();
            let level = statuses.iter().all(|status| status.applied == statuses[0].applied);
            level && statuses.iter().any(|status| status.serving && status.requests_proposed == 0)
        });
    }

    pub(crate) fn chance(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    /// Steps one input and checks what must hold after every step.
    pub(crate) fn step(&mut self, node: usize, input: Input) {
        let (now, wall) = (Tick::from_micros(self.now_us), Timestamp(self.now_us / 1_000));
        let Node { replica: Some(replica), out, .. } = &mut self.nodes[node] else { return };
        let before = replica.status().applied;
        replica.step(now, wall, input, out);
        let status = replica.status();
        if status.applied != before {
            let hash = replica.machine().hash();
            let first = *self.digests.entry(status.applied).or_insert(hash);
            assert_eq!(first, hash, "states differ after slot {}", status.applied);
        }
        assert_eq!(status.hashes.differed, 0);
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        let Node { out, to_self, disk, .. } = &mut self.nodes[node];
        let at_once = std::mem::take(&mut out.at_once);
        for fetch in std::mem::take(&mut out.fetch) {
            to_self.push_back(Input::Fetched(disk.fetch(fetch)));
        }
        for (client, response) in std::mem::take(&mut out.responses) {
            let before = self.responses.insert(client, response);
            assert_eq!(before, None, "{client:?} was answered twice");
        }
        for leased in std::mem::take(&mut out.leased) {
            match leased.open(Tick::from_micros(self.now_us + self.late_us)) {
                Ok((client, response)) => {
                    self.leased += 1;
                    let before = self.responses.insert(client, response);
                    assert_eq!(before, None, "{client:?} was answered twice");
                }
                Err(lapsed) => {
                    self.lapsed += 1;
                    to_self.push_back(Input::Lapsed(lapsed));
                }
            }
        }
        self.passed.append(&mut out.passed);
        let checkpoints = std::mem::take(&mut out.checkpoints);
        for envelope in at_once {
            self.speak(node, envelope);
        }
        for checkpoint in checkpoints {
            for other in (0..self.nodes.len()).filter(|other| *other != node) {
                self.send(node, other, Word::Checkpoint(checkpoint));
            }
        }
    }

    fn speak(&mut self, from: usize, envelope: synod_paxos::Envelope) {
        let to = usize::from(envelope.to.get()) - 1;
        match to == from {
            true => self.nodes[from].to_self.push_back(Input::Peer(envelope)),
            false => self.send(from, to, Word::Paxos(envelope)),
        }
    }

    fn send(&mut self, from: usize, to: usize, word: Word) {
        let lost = self.chance(100) < self.loss_percent;
        if lost || self.cut.contains(&(from, to)) {
            return;
        }
        let delay_us = 100 + self.chance(900);
        self.sent += 1;
        self.network.insert((self.now_us + delay_us, self.sent), (from, to, word));
    }

    fn next_event(&self) -> Option<u64> {
        let arrival = self.network.keys().next().map(|(at, _)| *at);
        let of_nodes = self.nodes.iter().filter(|node| !node.paused).flat_map(|node| {
            let wake = node.replica.as_ref().and_then(Replica::wake_at).map(Tick::micros);
            [node.syncing.as_ref().map(|(at, _)| *at), wake]
        });
        of_nodes.chain([arrival]).flatten().min()
    }

    /// Everything that is due now, node by node, then what the nodes want of it.
    fn happen(&mut self) {
        let later = self.network.split_off(&(self.now_us, u64::MAX));
        let due = std::mem::replace(&mut self.network, later);
        for (_, (from, to, word)) in due {
            if self.nodes[to].paused {
                self.sent += 1;
                let again = (self.now_us + 1_000, self.sent);
                self.network.insert(again, (from, to, word));
                continue;
            }
            let input = match word {
                Word::Paxos(envelope) => Input::Peer(envelope),
                Word::Checkpoint(checkpoint) => {
                    Input::Checkpoint { from: NodeId::new(from as u16 + 1), checkpoint }
                }
                Word::Snapshot(carried) => {
                    Input::Carried { from: NodeId::new(from as u16 + 1), carried }
                }
            };
            self.step(to, input);
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].paused {
                self.settle(node);
            }
        }
    }

    fn settle(&mut self, node: usize) {
        let now_us = self.now_us;
        loop {
            let one = &mut self.nodes[node];
            let Some(replica) = &one.replica else { return };
            if let Some((_, durably)) = one.syncing.take_if(|(at, _)| *at <= now_us) {
                one.disk.write(durably.writes());
                for envelope in durably.synced() {
                    self.speak(node, envelope);
                }
            } else if let Some(input) = one.to_self.pop_front() {
                self.step(node, input);
            } else if replica.wake_at().is_some_and(|at| at.micros() <= now_us) {
                self.step(node, Input::Wake);
            } else if one.syncing.is_none() && !one.out.durably.is_empty() {
                let durably = std::mem::take(&mut one.out.durably);
                let took_us = 200 + self.chance(1_000);
                self.nodes[node].syncing = Some((now_us + took_us, durably));
            } else if one.syncing.is_none() && replica.gathered() {
                let before = replica.status();
                self.step(node, Input::DiskFree);
                let after = self.nodes[node].replica.as_ref().expect("it is up");
                assert!(!after.gathered() || after.status() != before, "gathers without proposing");
            } else {
                return;
            }
        }
    }
}

pub(crate) fn id(session: SessionId, seq: u64) -> RequestId {
    RequestId { session, seq: Seq::new(seq) }
}

/// Sets a key that no other request sets: its version counts how often this one took effect.
pub(crate) fn put(session: SessionId, seq: u64) -> Request {
    let key = format!("{}", id(session, seq)).into();
    let command = Command::Put { key, value: "v".into() };
    Request { id: Some(id(session, seq)), acked: Seq::ZERO, command }
}

pub(crate) fn submit(session: SessionId, seq: u64) -> Call {
    Call::Submit(put(session, seq))
}

pub(crate) fn read(key: &str) -> Call {
    let query = Query::Get { key: key.to_owned().into() };
    Call::Read { query, freshness: Freshness::Linearizable }
}

pub(crate) fn written(response: &Response) -> Option<Revision> {
    match response {
        Response::Said(Said::Reply(Reply::Written(revision))) => Some(*revision),
        _ => None,
    }
}

/// The batches that the node has applied, as its disk has them.
pub(crate) fn applied(world: &World, node: usize) -> Vec<(Slot, Batch)> {
    let batch = |decree: Decree| match decree {
        Decree::Noop => None,
        Decree::Value(bytes) => postcard::from_bytes(&bytes[1..]).ok(),
    };
    let upto = world.replica(node).status().applied;
    let log = world.nodes[node].disk.upto(upto);
    log.into_iter().filter_map(|(slot, decree)| Some((slot, batch(decree)?))).collect()
}
