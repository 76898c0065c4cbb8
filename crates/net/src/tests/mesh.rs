//! Frames between nodes: they arrive, peers come back, and each costs its own budget only.

use std::{net::SocketAddr, thread, time::Duration};

use bytes::Bytes;
use quinn::ConnectionError;
use tokio::sync::{mpsc, oneshot};

use super::world::*;
use crate::{
    Conditions, Congestion, Event, Lane, Mesh, MeshConfig, Name, Relay, bye::Bye, limits::Limits,
    tls,
};

type Heard = mpsc::UnboundedReceiver<Event>;

async fn until_frame(heard: &mut Heard, wanted: &[u8]) -> (Name, Lane) {
    loop {
        match heard.recv().await.expect("the mesh lives") {
            Event::Frame { from, lane, body } if body == wanted => return (from, lane),
            _ => {}
        }
    }
}

async fn until_up(heard: &mut Heard, who: &str) {
    while !matches!(heard.recv().await, Some(Event::Up(up)) if up == name(who)) {}
}

async fn until_down(heard: &mut Heard, who: &str) {
    while !matches!(heard.recv().await, Some(Event::Down(down)) if down == name(who)) {}
}

/// Sends again until the other side says that it has it: frames may be lost while nothing stands.
async fn send_until_heard(from: &Mesh, to: &str, heard: &mut Heard, body: &'static [u8]) {
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    let heard = until_frame(heard, body);
    tokio::pin!(heard);
    loop {
        tokio::select! {
            _ = &mut heard => return,
            _ = clock.tick() => from.send(&name(to), Lane::Log, Bytes::from_static(body)),
        }
    }
}

/// Configurations of nodes that know each other.
fn configs<const N: usize>(world: &World, names: [&str; N]) -> [MeshConfig; N] {
    let at = names.map(|own| (own, free()));
    at.map(|(own, listen)| {
        let others = at.iter().filter(|(other, _)| *other != own);
        let peers: Vec<_> = others.map(|(other, at)| peer(other, *at)).collect();
        world.config(own, listen, &peers)
    })
}

/// On what each side sends, whoever has dialled.
#[tokio::test]
async fn each_node_sends_as_it_is_told_to() {
    let world = World::new();
    let [mut one, mut two] = configs(&world, ["n1", "n2"]);
    (one.congestion, two.congestion) = (Congestion::Bbr, Congestion::Cubic);
    for _ in 0..2 {
        let (near, heard) = reopen(one.clone()).await;
        let (far, told) = reopen(two.clone()).await;
        until_up(&mut echo(heard), "n2").await;
        until_up(&mut echo(told), "n1").await;
        assert_eq!(near.congestion(&name("n2")), Some(one.congestion));
        assert_eq!(far.congestion(&name("n1")), Some(two.congestion));
        (one.congestion, two.congestion) = (two.congestion, one.congestion);
    }
}

#[tokio::test]
async fn three_nodes_hear_each_other_on_every_lane_under_the_names_of_their_certificates() {
    let world = World::new();
    let names = ["n1", "n2", "n3"];
    let mut nodes = Vec::new();
    for config in configs(&world, names) {
        let (mesh, events) = reopen(config).await;
        nodes.push((mesh, echo(events)));
    }
    for (own, (_, heard)) in names.iter().zip(&mut nodes) {
        let mut missing = names.to_vec();
        missing.retain(|other| other != own);
        while !missing.is_empty() {
            if let Some(Event::Up(up)) = heard.recv().await {
                missing.retain(|other| *other != up.as_str());
            }
        }
    }
    for (from, (mesh, _)) in names.iter().zip(&nodes) {
        for to in names.iter().filter(|to| *to != from) {
            for lane in [Lane::Control, Lane::Log, Lane::Bulk] {
                mesh.send(&name(to), lane, format!("{from} {lane:?}").into());
            }
            assert!(mesh.rtt(&name(to)).is_some());
        }
    }
    for (own, (mesh, heard)) in names.iter().zip(&mut nodes) {
        let mut missing = 6;
        while missing > 0 {
            if let Some(Event::Frame { from, lane, body }) = heard.recv().await {
                assert_eq!(body, format!("{from} {lane:?}").as_bytes(), "heard by {own}");
                missing -= 1;
            }
        }
        let counters = mesh.counters();
        assert_eq!((counters.frames_malformed, counters.frames_dropped), (0, 0), "{own}");
    }
}

