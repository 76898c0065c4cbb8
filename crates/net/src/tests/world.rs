//! A cluster's authority, and whoever a test needs under it.

use std::{net::SocketAddr, path::PathBuf};

use bytes::Bytes;
use quinn::{Connection, Endpoint};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    AskError, Asked, Authority, Channel, Congestion, Credentials, Dialer, Event, Identity, Leaf,
    Mesh, MeshConfig, Name, NetError, PeerAddress, Role, Who, call::Call, hello::Hello,
    limits::Limits, transport,
};

pub(super) const CLUSTER_ID: u64 = 7;

/// A port of loopback that the system chooses.
pub(super) const ANY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn node(text: &str) -> Who {
    Who::Node(name(text))
}

pub(super) fn client(text: &str, role: Role) -> Who {
    Who::Client { name: name(text), role }
}

pub(super) fn app() -> Who {
    client("app", Role::Write)
}

pub(super) struct World {
    dir: TempDir,
    pub(super) authority: Authority,
    pub(super) cluster: Name,
}

impl World {
    pub(super) fn new() -> World {
        let cluster = name("eu");
        let authority = Authority::create(&cluster).unwrap();
        let dir = tempfile::tempdir().unwrap();
        authority.save(&dir.path().join("ca.crt"), &dir.path().join("ca.key")).unwrap();
        World { dir, authority, cluster }
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(super) fn identity(&self, who: Who) -> Identity {
        Identity { cluster: self.cluster.clone(), who }
    }

    pub(super) fn leaf(&self, who: Who) -> Leaf {
        Leaf::of(&self.identity(who), 1)
    }

    pub(super) fn credentials(&self, who: Who) -> Credentials {
        let (cert, key) = self.files(&self.leaf(who));
        Credentials::load(&self.path("ca.crt"), &cert, &key).unwrap()
    }

    /// Credentials with this leaf, checked by nobody yet, whose owner claims to be `who`.
    pub(super) fn bent(&self, leaf: &Leaf, who: Who) -> Credentials {
        let (cert, key) = self.files(leaf);
        Credentials::forged(&self.path("ca.crt"), &cert, &key, self.identity(who))
    }

    fn files(&self, leaf: &Leaf) -> (PathBuf, PathBuf) {
        let stem = format!("{:016x}", fastrand::u64(..));
        let (cert, key) = (self.path(&format!("{stem}.crt")), self.path(&format!("{stem}.key")));
        self.authority.issue_leaf(leaf, &cert, &key).unwrap();
        (cert, key)
    }

    pub(super) fn config(
        &self,
        own: &str,
        listen: SocketAddr,
        peers: &[PeerAddress],
    ) -> MeshConfig {
        let credentials = self.credentials(node(own));
        let (peers, congestion) = (peers.to_vec(), Congestion::default());
        MeshConfig { credentials, cluster_id: CLUSTER_ID, listen, peers, congestion }
    }

    /// A node without peers that answers every question with its own bytes, turned around.
    pub(super) async fn alone(&self, own: &str) -> Mesh {
        self.alone_with(own, Limits::DEFAULT).await
    }

    pub(super) async fn alone_with(&self, own: &str, limits: Limits) -> Mesh {
        let (mesh, events) = Mesh::open_with(self.config(own, ANY, &[]), limits).unwrap();
        drop(echo(events));
        mesh
    }

    pub(super) fn dialer(&self, who: Who) -> Dialer {
        Dialer::new(self.credentials(who), CLUSTER_ID).unwrap()
    }

    pub(super) async fn channel(&self, who: Who, at: SocketAddr) -> Result<Channel, AskError> {
        self.dialer(who).connect(&at.to_string(), &node("n1")).await
    }

    /// Whether an honest client is served by `n1` there.
    pub(super) async fn assert_serves(&self, at: SocketAddr) {
        let channel = self.channel(client("honest", Role::Read), at).await.unwrap();
        let answer = channel.ask(Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(answer, &b"olleh"[..]);
    }

    /// A connection of `who` that was let in by `expect`, to say anything on.
    pub(super) async fn let_in(
        &self,
        who: Who,
        alpn: &[u8],
        at: SocketAddr,
        expect: &str,
    ) -> (Endpoint, Connection) {
        let hello = Hello { cluster_id: CLUSTER_ID, identity: self.identity(who.clone()) };
        let (endpoint, call) = self.ring(&self.credentials(who), alpn, at, expect).await.unwrap();
        let connection = call.greet(&hello, Limits::DEFAULT.hello).await.unwrap();
        (endpoint, connection)
    }

    /// A connection that has not said hello.
    pub(super) async fn ring(
        &self,
        credentials: &Credentials,
        alpn: &[u8],
        at: SocketAddr,
        expect: &str,
    ) -> Result<(Endpoint, Call), AskError> {
        let endpoint = Endpoint::client(ANY).unwrap();
        let expect = self.identity(node(expect));
        let transport = transport::peer(Congestion::default());
        let call = Call::ring(&endpoint, credentials, alpn, expect, at, transport).await?;
        Ok((endpoint, call))
    }
}

pub(super) fn peer(own: &str, at: SocketAddr) -> PeerAddress {
    PeerAddress { name: name(own), address: at.to_string() }
}

/// What must come to an end: a test that waits for ever tells nobody what it waits for.
pub(super) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| panic!("it never came: {what}"))
}

/// A port that the system has just called free.
pub(super) fn free() -> SocketAddr {
    std::net::UdpSocket::bind(ANY).unwrap().local_addr().unwrap()
}

/// Opens a mesh where another of this test has just ended, whose port may be a moment from free.
pub(super) async fn reopen(config: MeshConfig) -> (Mesh, mpsc::Receiver<Event>) {
    loop {
        match Mesh::open(config.clone()).await {
            Ok(open) => return open,
            Err(NetError::PortTaken { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Answers every question with its own bytes, turned around; passes on everything else.
pub(super) fn echo(mut events: mpsc::Receiver<Event>) -> mpsc::UnboundedReceiver<Event> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                Event::Asked(Asked { body, reply, .. }) => {
                    reply.send(body.iter().rev().copied().collect());
                }
                other => drop(sender.send(other)),
            }
        }
    });
    receiver
}

/// What a refused one was told, which must be told as a matter of identity.
#[track_caller]
pub(super) fn assert_refused<T: std::fmt::Debug>(answer: Result<T, AskError>, word: &str) {
    match answer {
        Err(AskError::Connect { why, identity, .. }) => {
            assert!(why.contains(word), "does not say {word:?}: {why}");
            assert!(identity, "not told as a matter of identity: {why}");
        }
        other => panic!("not refused with {word:?}: {other:?}"),
    }
}

/// What one was told who may come back.
#[track_caller]
pub(super) fn assert_put_off<T: std::fmt::Debug>(answer: Result<T, AskError>, word: &str) {
    match answer {
        Err(AskError::Connect { why, identity, .. }) => {
            assert!(why.contains(word), "does not say {word:?}: {why}");
            assert!(!identity, "told as a matter of identity: {why}");
        }
        other => panic!("not put off with {word:?}: {other:?}"),
    }
}
