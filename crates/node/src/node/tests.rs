//! A whole node on a disk in trouble.

use std::time::Duration;

use bytes::Bytes;
use synod_machine::{
    Command, Request, Seq,
    door::{Ask, Call, NotApplied, Said},
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
        let node = Node::start_on(config, credentials, opened).await.unwrap();
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
    let command = Command::OpenSession { owner: "app".to_owned(), ttl_ms: 5_000 };
    Call::Submit(Request { id: None, acked: Seq::ZERO, command })
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
