//! Questions and answers, and what becomes of them when one side does not wait.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::world::*;
use crate::{AskError, Asked, Channel, Event, Mesh, frame::FRAME_BYTES_MAX, limits::Limits};

/// A node whose questions the test answers itself.
async fn manual(world: &World) -> (Mesh, mpsc::Receiver<Event>, Channel) {
    let (mesh, events) = Mesh::open_with(world.config("n1", ANY, &[]), Limits::DEFAULT).unwrap();
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    (mesh, events, channel)
}

async fn next_asked(events: &mut mpsc::Receiver<Event>) -> Asked {
    match events.recv().await {
        Some(Event::Asked(asked)) => asked,
        other => panic!("no question: {other:?}"),
    }
}

#[tokio::test]
async fn a_question_arrives_under_the_name_of_the_certificate() {
    let world = World::new();
    let (_mesh, mut events, channel) = manual(&world).await;
    let asking = channel.ask("who am i".into());
    let answering = async {
        let asked = next_asked(&mut events).await;
        assert_eq!(asked.from, world.identity(app()));
        assert_eq!(asked.body, &b"who am i"[..]);
        asked.reply.send("app".into());
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.unwrap(), &b"app"[..]);
    assert_eq!(channel.peer(), &world.identity(node("n1")));
}

#[tokio::test]
async fn the_smallest_and_the_largest_question_are_answered_and_others_are_not_sent() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    for bytes in [1, 16 << 10, FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX] {
        let question: Bytes = (0..bytes).map(|i| (i % 251) as u8).collect();
        let turned: Bytes = question.iter().rev().copied().collect();
        assert!(channel.ask(question).await.unwrap() == turned, "{bytes}");
    }
    for bytes in [0, FRAME_BYTES_MAX + 1] {
        let refused = channel.ask(vec![0; bytes].into()).await;
        assert_eq!(refused, Err(AskError::Length { bytes }));
    }
}

/// Both streams of a question end by themselves. Let go of before their ends were read, each told
/// the other side to stop sending, once a question: on the leader's side that datagram went out
/// before the question's `Accept`s.
#[tokio::test]
async fn a_question_that_was_answered_leaves_nothing_to_be_said() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    let said = || {
        let (sent, heard) = channel.frames();
        [sent.stop_sending, heard.stop_sending, sent.reset_stream, heard.reset_stream]
    };
    // What the greeting left to be said goes along with the first question.
    channel.ask("first".into()).await.unwrap();
    let before = said();
    for _ in 0..20 {
        channel.ask("a".into()).await.unwrap();
    }
    assert_eq!(said(), before);
}

#[tokio::test]
async fn answers_come_in_any_order_each_to_its_own_question() {
    let world = World::new();
    let (_mesh, mut events, channel) = manual(&world).await;
    let answering = async {
        let mut waiting = Vec::new();
        for _ in 0..100 {
            waiting.push(next_asked(&mut events).await);
        }
        while let Some(Asked { body, reply, .. }) = waiting.pop() {
            reply.send(body);
        }
    };
    let asking = async {
        let mut asks = tokio::task::JoinSet::new();
        for number in 0..100_u32 {
            let channel = channel.clone();
            let body = Bytes::from(number.to_le_bytes().to_vec());
            asks.spawn(async move { channel.ask(body.clone()).await.unwrap() == body });
        }
        asks.join_all().await
    };
    let ((), answers) = tokio::join!(answering, asking);
    assert!(answers.into_iter().all(|own| own));
}

/// Whoever drops a question loses the question, and nothing else; and it is nobody's bad manners.
#[tokio::test]
async fn a_question_dropped_at_any_point_disturbs_no_other_and_is_not_held_against_anybody() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    for polls in 0..24 {
        for bytes in [7, FRAME_BYTES_MAX] {
            let mut asking = Box::pin(channel.ask(vec![1; bytes].into()));
            for _ in 0..polls {
                tokio::select! {
                    biased;
                    _ = &mut asking => break,
                    () = tokio::task::yield_now() => {}
                }
            }
            drop(asking);
            assert_eq!(channel.ask("kept".into()).await.unwrap(), &b"tpek"[..]);
        }
    }
    assert_eq!(mesh.counters(), crate::Counters::default());
}

#[tokio::test]
async fn the_one_who_answers_can_tell_that_the_asker_has_gone() {
    let world = World::new();
    let (_mesh, mut events, channel) = manual(&world).await;
    let asking = tokio::spawn(async move { channel.ask("impatient".into()).await });
    let asked = next_asked(&mut events).await;
    asking.abort();
    asked.reply.gone().await;
    asked.reply.send("too late".into());
}

#[tokio::test]
async fn a_question_that_is_never_answered_is_told_so() {
    let world = World::new();
    let (_mesh, mut events, channel) = manual(&world).await;
    let (answer, ()) = tokio::join!(channel.ask("a".into()), async {
        drop(next_asked(&mut events).await);
    });
    assert!(matches!(answer, Err(AskError::Lost { identity: false, .. })), "{answer:?}");
    // An answer that no frame carries cannot be sent either.
    let (answer, ()) = tokio::join!(channel.ask("b".into()), async {
        let asked = next_asked(&mut events).await;
        asked.reply.send(vec![0; FRAME_BYTES_MAX + 1].into());
    });
    assert!(matches!(answer, Err(AskError::Lost { identity: false, .. })), "{answer:?}");
    assert!(!channel.is_closed());
}

#[tokio::test]
async fn a_node_that_stops_says_so_to_those_who_wait() {
    let world = World::new();
    let (mesh, mut events, channel) = manual(&world).await;
    let stopping = async {
        let asked = next_asked(&mut events).await;
        mesh.close().await;
        drop(asked);
    };
    let (answer, ()) = tokio::join!(channel.ask("a".into()), stopping);
    let Err(AskError::Lost { why, identity: false }) = answer else { panic!("{answer:?}") };
    assert!(why.contains("it is stopping"), "{why}");
    assert!(channel.is_closed());
    let later = channel.ask("b".into()).await;
    assert_put_off(later, "it is stopping");
}

/// Nobody answers on that port: not refused, but not there.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_there_is_not_a_matter_of_identity() {
    let world = World::new();
    let dialled = world.channel(app(), free()).await;
    assert_put_off(dialled, "nothing was heard");
    let dialled = world.dialer(app()).connect("not an address", &node("n1")).await;
    assert_put_off(dialled, "");
}
