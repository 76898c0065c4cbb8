//! Questions that are asked at the same moment, and share a stream.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinSet};

use super::world::*;
use crate::{
    AskError, Asked, Channel, Congestion, Event, Mesh,
    bundle::{Outcome, QUESTION_BYTES_MAX, QUESTIONS_MAX},
    bye::Bye,
    frame::{self, Kind, Parcel},
    limits::Limits,
    listener::{Arrived, House, Listener},
    tls,
};

type Answers = JoinSet<(u32, Result<Bytes, AskError>)>;

/// A node whose questions the test answers itself, and a question that waits there, so that those
/// who ask now are not alone.
async fn busy(world: &World, limits: Limits) -> (Mesh, mpsc::Receiver<Event>, Channel, Asked) {
    let (mesh, mut events) = Mesh::open_with(world.config("n1", ANY, &[]), limits).unwrap();
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    let first = channel.clone();
    tokio::spawn(async move { first.ask_together("first".into()).await });
    let first = next_asked(&mut events).await;
    (mesh, events, channel, first)
}

async fn next_asked(events: &mut mpsc::Receiver<Event>) -> Asked {
    match events.recv().await {
        Some(Event::Asked(asked)) => asked,
        other => panic!("no question: {other:?}"),
    }
}

/// So many ask their own number at once.
fn ask_all(channel: &Channel, numbers: std::ops::Range<u32>) -> Answers {
    let mut asks = JoinSet::new();
    for number in numbers {
        let channel = channel.clone();
        asks.spawn(async move { (number, channel.ask_together(body(number)).await) });
    }
    asks
}

fn body(number: u32) -> Bytes {
    number.to_le_bytes().to_vec().into()
}

async fn all_asked(events: &mut mpsc::Receiver<Event>, count: usize) -> Vec<Asked> {
    let mut asked = Vec::new();
    for _ in 0..count {
        asked.push(next_asked(events).await);
    }
    asked
}

#[tokio::test]
async fn those_who_ask_at_once_share_streams_and_each_hears_its_own_answer() {
    let world = World::new();
    let (_mesh, mut events, channel, first) = busy(&world, Limits::DEFAULT).await;
    let count = u32::try_from(QUESTIONS_MAX).unwrap() + 10;
    let before = channel.frames().0.stream;
    let asks = ask_all(&channel, 0..count);
    let mut asked = all_asked(&mut events, count as usize).await;
    assert!(channel.frames().0.stream - before <= 4, "each had a stream of its own");
    first.reply.send("first".into());
    // The last is answered first.
    while let Some(Asked { body, reply, from }) = asked.pop() {
        assert_eq!(from, world.identity(app()));
        reply.send(body);
    }
    for (number, answer) in asks.join_all().await {
        assert_eq!(answer, Ok(body(number)));
    }
}

