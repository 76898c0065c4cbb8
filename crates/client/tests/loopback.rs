//! The client over real QUIC on loopback, with real certificates, against one node that is the real
//! machine and nothing else: no log, no disk.
#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use synod_client::{
    Again, Client, Config, Endpoint, Error, Outcome, ResourceManager, Share, WhyAborted,
    machine::{
        self, Batch, BranchIncarnation, Expect, Guard, Machine, TxnId, Verdict,
        branch::Work,
        door::{Ask, Call, Freshness, NodeStatus, Said, Spent},
        participant_door::NoReason,
    },
    net::{
        Asked, Authority, Congestion, Credentials, Event, Identity, Mesh, MeshConfig, Name, Role,
        Who, settings::TlsFiles,
    },
};
use tokio::sync::watch;

/// Any will do, as long as both sides have the same.
const CLUSTER_ID: u64 = 7;

/// A cluster's authority and a directory for its files.
struct House {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl House {
    fn new() -> House {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&name("loop")).unwrap();
        let house = House { dir, authority };
        house.authority.save(&house.path("ca.crt"), &house.path("ca.key")).unwrap();
        house
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir.path().join(file)
    }

    fn files(&self, leaf: &str, who: Who) -> TlsFiles {
        let files = TlsFiles {
            ca: self.path("ca.crt"),
            cert: self.path(&format!("{leaf}.crt")),
            key: self.path(&format!("{leaf}.key")),
        };
        let identity = Identity { cluster: name("loop"), who };
        self.authority.issue(&identity, 30, &files.cert, &files.key).unwrap();
        files
    }

    fn client(&self, leaf: &str, role: Role, node: SocketAddr) -> Config {
        let tls = self.files(leaf, Who::Client { name: name(leaf), role });
        config(tls, node)
    }

    async fn node(&self) -> Node {
        let files = self.files("n1", Who::Node(name("n1")));
        let credentials = Credentials::load(&files.ca, &files.cert, &files.key).unwrap();
        let listen = loopback();
        let (peers, congestion) = (Vec::new(), Congestion::default());
        let config = MeshConfig { credentials, cluster_id: CLUSTER_ID, listen, peers, congestion };
        let (mesh, mut events) = Mesh::open(config).await.unwrap();
        let machine = watch::Sender::new(Machine::new());
        let serving = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let Event::Asked(asked) = event {
                    tokio::spawn(answer(machine.clone(), asked));
                }
            }
        });
        Node { mesh, serving }
    }
}