#[tokio::test]
async fn frames_of_one_lane_keep_their_order_and_large_ones_arrive_whole() {
    let world = World::new();
    let [one, two] = configs(&world, ["n1", "n2"]);
    let ((one, heard_one), (_two, heard_two)) = (reopen(one).await, reopen(two).await);
    let (mut heard_one, mut heard_two) = (echo(heard_one), echo(heard_two));
    until_up(&mut heard_one, "n2").await;
    let lengths = [1, 100, 15_999, 16_384, 1 << 20, 3, (2 << 20) - 1, 2 << 20, 7];
    for bytes in lengths {
        one.send(&name("n2"), Lane::Log, vec![bytes as u8; bytes].into());
    }
    for bytes in lengths {
        let body = loop {
            if let Some(Event::Frame { body, .. }) = heard_two.recv().await {
                break body;
            }
        };
        assert!(body == vec![bytes as u8; bytes], "{} instead of {bytes}", body.len());
    }
}

/// QUIC seals every packet: what has changed on the way is lost, sent again, and heard by nobody.
#[tokio::test]
async fn what_is_damaged_on_the_way_is_heard_as_it_was_said() {
    let world = World::new();
    let at = free();
    let way = Relay::start(at, 11).await.unwrap();
    let (one, heard) = reopen(world.config("n1", ANY, &[peer("n2", way.address())])).await;
    let mut heard_one = echo(heard);
    let (two, heard) = reopen(world.config("n2", at, &[peer("n1", one.address())])).await;
    let mut heard_two = echo(heard);
    until_up(&mut heard_one, "n2").await;
    let before = one.lost_packets(&name("n2"));
    way.set(Conditions { damage: 0.1, ..Conditions::default() });
    let word = |number: u8| vec![number; 20_000];
    for number in 0..50 {
        one.send(&name("n2"), Lane::Log, word(number).into());
    }
    for number in 0..50 {
        let body = loop {
            if let Some(Event::Frame { body, .. }) = heard_two.recv().await {
                break body;
            }
        };
        assert!(body == word(number), "{number} came otherwise than it was sent");
    }
    assert!(one.lost_packets(&name("n2")) > before, "nothing was damaged");
    assert_eq!(two.counters().frames_malformed, 0);
}

/// The one that dials is the lower; a restart of either must end in a connection that stands.
#[tokio::test]
async fn a_peer_that_was_stopped_and_started_is_connected_again_whoever_dials() {
    let world = World::new();
    let [config_one, config_two] = configs(&world, ["n1", "n2"]);
    let (mut one, heard) = reopen(config_one.clone()).await;
    let mut heard_one = echo(heard);
    let (mut two, heard) = reopen(config_two.clone()).await;
    let mut heard_two = echo(heard);
    send_until_heard(&one, "n2", &mut heard_two, b"first").await;
    two.close().await;
    until_down(&mut heard_one, "n2").await;
    drop((two, heard_two));
    let (again, heard) = reopen(config_two).await;
    (two, heard_two) = (again, echo(heard));
    send_until_heard(&one, "n2", &mut heard_two, b"second").await;
    one.close().await;
    until_down(&mut heard_two, "n1").await;
    drop((one, heard_one));
    let (again, heard) = reopen(config_one).await;
    (one, heard_one) = (again, echo(heard));
    send_until_heard(&two, "n1", &mut heard_one, b"third").await;
    drop(one);
}

/// A node that ends as SIGKILL ends it: its sockets close, and nobody says goodbye.
struct Mortal {
    address: SocketAddr,
    kill: oneshot::Sender<()>,
    life: thread::JoinHandle<()>,
}

