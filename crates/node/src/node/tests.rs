//! A whole node on a disk in trouble.

use std::{
    sync::atomic::{AtomicI64, Ordering::SeqCst},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use synod_machine::{
    Answer, Command, LeaseCommand, LeaseId, Query, Reply, Request, RequestId, Seq, SessionId,
    door::{Ask, Call, Freshness, NotApplied, Said},
};
use synod_net::{Authority, Credentials, Dialer, Identity, Name, Role, Who};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    health::Ready,
    shaky::{Shaky, Trouble},
};

const PATIENCE: Duration = Duration::from_secs(20);

const FILE: &str = "cluster = \"eu\"\ncluster_id = \"7\"\n\
    [node]\nname = \"n1\"\nid = 1\ndata = \".\"\nlisten = \"127.0.0.1:0\"\n\
    [tls]\nca = \"ca.crt\"\ncert = \"n1.crt\"\nkey = \"n1.key\"\n\
    [[peer]]\nid = 1\nname = \"n1\"\naddress = \"127.0.0.1:1\"\n";

/// A cluster of one, which needs nobody else to write.
struct Lone {
    dir: TempDir,
    medium: Shaky,
    node: Node,
}

impl Lone {
    async fn start() -> Lone {
        Lone::start_by(Clock::new()).await
    }

