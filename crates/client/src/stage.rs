//! A stage instead of a network: nodes that share the real machine, and participants that vote as
//! they are told. Every word passes several awaits, any of which the audience may use to leave.

mod cast;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use synod_machine::{
    Answer, Batch, BranchIncarnation, Command, Machine, ParticipantName, Reply, Request, RequestId,
    Revision, Seq, SessionId, Timestamp, TxnId, Verdict, door, participant_door,
};
use synod_net::{AskError, Name, settings::TlsFiles};
use tokio::{sync::watch, task::yield_now};

use crate::{
    Client, Config, Endpoint,
    wire::{Wire, decode, encode},
};

pub(crate) use cast::{Kind, Twist};

/// The names of the nodes; the first leads when the curtain rises.
pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// The participants, all registered.
pub(crate) const SHARDS: [&str; 2] = ["east", "west"];
/// How long a session lives in silence. The machine on stage ends none by itself.
pub(crate) const TTL: Duration = Duration::from_secs(9);
/// How often a node on stage looks for news.
const NEWS_EVERY: Duration = Duration::from_millis(50);
/// And for changes, of which there are more who wait.
const CHANGES_EVERY: Duration = Duration::from_millis(100);
/// Round trips before the first question on a connection.
const HANDSHAKE_TRIPS: u32 = 2;
/// How long a call takes at most.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// Everything behind the curtain.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Mutex<Play>>);

struct Play {
    machine: Machine,
    leader: Option<&'static str>,
    /// Says that it leads, and does not.
    pretender: Option<&'static str>,
    /// Nodes that say that their disks are full.
    full: Vec<&'static str>,
    /// Who is reachable, by address, and in which life.
    lives: BTreeMap<String, watch::Sender<Life>>,
    twists: BTreeMap<Kind, VecDeque<Twist>>,
    /// What was heard: by whom, what. Status is not noted.
    heard: Vec<(String, door::Call)>,
    /// How long a word and its answer are on their way.
    far: Duration,
    /// Who was dialled, by address.
    dialled: Vec<String>,
    shards: BTreeMap<String, Shard>,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    number: u32,
    up: bool,
    /// It refuses whoever dials it.
    refuses: bool,
    /// Nothing is heard of it, not even that nobody is there.
    silent: bool,
    /// It has no room for another connection.
    crowded: bool,
}

/// A participant: what it holds prepared, and what it was told.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    store: BranchIncarnation,
    pub(crate) prepared: Vec<TxnId>,
    pub(crate) told: Vec<(TxnId, Verdict)>,
    /// What it has applied of sessions up to this one is forgotten.
    forgotten: Option<SessionId>,
}

impl Shard {
    fn new() -> Shard {
        let (prepared, told) = (Vec::new(), Vec::new());
        Shard { store: BranchIncarnation(1), prepared, told, forgotten: None }
    }
}

/// One connection to somebody on stage.
#[derive(Clone)]
pub(crate) struct Booth {
    stage: Stage,
    address: String,
    life: Life,
}