impl Mortal {
    fn born(config: MeshConfig) -> Mortal {
        let (tell, told) = std::sync::mpsc::channel();
        let (kill, killed) = oneshot::channel();
        let life = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mesh = runtime.block_on(async {
                let (mesh, events) = reopen(config).await;
                drop(echo(events));
                tell.send(mesh.address()).unwrap();
                killed.await.unwrap();
                mesh
            });
            // No task is run any more, so what the mesh says when it is dropped is never sent.
            drop(runtime);
            drop(mesh);
        });
        Mortal { address: told.recv().unwrap(), kill, life }
    }

    fn kill(self) {
        self.kill.send(()).unwrap();
        self.life.join().unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_was_killed_and_comes_back_is_connected_again_whoever_dials() {
    let world = World::new();
    for (survivor, mortal) in [("n1", "n2"), ("n2", "n1")] {
        let [one, two] = configs(&world, [survivor, mortal]);
        let first = Mortal::born(two.clone());
        let (mesh, heard) = reopen(one).await;
        let mut heard = echo(heard);
        until_up(&mut heard, mortal).await;
        first.kill();
        let second = Mortal::born(two);
        // Something must be said, for the survivor to learn that nobody knows the connection.
        let mut clock = tokio::time::interval(Duration::from_millis(10));
        loop {
            tokio::select! {
                event = heard.recv() => match event.expect("the mesh lives") {
                    Event::Up(_) => break,
                    Event::Down(_) => {}
                    other => panic!("{other:?}"),
                },
                _ = clock.tick() => mesh.send(&name(mortal), Lane::Control, "beat".into()),
            }
        }
        second.kill();
    }
}

/// Which connection a first packet of a client opens (RFC 8999 §5.1): the one id it was sent to.
fn connection_of(packet: &[u8]) -> Vec<u8> {
    let (length, id) = (usize::from(packet[5]), &packet[6..]);
    id[..length].to_vec()
}

/// Whoever was away for long would wait for the end of the others' patience, with a disk that they
/// may know to be older than it.
#[tokio::test]
async fn a_node_that_is_back_knocks_and_is_dialled_at_once() {
    const FOR_EVER: Duration = Duration::from_secs(3_600);
    let world = World::new();
    // Nobody answers there, and the one who dials it will not try again by itself.
    let deaf = tokio::net::UdpSocket::bind(ANY).await.unwrap();
    let limits =
        Limits { redial_min: FOR_EVER, redial_max: FOR_EVER, attempt: FOR_EVER, ..Limits::DEFAULT };
    let config = world.config("n1", ANY, &[peer("n2", deaf.local_addr().unwrap())]);
    let (one, _heard) = Mesh::open_with(config, limits).unwrap();
    let mut packet = [0; 2_048];
    let bytes = deaf.recv(&mut packet).await.unwrap();
    let first = connection_of(&packet[..bytes]);
    let (_two, _heard) = reopen(world.config("n2", ANY, &[peer("n1", one.address())])).await;
    let another = async {
        loop {
            let bytes = deaf.recv(&mut packet).await.unwrap();
            if connection_of(&packet[..bytes]) != first {
                return;
            }
        }
    };
    in_time("another attempt, for there was a knock", another).await;
}

/// RFC 9000 §10.3: without it, the other end would have to wait for silence to last.
#[tokio::test]
async fn a_node_in_its_next_life_resets_the_connections_of_the_last() {
    let world = World::new();
    let config = world.config("n1", free(), &[]);
    let first = Mortal::born(config.clone());
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, first.address, "n1").await;
    first.kill();
    let second = Mortal::born(config);
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    let ended = loop {
        tokio::select! {
            ended = connection.closed() => break ended,
            _ = clock.tick() => {
                let opened = connection.open_bi().await;
                drop(opened.map(|(mut stream, _)| stream.reset(0_u32.into())));
            }
        }
    };
    assert!(matches!(ended, ConnectionError::Reset), "{ended}");
    second.kill();
}