struct Node {
    mesh: Mesh,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn config(tls: TlsFiles, node: SocketAddr) -> Config {
    Config {
        cluster: name("loop"),
        cluster_id: CLUSTER_ID,
        endpoints: vec![Endpoint { name: name("n1"), address: node.to_string() }],
        tls,
        timeout: Duration::from_secs(20),
        session_ttl: Duration::from_secs(10),
    }
}

/// Answers at once, but for a participant that waits for news.
async fn answer(machine: watch::Sender<Machine>, asked: Asked) {
    let ask: Ask = postcard::from_bytes(&asked.body).unwrap();
    let mut said = Said::Kept;
    let mut changes = machine.subscribe();
    let answered = changes.wait_for(|machine| {
        said = read(machine, &ask.call);
        !matches!(&said, Said::Verdicts(news) if news.is_empty())
    });
    let within = Duration::from_millis(ask.within_ms.into());
    // What is returned holds the machine.
    drop(tokio::time::timeout(within, answered).await);
    if let Call::Submit(request) = ask.call {
        machine.send_modify(|machine| {
            let batch = Batch { stamp: machine::Timestamp(1), requests: vec![request] };
            said = Said::Reply(machine.apply(batch).remove(0).reply);
        });
    }
    asked.reply.send(postcard::to_allocvec(&said).unwrap().into());
}

fn read(machine: &Machine, call: &Call) -> Said {
    match call {
        Call::Submit(_) | Call::KeepAlive { .. } | Call::Renew { .. } | Call::HandOver { .. } => {
            Said::Kept
        }
        Call::Read { query, freshness: Freshness::Stale } => {
            Said::Stale { answer: machine.query(query), age_ms: None }
        }
        Call::Read { query, .. } => Said::Answer(machine.query(query)),
        Call::Attend { participant, in_doubt, finished } => {
            Said::Verdicts(machine.news_for(participant, in_doubt, finished))
        }
        Call::Watch { interest, after } => {
            let query = machine::Query::Changes { interest: interest.clone(), after: *after };
            Said::Watched { news: machine.query(&query), silent_ms: 0 }
        }
        Call::WatchAny { .. } => {
            Said::WatchedAny { news: Vec::new(), upto: machine.revision(), silent_ms: 0 }
        }
        Call::Status => Said::Status(Box::new(status())),
    }
}

fn status() -> NodeStatus {
    NodeStatus {
        cluster: "loop".to_owned(),
        node: "n1".to_owned(),
        role: "leader".to_owned(),
        leader: Some("n1".to_owned()),
        ballot: "1.n1".to_owned(),
        chosen_slot: 0,
        applied_slot: 0,
        snapshot_slot: 0,
        trimmed_slot: 0,
        catching_up: None,
        revision: machine::Revision::ZERO,
        state_hashes: Vec::new(),
        hashes_agreed: 0,
        hashes_differed: 0,
        leading_for_us: 0,
        takeover_us: 0,
        phase_1_us: 0,
        sync_us: (0, 0),
        store_bytes: 0,
        disk_full: false,
        sessions: 0,
        txns_unacked: 0,
        requests_in_flight: 0,
        certificate_ends_in_s: 0,
        peers: Vec::new(),
        spent: Spent::default(),
        version: "loop".to_owned(),
    }
}

/// A manager in memory: what it promised, and what became of it.
#[derive(Clone)]
struct Memory(watch::Sender<Ledger>);

#[derive(Default)]
struct Ledger {
    prepared: BTreeMap<TxnId, Work>,
    ended: Vec<(TxnId, machine::Outcome)>,
    /// It panics once, when it is asked what it holds in doubt.
    breaks: bool,
    /// It panics once, when it is told of an end.
    breaks_at_end: bool,
    /// Its disk is slow, and it waits for it where it stands.
    is_slow: bool,
    /// How often it has begun to vote.
    votes: usize,
}

impl ResourceManager for Memory {
    fn incarnation(&self) -> BranchIncarnation {
        BranchIncarnation(3)
    }

    async fn vote(&self, txn: TxnId, work: Work) -> Result<Share, NoReason> {
        if !work.guards.is_empty() {
            return Err(NoReason::GuardFailed { place: 0 });
        }
        if work.mutations.is_empty() {
            return Ok(Share::ReadOnly);
        }
        self.0.send_modify(|ledger| ledger.votes += 1);
        let is_slow = self.0.borrow().is_slow;
        if is_slow {
            std::thread::sleep(Duration::from_millis(500));
        }
        self.0.send_modify(|ledger| {
            ledger.prepared.insert(txn, work);
        });
        Ok(Share::Prepared)
    }

    async fn finish(&self, txn: TxnId, outcome: machine::Outcome) -> Result<(), Again> {
        let breaks = self.0.send_if_modified(|ledger| std::mem::take(&mut ledger.breaks_at_end));
        assert!(!breaks, "the page is torn");
        self.0.send_modify(|ledger| {
            ledger.prepared.remove(&txn);
            ledger.ended.push((txn, outcome));
        });
        Ok(())
    }

    async fn in_doubt(&self) -> Result<Vec<TxnId>, Again> {
        let breaks = self.0.send_if_modified(|ledger| std::mem::take(&mut ledger.breaks));
        assert!(!breaks, "the index is out of bounds");
        Ok(self.0.borrow().prepared.keys().copied().collect())
    }
}

impl Memory {
    fn new() -> Memory {
        Memory(watch::Sender::new(Ledger::default()))
    }

