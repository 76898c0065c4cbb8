//! How much of a node a crowd can take.

use std::{net::SocketAddr, time::Duration};

use tokio::net::UdpSocket;

use super::world::*;
use crate::{Event, Mesh, Role, bye::Bye, frame::Kind, limits::Limits, tls};

#[tokio::test]
async fn connections_of_one_name_and_in_all_are_limited_and_a_place_is_given_back() {
    let world = World::new();
    let limits = Limits { clients_per_name: 2, clients: 3, ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    let at = mesh.address();
    let (first, _second) =
        (world.channel(app(), at).await.unwrap(), world.channel(app(), at).await.unwrap());
    assert_put_off(world.channel(app(), at).await, "too many connections");
    let other = client("other", Role::Read);
    let _third = world.channel(other.clone(), at).await.unwrap();
    assert_put_off(world.channel(other.clone(), at).await, "too many connections");
    assert_eq!(mesh.counters().connections_refused, 2);
    drop(first);
    while world.channel(other.clone(), at).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_without_a_hello_is_closed() {
    let world = World::new();
    let limits = Limits { hello: Duration::from_millis(50), ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    let credentials = world.credentials(app());
    let rung = world.ring(&credentials, tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let (_endpoint, call) = rung.unwrap();
    let ended = call.connection.closed().await;
    assert!(Bye::Busy.was_said(&ended), "{ended}");
    assert_eq!(Bye::words(&ended), "no hello in 50ms");
    world.assert_serves(mesh.address()).await;
}

/// With a limit of nothing everyone has to prove its address first, and the honest do.
#[tokio::test]
async fn in_a_flood_of_handshakes_callers_prove_their_address_and_come_in() {
    let world = World::new();
    let limits = Limits { half_open: 0, ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    world.assert_serves(mesh.address()).await;
    let limits = Limits { half_open_max: 0, ..Limits::DEFAULT };
    let full = world.alone_with("n1", limits).await;
    assert!(world.channel(app(), full.address()).await.is_err());
}

/// A handshake that never goes on: its first datagram comes, and nothing reaches the caller.
async fn stall(world: &World, at: SocketAddr) {
    let (ear, mouth) = (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
    let (credentials, nobody) = (world.credentials(app()), ear.local_addr().unwrap());
    let mut first = [0; 2_048];
    tokio::select! {
        _ = world.ring(&credentials, tls::ALPN_CLIENT, nobody, "n1") => unreachable!("no answer"),
        bytes = ear.recv(&mut first) => {
            mouth.send_to(&first[..bytes.unwrap()], at).await.unwrap();
        }
    }
}

/// Handshakes are work of the thread that beats the node's heart: so many at once and no more.
#[tokio::test]
async fn handshakes_take_turns_and_who_has_none_for_long_is_refused() {
    let world = World::new();
    let (turn, turn_wait) = (Duration::from_secs(3_600), Duration::from_millis(50));
    for (handshakes, stalled) in [(1, 1), (3, 3)] {
        let limits = Limits { handshakes, turn, turn_wait, ..Limits::DEFAULT };
        let mesh = world.alone_with("n1", limits).await;
        for _ in 1..stalled {
            stall(&world, mesh.address()).await;
        }
        world.assert_serves(mesh.address()).await;
        stall(&world, mesh.address()).await;
        assert_put_off(world.channel(app(), mesh.address()).await, "refused");
        assert_eq!(mesh.counters().handshakes_refused, 1);
    }
}

/// Whoever stalls holds up nobody: its turn ends before its handshake does.
#[tokio::test]
async fn a_handshake_that_stalls_gives_up_its_turn() {
    let world = World::new();
    let (turn, turn_wait) = (Duration::from_millis(5), Duration::from_secs(3_600));
    let limits = Limits { handshakes: 1, turn, turn_wait, ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    for _ in 0..3 {
        stall(&world, mesh.address()).await;
    }
    world.assert_serves(mesh.address()).await;
    assert_eq!(mesh.counters().handshakes_failed, 0, "they have still time to go on");
}

/// A place among the handshakes is held by whoever begins one, so it is taken back in time.
#[tokio::test]
async fn a_handshake_that_never_ends_gives_its_place_back() {
    let world = World::new();
    let handshake = Duration::from_millis(50);
    let limits = Limits { handshake, half_open_max: 1, ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    stall(&world, mesh.address()).await;
    while mesh.counters().handshakes_failed < 1 {
        tokio::task::yield_now().await;
    }
    world.assert_serves(mesh.address()).await;
}

/// Long enough that no handshake ends while a test looks at those under way.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// While handshakes are begun and left, from then on callers prove their address; the honest do,
/// and are served in the middle of it.
#[tokio::test]
async fn a_flood_of_handshakes_that_are_left_half_open_keeps_nobody_out() {
    let world = World::new();
    let limits = Limits { handshake: FOR_EVER, half_open: 2, half_open_max: 4, ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    for _ in 0..12 {
        stall(&world, mesh.address()).await;
    }
    while mesh.counters().handshakes_put_off < 10 {
        tokio::task::yield_now().await;
    }
    world.assert_serves(mesh.address()).await;
    let counters = mesh.counters();
    assert_eq!((counters.handshakes_refused, counters.handshakes_failed), (0, 0));
}

/// Past the last limit a handshake is refused at once, and counted.
#[tokio::test]
async fn handshakes_past_the_last_limit_are_refused_and_counted() {
    let world = World::new();
    let limits = Limits { handshake: FOR_EVER, half_open: 9, half_open_max: 4, ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    for _ in 0..10 {
        stall(&world, mesh.address()).await;
    }
    while mesh.counters().handshakes_refused < 6 {
        tokio::task::yield_now().await;
    }
    assert_put_off(world.channel(app(), mesh.address()).await, "refused");
}

/// Security §8, a certificate of 64 KiB: what it takes to read one is refused, on either side.
#[tokio::test]
async fn a_chain_of_certificates_without_end_is_refused() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let fat = world.credentials(app()).stretched(200);
    // In TLS 1.3 the caller is done before its certificate has been looked at.
    let (_endpoint, call) = world.ring(&fat, tls::ALPN_CLIENT, mesh.address(), "n1").await.unwrap();
    let ended = call.connection.closed().await;
    assert!(ended.to_string().contains("HandshakePayloadTooLarge"), "{ended}");
    assert_eq!(mesh.counters().handshakes_failed, 1);
    world.assert_serves(mesh.address()).await;

    let mut config = world.config("n1", ANY, &[]);
    config.credentials = config.credentials.stretched(200);
    let (fat, events) = Mesh::open_with(config, Limits::DEFAULT).unwrap();
    drop(echo(events));
    assert!(world.channel(app(), fat.address()).await.is_err());
}

/// A client has so many questions open at once; one more waits for its turn, and for no other
/// client's. Streams of its own to push bytes on it has none at all.
#[tokio::test]
async fn streams_of_one_client_are_limited_and_the_next_one_waits() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let mut open = Vec::new();
    while let Some(opened) = at_once(connection.open_bi()) {
        let (mut question, answer) = opened.unwrap();
        // Begun and not ended, so that the stream stays.
        question.write_all(&[crate::frame::VERSION]).await.unwrap();
        open.push((question, answer));
    }
    // The hello was one of them.
    assert_eq!(open.len(), 255);
    assert!(at_once(connection.open_uni()).is_none(), "a client pushes nothing");
    world.assert_serves(mesh.address()).await;
    for (mut question, _answer) in open {
        question.reset(0_u32.into()).unwrap();
    }
    connection.open_bi().await.unwrap();
}

/// What a future comes to without waiting.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// The first question is not answered yet, and takes all the room that one connection has.
#[tokio::test]
async fn questions_that_are_not_answered_have_a_budget_and_one_connection_cannot_take_anothers() {
    let world = World::new();
    let limits = Limits {
        unanswered_bytes: 64 << 10,
        unanswered_bytes_all: 128 << 10,
        room: Duration::from_millis(50),
        ..Limits::DEFAULT
    };
    let (mesh, mut events) = Mesh::open_with(world.config("n1", ANY, &[]), limits).unwrap();
    let greedy = world.channel(app(), mesh.address()).await.unwrap();
    let modest = world.channel(client("modest", Role::Write), mesh.address()).await.unwrap();
    let large = bytes::Bytes::from(vec![1; 60 << 10]);
    let first = tokio::spawn({
        let (greedy, large) = (greedy.clone(), large.clone());
        async move { greedy.ask(large).await }
    });
    let Some(Event::Asked(waiting)) = events.recv().await else { panic!("no question") };
    assert_put_off(greedy.ask(large.clone()).await, "no room for another question");
    assert_eq!(mesh.counters().questions_refused, 1);
    let (answer, ()) = tokio::join!(modest.ask(large.clone()), async {
        let Some(Event::Asked(asked)) = events.recv().await else { panic!("no question") };
        asked.reply.send("served".into());
    });
    assert_eq!(answer.unwrap(), &b"served"[..]);
    waiting.reply.send("at last".into());
    assert_eq!(first.await.unwrap().unwrap(), &b"at last"[..]);
    let (answer, ()) = tokio::join!(greedy.ask(large), async {
        let Some(Event::Asked(asked)) = events.recv().await else { panic!("no question") };
        asked.reply.send("again".into());
    });
    assert_eq!(answer.unwrap(), &b"again"[..]);
}

/// Who asks and does not read is answered until there is too much that it has not taken; then it is
/// told so, and nobody else notices.
#[tokio::test]
async fn whoever_takes_no_answers_is_told_and_the_others_are_served() {
    // More than QUIC has on its way to anybody.
    const QUESTIONS: usize = 40;
    let world = World::new();
    let limits = Limits { untaken_bytes: 2 << 20, ..Limits::DEFAULT };
    let (mesh, mut events) = Mesh::open_with(world.config("n1", ANY, &[]), limits).unwrap();
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let answer = bytes::Bytes::from(vec![7; 1 << 20]);
    let mut unread = Vec::new();
    for _ in 0..QUESTIONS {
        let (mut question, answers) = connection.open_bi().await.unwrap();
        let mut chunks = crate::frame::chunks(Kind::Ask, &"?".into());
        question.write_all_chunks(&mut chunks).await.unwrap();
        question.finish().unwrap();
        let Some(Event::Asked(asked)) = events.recv().await else { panic!("no question") };
        asked.reply.send(answer.clone());
        unread.push(answers);
    }
    let cut = mesh.counters().answers_untaken;
    assert!(cut > 0, "all of {QUESTIONS} answers were kept");
    let honest = world.channel(client("honest", Role::Read), mesh.address()).await.unwrap();
    let (served, ()) = tokio::join!(honest.ask("?".into()), async {
        let Some(Event::Asked(asked)) = events.recv().await else { panic!("no question") };
        asked.reply.send("served".into());
    });
    assert_eq!(served.unwrap(), &b"served"[..]);
    let (mut told, mut whole) = (0, 0);
    for mut answers in unread {
        match answers.read_to_end(2 << 20).await {
            Ok(read) => whole += u64::from(read.len() > answer.len()),
            Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => {
                assert_eq!(code, Bye::Slow.code());
                told += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((told, whole), (cut, QUESTIONS as u64 - cut));
}
