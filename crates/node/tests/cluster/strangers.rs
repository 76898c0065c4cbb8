//! A peer with a right certificate and wrong words.

use bytes::Bytes;
use synod_net::{Congestion, Event, Lane, Mesh, MeshConfig, PeerAddress, Role};
use synod_paxos::{Ballot, Envelope, Life, Message, NodeId, Process, Slot, Standing};
use synod_replica::Word;
use tokio::time::{Instant, timeout};

use crate::world::{CLUSTER_ID, PATIENCE, World, name};

/// Node 2 with its own certificate, in the hands of somebody else.
async fn impostor(world: &mut World) -> Mesh {
    world.let_go(2);
    let (mesh, mut events) = Mesh::open(MeshConfig {
        credentials: world.config(2).credentials().unwrap(),
        cluster_id: CLUSTER_ID,
        listen: world.address(2).parse().unwrap(),
        peers: vec![PeerAddress { name: name("n1"), address: world.address(1) }],
        congestion: Congestion::default(),
    })
    .await
    .unwrap();
    let up = async { while !matches!(events.recv().await, Some(Event::Up(_))) {} };
    timeout(PATIENCE, up).await.unwrap();
    // What n1 says is heard and not answered.
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    mesh
}

fn heartbeat(from: u16, to: u16, reign: Option<Ballot>) -> Vec<u8> {
    let standing = Standing {
        process: Process::new(1),
        promised: reign.unwrap_or(Ballot::ZERO),
        reign,
        quorum: true,
        sees_leader: true,
        disk_alive: true,
        chosen_upto: Slot::ZERO,
        covered: Slot::ZERO,
    };
    let message = Message::Heartbeat { round: 1, standing };
    let envelope = Envelope::of(Life::first(NodeId::new(from)), NodeId::new(to), message);
    postcard::to_allocvec(&Word::Paxos(envelope)).unwrap()
}

/// Waits until a counter of n1 stands at `count`.
async fn counted(world: &World, counter: &str, count: u64) {
    let until = Instant::now() + PATIENCE;
    let wanted = format!("{counter} {count}\n");
    loop {
        let text = crate::pages::get(world.node(1).http_address(), "/metrics").await;
        if text.contains(&wanted) {
            return;
        }
        assert!(Instant::now() < until, "never {wanted}in {text}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Security §2 and §5: the sender of a word is its certificate's node, the receiver is this node,
/// and the bytes are one word. All else is counted and changes nothing.
#[tokio::test]
async fn words_that_are_forged_misdirected_or_malformed_are_counted_and_dropped() {
    let mut world = World::prepared(3);
    world.start(1).await;
    let mesh = impostor(&mut world).await;
    let send = |body: Vec<u8>| mesh.send(&name("n1"), Lane::Control, Bytes::from(body));
    // In the name of n3, which leads, it says: n1 would follow.
    let reign = Ballot::first(Life::first(NodeId::new(3)));
    send(heartbeat(3, 1, Some(reign)));
    counted(&world, "synod_frames_foreign_total{reason=\"sender\"}", 1).await;
    send(heartbeat(2, 3, None));
    counted(&world, "synod_frames_foreign_total{reason=\"receiver\"}", 1).await;
    let whole = heartbeat(2, 1, None);
    let cuts = whole.len() as u64;
    for cut in 0..whole.len() {
        // A frame of no bytes is none to the mesh; one byte of nonsense stands for it.
        send(if cut == 0 { vec![0xff] } else { whole[..cut].to_vec() });
    }
    send([&whole[..], &[0]].concat());
    counted(&world, "synod_frames_foreign_total{reason=\"malformed\"}", cuts + 1).await;
    // In its own name, of another's ballot: turned away by the consensus itself.
    send(heartbeat(2, 1, Some(reign)));
    counted(&world, "synod_words_turned_away_total", 1).await;
    let mut client = world.client("app", Role::Read);
    assert_eq!(client.status("n1").await.leader, None, "it believed a forged word");
}

/// The honest word of the same peer is heard.
#[tokio::test]
async fn an_honest_word_of_the_same_peer_is_heard() {
    let mut world = World::prepared(3);
    world.start(1).await;
    let mesh = impostor(&mut world).await;
    let reign = Ballot::first(Life::first(NodeId::new(2)));
    let mut client = world.client("app", Role::Read);
    let until = Instant::now() + PATIENCE;
    while client.status("n1").await.leader.as_deref() != Some("n2") {
        assert!(Instant::now() < until, "n1 never hears n2");
        mesh.send(&name("n1"), Lane::Control, heartbeat(2, 1, Some(reign)).into());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
