//! *Transactions* §5, row by row: whatever happens to owner, participant or quorum, a prepared
//! branch finds its verdict or gets one made, and nobody else waits. Real processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use synod_client::{
    Client, Config, Error, Outcome, Prepared, TxnBuilder, WhyAborted,
    machine::{Act, Mutation, TxnId, Verdict, branch::Work},
};
use synod_integration::{Cluster, Options};
use tokio::runtime::{Builder, Runtime};

const SHARDS: [&str; 2] = ["east", "west"];
/// How long an owner may be silent.
const OWNER_TTL: Duration = Duration::from_secs(1);

fn cluster(nodes: u16) -> Cluster {
    let options = Options { nodes, participants: SHARDS.to_vec() };
    let mut cluster = Cluster::start(&options);
    for shard in SHARDS {
        cluster.start_shard(shard);
    }
    cluster
}

fn put(value: &'static str) -> Work {
    let put = Mutation::Put { key: "a".into(), value: value.into() };
    Work { guards: Vec::new(), mutations: vec![put] }
}

fn both(client: &Client, value: &'static str) -> TxnBuilder {
    client.txn().ask(SHARDS[0], put(value)).ask(SHARDS[1], put(value))
}

/// An application with a runtime of its own: when that is gone, so is the application.
struct Application {
    runtime: Runtime,
    client: Client,
}

impl Application {
    /// Of one thread, so that it stands still while nobody asks it for something.
    fn start(cluster: &Cluster) -> Application {
        let mut config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        config.session_ttl = OWNER_TTL;
        config.timeout = Duration::from_secs(30);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(Client::connect(config)).unwrap();
        Application { runtime, client }
    }

    fn prepare(&self) -> Prepared {
        let prepared = self.runtime.block_on(both(&self.client, "1").prepare()).unwrap();
        assert_eq!(prepared.refused(), None);
        prepared
    }

    fn commit(&self, value: &'static str) -> Outcome {
        self.runtime.block_on(both(&self.client, value).commit()).unwrap()
    }

    fn verdict(&self, txn: TxnId) -> Verdict {
        self.runtime.block_on(self.client.verdict(txn)).unwrap()
    }

    /// What a shard holds, once everything that was in doubt there has ended.
    fn get(&self, shard: &str) -> Option<String> {
        let entry = self.runtime.block_on(self.client.shard(shard).get("a")).unwrap();
        entry.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
    }

    fn in_doubt(&self, shard: &str) -> Vec<TxnId> {
        self.runtime.block_on(self.client.shard(shard).in_doubt()).unwrap_or_default()
    }

    fn unacknowledged(&self) -> u64 {
        self.runtime.block_on(self.client.census()).unwrap().commits_unacked
    }

    /// SIGKILL, as far as anybody can tell.
    fn die(self, prepared: Option<Prepared>) {
        // In a process that is killed nothing is dropped.
        std::mem::forget(prepared);
        self.runtime.shutdown_background();
    }
}

/// "Owner dies before Decide": its session ends, its branches are rolled back, the keys are free.
#[test]
fn an_owner_that_dies_before_it_decides_leaves_nothing_locked() {
    let cluster = cluster(1);
    let (owner, other) = (Application::start(&cluster), Application::start(&cluster));
    let prepared = owner.prepare();
    let txn = prepared.id();
    assert_eq!(other.in_doubt("east"), [txn]);
    let blocked = other.commit("2");
    assert!(matches!(blocked, Outcome::Aborted { why: WhyAborted::No { .. }, .. }), "{blocked:?}");
    owner.die(Some(prepared));
    // Reads wait for what is in doubt.
    assert_eq!(SHARDS.map(|shard| other.get(shard)), [None, None]);
    assert_eq!(other.verdict(txn), Verdict::Aborted);
    assert!(matches!(other.commit("2"), Outcome::Committed { .. }));
    assert_eq!(SHARDS.map(|shard| other.get(shard)), [Some("2".into()), Some("2".into())]);
}

/// "Owner dies after Decide(Commit) chosen": the participants find out by themselves.
#[test]
fn an_owner_that_dies_after_it_decided_has_committed_everywhere() {
    let mut cluster = cluster(1);
    let (owner, other) = (Application::start(&cluster), Application::start(&cluster));
    let prepared = owner.prepare();
    // Nobody hears of the verdict before the owner is gone.
    SHARDS.iter().for_each(|shard| cluster.process(shard).signal("STOP"));
    let outcome = owner.runtime.block_on(prepared.decide()).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    owner.die(None);
    SHARDS.iter().for_each(|shard| cluster.process(shard).signal("CONT"));
    assert_eq!(SHARDS.map(|shard| other.get(shard)), [Some("1".into()), Some("1".into())]);
    cluster.eventually("both have acknowledged", || other.unacknowledged() == 0);
}

