//! Real QUIC on loopback: frames arrive, peers come back, and who may not enter does not.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use synod_net::{
    AskError, Asked, Authority, Credentials, Dialer, Event, Identity, Lane, Mesh, MeshConfig, Name,
    NetError, PeerAddress, Role, Server, Who,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

const CLUSTER_ID: u64 = 7;

struct World {
    dir: TempDir,
    authority: Authority,
    cluster: Name,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn node(text: &str) -> Who {
    Who::Node(name(text))
}

fn client(text: &str, role: Role) -> Who {
    Who::Client { name: name(text), role }
}

impl World {
    fn new(cluster: &str) -> World {
        let cluster = name(cluster);
        let authority = Authority::create(&cluster).unwrap();
        let dir = tempfile::tempdir().unwrap();
        authority.save(&dir.path().join("ca.crt"), &dir.path().join("ca.key")).unwrap();
        World { dir, authority, cluster }
    }

    fn credentials(&self, who: Who) -> Credentials {
        self.credentials_of(&self.cluster.clone(), who)
    }

    fn credentials_of(&self, cluster: &Name, who: Who) -> Credentials {
        let stem = format!("{:016x}", fastrand::u64(..));
        let (cert, key) = (self.path(&format!("{stem}.crt")), self.path(&format!("{stem}.key")));
        let identity = Identity { cluster: cluster.clone(), who };
        self.authority.issue(&identity, 1, &cert, &key).unwrap();
        Credentials::load(&self.path("ca.crt"), &cert, &key).unwrap()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    async fn mesh(
        &self,
        own: &str,
        listen: SocketAddr,
        peers: &[(&str, SocketAddr)],
    ) -> (Mesh, mpsc::Receiver<Event>) {
        let peers = peers
            .iter()
            .map(|(peer, at)| PeerAddress { name: name(peer), address: at.to_string() })
            .collect();
        let credentials = self.credentials(node(own));
        let config = MeshConfig { credentials, cluster_id: CLUSTER_ID, listen, peers };
        loop {
            match Mesh::open(config.clone()).await {
                Ok(open) => return open,
                // A mesh of this test has just ended there; its tasks still hold the port.
                Err(NetError::PortTaken { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn dial(&self, who: Who, at: SocketAddr, expect: &Who) -> Result<Bytes, AskError> {
        let dialer = Dialer::new(self.credentials(who), CLUSTER_ID).unwrap();
        let channel = dialer.connect(&at.to_string(), expect).await?;
        channel.ask(Bytes::from_static(b"hello")).await
    }
}

/// A port that the system has just called free.
fn free() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Answers every question with its own bytes, turned around; passes on everything else.
fn echo(mut events: mpsc::Receiver<Event>) -> mpsc::UnboundedReceiver<Event> {
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

async fn until_frame(events: &mut mpsc::UnboundedReceiver<Event>, wanted: &[u8]) -> (Name, Lane) {
    loop {
        match events.recv().await.expect("the mesh lives") {
            Event::Frame { from, lane, body } if body == wanted => return (from, lane),
            _ => {}
        }
    }
}

/// Sends again until the other side says that it has it: frames may be lost while nothing stands.
async fn send_until_heard(
    from: &Mesh,
    to: &str,
    events: &mut mpsc::UnboundedReceiver<Event>,
    body: &'static [u8],
) -> (Name, Lane) {
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    let heard = until_frame(events, body);
    tokio::pin!(heard);
    loop {
        tokio::select! {
            found = &mut heard => return found,
            _ = clock.tick() => from.send(&name(to), Lane::Log, Bytes::from_static(body)),
        }
    }
}

#[tokio::test]
async fn frames_arrive_both_ways_under_the_name_of_the_certificate() {
    let world = World::new("eu");
    let (a, b) = (free(), free());
    let (one, heard_one) = world.mesh("n1", a, &[("n2", b)]).await;
    let (two, heard_two) = world.mesh("n2", b, &[("n1", a)]).await;
    let (mut heard_one, mut heard_two) = (echo(heard_one), echo(heard_two));
    let there = send_until_heard(&one, "n2", &mut heard_two, b"there").await;
    assert_eq!(there, (name("n1"), Lane::Log));
    let back = send_until_heard(&two, "n1", &mut heard_one, b"back").await;
    assert_eq!(back, (name("n2"), Lane::Log));
    assert!(one.rtt(&name("n2")).is_some());
}

/// The one that dials is the lower; both kinds of restart must end in a connection that stands.
#[tokio::test]
async fn a_peer_that_was_restarted_is_connected_again_whoever_dials() {
    let world = World::new("eu");
    let (a, b) = (free(), free());
    let (mut one, heard) = world.mesh("n1", a, &[("n2", b)]).await;
    let mut heard_one = echo(heard);
    let (mut two, heard) = world.mesh("n2", b, &[("n1", a)]).await;
    let mut heard_two = echo(heard);
    send_until_heard(&one, "n2", &mut heard_two, b"first").await;
    two.close().await;
    drop((two, heard_two));
    let (again, heard) = world.mesh("n2", b, &[("n1", a)]).await;
    (two, heard_two) = (again, echo(heard));
    send_until_heard(&one, "n2", &mut heard_two, b"second").await;
    one.close().await;
    drop((one, heard_one));
    let (again, heard) = world.mesh("n1", a, &[("n2", b)]).await;
    (one, heard_one) = (again, echo(heard));
    send_until_heard(&two, "n1", &mut heard_one, b"third").await;
    drop(one);
}

#[tokio::test]
async fn a_client_is_answered_on_a_stream_of_its_own() {
    let world = World::new("eu");
    let (mesh, heard) = world.mesh("n1", any(), &[]).await;
    let _heard = echo(heard);
    let answer = world.dial(client("app", Role::Write), mesh.address(), &node("n1")).await;
    assert_eq!(answer.unwrap(), &b"olleh"[..]);
}

fn refused(answer: Result<Bytes, AskError>, word: &str) {
    match answer {
        Err(AskError::Connect { why, identity, .. } | AskError::Lost { why, identity, .. }) => {
            assert!(identity, "not told as a matter of identity: {why}");
            assert!(why.contains(word), "does not say {word:?}: {why}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Each reason fails by itself: everything else about the connection is right.
#[tokio::test]
async fn who_may_not_enter_is_told_why() {
    let world = World::new("eu");
    let (mesh, heard) = world.mesh("n1", any(), &[]).await;
    let _heard = echo(heard);
    let (at, app) = (mesh.address(), || client("app", Role::Write));
    // Another node answers than was dialled.
    refused(world.dial(app(), at, &node("n2")).await, "was dialled");
    // A node may not act as a client.
    refused(world.dial(node("n2"), at, &node("n1")).await, "no client");
    // The other authority's certificate, of a cluster of the same name.
    let twin = World::new("eu");
    refused(twin.dial(app(), at, &node("n1")).await, "certificate");
    // Our authority, another cluster's name.
    let stranger = world.credentials_of(&name("us"), app());
    let dialer = Dialer::new(stranger, CLUSTER_ID).unwrap();
    let dialled = dialer.connect(&at.to_string(), &node("n1")).await;
    refused(dialled.map(|_| Bytes::new()), "was dialled");
    // The right certificate, another cluster's number.
    let dialer = Dialer::new(world.credentials(app()), CLUSTER_ID + 1).unwrap();
    let channel = dialer.connect(&at.to_string(), &node("n1")).await.unwrap();
    refused(channel.ask(Bytes::from_static(b"hello")).await, "cluster id");
    // And the next honest one is served.
    assert!(world.dial(app(), at, &node("n1")).await.is_ok());
}

#[tokio::test]
async fn a_participant_serves_clients_under_its_own_name() {
    let world = World::new("eu");
    let east = client("east", Role::Participant);
    let credentials = world.credentials(east.clone());
    let (server, mut asked) = Server::open(any(), credentials, CLUSTER_ID).await.unwrap();
    tokio::spawn(async move {
        while let Some(Asked { body, reply, .. }) = asked.recv().await {
            reply.send(body);
        }
    });
    let app = client("app", Role::Write);
    let answer = world.dial(app.clone(), server.address(), &east).await;
    assert_eq!(answer.unwrap(), &b"hello"[..]);
    let west = client("west", Role::Participant);
    refused(world.dial(app, server.address(), &west).await, "was dialled");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be_taken() {
    let world = World::new("eu");
    let squatter = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let credentials = world.credentials(node("n1"));
    let listen = squatter.local_addr().unwrap();
    let config = MeshConfig { credentials, cluster_id: CLUSTER_ID, listen, peers: Vec::new() };
    let error = Mesh::open(config).await.unwrap_err().to_string();
    assert!(error.contains("port is taken"), "{error}");
}

/// Whoever drops a question loses the question, and nothing else on the connection.
#[tokio::test]
async fn a_question_that_is_dropped_disturbs_no_other() {
    let world = World::new("eu");
    let (mesh, heard) = world.mesh("n1", any(), &[]).await;
    let _heard = echo(heard);
    let dialer = Dialer::new(world.credentials(client("app", Role::Read)), CLUSTER_ID).unwrap();
    let channel = dialer.connect(&mesh.address().to_string(), &node("n1")).await.unwrap();
    for polls in 0..20 {
        let asking = channel.ask(Bytes::from_static(b"dropped"));
        let mut asking = Box::pin(asking);
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut asking => break,
                () = tokio::task::yield_now() => {}
            }
        }
        drop(asking);
        let answer = channel.ask(Bytes::from_static(b"kept")).await.unwrap();
        assert_eq!(answer, &b"tpek"[..]);
    }
}