    async fn start_by(clock: Clock) -> Lone {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&name("eu")).unwrap();
        authority.save(&dir.path().join("ca.crt"), &dir.path().join("ca.key")).unwrap();
        let app = Who::Client { name: name("app"), role: Role::Write };
        for (leaf, who) in [("n1", Who::Node(name("n1"))), ("app", app)] {
            let identity = Identity { cluster: name("eu"), who };
            let file = |kind: &str| dir.path().join(format!("{leaf}.{kind}"));
            authority.issue(&identity, 1, &file("crt"), &file("key")).unwrap();
        }
        let config = Config::parse(FILE, &dir.path().join("n1.toml")).unwrap();
        let medium = Shaky::formatted(&config.store_identity());
        let (credentials, opened) =
            (config.credentials().unwrap(), medium.open(&config.store_identity()));
        let node = Node::start_on(config, credentials, opened, clock).await.unwrap();
        Lone { dir, medium, node }
    }

    /// The same node after a crash.
    async fn again_by(self, clock: Clock) -> Lone {
        let Lone { dir, medium, node } = self;
        node.crash().await;
        let config = Config::parse(FILE, &dir.path().join("n1.toml")).unwrap();
        let (credentials, opened) =
            (config.credentials().unwrap(), medium.open(&config.store_identity()));
        let node = Node::start_on(config, credentials, opened, clock).await.unwrap();
        Lone { dir, medium, node }
    }

    /// One call of a writer.
    async fn ask(&self, call: Call) -> Said {
        let file = |name: &str| self.dir.path().join(name);
        let credentials =
            Credentials::load(&file("ca.crt"), &file("app.crt"), &file("app.key")).unwrap();
        let dialer = Dialer::new(credentials, 7).unwrap();
        let address = self.node.address().to_string();
        let channel = dialer.connect(&address, &Who::Node(name("n1"))).await.unwrap();
        let body = postcard::to_allocvec(&Ask { within_ms: 2_000, call }).unwrap();
        let answer = timeout(PATIENCE, channel.ask(Bytes::from(body))).await.unwrap().unwrap();
        postcard::from_bytes(&answer).unwrap()
    }

    async fn question<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> T {
        let (answer, heard) = oneshot::channel();
        self.node.questions.send(question(answer)).await.unwrap();
        timeout(PATIENCE, heard).await.unwrap().unwrap()
    }

    /// Waits until a linearizable read is served, or is not.
    async fn until_served(&self, served: bool) {
        let until = Instant::now() + PATIENCE;
        while matches!(self.question(Question::Probe).await, Said::Answer(_)) != served {
            assert!(Instant::now() < until, "never served = {served}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_full(&self) -> Ready {
        let until = Instant::now() + PATIENCE;
        loop {
            let ready = self.question(Question::Ready).await;
            if ready.disk_full {
                return ready;
            }
            assert!(Instant::now() < until, "the full disk is never noticed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn open_session() -> Call {
    open_session_for(5_000)
}

fn open_session_for(ttl_ms: u64) -> Call {
    let command = Command::OpenSession { owner: "app".to_owned(), ttl_ms };
    Call::Submit(Request { id: None, acked: Seq::ZERO, command })
}

impl Lone {
    async fn open(&self, ttl_ms: u64) -> SessionId {
        match self.ask(open_session_for(ttl_ms)).await {
            Said::Reply(Reply::Session(session)) => session,
            other => panic!("no session: {other:?}"),
        }
    }

    async fn put(&self, session: SessionId, seq: u64) -> Said {
        let id = Some(RequestId { session, seq: Seq::new(seq) });
        let (key, value) = (Bytes::from(format!("k{seq}")), Bytes::from("v"));
        self.ask(Call::Submit(Request {
            id,
            acked: Seq::ZERO,
            command: Command::Put { key, value },
        }))
        .await
    }

    async fn read(&self, query: Query) -> Answer {
        match self.ask(Call::Read { query, freshness: Freshness::Linearizable }).await {
            Said::Answer(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    async fn lives(&self, session: SessionId) -> bool {
        match self.read(Query::Sessions { after: None, limit: 100 }).await {
            Answer::Sessions { sessions, .. } => sessions.iter().any(|of| of.session == session),
            other => panic!("no sessions: {other:?}"),
        }
    }

    async fn until_ended(&self, session: SessionId) {
        let until = Instant::now() + PATIENCE;
        while self.lives(session).await {
            assert!(Instant::now() < until, "session {session} never ends");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Consensus §9, security §7: a failed sync ends the node, with the medium in its last words.
#[tokio::test]
async fn a_failed_sync_ends_the_node() {
    let lone = Lone::start().await;
    lone.until_served(true).await;
    lone.medium.set(Trouble::Broken);
    let ended = timeout(PATIENCE, lone.node.run(std::future::pending())).await.unwrap();
    let error = ended.unwrap_err();
    assert!(matches!(error, NodeError::Store(StoreError::SyncFailed { .. })), "{error}");
    assert!(error.to_string().contains("medium failed a sync"), "{error}");
    assert_eq!(error.fault(), crate::Fault::Machine);
}

/// Security §7: on a full disk a node steps down, refuses as not applied, keeps answering status,
/// and recovers by itself.
#[tokio::test]
async fn a_full_disk_is_refused_as_not_applied_and_recovered_from() {
    let lone = Lone::start().await;
    lone.until_served(true).await;
    assert!(matches!(lone.ask(open_session()).await, Said::Reply(_)));
    lone.medium.set(Trouble::Full);
    lone.until_full().await;
    assert_eq!(lone.ask(open_session()).await, Said::NotApplied(NotApplied::DiskFull));
    let Said::Status(status) = lone.ask(Call::Status).await else { panic!("no status") };
    assert_ne!(status.role, "leader", "a leader that cannot write is not a leader");
    lone.until_served(false).await;
    lone.medium.set(Trouble::None);
    lone.until_served(true).await;
    assert!(matches!(lone.ask(open_session()).await, Said::Reply(_)));
    lone.node.stop().await.unwrap();
}

/// A disk that is stuck delays a stop by no more than its named time.
#[tokio::test]
async fn a_stuck_disk_does_not_keep_a_node_from_stopping() {
    let lone = Lone::start().await;
    lone.until_served(true).await;
    lone.medium.set(Trouble::Stuck);
    timeout(PATIENCE, lone.node.stop()).await.unwrap().unwrap();
    lone.medium.set(Trouble::None);
}

/// How far the wall clock of the next tests is off; each may set it under the other.
static OFF_S: AtomicI64 = AtomicI64::new(0);

fn wrong_clock() -> SystemTime {
    let off = OFF_S.load(SeqCst);
    let by = Duration::from_secs(off.unsigned_abs());
    let now = SystemTime::now();
    if off < 0 { now - by } else { now + by }
}

impl Lone {
    /// A lease of a session, by its request `seq`.
    async fn grant(&self, session: SessionId, seq: u64, ttl_ms: u64) -> LeaseId {
        let id = Some(RequestId { session, seq: Seq::new(seq) });
        let command = Command::Lease(LeaseCommand::Grant { ttl_ms });
        match self.ask(Call::Submit(Request { id, acked: Seq::ZERO, command })).await {
            Said::Reply(Reply::Lease(lease)) => lease,
            other => panic!("no lease: {other:?}"),
        }
    }

    async fn until_over(&self, lease: LeaseId) {
        let until = Instant::now() + PATIENCE;
        while self.read(Query::Lease { lease }).await != Answer::Lease(None) {
            assert!(Instant::now() < until, "lease {lease} never ends");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The wall clock of a leader is set, back or ahead: a lease that is renewed lives on, and one that
/// is not ends in its time all the same.
#[tokio::test]
async fn a_leader_whose_wall_clock_is_set_ends_no_lease_and_keeps_none() {
    const DAY_S: i64 = 24 * 60 * 60;
    let mut lone = Lone::start_by(Clock::with_wall(wrong_clock)).await;
    lone.until_served(true).await;
    let session = lone.open(60_000).await;
    let kept = lone.grant(session, 1, 60_000).await;
    for (seq, days) in (2..).zip([-80 * 365, 60, -1, 0, 30_000, -60]) {
        OFF_S.store(days * DAY_S, SeqCst);
        let silent = lone.grant(session, seq, 100).await;
        lone.until_over(silent).await;
        assert_eq!(lone.ask(Call::Renew { lease: kept }).await, Said::Kept, "{days}");
        if seq == 4 {
            lone = lone.again_by(Clock::with_wall(wrong_clock)).await;
            lone.until_served(true).await;
        }
    }
    lone.node.stop().await.unwrap();
}

/// A wall clock that is set, back or ahead, under a node that runs or that comes back, is of no
/// consequence: what was written is there, a session that is kept alive lives on, one that falls
/// silent ends after its time, and what an ended one was told is still known.
#[tokio::test]
async fn a_wall_clock_that_is_set_ends_no_session_and_keeps_none() {
    const DAY_S: i64 = 24 * 60 * 60;
    let mut lone = Lone::start_by(Clock::with_wall(wrong_clock)).await;
    lone.until_served(true).await;
    let (kept, told) = (lone.open(60_000).await, lone.open(2_000).await);
    let first = lone.put(told, 1_000).await;
    assert!(matches!(first, Said::Reply(Reply::Written(_))), "{first:?}");
    lone.until_ended(told).await;
    let settings = [-80 * 365, 60, -1, 0, 30_000, -60];
    for (seq, days) in (1..).zip(settings) {
        OFF_S.store(days * DAY_S, SeqCst);
        let silent = lone.open(100).await;
        assert!(matches!(lone.put(kept, seq).await, Said::Reply(Reply::Written(_))), "{days}");
        lone.until_ended(silent).await;
        assert_eq!(lone.ask(Call::KeepAlive { session: kept }).await, Said::Kept, "{days}");
        if seq == 3 {
            lone = lone.again_by(Clock::with_wall(wrong_clock)).await;
            lone.until_served(true).await;
        }
    }
    assert!(lone.lives(kept).await);
    assert_eq!(lone.put(told, 1_000).await, first, "its reply is known for a day");
    let all = Query::List { prefix: "k".into(), after: None, limit: 100 };
    let Answer::Keys { entries, .. } = lone.read(all).await else { panic!("no keys") };
    assert_eq!(entries.len(), settings.len() + 1);
    lone.node.stop().await.unwrap();
}

impl Lone {
    /// What a start makes of `snapshot` and of a log that begins after `trimmed`, in a cluster of
    /// so many.
    fn recovered(snapshot: &[u8], trimmed: u64, voters: usize) -> (TempDir, Result<(), NodeError>) {
        let dir = tempfile::tempdir().unwrap();
        let peers = (2..=voters).map(|id| {
            format!("[[peer]]\nid = {id}\nname = \"n{id}\"\naddress = \"127.0.0.1:{id}\"\n")
        });
        let file = [FILE.to_owned()].into_iter().chain(peers).collect::<String>();
        let config = Config::parse(&file, &dir.path().join("n1.toml")).unwrap();
        let shelf = Shelf::new(&config.data(), config.cluster_id());
        std::fs::write(shelf.place(Slot::new(5)), snapshot).unwrap();
        let (store, durable) =
            Shaky::formatted(&config.store_identity()).open(&config.store_identity());
        let durable = Durable { trimmed: Slot::new(trimmed), ..durable };
        let recovered = recover(&config, (store, durable), &shelf).map(|_| ());
        (dir, recovered)
    }
}

fn stands(dir: &TempDir) -> bool {
    dir.path().join("snapshot-00000000000000000005").exists()
}

/// A node that nobody can send the state looks at what is left of it before it throws that away.
#[test]
fn a_lone_node_that_lost_its_state_leaves_its_damaged_snapshot() {
    let (dir, refused) = Lone::recovered(b"damaged", 5, 1);
    assert!(matches!(refused, Err(NodeError::StateLost { trimmed: 5, .. })), "{refused:?}");
    assert!(stands(&dir));
    let (dir, started) = Lone::recovered(b"damaged", 5, 3);
    assert!(started.is_ok(), "{started:?}");
    assert!(!stands(&dir), "what does not verify is of no use to a node with peers");
}

/// A start by a build of another version removes nothing, whoever else may have the state.
#[test]
fn a_start_of_another_build_removes_no_snapshot() {
    let mut state = synod_machine::Machine::new().snapshot().to_bytes();
    state[0] += 1;
    let snapshot = synod_store::Chunks::new(7).seal(Slot::new(5), &state);
    for voters in [1, 3] {
        let (dir, refused) = Lone::recovered(&snapshot, 5, voters);
        assert!(matches!(refused, Err(NodeError::OtherVersion { .. })), "{refused:?}");
        assert!(stands(&dir));
    }
}
