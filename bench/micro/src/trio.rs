use std::{collections::VecDeque, time::Duration};

use synod_machine::{
    Command, Reply, Request, RequestId, Seq, SessionId, Timestamp,
    door::{Ask, Call, Said},
};
use synod_paxos::{Decree, Durable, Envelope, Fetched, Life, Members, NodeId, Slot, Tick, Write};
use synod_replica::{
    ClientId, Config, Input, Output, Replica, Response, Restored, ShelfJob, ShelfNews, Word,
};

use crate::{
    MicroError,
    part::{decoded, encoded},
};

const NODES: u16 = 3;
/// What a turn of messages takes on the nodes' clocks: heartbeats are as many as in earnest, beside
/// a core that does a hundred thousand turns a second.
const TURN: Duration = Duration::from_micros(10);
/// Turns in which somebody must lead, and in which whatever was asked is answered.
const TURNS_MAX: u32 = 1_000_000;
/// No call of a measurement is given up.
const WITHIN_MS: u32 = 600_000;

/// Three whole nodes in one thread: words are handed over as they are, and what is written is
/// durable at once, in memory.
#[derive(Debug)]
pub struct Trio {
    nodes: Vec<Node>,
    leader: usize,
    now: Tick,
    clients: u64,
    session: SessionId,
    seq: Seq,
    acked: Seq,
    /// Whether all that is said goes through its bytes.
    encodes: bool,
}

#[derive(Debug)]
struct Node {
    replica: Replica,
    out: Output,
    inbox: VecDeque<Input>,
    /// Every vote, from the first slot that is not trimmed.
    log: VecDeque<(Slot, Decree)>,
}

impl Trio {
    /// Three nodes of which one serves, and a session.
    pub fn serving() -> Result<Trio, MicroError> {
        let lives: Vec<_> = (1..=NODES).map(|node| Life::first(NodeId::new(node))).collect();
        let members = Members::new(lives.clone()).map_err(|_| MicroError::Members)?;
        let node = |life: &Life| {
            let paxos = synod_paxos::Config::new(*life, members.clone());
            let config = Config::new(paxos.map_err(|_| MicroError::Members)?);
            let seed = u64::from(life.node.get());
            Ok(Node {
                replica: Replica::recover(
                    config,
                    Durable::default(),
                    Restored::default(),
                    Vec::new(),
                    seed,
                ),
                out: Output::default(),
                inbox: VecDeque::new(),
                log: VecDeque::new(),
            })
        };
        let nodes = lives.iter().map(node).collect::<Result<_, MicroError>>()?;
        let (session, zero) = (SessionId::default(), Seq::ZERO);
        let now = Tick::from_micros(1);
        let mut trio = Trio {
            nodes,
            leader: 0,
            now,
            clients: 0,
            session,
            seq: zero,
            acked: zero,
            encodes: false,
        };
        trio.leader = trio.elect()?;
        trio.session = trio.open_session()?;
        Ok(trio)
    }

    /// From now on all that is said is encoded and decoded, as if it went over a network.
    #[must_use]
    pub fn encoding(mut self) -> Trio {
        self.encodes = true;
        self
    }

    fn elect(&mut self) -> Result<usize, MicroError> {
        for _ in 0..TURNS_MAX {
            // Nothing else moves their clocks while nobody has anything to say.
            self.now = self.now.after(Duration::from_millis(1));
            let mut nothing = Vec::new();
            self.turn(&mut nothing)?;
            let serves = |node: &Node| node.replica.status().serving;
            if let Some(leader) = self.nodes.iter().position(serves) {
                return Ok(leader);
            }
        }
        Err(MicroError::Silent)
    }

    fn open_session(&mut self) -> Result<SessionId, MicroError> {
        let command = Command::OpenSession { owner: "micro".to_owned(), ttl_ms: 86_400_000 };
        self.submit(Request { id: None, acked: Seq::ZERO, command })?;
        match self.answers(1)?.pop() {
            Some(Response::Said(Said::Reply(Reply::Session(session)))) => Ok(session),
            _ => Err(MicroError::Refused),
        }
    }

    /// The next request of the session. What `settled` has told is acknowledged with it.
    pub fn request(&mut self, command: Command) -> Request {
        self.seq = self.seq.next();
        let id = Some(RequestId { session: self.session, seq: self.seq });
        Request { id, acked: self.acked, command }
    }

    /// Hands a request to the leader, which gathers it.
    pub fn submit(&mut self, request: Request) -> Result<(), MicroError> {
        self.clients += 1;
        let ask = Ask { within_ms: WITHIN_MS, call: Call::Submit(request) };
        let ask = if self.encodes { decoded(&encoded(&ask)?)? } else { ask };
        self.step(self.leader, Input::Client { client: ClientId(self.clients), ask });
        Ok(())
    }

    /// Runs until all have what was asked, and every one of `count` callers its answer.
    pub fn answers(&mut self, count: usize) -> Result<Vec<Response>, MicroError> {
        let mut answers = Vec::with_capacity(count);
        for _ in 0..TURNS_MAX {
            let moved = self.turn(&mut answers)?;
            if answers.len() == count && !moved {
                self.acked = self.seq;
                return Ok(answers);
            }
        }
        Err(MicroError::Silent)
    }