fn address(name: &str) -> String {
    format!("{name}:1")
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let life = Life { number: 1, up: true, refuses: false, silent: false, crowded: false };
        let life = || watch::Sender::new(life);
        let names = NODES.iter().chain(&SHARDS);
        let mut play = Play {
            machine: Machine::new(),
            leader: Some(NODES[0]),
            pretender: None,
            full: Vec::new(),
            lives: names.map(|name| (address(name), life())).collect(),
            twists: BTreeMap::new(),
            heard: Vec::new(),
            far: Duration::ZERO,
            dialled: Vec::new(),
            shards: SHARDS.iter().map(|name| (address(name), Shard::new())).collect(),
        };
        play.register_shards();
        Stage(Arc::new(Mutex::new(play)))
    }

    /// A client of this cluster.
    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    pub(crate) async fn try_client(&self) -> Result<Client, crate::Error> {
        let name = |name: &str| Name::new(name).unwrap();
        let endpoints =
            NODES.iter().map(|node| Endpoint { name: name(node), address: address(node) });
        let config = Config {
            cluster: name("stage"),
            cluster_id: 1,
            endpoints: endpoints.collect(),
            tls: TlsFiles { ca: "".into(), cert: "".into(), key: "".into() },
            timeout: WITHIN,
            session_ttl: TTL,
        };
        Client::open(Wire::Scripted(self.clone()), &config, "audience".to_owned()).await
    }

    /// What happens to the next call of this kind, after those that were scripted before.
    pub(crate) fn next(&self, kind: Kind, twist: Twist) {
        self.play().twists.entry(kind).or_default().push_back(twist);
    }

    /// Forgets what was scripted and did not happen.
    pub(crate) fn end_script(&self) {
        self.play().twists.clear();
    }

    pub(crate) fn lead(&self, leader: Option<&'static str>) {
        self.play().leader = leader;
    }

    /// The disks of these nodes are full from now on.
    pub(crate) fn fill(&self, nodes: &[&'static str]) {
        self.play().full = nodes.to_vec();
    }

    /// From here on this node says that it leads, whoever does.
    pub(crate) fn pretend(&self, pretender: &'static str) {
        self.play().pretender = Some(pretender);
    }

    /// Ends a process: its connections are lost, and nobody reaches it.
    pub(crate) fn kill(&self, name: &str) {
        self.change(name, |life| life.up = false);
    }

    /// Starts it again.
    pub(crate) fn start(&self, name: &str) {
        self.change(name, |life| {
            life.up = true;
            life.crowded = false;
            life.number += 1;
        });
    }

    /// From here on it accepts nobody's certificate.
    pub(crate) fn refuse_identity(&self, name: &str) {
        self.change(name, |life| life.refuses = true);
    }

    /// Its machine is gone: whoever dials it waits.
    pub(crate) fn silence(&self, name: &str) {
        self.change(name, |life| life.silent = true);
    }

    /// Its connections are lost, and others take their places until it is started again.
    pub(crate) fn crowd(&self, name: &str) {
        self.change(name, |life| life.crowded = true);
    }

    /// From here on every round trip takes so long, for everybody.
    pub(crate) fn move_away(&self, far: Duration) {
        self.play().far = far;
    }

    /// So many round trips.
    async fn travel(&self, trips: u32) {
        let way = self.play().far * trips;
        if !way.is_zero() {
            tokio::time::sleep(way).await;
        }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Life)) {
        self.play().lives[&address(name)].send_modify(change);
    }

    pub(crate) fn heard(&self) -> Vec<(String, door::Call)> {
        self.play().heard.clone()
    }

    /// How often this one was dialled.
    pub(crate) fn dialled(&self, name: &str) -> usize {
        self.play().dialled.iter().filter(|dialled| **dialled == address(name)).count()
    }

    /// The submits that were heard, repeats too.
    pub(crate) fn submits(&self) -> Vec<Request> {
        let heard = self.heard().into_iter();
        let submit = |(_, call)| match call {
            door::Call::Submit(request) => Some(request),
            _ => None,
        };
        heard.filter_map(submit).collect()
    }

    /// The names of submits of this kind of command.
    pub(crate) fn named(&self, pick: impl Fn(&Command) -> bool) -> Vec<RequestId> {
        let submits = self.submits().into_iter();
        submits.filter(|request| pick(&request.command)).filter_map(|request| request.id).collect()
    }

    pub(crate) fn shard(&self, name: &str) -> Shard {
        self.play().shards[&address(name)].clone()
    }

    /// Starts it on another store, of which it tells the log, or does not.
    pub(crate) fn move_shard(&self, name: &str, store: BranchIncarnation, registers: bool) {
        self.kill(name);
        {
            let mut play = self.play();
            play.shards.insert(address(name), Shard { store, ..Shard::new() });
            if registers {
                play.register(name, store, Seq::new(store.0.saturating_add(SHARDS.len() as u64)));
            }
        }
        self.start(name);
    }

    /// It has no room for what it has applied of sessions up to this one.
    pub(crate) fn forget(&self, name: &str, upto: SessionId) {
        let mut play = self.play();
        play.shards.get_mut(&address(name)).unwrap().forgotten = Some(upto);
    }

    /// Does something behind the client's back.
    pub(crate) fn apply(&self, command: Command) -> Reply {
        self.apply_request(Request { id: None, acked: Seq::ZERO, command })
    }

    pub(crate) fn apply_request(&self, request: Request) -> Reply {
        self.play().apply(request)
    }

    /// The revision of the state.
    pub(crate) fn revision(&self) -> Revision {
        self.play().machine.revision()
    }

    pub(crate) fn query(&self, query: &synod_machine::Query) -> Answer {
        self.play().machine.query(query)
    }

    pub(crate) async fn connect(&self, address: &str) -> Result<Booth, AskError> {
        self.play().dialled.push(address.to_owned());
        yield_now().await;
        let life = *self.life(address).borrow();
        if life.silent {
            std::future::pending::<()>().await;
        }
        self.travel(HANDSHAKE_TRIPS).await;
        let refused = match life {
            Life { up: false, .. } => Some("nobody there"),
            Life { crowded: true, .. } => Some("too many connections"),
            _ => None,
        };
        if let Some(why) = refused {
            let (address, why) = (address.to_owned(), why.to_owned());
            return Err(AskError::Connect { address, why, identity: false });
        }
        yield_now().await;
        Ok(Booth { stage: self.clone(), address: address.to_owned(), life })
    }

    fn life(&self, address: &str) -> watch::Receiver<Life> {
        self.play().lives[address].subscribe()
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.0.lock().unwrap()
    }
}

impl Booth {
    pub(crate) fn is_closed(&self) -> bool {
        *self.stage.life(&self.address).borrow() != self.life
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.stage.play().far
    }

