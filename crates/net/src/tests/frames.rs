//! Bytes that are no frames. After each, the next honest question is served.

use std::{net::UdpSocket, time::Duration};

use quinn::{Connection, ReadError, VarInt};

use super::world::*;
use crate::{
    Event, Mesh, Role,
    bye::Bye,
    frame::{self, FRAME_BYTES_MAX, Kind},
    limits::Limits,
    tls,
};

/// Nobody is sent away, so that one connection can try everything.
const FORGIVING: Limits = Limits { strikes: u32::MAX, ..Limits::DEFAULT };

/// A header that claims whatever it is told to.
fn claim(version: u8, kind: u8, bytes: u32) -> Vec<u8> {
    let mut header = vec![version, kind];
    header.extend(bytes.to_le_bytes());
    header
}

/// An honest frame with this body.
fn honest(kind: Kind, body: &'static [u8]) -> Vec<u8> {
    frame::chunks(kind, &body.into()).concat()
}

/// What cannot be the beginning of a frame of this kind.
fn broken(kind: Kind) -> Vec<Vec<u8>> {
    let (number, cap) = (kind as u8, u32::try_from(kind.bytes_max()).unwrap());
    let mut broken = vec![
        claim(frame::VERSION, number, 0),
        claim(frame::VERSION, number, cap + 1),
        claim(frame::VERSION, number, u32::MAX),
        claim(frame::VERSION, 0, 5),
        claim(frame::VERSION, 77, 5),
        claim(frame::VERSION, 255, u32::MAX),
        claim(0, number, 5),
        claim(frame::VERSION + 1, number, 5),
        claim(frame::VERSION, Kind::Hello as u8, 5),
        claim(frame::VERSION, Kind::Answer as u8, 5),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let mut chance = fastrand::Rng::with_seed(4);
    for length in 6..40 {
        let mut noise: Vec<u8> = (0..length).map(|_| chance.u8(..)).collect();
        // Whatever else it is, it is of another version.
        noise[0] |= 0x80;
        broken.push(noise);
    }
    broken
}

/// Says this as a question, and how that ends.
async fn ask(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, VarInt> {
    let (mut question, mut answer) = connection.open_bi().await.unwrap();
    // Either fails once the other side has read enough.
    let _cut_off = question.write_all(bytes).await;
    let _cut_off = question.finish();
    match answer.read_to_end(FRAME_BYTES_MAX + 6).await {
        Ok(bytes) => Ok(bytes),
        Err(quinn::ReadToEndError::Read(ReadError::Reset(code))) => Err(code),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_broken_question_costs_its_stream_and_is_counted_and_the_next_is_served() {
    let world = World::new();
    let mesh = world.alone_with("n1", FORGIVING).await;
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let lanes = [Kind::Control, Kind::Log, Kind::Bulk].map(|kind| honest(kind, b"hello"));
    for (number, bytes) in (1..).zip(broken(Kind::Ask).into_iter().chain(lanes)) {
        assert_eq!(ask(&connection, &bytes).await, Err(Bye::Malformed.code()), "{bytes:?}");
        assert_eq!(mesh.counters().frames_malformed, number, "{bytes:?}");
        let answer = ask(&connection, &honest(Kind::Ask, b"abc")).await;
        assert_eq!(answer, Ok(honest(Kind::Answer, b"cba")), "after {bytes:?}");
    }
    world.assert_serves(mesh.address()).await;
}

#[tokio::test]
async fn a_question_cut_off_at_any_byte_is_never_taken_for_a_shorter_one() {
    let world = World::new();
    let mesh = world.alone_with("n1", FORGIVING).await;
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let whole = honest(Kind::Ask, b"abcdefgh");
    for length in 0..whole.len() {
        let ended = ask(&connection, &whole[..length]).await;
        assert_eq!(ended, Err(Bye::Malformed.code()), "cut off after {length} bytes");
        assert_eq!(mesh.counters().frames_malformed, length as u64 + 1);
    }
    assert_eq!(ask(&connection, &whole).await, Ok(honest(Kind::Answer, b"hgfedcba")));
}

/// A node with one peer, n1, which is us.
async fn with_peer(world: &World, limits: Limits) -> (Mesh, tokio::sync::mpsc::Receiver<Event>) {
    let config = world.config("n2", ANY, &[peer("n1", free())]);
    Mesh::open_with(config, limits).unwrap()
}

#[tokio::test]
async fn a_broken_frame_between_nodes_costs_its_stream_and_the_next_stream_is_heard() {
    let world = World::new();
    let (mesh, mut events) = with_peer(&world, FORGIVING).await;
    let (_endpoint, connection) =
        world.let_in(node("n1"), tls::ALPN_PEER, mesh.address(), "n2").await;
    assert!(matches!(events.recv().await, Some(Event::Up(_))));
    let mut mixed = honest(Kind::Log, b"first");
    mixed.extend(honest(Kind::Control, b"on the wrong lane"));
    let foreign = honest(Kind::Ask, b"a question on a lane");
    let mut cut = honest(Kind::Bulk, b"cut");
    cut.pop();
    let all = broken(Kind::Bulk).into_iter().chain([mixed, foreign, cut]);
    for (number, bytes) in (1..).zip(all) {
        let mut stream = connection.open_uni().await.unwrap();
        // Both fail once the other side has read enough.
        let _cut_off = stream.write_all(&bytes).await;
        let _cut_off = stream.finish();
        let stopped = stream.stopped().await.unwrap();
        // A stream that was all there before it was stopped has ended by itself.
        assert!(stopped.is_none_or(|code| code == Bye::Malformed.code()), "{stopped:?}");
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(&honest(Kind::Log, b"second")).await.unwrap();
        stream.finish().unwrap();
        loop {
            match events.recv().await {
                Some(Event::Frame { body, .. }) if body == b"second"[..] => break,
                Some(Event::Frame { body, .. }) => assert_eq!(body, b"first"[..]),
                other => panic!("{other:?}"),
            }
        }
        // The two streams are read side by side.
        while mesh.counters().frames_malformed < number {
            tokio::task::yield_now().await;
        }
        assert_eq!(mesh.counters().frames_malformed, number, "{bytes:?}");
    }
}

#[tokio::test]
async fn after_three_broken_frames_the_connection_ends_and_only_its_name_has_to_wait() {
    let world = World::new();
    let limits = Limits { penalty_min: Duration::from_millis(300), ..Limits::DEFAULT };
    let mesh = world.alone_with("n1", limits).await;
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    for _ in 0..limits.strikes {
        let (mut question, _answer) = connection.open_bi().await.unwrap();
        let _cut_off = question.write_all(&claim(9, 9, 9)).await;
    }
    let ended = connection.closed().await;
    assert!(Bye::Malformed.was_said(&ended), "{ended}");
    assert_put_off(world.channel(app(), mesh.address()).await, "too many malformed frames");
    world.assert_serves(mesh.address()).await;
    let back = loop {
        match world.channel(app(), mesh.address()).await {
            Ok(channel) => break channel,
            Err(error) => assert!(error.to_string().contains("too many malformed"), "{error}"),
        }
    };
    assert!(back.ask("hello".into()).await.is_ok());
}

#[tokio::test]
async fn a_hello_that_is_none_ends_the_connection_and_is_counted() {
    let world = World::new();
    let mesh = world.alone_with("n1", FORGIVING).await;
    let credentials = world.credentials(app());
    let greeting = honest(Kind::Hello, b"\x07\0\0\0\0\0\0\0synod://eu/client/app?role=write");
    let cuts = (0..greeting.len()).step_by(7).map(|length| greeting[..length].to_vec());
    let longer = claim(frame::VERSION, Kind::Hello as u8, 257);
    for (number, bytes) in (1..).zip(cuts.chain([longer, honest(Kind::Ask, b"let me in")])) {
        let rung = world.ring(&credentials, tls::ALPN_CLIENT, mesh.address(), "n1").await;
        let (_endpoint, call) = rung.unwrap();
        let (mut send, _receive) = call.connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        let ended = call.connection.closed().await;
        assert!(Bye::Malformed.was_said(&ended), "{bytes:?}: {ended}");
        assert_eq!(mesh.counters().frames_malformed, number, "{bytes:?}");
    }
    world.assert_serves(mesh.address()).await;
}

#[tokio::test]
async fn random_datagrams_on_the_port_disturb_nobody() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    let noise = UdpSocket::bind(ANY).unwrap();
    let mut chance = fastrand::Rng::with_seed(4);
    for length in (0..1_400).step_by(7) {
        let mut datagram: Vec<u8> = (0..length).map(|_| chance.u8(..)).collect();
        // Half of them look like the first datagram of a QUIC connection.
        if let (true, Some(head)) = (chance.bool(), datagram.get_mut(..5)) {
            head.copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        }
        noise.send_to(&datagram, mesh.address()).unwrap();
        if length % 70 == 0 {
            assert_eq!(channel.ask("hello".into()).await.unwrap(), &b"olleh"[..]);
        }
    }
    world.assert_serves(mesh.address()).await;
}

/// However steadily it drips: a question has to be whole in time.
#[tokio::test]
async fn a_question_that_drips_is_cut_off_and_the_next_is_served() {
    let world = World::new();
    let limits = Limits { question: Duration::from_millis(120), ..FORGIVING };
    let mesh = world.alone_with("n1", limits).await;
    let (_endpoint, connection) =
        world.let_in(client("slow", Role::Write), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let (mut question, _answer) = connection.open_bi().await.unwrap();
    let mut clock = tokio::time::interval(Duration::from_millis(5));
    for byte in honest(Kind::Ask, &[7; 10_000]) {
        clock.tick().await;
        if question.write_all(&[byte]).await.is_err() {
            break;
        }
    }
    assert_eq!(question.stopped().await.unwrap(), Some(Bye::Malformed.code()));
    assert_eq!(mesh.counters().frames_stalled, 1);
    let answer = ask(&connection, &honest(Kind::Ask, b"abc")).await;
    assert_eq!(answer, Ok(honest(Kind::Answer, b"cba")));
}

/// Between nodes a frame may be large and the way slow; but it has to move.
#[tokio::test]
async fn a_frame_between_nodes_that_stands_still_is_cut_off() {
    let world = World::new();
    let limits = Limits { stall: Duration::from_millis(50), ..FORGIVING };
    let (mesh, mut events) = with_peer(&world, limits).await;
    let (_endpoint, connection) =
        world.let_in(node("n1"), tls::ALPN_PEER, mesh.address(), "n2").await;
    assert!(matches!(events.recv().await, Some(Event::Up(_))));
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(&claim(frame::VERSION, Kind::Log as u8, 100)).await.unwrap();
    assert_eq!(stream.stopped().await.unwrap(), Some(Bye::Malformed.code()));
    assert_eq!(mesh.counters().frames_stalled, 1);
}