/// A counter of an operator's must not fall because a connection was made anew.
#[tokio::test]
async fn packets_lost_on_connections_that_are_gone_stay_counted() {
    let world = World::new();
    let at = free();
    let way = Relay::start(at, 7).await.unwrap();
    let (one, heard) = reopen(world.config("n1", ANY, &[peer("n2", way.address())])).await;
    let mut heard_one = echo(heard);
    let config_two = world.config("n2", at, &[peer("n1", one.address())]);
    let (two, _heard_two) = reopen(config_two.clone()).await;
    until_up(&mut heard_one, "n2").await;
    let at_first = one.lost_packets(&name("n2"));
    way.set(Conditions { loss: 0.3, ..Conditions::default() });
    let mut clock = tokio::time::interval(Duration::from_millis(1));
    while one.lost_packets(&name("n2")) <= at_first {
        clock.tick().await;
        one.send(&name("n2"), Lane::Log, vec![7; 8 << 10].into());
    }
    way.set(Conditions::default());
    let before = one.lost_packets(&name("n2"));
    two.close().await;
    until_down(&mut heard_one, "n2").await;
    assert!(one.lost_packets(&name("n2")) >= before, "forgotten with the connection");
    drop((two, _heard_two));
    let (_two, _heard_two) = reopen(config_two).await;
    until_up(&mut heard_one, "n2").await;
    assert!(one.lost_packets(&name("n2")) >= before, "forgotten with the next connection");
}

#[tokio::test]
async fn a_newer_connection_of_the_same_peer_takes_the_place_of_the_older() {
    let world = World::new();
    let config = world.config("n2", ANY, &[peer("n1", free())]);
    let (mesh, events) = reopen(config).await;
    let mut heard = echo(events);
    let (_a, first) = world.let_in(node("n1"), tls::ALPN_PEER, mesh.address(), "n2").await;
    until_up(&mut heard, "n1").await;
    let (_b, second) = world.let_in(node("n1"), tls::ALPN_PEER, mesh.address(), "n2").await;
    let ended = first.closed().await;
    assert!(Bye::Replaced.was_said(&ended), "{ended}");
    until_up(&mut heard, "n1").await;
    mesh.send(&name("n1"), Lane::Control, "hello".into());
    let mut stream = second.accept_uni().await.unwrap();
    let mut frame = [0; 11];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x02\x02\x05\0\0\0hello");
}

/// The peer takes no byte; another one beside it is served as if nothing were.
#[tokio::test]
async fn a_slow_peer_costs_its_own_budget_and_never_anothers() {
    let world = World::new();
    let at = free();
    let config = world.config("n2", ANY, &[peer("n1", free()), peer("n3", at)]);
    let (mesh, events) = reopen(config).await;
    let mut heard = echo(events);
    let (_endpoint, _slow) = world.let_in(node("n1"), tls::ALPN_PEER, mesh.address(), "n2").await;
    let (_three, events) = reopen(world.config("n3", at, &[peer("n2", mesh.address())])).await;
    let mut heard_three = echo(events);
    let mut missing = vec!["n1", "n3"];
    while !missing.is_empty() {
        if let Some(Event::Up(up)) = heard.recv().await {
            missing.retain(|other| *other != up.as_str());
        }
    }
    let large = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..64 {
        mesh.send(&name("n1"), Lane::Log, large.clone());
        tokio::task::yield_now().await;
    }
    let dropped = mesh.counters().frames_dropped;
    assert!(dropped >= 30, "{dropped} dropped: the queue grows without limit");
    for number in 0..64_u32 {
        mesh.send(&name("n3"), Lane::Log, Bytes::from(number.to_le_bytes().to_vec()));
        until_frame(&mut heard_three, &number.to_le_bytes()).await;
    }
    assert_eq!(mesh.counters().frames_dropped, dropped);
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be_taken() {
    let world = World::new();
    let squatter = std::net::UdpSocket::bind(ANY).unwrap();
    let config = world.config("n1", squatter.local_addr().unwrap(), &[]);
    let error = Mesh::open(config).await.unwrap_err().to_string();
    assert!(error.contains("the port is taken by another process"), "{error}");
}