/// "Owner paused (GC, VM stop), replaced, resumes": its commit meets the fence, and it is told.
#[test]
fn an_owner_that_was_paused_for_too_long_is_told_that_it_aborted() {
    let cluster = cluster(1);
    let (owner, other) = (Application::start(&cluster), Application::start(&cluster));
    let prepared = owner.prepare();
    let txn = prepared.id();
    // Nobody drives its runtime meanwhile: it says nothing.
    cluster.eventually("its session has ended", || other.verdict(txn) == Verdict::Aborted);
    assert!(matches!(other.commit("2"), Outcome::Committed { .. }));
    let outcome = owner.runtime.block_on(prepared.decide()).unwrap();
    assert!(matches!(outcome, Outcome::Aborted { .. }), "{outcome:?}");
    assert_eq!(SHARDS.map(|shard| other.get(shard)), [Some("2".into()), Some("2".into())]);
    // And has another session by then, in which it goes on.
    assert!(matches!(owner.commit("3"), Outcome::Committed { .. }));
}

/// "Participant restarts with prepared branch", when its owner is gone as well.
#[test]
fn a_participant_that_comes_back_after_its_owner_died_is_told_how_it_ended() {
    let mut cluster = cluster(1);
    let (owner, other) = (Application::start(&cluster), Application::start(&cluster));
    let prepared = owner.prepare();
    let txn = prepared.id();
    cluster.kill("east");
    owner.die(Some(prepared));
    cluster.eventually("its session has ended", || other.verdict(txn) == Verdict::Aborted);
    cluster.start_shard("east");
    assert_eq!(SHARDS.map(|shard| other.get(shard)), [None, None]);
    assert!(matches!(other.commit("2"), Outcome::Committed { .. }));
}

/// "Participant lost for ever, not yet decided": it aborts, and the others are released at once.
#[test]
fn a_participant_that_is_lost_before_the_decision_holds_up_nobody() {
    let mut cluster = cluster(1);
    let owner = Application::start(&cluster);
    cluster.kill("west");
    let Outcome::Aborted { .. } = owner.commit("1") else { panic!("it committed") };
    assert_eq!(owner.get("east"), None);
    let east = owner.client.txn().ask("east", put("2"));
    let outcome = owner.runtime.block_on(east.commit()).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// "Participant lost for ever, decided commit": the verdict stands, the others finish, and a person
/// ends the wait for it, on record.
#[test]
fn a_participant_that_is_lost_after_the_decision_is_forgotten_by_a_person() {
    let mut cluster = cluster(1);
    let owner = Application::start(&cluster);
    let prepared = owner.prepare();
    let txn = prepared.id();
    cluster.kill("west");
    let outcome = owner.runtime.block_on(prepared.decide()).unwrap();
    assert_eq!(outcome, Outcome::Committed { txn });
    assert_eq!(owner.get("east"), Some("1".into()));
    let east = owner.client.txn().ask("east", put("2"));
    let _committed = owner.runtime.block_on(east.commit()).unwrap();
    cluster.eventually("east has acknowledged", || owner.unacknowledged() == 1);
    let forget = |of| owner.client.forget_participant(txn, of, "burnt down");
    let not_awaited = owner.runtime.block_on(forget("east")).unwrap_err();
    assert!(matches!(not_awaited, Error::Refused { .. }), "{not_awaited}");
    owner.runtime.block_on(forget("west")).unwrap();
    assert_eq!(owner.unacknowledged(), 0);
    assert_eq!(owner.verdict(txn), Verdict::Committed);
    let audit = owner.runtime.block_on(owner.client.audit()).unwrap();
    let acts: Vec<&Act> = audit.iter().map(|entry| &entry.act).collect();
    let [Act::Forgot { txn: of, participant, actor, reason }] = &acts[..] else {
        panic!("{acts:?}")
    };
    let told = (*of, participant.as_str(), actor.as_str(), reason.as_str());
    assert_eq!(told, (txn, "west", "client", "burnt down"));
}

/// "Quorum lost": no decision by the deadline, said so; what is in doubt waits, and ends by itself
/// when the quorum is back.
#[test]
fn what_is_in_doubt_without_a_quorum_ends_when_it_is_back() {
    let mut cluster = cluster(3);
    let owner = Application::start(&cluster);
    let prepared = owner.prepare();
    let txn = prepared.id();
    cluster.kill("n1");
    cluster.kill("n2");
    let hasty = owner.client.within(Duration::from_secs(1));
    let error = owner.runtime.block_on(both(&hasty, "2").commit());
    assert!(!matches!(error, Ok(Outcome::Committed { .. })), "{error:?}");
    assert_eq!(owner.in_doubt("east"), [txn]);
    cluster.start_node("n1");
    // Its session has lived on: a reign begins with every session at its full time to live.
    let outcome = owner.runtime.block_on(prepared.decide()).unwrap();
    let stands = match outcome {
        Outcome::Committed { .. } => Some("1".to_owned()),
        Outcome::Aborted { .. } => None,
    };
    assert_eq!(SHARDS.map(|shard| owner.get(shard)), [stands.clone(), stands]);
    cluster.eventually("nothing waits", || owner.unacknowledged() == 0);
}
