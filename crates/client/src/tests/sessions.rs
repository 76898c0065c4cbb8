//! Sessions are opened when needed, kept alive, and opened anew when they have ended.

use std::time::Duration;

use synod_machine::{Command, FenceCause, SessionId, door::Call};

use super::dropping::hasty;
use crate::{
    Error, Why,
    stage::{Kind, Stage, TTL, Twist},
};

fn opened(stage: &Stage) -> usize {
    let open = |command: &Command| matches!(command, Command::OpenSession { .. });
    stage.submits().iter().filter(|request| open(&request.command)).count()
}

fn kept_alive(stage: &Stage) -> Vec<SessionId> {
    let heard = stage.heard().into_iter();
    let session = |(_, call)| match call {
        Call::KeepAlive { session } => Some(session),
        _ => None,
    };
    heard.filter_map(session).collect()
}

fn end(stage: &Stage, session: SessionId) {
    stage.apply(Command::Fence { session, cause: FenceCause::Expired, guard: None });
}

#[tokio::test(start_paused = true)]
async fn reading_needs_no_session() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().get("a").await.unwrap();
    client.txns(None, 10).await.unwrap();
    assert_eq!(opened(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_session() {
    let stage = Stage::new();
    let client = stage.client().await;
    let puts: Vec<_> = (0..20)
        .map(|number| {
            let kv = client.kv();
            tokio::spawn(async move { kv.put(format!("k{number}"), "v").await })
        })
        .collect();
    for put in puts {
        put.await.unwrap().unwrap();
    }
    assert_eq!(opened(&stage), 1);
    let (sessions, more) = client.sessions(None, 10).await.unwrap();
    assert_eq!((sessions.last().unwrap().owner.as_str(), more), ("audience", false));
}

/// A client is closed wherever it was used. Closing once held what locks the count of things that
/// are being finished while it waited for the session's end: a task could not do it, and whoever
/// dropped a guard meanwhile would have stood still.
#[tokio::test(start_paused = true)]
async fn a_client_can_be_closed_in_a_task_of_its_own() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "v").await.unwrap();
    tokio::spawn(async move { client.close().await }).await.unwrap();
    let closes = |command: &Command| matches!(command, Command::CloseSession);
    assert!(stage.submits().iter().any(|request| closes(&request.command)));
}

/// There is a leader: that another is still at opening the session is no reason to doubt it.
#[tokio::test(start_paused = true)]
async fn who_waits_for_another_to_open_the_session_does_not_say_that_nobody_leads() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().get("a").await.unwrap();
    stage.next(Kind::OpenSession, Twist::Silence);
    let opening = tokio::spawn({
        let kv = client.kv();
        async move { kv.put("a", "1").await }
    });
    tokio::task::yield_now().await;
    let error = hasty(&client).kv().put("a", "2").await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { why: Why::NoAnswer }), "{error}");
    opening.abort();
    stage.lead(None);
    client.kv().get("a").await.unwrap_err();
    let opening = tokio::spawn({
        let kv = client.kv();
        async move { kv.put("a", "1").await }
    });
    tokio::task::yield_now().await;
    let error = hasty(&client).kv().put("a", "2").await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { why: Why::NoLeader }), "{error}");
    opening.abort();
}

/// Three signs of life in a time to live, also when nobody calls.
#[tokio::test(start_paused = true)]
async fn an_idle_session_is_kept_alive() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    tokio::time::sleep(4 * TTL).await;
    let count = kept_alive(&stage).len();
    assert!((11..=12).contains(&count), "{count}");
}

/// One that nobody uses any more ends, so that what it left undecided is decided.
#[tokio::test(start_paused = true)]
async fn the_session_of_a_dropped_client_is_not_kept_alive() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    drop(client);
    tokio::time::sleep(4 * TTL).await;
    assert_eq!(kept_alive(&stage), []);
}

/// The caller whose request met the end is told; the next one does not notice.
#[tokio::test(start_paused = true)]
async fn a_request_in_an_ended_session_is_not_applied_and_the_next_opens_another() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    let (sessions, _) = client.sessions(None, 10).await.unwrap();
    let session = sessions.last().unwrap().session;
    end(&stage, session);
    let error = client.kv().put("a", "2").await.unwrap_err();
    assert!(matches!(error, Error::SessionEnded { session: of } if of == session), "{error}");
    client.kv().put("a", "3").await.unwrap();
    assert_eq!(client.kv().get("a").await.unwrap().unwrap().version, 2);
    assert_eq!(opened(&stage), 2);
}

/// What was applied before the end keeps its reply: it is not called ended.
#[tokio::test(start_paused = true)]
async fn a_request_applied_before_its_session_ended_is_done() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    let put = tokio::spawn({
        let kv = client.kv();
        async move { kv.put("a", "1").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (sessions, _) = client.sessions(None, 10).await.unwrap();
    end(&stage, sessions.last().unwrap().session);
    stage.lead(Some("n2"));
    put.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_keep_alive_hears_of_costs_no_request() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    let (sessions, _) = client.sessions(None, 10).await.unwrap();
    end(&stage, sessions.last().unwrap().session);
    tokio::time::sleep(TTL).await;
    client.kv().put("a", "2").await.unwrap();
    assert_eq!(opened(&stage), 2);
}

/// A keep-alive that was lost is made up for by the next ones.
#[tokio::test(start_paused = true)]
async fn lost_keep_alives_end_no_session() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    for twist in [Twist::Silence, Twist::Lost, Twist::Garbage] {
        stage.next(Kind::KeepAlive, twist);
    }
    tokio::time::sleep(2 * TTL).await;
    assert!(kept_alive(&stage).len() >= 4);
    client.kv().put("a", "2").await.unwrap();
    assert_eq!(opened(&stage), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_session_and_the_background() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    client.close().await;
    let closes = stage.named(|command| matches!(command, Command::CloseSession));
    assert_eq!(closes.len(), 1);
    tokio::time::sleep(4 * TTL).await;
    assert_eq!(kept_alive(&stage), []);
    let error = client.kv().put("a", "2").await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { why: Why::Closed }), "{error}");
}

/// The session is opened twice when the first answer was lost; one of the two ends by itself.
#[tokio::test(start_paused = true)]
async fn a_session_whose_opening_was_lost_is_opened_again() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::OpenSession, Twist::DoneAndLost);
    client.kv().put("a", "1").await.unwrap();
    assert_eq!(opened(&stage), 2);
}