    /// Waits until it has been told.
    async fn ended(&self, txn: TxnId) -> machine::Outcome {
        let of = |ledger: &Ledger| ledger.ended.iter().find(|(of, _)| *of == txn).copied();
        let mut changes = self.0.subscribe();
        let ledger = changes.wait_for(|ledger| of(ledger).is_some()).await.unwrap();
        of(&ledger).unwrap().1
    }
}

fn something() -> Work {
    let put = machine::Mutation::Put { key: "a".into(), value: "1".into() };
    Work { guards: Vec::new(), mutations: vec![put] }
}

fn impossible() -> Work {
    let guard = Guard { key: "a".into(), expect: Expect::Present };
    Work { guards: vec![guard], mutations: Vec::new() }
}

#[tokio::test]
async fn keys_are_put_and_read_over_quic() {
    let house = House::new();
    let node = house.node().await;
    let config = house.client("app", Role::Write, node.mesh.address());
    let client = Client::connect(config).await.unwrap();
    let at = client.kv().put("a", "1").await.unwrap();
    let entry = client.kv().get("a").await.unwrap().unwrap();
    assert_eq!((entry.modified, &entry.value[..]), (at, &b"1"[..]));
    assert!(client.rtt_us().is_some());
    assert_eq!(client.leader().await.unwrap(), "n1");
    client.close().await;
}

/// What a manager promises is what the log decides, whether the owner tells it or not.
#[tokio::test]
async fn managers_take_part_in_transactions_over_quic() {
    let house = House::new();
    let node = house.node().await;
    let address = node.mesh.address();
    let (east, west) = (Memory::new(), Memory::new());
    let mut serving = Vec::new();
    for (name, manager) in [("east", &east), ("west", &west)] {
        let config = house.client(name, Role::Participant, address);
        let client = Client::connect(config).await.unwrap();
        let served = client.participant(name).serve(manager.clone(), loopback()).await.unwrap();
        serving.push((client, served));
    }
    let client = Client::connect(house.client("app", Role::Write, address)).await.unwrap();

    let outcome = client.txn().ask("east", something()).ask("west", something()).commit().await;
    let Outcome::Committed { txn } = outcome.unwrap() else { panic!("aborted") };
    assert_eq!(east.ended(txn).await, machine::Outcome::Committed);
    assert_eq!(west.ended(txn).await, machine::Outcome::Committed);

    let outcome = client.txn().ask("east", impossible()).ask("west", something()).commit().await;
    let Outcome::Aborted { txn, why: WhyAborted::No { .. } } = outcome.unwrap() else {
        panic!("committed")
    };
    assert_eq!(west.ended(txn).await, machine::Outcome::Aborted);

    // Everything that was committed is acknowledged, so the log waits for nobody.
    while client.census().await.unwrap().commits_unacked > 0 {
        tokio::task::yield_now().await;
    }
    for (_, served) in serving {
        served.close().await;
    }
}

/// A manager that panics where its branches are ended makes no more promises, and says so. (Its
/// door went on to vote, and nobody here ended what it had voted for.)
#[tokio::test]
async fn a_manager_that_panics_where_branches_end_promises_nothing_more() {
    let house = House::new();
    let node = house.node().await;
    let address = node.mesh.address();
    let east = Memory::new();
    east.0.send_modify(|ledger| ledger.breaks = true);
    let config = house.client("east", Role::Participant, address);
    let attending = Client::connect(config).await.unwrap();
    let served = attending.participant("east").serve(east.clone(), loopback()).await.unwrap();
    let stopped = served.stopped().await;
    assert!(stopped.to_string().contains("the index is out of bounds"), "{stopped}");

    let owner = Client::connect(house.client("app", Role::Write, address)).await.unwrap();
    let hasty = owner.within(Duration::from_secs(2));
    let prepared = hasty.txn().ask("east", something()).prepare().await.unwrap();
    assert!(prepared.refused().is_some(), "it voted");
    assert!(east.0.borrow().prepared.is_empty());
    served.close().await;
}

/// Nor one that panics at the word of an owner. (The owner's question went unanswered, and nobody
/// else heard of it.)
#[tokio::test]
async fn a_manager_that_panics_at_an_owners_word_promises_nothing_more() {
    let house = House::new();
    let node = house.node().await;
    let address = node.mesh.address();
    let east = Memory::new();
    let config = house.client("east", Role::Participant, address);
    let attending = Client::connect(config).await.unwrap();
    let served = attending.participant("east").serve(east.clone(), loopback()).await.unwrap();

    let owner = Client::connect(house.client("app", Role::Write, address)).await.unwrap();
    let prepared = owner.txn().ask("east", something()).prepare().await.unwrap();
    east.0.send_modify(|ledger| ledger.breaks_at_end = true);
    // The log hears nothing of an owner that gives up, so only the door can be told.
    drop(prepared);
    let stopped = tokio::time::timeout(Duration::from_secs(5), served.stopped()).await.unwrap();
    assert!(stopped.to_string().contains("the page is torn"), "{stopped}");
    assert_eq!(east.0.borrow().ended, [], "it was told again");
    served.close().await;
}

/// Whoever closed it may open its store for something else. (What a manager had begun went on.)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_manager_is_at_nothing_any_more_when_it_is_closed() {
    let house = House::new();
    let node = house.node().await;
    let address = node.mesh.address();
    let east = Memory::new();
    east.0.send_modify(|ledger| ledger.is_slow = true);
    let config = house.client("east", Role::Participant, address);
    let attending = Client::connect(config).await.unwrap();
    let served = attending.participant("east").serve(east.clone(), loopback()).await.unwrap();

