//! What is done by hand in several steps: after the first of them "nothing was done" is never said.

use std::time::Duration;

use synod_machine::{
    Answer, Command, FenceCause, Name, Position, Query, Rejection, Reply, door::Said,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::locks::{Squatter, view};
use crate::{
    Acquired, Client, Error, Stood,
    stage::{Kind, Stage, Twist},
};

const LEASE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(50);

type Acquiring = JoinHandle<Result<Acquired, Error>>;

/// One that is in the queue of a lock by now.
async fn queued(stage: &Stage, client: &Client, wait: Duration) -> Acquiring {
    let lease = client.grant_lease(LEASE).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.acquire_lock("a", lease, Some(wait)).await }
    });
    sleep(SOON).await;
    assert_eq!(view(stage, "a").unwrap().waiting, 1);
    waiting
}

/// It may stand in the queue still, and be granted. (It said that nothing was done.)
#[tokio::test(start_paused = true)]
async fn a_place_that_could_not_be_let_go_of_may_be_there_still() {
    let stage = Stage::new();
    let client = stage.client().await;
    Squatter::new(&stage).takes("a");
    let waiting = queued(&stage, &client, 2 * SOON).await;
    stage.lead(None);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    let place = view(&stage, "a").unwrap();
    assert_eq!(place.waiting, 1);
    stage.lead(Some("n2"));
    let (lease, wait) = (place.waiters[0].0, Some(SOON));
    let again = client.acquire_lock("a", lease, wait).await.unwrap();
    assert_eq!(again, Acquired::Taken(place.holder));
    assert_eq!(view(&stage, "a").unwrap().waiting, 0);
}

/// The next one finds another session.
#[tokio::test(start_paused = true)]
async fn a_place_is_let_go_of_in_the_next_session_when_the_first_has_ended() {
    let stage = Stage::new();
    let client = stage.client().await;
    Squatter::new(&stage).takes("a");
    let waiting = queued(&stage, &client, 2 * SOON).await;
    let (sessions, _) = client.sessions(None, 10).await.unwrap();
    let session = sessions.last().unwrap().session;
    stage.apply(Command::Fence { session, cause: FenceCause::Expired, guard: None });
    assert!(matches!(waiting.await.unwrap().unwrap(), Acquired::Taken(_)));
    assert_eq!(view(&stage, "a").unwrap().waiting, 0);
}

/// And when nobody heard of it, it is settled and said again.
#[tokio::test(start_paused = true)]
async fn a_place_whose_release_was_not_heard_is_let_go_of_once_and_for_all() {
    for twist in [Twist::Silence, Twist::DoneAndSilence] {
        let stage = Stage::new();
        let client = stage.client().await;
        Squatter::new(&stage).takes("a");
        let waiting = queued(&stage, &client, 2 * SOON).await;
        stage.next(Kind::Submit, twist.clone());
        assert!(matches!(waiting.await.unwrap().unwrap(), Acquired::Taken(_)), "{twist:?}");
        assert_eq!(view(&stage, "a").unwrap().waiting, 0, "{twist:?}");
    }
}

/// How long the lease lives is asked until somebody says.
#[tokio::test(start_paused = true)]
async fn whoever_waits_by_hand_goes_on_over_questions_that_nobody_answers() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut squatter = Squatter::new(&stage);
    squatter.takes("a");
    stage.next(Kind::Read, Twist::Silence);
    let waiting = queued(&stage, &client, Duration::from_secs(30)).await;
    sleep(Duration::from_secs(8)).await;
    assert!(!waiting.is_finished(), "{:?}", waiting.await);
    squatter.leaves("a");
    assert!(matches!(waiting.await.unwrap().unwrap(), Acquired::Held { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_by_hand_goes_on_over_questions_that_nobody_answers() {
    let stage = Stage::new();
    let client = stage.client().await;
    let (first, second) =
        (client.grant_lease(LEASE).await.unwrap(), client.grant_lease(LEASE).await.unwrap());
    let election = client.election("e");
    election.stand_on(first, "a", (0, None), None).await.unwrap();
    stage.next(Kind::Read, Twist::Silence);
    let (began, wait) = (Instant::now(), Duration::from_secs(8));
    let stood = election.stand_on(second, "b", (0, None), Some(wait)).await.unwrap();
    assert!(matches!(stood, Stood::Waiting { .. }), "{stood:?}");
    assert_eq!(began.elapsed().as_secs(), wait.as_secs());
}

/// The party has come, whatever can be said about the others.
#[tokio::test(start_paused = true)]
async fn a_party_that_has_come_is_not_told_that_it_has_not() {
    let stage = Stage::new();
    let client = stage.client().await;
    let (barrier, lease) = (client.barrier("load"), client.grant_lease(LEASE).await.unwrap());
    let entering = tokio::spawn({
        let barrier = barrier.clone();
        async move { barrier.enter(lease, 2).await }
    });
    sleep(SOON).await;
    client.kv().put("later", "1").await.unwrap();
    stage.apply(Command::Compact { upto: stage.revision() });
    stage.lead(None);
    let error = entering.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    let query = Query::Barrier { name: Name::new("load") };
    let Answer::Barrier { barrier: Some(there), .. } = stage.query(&query) else { panic!() };
    assert_eq!(there.here, 1);
}

/// The first piece of it is gone.
#[tokio::test(start_paused = true)]
async fn a_trim_that_got_half_way_is_not_told_that_it_did_nothing() {
    let stage = Stage::new();
    let client = stage.client().await;
    let journal = client.journal("moves");
    let many = synod_machine::TRIM_MAX + 2;
    for _ in 0..many {
        journal.append("v").await.unwrap();
    }
    stage.next(Kind::Submit, Twist::None);
    let never = Said::Reply(Reply::Rejected(Rejection::SettledNever));
    stage.next(Kind::Submit, Twist::say(never.clone()));
    let upto = Position::new(many);
    let error = journal.trim(upto).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    stage.next(Kind::Submit, Twist::say(never));
    let error = journal.trim(upto).await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { .. }), "{error}");
    assert_eq!(journal.trim(upto).await.unwrap(), Some(upto));
}