/// Nothing is left to be said, as of a question that is asked alone.
#[tokio::test]
async fn a_bundle_that_was_answered_leaves_nothing_to_be_said() {
    let world = World::new();
    let (_mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    let said = || {
        let (sent, heard) = channel.frames();
        [sent.stop_sending, heard.stop_sending, sent.reset_stream, heard.reset_stream]
    };
    let before = said();
    for _ in 0..20 {
        let asks = ask_all(&channel, 0..9);
        for asked in all_asked(&mut events, 9).await {
            asked.reply.send(asked.body);
        }
        assert!(asks.join_all().await.iter().all(|(_, answer)| answer.is_ok()));
    }
    assert_eq!(said(), before);
}

#[tokio::test]
async fn who_is_answered_waits_for_no_other_and_who_is_not_is_told() {
    let world = World::new();
    let (_mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    let mut asks = ask_all(&channel, 0..3);
    let [zero, one, two] = all_asked(&mut events, 3).await.try_into().unwrap();
    two.reply.send("two".into());
    assert_eq!(asks.join_next().await.unwrap().unwrap(), (2, Ok("two".into())));
    drop(zero);
    let (number, told) = asks.join_next().await.unwrap().unwrap();
    assert_eq!(number, 0);
    let Err(AskError::Lost { why, identity: false }) = told else { panic!("{told:?}") };
    assert!(why.contains("gave no answer"), "{why}");
    // An answer that no frame carries cannot be sent either.
    one.reply.send(Bytes::new());
    let (_, told) = asks.join_next().await.unwrap().unwrap();
    assert!(matches!(told, Err(AskError::Lost { identity: false, .. })), "{told:?}");
    assert!(!channel.is_closed());
}

/// Whoever came first may be looked at again only when another question is answered.
#[tokio::test]
async fn nobody_waits_for_a_caller_who_is_not_polled() {
    let world = World::new();
    let (_mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    let mut stands_still = Box::pin(channel.ask_together("stands still".into()));
    tokio::select! {
        biased;
        _ = &mut stands_still => unreachable!("nobody answers"),
        () = std::future::ready(()) => {}
    }
    let other = ask_all(&channel, 0..1);
    for asked in all_asked(&mut events, 2).await {
        asked.reply.send(asked.body);
    }
    assert_eq!(other.join_all().await, [(0, Ok(body(0)))]);
    assert_eq!(stands_still.await, Ok("stands still".into()));
}

/// What nobody waits for any more is not asked, whatever it was that kept it from being sent.
#[tokio::test]
async fn what_is_abandoned_before_it_is_sent_is_never_sent() {
    let world = World::new();
    let (_mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    let mut asks = JoinSet::new();
    // As many as one connection may have streams: the greeting has one, and the first question.
    for _ in 0..254 {
        let channel = channel.clone();
        asks.spawn(async move { channel.ask("alone".into()).await });
    }
    let mut alone = all_asked(&mut events, 254).await;
    let mut abandoned = ask_all(&channel, 0..3);
    while channel.together() != (4, 0) {
        tokio::task::yield_now().await;
    }
    abandoned.shutdown().await;
    // QUIC says that there may be more streams when enough of them have ended.
    for asked in alone.drain(..64) {
        asked.reply.send("alone".into());
    }
    let next = channel.clone();
    let next = tokio::spawn(async move { next.ask("next".into()).await });
    let asked = next_asked(&mut events).await;
    assert_eq!(asked.body, "next");
    asked.reply.send("next".into());
    assert_eq!(next.await.unwrap(), Ok("next".into()));
}

/// Its own time is the caller's, to say what it asks; not ours, to take it.
#[tokio::test]
async fn a_bundle_that_is_taken_slowly_is_not_held_against_its_caller() {
    let world = World::new();
    let slow = Duration::from_millis(300);
    let limits = Limits {
        // The first question takes a third.
        unanswered_bytes: 3 * 512,
        question: slow,
        room: Duration::from_secs(3_600),
        ..Limits::DEFAULT
    };
    let (mesh, mut events, channel, _first) = busy(&world, limits).await;
    let asks = ask_all(&channel, 0..8);
    for _ in 0..8 {
        let asked = next_asked(&mut events).await;
        tokio::time::sleep(slow / 2).await;
        asked.reply.send(asked.body);
    }
    for (number, answer) in asks.join_all().await {
        assert_eq!(answer, Ok(body(number)));
    }
    assert_eq!(mesh.counters(), crate::Counters::default());
}

/// Whoever leaves, first or last, leaves the others where they are.
#[tokio::test]
async fn a_question_dropped_at_any_point_disturbs_no_other() {
    let world = World::new();
    let (mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    for polls in 0..6 {
        let mut dropped = Box::pin(channel.ask_together("dropped".into()));
        let mut kept = Box::pin(channel.ask_together("kept".into()));
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut dropped => unreachable!("nobody answers"),
                _ = &mut kept => unreachable!("nobody answers"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(dropped);
        let answering = async {
            loop {
                let Asked { body, reply, .. } = next_asked(&mut events).await;
                reply.send(body.clone());
                if body == "kept" {
                    return;
                }
            }
        };
        let (answer, ()) = tokio::join!(kept, answering);
        assert_eq!(answer, Ok("kept".into()), "after {polls} polls");
    }
    assert_eq!(mesh.counters(), crate::Counters::default());
}

#[tokio::test]
async fn the_one_who_answers_can_tell_when_all_have_gone() {
    let world = World::new();
    let (_mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    let mut asks = ask_all(&channel, 0..2);
    let [zero, one] = all_asked(&mut events, 2).await.try_into().unwrap();
    let (mut zero_gone, mut one_gone) = (Box::pin(zero.reply.gone()), Box::pin(one.reply.gone()));
    zero.reply.send("zero".into());
    asks.join_next().await.unwrap().unwrap().1.unwrap();
    tokio::select! {
        biased;
        () = &mut zero_gone => panic!("one of them waits still"),
        () = &mut one_gone => panic!("it waits still"),
        // A round trip in which it would have been told.
        answered = channel.ask("?".into()) => panic!("who answered? {answered:?}"),
        asked = next_asked(&mut events) => drop(asked),
    }
    asks.shutdown().await;
    in_time("the end of one", one_gone).await;
    in_time("the end of the other", zero_gone).await;
    one.reply.send("too late".into());
}

/// Also where it is we who say nothing more.
#[tokio::test]
async fn those_who_are_cut_off_have_gone() {
    let world = World::new();
    let limits = Limits { untaken_bytes: 512, ..Limits::DEFAULT };
    let (mesh, mut events) = Mesh::open_with(world.config("n1", ANY, &[]), limits).unwrap();
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let (mut questions, _answers) = connection.open_bi().await.unwrap();
    let mut parcel = Parcel::default();
    parcel.put(Kind::AskTogether, &"long".into());
    parcel.put(Kind::AskTogether, &"patient".into());
    questions.write_all_chunks(&mut parcel.chunks()).await.unwrap();
    questions.finish().unwrap();
    let [long, patient] = all_asked(&mut events, 2).await.try_into().unwrap();
    let gone = tokio::spawn(patient.reply.gone());
    // More than is on its way at once, and there is no room for the rest.
    long.reply.send(vec![7; frame::FRAME_BYTES_MAX].into());
    in_time("the end of all who share the stream", gone).await.unwrap();
    in_time("the same, asked again", patient.reply.gone()).await;
    assert_eq!(mesh.counters().answers_untaken, 1);
}

/// Two that came between the last of a full bundle and its leaving made it one too many, now and
/// then, and three of those shut a client out (a node that slept through 200 000 puts).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bundle_never_has_more_questions_than_it_may() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let channel = world.channel(app(), mesh.address()).await.unwrap();
    let mut asks = JoinSet::new();
    for asker in 0..200_u32 {
        let channel = channel.clone();
        asks.spawn(async move {
            for _ in 0..100 {
                assert!(channel.ask_together(body(asker)).await.is_ok());
            }
        });
    }
    asks.join_all().await;
    assert_eq!(mesh.counters(), crate::Counters::default());
}

/// What is asked alone, for nobody asks beside it or it is long, is one question on its stream.
#[tokio::test]
async fn the_first_and_the_long_travel_alone() {
    let world = World::new();
    let (_mesh, mut events, channel, first) = busy(&world, Limits::DEFAULT).await;
    let before = channel.frames().0.stream;
    let mut asks = JoinSet::new();
    for _ in 0..5 {
        let (channel, long) = (channel.clone(), Bytes::from(vec![1; QUESTION_BYTES_MAX + 1]));
        asks.spawn(async move { channel.ask_together(long).await });
    }
    for asked in all_asked(&mut events, 5).await {
        asked.reply.send("long".into());
    }
    assert!(asks.join_all().await.into_iter().all(|answer| answer == Ok("long".into())));
    assert!(channel.frames().0.stream - before >= 5);
    first.reply.send("first".into());
    let refused = channel.ask_together(Bytes::new()).await;
    assert_eq!(refused, Err(AskError::Length { bytes: 0 }));
}

/// There is room for two of them: those behind were not heard, and may be asked again.
#[tokio::test]
async fn those_for_whom_there_is_no_room_are_told_that_they_were_not_heard() {
    let world = World::new();
    let limits = Limits {
        // The first question takes a third.
        unanswered_bytes: 3 * 512,
        room: Duration::from_millis(50),
        ..Limits::DEFAULT
    };
    let (mesh, mut events, channel, _first) = busy(&world, limits).await;
    let mut asks = ask_all(&channel, 0..5);
    let heard = all_asked(&mut events, 2).await;
    for _ in 2..5 {
        let (number, answer) = asks.join_next().await.unwrap().unwrap();
        assert!(number >= 2);
        assert_put_off(answer, "no room for another question");
    }
    assert_eq!(mesh.counters().questions_refused, 1);
    for asked in heard {
        asked.reply.send(asked.body);
    }
    for (number, answer) in asks.join_all().await {
        assert_eq!(answer, Ok(body(number)));
    }
}

/// Says all this as the questions of one bundle, and how that ends.
async fn say(connection: &quinn::Connection, frames: &[(Kind, &'static [u8])]) -> quinn::VarInt {
    let (mut questions, mut answers) = connection.open_bi().await.unwrap();
    let mut parcel = Parcel::default();
    for (kind, body) in frames {
        parcel.put(*kind, &Bytes::from_static(body));
    }
    // It fails once the other side has read enough.
    let _cut_off = questions.write_all_chunks(&mut parcel.chunks()).await;
    let _cut_off = questions.finish();
    match answers.read_to_end(frame::FRAME_BYTES_MAX).await {
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bundle_that_breaks_the_format_costs_its_stream_and_the_next_is_served() {
    let world = World::new();
    let limits = Limits { strikes: u32::MAX, ..Limits::DEFAULT };
    let (mesh, mut events) = Mesh::open_with(world.config("n1", ANY, &[]), limits).unwrap();
    let unanswered = tokio::spawn(async move {
        let mut unanswered = Vec::new();
        while let Some(event) = events.recv().await {
            unanswered.push(event);
        }
    });
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let fine = (Kind::AskTogether, &b"fine"[..]);
    let too_many = [fine; QUESTIONS_MAX + 1];
    let mixed = [fine, (Kind::Ask, b"alone")];
    let answers = [fine, (Kind::AnswerOne, b"an answer")];
    for (number, frames) in (1..).zip([&too_many[..], &mixed, &answers]) {
        assert_eq!(say(&connection, frames).await, Bye::Malformed.code(), "{number}");
        assert_eq!(mesh.counters().frames_malformed, number);
    }
    unanswered.abort();
}

/// As of one answer: it is not kept for whoever takes none, who is told so.
#[tokio::test]
async fn whoever_takes_no_answers_of_a_bundle_is_told() {
    let world = World::new();
    let limits = Limits { untaken_bytes: 4 << 20, ..Limits::DEFAULT };
    let (mesh, mut events) = Mesh::open_with(world.config("n1", ANY, &[]), limits).unwrap();
    let (_endpoint, connection) = world.let_in(app(), tls::ALPN_CLIENT, mesh.address(), "n1").await;
    let (mut questions, mut answers) = connection.open_bi().await.unwrap();
    let mut parcel = Parcel::default();
    for _ in 0..40 {
        parcel.put(Kind::AskTogether, &"?".into());
    }
    questions.write_all_chunks(&mut parcel.chunks()).await.unwrap();
    questions.finish().unwrap();
    let answer = Bytes::from(vec![7; 1 << 20]);
    for asked in all_asked(&mut events, 40).await {
        asked.reply.send(answer.clone());
    }
    assert_eq!(mesh.counters().answers_untaken, 1);
    match answers.read_to_end(64 << 20).await {
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => {
            assert_eq!(code, Bye::Slow.code());
        }
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

/// More than is on its way at once, and all of it is taken in the end.
#[tokio::test]
async fn long_answers_of_a_bundle_come_whole_and_in_their_places() {
    let world = World::new();
    let (_mesh, mut events, channel, _first) = busy(&world, Limits::DEFAULT).await;
    let asks = ask_all(&channel, 0..20);
    for asked in all_asked(&mut events, 20).await {
        let number = u32::from_le_bytes(asked.body[..].try_into().unwrap());
        let length = 1 + (number as usize) * (100 << 10);
        asked.reply.send(vec![u8::try_from(number).unwrap(); length].into());
    }
    for (number, answer) in asks.join_all().await {
        let answer = answer.unwrap();
        assert_eq!(answer.len(), 1 + (number as usize) * (100 << 10));
        assert!(answer.iter().all(|byte| u32::from(*byte) == number));
    }
}

/// A node that says nonsense has not answered: each of those who wait may have been heard.
#[tokio::test]
async fn what_answers_no_question_is_no_answer() {
    let word = |place: u16, outcome: Outcome| outcome.front(place).to_vec();
    let no_such_place = vec![word(9, Outcome::None)];
    let no_answer_in_it = vec![word(0, Outcome::Answer("an answer".into()))];
    let twice = vec![word(0, Outcome::None); 2];
    for nonsense in [no_such_place, no_answer_in_it, twice, vec![b"?".to_vec()]] {
        let world = World::new();
        let node = nonsensical(&world, nonsense);
        let channel = world.channel(app(), node.address()).await.unwrap();
        let first = channel.clone();
        let first = tokio::spawn(async move { first.ask_together("first".into()).await });
        // It is under way when its stream is.
        while channel.frames().0.stream < 2 {
            tokio::task::yield_now().await;
        }
        let told = in_time("what each is told", ask_all(&channel, 0..2).join_all()).await;
        let why = |(_, told): (u32, Result<Bytes, AskError>)| match told {
            Err(AskError::Lost { why, identity: false }) => why,
            told => panic!("{told:?}"),
        };
        let why: Vec<String> = told.into_iter().map(why).collect();
        assert!(why.iter().any(|why| why.contains("what was not asked")), "{why:?}");
        first.abort();
    }
}

/// A node that answers no question that is asked alone, and each bundle with this.
fn nonsensical(world: &World, says: Vec<Vec<u8>>) -> Arc<Listener> {
    let credentials = world.credentials(node("n1"));
    let (limits, congestion) = (Limits::DEFAULT, Congestion::default());
    let house = Arc::new(House::new(&credentials, CLUSTER_ID, limits, congestion));
    let listener = Listener::open(ANY, &credentials, &[tls::ALPN_CLIENT], Arc::clone(&house));
    let listener = Arc::new(listener.unwrap());
    let accepting = Arc::clone(&listener);
    let serve = move |arrived: Arrived| {
        let (house, says) = (Arc::clone(&house), says.clone());
        async move {
            let connection = arrived.welcome(&house).await.unwrap();
            let mut alone = Vec::new();
            while let Ok((mut answer, mut asked)) = connection.accept_bi().await {
                let asked = asked.read_to_end(1 << 10).await.unwrap();
                if asked[1] == Kind::Ask as u8 {
                    alone.push(answer);
                    continue;
                }
                for word in &says {
                    let mut chunks = frame::chunks(Kind::AnswerOne, &word.clone().into());
                    answer.write_all_chunks(&mut chunks).await.unwrap();
                }
                // And waits for what becomes of it.
                let _stopped = answer.stopped().await;
            }
        }
    };
    tokio::spawn(async move { accepting.accept(serve).await });
    listener
}