    /// Asks all of `commands` at once, and counts those that were not refused.
    pub fn round(
        &mut self,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<usize, MicroError> {
        let mut count = 0;
        for command in commands {
            let request = self.request(command);
            self.submit(request)?;
            count += 1;
        }
        let answers = self.answers(count)?;
        let replied = |said: &&Response| matches!(said, Response::Said(Said::Reply(_)));
        Ok(answers.iter().filter(replied).count())
    }

    /// Runs until all nodes have applied the same; whether their states are the same then.
    pub fn agrees(&mut self) -> Result<bool, MicroError> {
        let applied = |node: &Node| node.replica.status().applied;
        for _ in 0..TURNS_MAX {
            let (mut nothing, first) = (Vec::new(), &self.nodes[0]);
            if self.nodes.iter().all(|node| applied(node) == applied(first)) {
                let hash = first.replica.machine().hash();
                return Ok(self.nodes.iter().all(|node| node.replica.machine().hash() == hash));
            }
            self.turn(&mut nothing)?;
        }
        Err(MicroError::Silent)
    }

    /// Every node takes what has come, writes, and speaks. Whether anything moved.
    fn turn(&mut self, answers: &mut Vec<Response>) -> Result<bool, MicroError> {
        self.now = self.now.after(TURN);
        let mut moved = false;
        for node in 0..self.nodes.len() {
            while let Some(input) = self.nodes[node].inbox.pop_front() {
                moved = true;
                self.step(node, input);
            }
            if self.nodes[node].replica.wake_at().is_some_and(|at| at <= self.now) {
                self.step(node, Input::Wake);
            }
            if self.nodes[node].replica.gathered() {
                self.step(node, Input::DiskFree);
            }
            self.carry_out(node, answers)?;
        }
        Ok(moved || self.nodes.iter().any(|node| !node.inbox.is_empty()))
    }

    fn step(&mut self, node: usize, input: Input) {
        let Node { replica, out, .. } = &mut self.nodes[node];
        replica.step(self.now, Timestamp(self.now.micros() / 1_000), input, out);
    }

    fn carry_out(&mut self, node: usize, answers: &mut Vec<Response>) -> Result<(), MicroError> {
        let out = std::mem::take(&mut self.nodes[node].out);
        self.nodes[node].keep(out.durably.writes());
        for envelope in out.at_once.into_iter().chain(out.durably.synced()) {
            self.speak(node, envelope)?;
        }
        for checkpoint in out.checkpoints {
            let from = NodeId::new(node as u16 + 1);
            let others = (0..self.nodes.len()).filter(|other| *other != node);
            for other in others.collect::<Vec<_>>() {
                self.nodes[other].inbox.push_back(Input::Checkpoint { from, checkpoint });
            }
        }
        for fetch in out.fetch {
            let log = self.nodes[node].log.iter();
            let wanted = log.filter(|(slot, _)| (fetch.first..=fetch.upto).contains(slot));
            let decrees = wanted.cloned().collect();
            let fetched = Input::Fetched(Fetched { to: fetch.to, decrees, damaged: None });
            self.nodes[node].inbox.push_back(fetched);
        }
        for job in out.shelf {
            // A snapshot that is written stands; nobody here is so far behind that he fetches one.
            if let ShelfJob::Write { slot, .. } = job {
                let news = ShelfNews::Written { slot, stands: true };
                self.nodes[node].inbox.push_back(Input::Shelf(news));
            }
        }
        for (_, response) in out.responses {
            answers.push(if self.encodes { through_bytes(response)? } else { response });
        }
        Ok(())
    }

    fn speak(&mut self, from: usize, envelope: Envelope) -> Result<(), MicroError> {
        let to = usize::from(envelope.to.get()) - 1;
        let envelope = match decoded_if(self.encodes && to != from, Word::Paxos(envelope))? {
            Word::Paxos(envelope) => envelope,
            Word::Checkpoint(_) | Word::Snapshot(_) => return Err(MicroError::Garbled),
        };
        self.nodes[to].inbox.push_back(Input::Peer(envelope));
        Ok(())
    }
}

fn decoded_if(encodes: bool, word: Word) -> Result<Word, MicroError> {
    if encodes { decoded(&encoded(&word)?) } else { Ok(word) }
}

fn through_bytes(response: Response) -> Result<Response, MicroError> {
    match response {
        Response::Said(said) => Ok(Response::Said(decoded(&encoded(&said)?)?)),
        not_leader @ Response::NotLeader(_) => Ok(not_leader),
    }
}

impl Node {
    fn keep(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Accepted { slot, decree, .. } | Write::Chosen { slot, decree } => {
                    self.log.push_back((*slot, decree.clone()));
                }
                Write::Trimmed { upto } => {
                    let trimmed = self.log.partition_point(|(slot, _)| slot <= upto);
                    self.log.drain(..trimmed);
                }
                Write::Promised { .. } | Write::ChosenUpto { .. } | Write::Marked { .. } => {}
            }
        }
    }
}