    let owner = Client::connect(house.client("app", Role::Write, address)).await.unwrap();
    let mut changes = east.0.subscribe();
    let preparing = tokio::spawn(owner.txn().ask("east", something()).prepare());
    changes.wait_for(|ledger| ledger.votes == 1).await.unwrap();
    served.close().await;
    assert_eq!(east.0.borrow().prepared.len(), 1, "it is at it still");
    preparing.abort();
}

/// *Transactions* §5, "owner dies": the participant finds the verdict by itself.
#[tokio::test]
async fn a_branch_whose_owner_is_gone_is_ended_by_the_end_of_its_session() {
    let house = House::new();
    let node = house.node().await;
    let address = node.mesh.address();
    let east = Memory::new();
    let config = house.client("east", Role::Participant, address);
    let attending = Client::connect(config).await.unwrap();
    let served = attending.participant("east").serve(east.clone(), loopback()).await.unwrap();

    let owner = Client::connect(house.client("app", Role::Write, address)).await.unwrap();
    let prepared = owner.txn().ask("east", something()).prepare().await.unwrap();
    let txn = prepared.id();
    std::mem::forget(prepared);
    owner.within(Duration::from_millis(500)).close().await;
    assert_eq!(east.ended(txn).await, machine::Outcome::Aborted);
    assert_eq!(attending.verdict(txn).await.unwrap(), Verdict::Aborted);
    served.close().await;
}

/// Exit code 5 of the command line rests on this.
#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_at_once_and_said_so() {
    let (house, stranger) = (House::new(), House::new());
    let node = house.node().await;
    let mut config = stranger.client("app", Role::Write, node.mesh.address());
    // It trusts the right authority, but was not certified by it.
    config.tls.ca = house.path("ca.crt");
    let error = Client::connect(config).await.unwrap_err();
    let refused = match &error {
        Error::Connect(why) => why.is_identity(),
        Error::Credentials(_) => true,
        _ => false,
    };
    assert!(refused, "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_cluster_is_told_before_anything_is_sent() {
    let house = House::new();
    let mut config = house.client("app", Role::Write, loopback());
    config.cluster = name("other");
    let error = Client::connect(config).await.unwrap_err();
    assert!(matches!(error, Error::WrongCluster { .. }), "{error}");
}

#[tokio::test]
async fn missing_files_are_told_before_anything_is_sent() {
    let house = House::new();
    let mut config = house.client("app", Role::Write, loopback());
    config.tls.cert = Path::new("/nonexistent.crt").to_owned();
    let error = Client::connect(config).await.unwrap_err();
    assert!(matches!(error, Error::Credentials(_)), "{error}");
}