    pub(crate) async fn ask(&self, body: Bytes) -> Result<Bytes, AskError> {
        let mut life = self.stage.life(&self.address);
        let (mine, other) = (self.life, |life: &Life| *life != self.life);
        let lost = || AskError::Lost { why: "killed".to_owned(), identity: false };
        if *life.borrow() != mine {
            return Err(AskError::Connect {
                address: self.address.clone(),
                why: "killed".to_owned(),
                identity: false,
            });
        }
        if mine.refuses {
            // As in TLS 1.3: the one who dials is done before the other looks at its certificate.
            return Err(AskError::Lost { why: "certificate expired".to_owned(), identity: true });
        }
        tokio::select! {
            _ = life.wait_for(other) => Err(lost()),
            said = self.answer(body) => said.ok_or_else(lost),
        }
    }

    /// Who attends or watches waits for news, as long as it said.
    async fn heard(&self, kind: Kind, body: &Bytes) -> Bytes {
        let said = self.stage.play().hear(&self.address, kind, body);
        if kind != Kind::Attend && kind != Kind::Watch {
            return said;
        }
        let ask: door::Ask = decode(body).unwrap();
        let mut waited = Duration::ZERO;
        let mut said = said;
        while decode(&said).is_some_and(|said| is_no_news(&said))
            && waited < Duration::from_millis(ask.within_ms.into())
        {
            let every = if kind == Kind::Watch { CHANGES_EVERY } else { NEWS_EVERY };
            tokio::time::sleep(every).await;
            waited += every;
            said = self.stage.play().hear(&self.address, kind, body);
        }
        said
    }

    /// Whoever asked may have left by then: what is on its way is heard all the same.
    async fn heard_later(&self, by: Duration, kind: Kind, body: Bytes) -> Option<Bytes> {
        let booth = self.clone();
        let hearing = tokio::spawn(async move {
            tokio::time::sleep(by).await;
            if booth.is_closed() { None } else { Some(booth.heard(kind, &body).await) }
        });
        hearing.await.ok().flatten()
    }

    /// `None`: the answer is lost.
    async fn answer(&self, body: Bytes) -> Option<Bytes> {
        yield_now().await;
        let (kind, twist) = self.stage.play().twist(&self.address, &body);
        let said = match twist {
            Twist::Lost => return None,
            Twist::Silence => std::future::pending().await,
            Twist::Say(ref said) => encode(&**said),
            Twist::Garbage => Bytes::from_static(&[0xff; 3]),
            Twist::DoneAndSurplus => [&self.heard(kind, &body).await[..], &[0]].concat().into(),
            Twist::Late(by) => self.heard_later(by, kind, body).await?,
            Twist::None | Twist::DoneAndLost | Twist::DoneAndSilence => {
                self.heard(kind, &body).await
            }
        };
        self.stage.travel(1).await;
        yield_now().await;
        match twist {
            Twist::DoneAndLost => None,
            Twist::DoneAndSilence => std::future::pending().await,
            _ => Some(said),
        }
    }
}

fn is_no_news(said: &door::Said) -> bool {
    match said {
        door::Said::Verdicts(verdicts) => verdicts.is_empty(),
        door::Said::Watched { news, .. } => is_no_change(news),
        door::Said::WatchedAny { news, .. } => news.is_empty(),
        _ => false,
    }
}

fn is_no_change(news: &Answer) -> bool {
    matches!(news, Answer::Changes { changes, .. } if changes.is_empty())
}

impl Play {
    fn twist(&mut self, address: &str, body: &Bytes) -> (Kind, Twist) {
        let kind = if self.shards.contains_key(address) {
            Kind::of_participant(&decode::<participant_door::Ask>(body).unwrap().call)
        } else {
            Kind::of_node(&decode::<door::Ask>(body).unwrap().call)
        };
        let twist = self.twists.get_mut(&kind).and_then(VecDeque::pop_front);
        (kind, twist.unwrap_or(Twist::None))
    }

    fn register_shards(&mut self) {
        let owner = "stagehand".to_owned();
        self.run(None, Command::OpenSession { owner, ttl_ms: 1_000 });
        for (seq, name) in (1..).zip(SHARDS) {
            self.register(name, BranchIncarnation(1), Seq::new(seq));
        }
    }

    fn register(&mut self, name: &str, incarnation: BranchIncarnation, seq: Seq) {
        let id = RequestId { session: SessionId::new(1), seq };
        let (address, name) = (address(name), ParticipantName::new(name));
        self.run(Some(id), Command::RegisterParticipant { name, incarnation, address });
    }

    fn run(&mut self, id: Option<RequestId>, command: Command) -> Reply {
        self.apply(Request { id, acked: Seq::ZERO, command })
    }

    fn apply(&mut self, request: Request) -> Reply {
        request.check().unwrap();
        let batch = Batch { stamp: Timestamp(1), requests: vec![request] };
        self.machine.apply(batch).remove(0).reply
    }
}
