//! The incumbent is one client's candidate at a time, knows when it is not any more and when it is
//! to leave; everybody else is told who is.

use std::{future::IntoFuture, time::Duration};

use synod_machine::{
    Answer, Bar, Command, ElectionView, Name, Office, Query, Report, Revision, Rules,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    dropping::{assert_nothing_is_open, at_every_await, hasty, leave_after, settle_down, twists},
    leases::living,
};
use crate::{
    Client, Error, HandingOver, Incumbency, Lost, Standing, Standings,
    stage::{Kind, NODES, Stage, Twist},
};

const LEASE: Duration = Duration::from_secs(9);

fn view(stage: &Stage) -> Option<ElectionView> {
    match stage.query(&Query::Election { name: Name::new("e") }) {
        Answer::Election { election, .. } => election.map(|view| *view),
        other => panic!("{other:?}"),
    }
}

async fn incumbent(client: &Client, candidate: &str) -> Incumbency {
    client.election("e").campaign(candidate).ttl(LEASE).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_office_passes_to_the_best_who_waits_with_a_larger_token() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = incumbent(&one, "a").await;
    let stand = |candidate: &str, priority| {
        other.election("e").campaign(candidate).ttl(LEASE).priority(priority).stand()
    };
    let (mut low, high) = (stand("b", 0).await.unwrap(), stand("c", 1).await.unwrap());
    assert_eq!(high.office().incumbent.as_ref().unwrap().candidate.as_str(), "a");
    sleep(3 * LEASE).await;
    assert_eq!(first.is_lost(), None, "it renews its lease");
    let token = first.token();
    first.resign().await.unwrap();
    let second = high.granted().await.unwrap();
    assert!(second.token() > token);
    let waits = timeout(Duration::from_secs(60), low.turn()).await;
    assert!(waits.is_err(), "{waits:?}");
    drop(second);
    assert!(low.turn().await.unwrap() > token);
    drop(low);
    settle_down().await;
    assert_eq!((view(&stage), living(&stage)), (None, vec![]));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_on_over_the_loss_of_nodes_and_a_gap() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = incumbent(&one, "a").await;
    let waiting = tokio::spawn(async move { incumbent(&other, "b").await });
    sleep(Duration::from_secs(1)).await;
    for node in &NODES[1..] {
        stage.kill(node);
    }
    stage.next(Kind::Watch, Twist::Silence);
    stage.next(Kind::Watch, Twist::Garbage);
    sleep(Duration::from_secs(3)).await;
    let token = first.token();
    first.resign().await.unwrap();
    stage.apply(Command::Compact { upto: stage.revision() });
    assert!(waiting.await.unwrap().token() > token);
}

/// What it was told of and did not come to look at, it is told of again. (What was forgotten
/// counted as read before anybody had read it: whoever left in between never heard of its grant.)
#[tokio::test(start_paused = true)]
async fn a_candidate_that_left_after_a_gap_and_comes_back_hears_of_its_grant() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = incumbent(&one, "a").await;
    let mut second = other.election("e").campaign("b").ttl(LEASE).stand().await.unwrap();
    let token = first.token();
    first.resign().await.unwrap();
    stage.apply(Command::Compact { upto: stage.revision() });
    stage.next(Kind::Read, Twist::Silence);
    let left = timeout(Duration::from_millis(500), second.turn()).await;
    assert!(left.is_err(), "{left:?}");
    stage.end_script();
    let granted = timeout(Duration::from_secs(60), second.turn()).await;
    assert!(granted.unwrap().unwrap() > token);
}

/// What the incumbent does stops when its lease is lost, at the moment at which it is.
#[tokio::test(start_paused = true)]
async fn what_an_incumbent_does_is_dropped_when_its_time_is_up() {
    let stage = Stage::new();
    let client = stage.client().await;
    let office = incumbent(&client, "a").await;
    assert_eq!(office.run(async { 7 }).await, Ok(7));
    for node in NODES {
        stage.kill(node);
    }
    let began = Instant::now();
    let ran: Result<(), Lost> = office.run(std::future::pending()).await;
    assert_eq!(ran, Err(Lost::NotRenewed));
    assert!(began.elapsed() <= LEASE && office.until() <= Instant::now());
}

/// The steps of a switchover, as whoever is to leave sees them.
#[tokio::test(start_paused = true)]
async fn an_incumbent_is_told_that_it_is_to_leave_and_holds_on_until_it_does() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = incumbent(&one, "a").await;
    let election = other.election("e");
    assert_eq!(election.switch_over(None, "r").await.unwrap(), HandingOver::Nobody);
    let mut second =
        election.campaign("b").ttl(LEASE).report(Report::NotNow).stand().await.unwrap();
    let barred = election.switch_over(Some("b"), "r").await.unwrap();
    assert_eq!(barred, HandingOver::Barred(Bar::NotNow));
    second.report(Report::At(1)).await.unwrap();
    let HandingOver::To(to) = election.switch_over(None, "r").await.unwrap() else { panic!() };
    assert_eq!(to.lease, second.lease());
    let told = timeout(Duration::from_secs(30), first.asked_to_leave()).await.unwrap();
    assert_eq!(told, to);
    let early = timeout(Duration::from_secs(60), second.turn()).await;
    assert!(early.is_err(), "granted before the other has left: {early:?}");
    assert_eq!(first.is_lost(), None);
    assert!(election.cancel_switchover("r").await.unwrap());
    assert!(!election.cancel_switchover("r").await.unwrap());
    first.resign().await.unwrap();
    second.turn().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_granted_against_the_rules_or_a_pause() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = incumbent(&one, "a").await;
    let election = other.election("e");
    election.pause("maintenance").await.unwrap();
    let rules = Rules { lag_max: Some(10), ..Rules::default() };
    election.rule(rules, "no loss").await.unwrap();
    first.report(Report::At(100)).await.unwrap();
    let mut second =
        election.campaign("b").ttl(LEASE).report(Report::At(95)).stand().await.unwrap();
    first.resign().await.unwrap();
    let turn = timeout(Duration::from_secs(30), second.turn()).await;
    assert!(turn.is_err(), "{turn:?}");
    second.report(Report::At(89)).await.unwrap();
    election.resume("done").await.unwrap();
    let turn = timeout(Duration::from_secs(30), second.turn()).await;
    assert!(turn.is_err(), "{turn:?}");
    let seen = election.view().await.unwrap().unwrap().candidates.remove(0);
    assert_eq!(seen.bar, Some(Bar::Behind { position: 89, furthest: 100 }));
    second.report(Report::At(90)).await.unwrap();
    second.turn().await.unwrap();
}

/// An office that somebody ended is lost, and so is one that another process of this client left.
#[tokio::test(start_paused = true)]
async fn an_office_that_was_taken_away_is_lost() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = incumbent(&one, "a").await;
    other.break_lease(first.lease(), "stuck").await.unwrap();
    let lost = timeout(Duration::from_secs(10), first.lost()).await.unwrap();
    assert!(matches!(lost, Lost::Broken | Lost::Ended), "{lost}");
    let second = incumbent(&one, "a").await;
    let left = one.election("e").leave(second.lease()).await.unwrap();
    assert_eq!(left, Some(second.token()));
    assert_eq!(timeout(Duration::from_secs(10), second.lost()).await, Ok(Lost::Broken));
    let error = second.proclaim("h:1").await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error}");
}

async fn changed(standings: &mut Standings) -> (Revision, Office) {
    loop {
        let began = Instant::now();
        let told = standings.next().await.unwrap().unwrap();
        assert!(began.elapsed() <= Duration::from_millis(1_500), "{:?}", began.elapsed());
        if let Standing::Changed { revision, office } = told {
            return (revision, office);
        }
    }
}

/// Interfaces §3.2: silence is impossible.
#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_every_change_and_never_in_silence() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let mut standings = other.election("e").observe();
    assert_eq!(changed(&mut standings).await.1, Office::default());
    let first = incumbent(&one, "a").await;
    let (at, office) = changed(&mut standings).await;
    assert_eq!((at, office.incumbent.unwrap().proclaimed), (first.token(), None));
    first.proclaim("h:1").await.unwrap();
    let proclaimed = changed(&mut standings).await.1.incumbent.unwrap().proclaimed;
    assert_eq!(proclaimed.as_deref(), Some("h:1"));
    one.election("e").pause("r").await.unwrap();
    assert!(changed(&mut standings).await.1.paused);
    stage.apply(Command::Compact { upto: stage.revision() });
    first.resign().await.unwrap();
    stage.apply(Command::Compact { upto: stage.revision() });
    let vacant = Office { paused: true, ..Office::default() };
    assert_eq!(changed(&mut standings).await.1, vacant);
    for node in NODES {
        stage.kill(node);
    }
    let mut stale = false;
    for _ in 0..6 {
        let began = Instant::now();
        let told = standings.next().await.unwrap().unwrap();
        assert!(began.elapsed() <= Duration::from_millis(1_500));
        stale = matches!(told, Standing::Stale { .. });
    }
    assert!(stale);
}

/// What the log may hold after its word was lost is taken back.
#[tokio::test(start_paused = true)]
async fn a_candidate_whose_standing_is_not_heard_leaves() {
    let stage = Stage::new();
    let client = stage.client().await;
    // The session and the lease first.
    client.kv().put("k", "v").await.unwrap();
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    let error = hasty(&client).election("e").campaign("a").ttl(LEASE).stand().await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    settle_down().await;
    sleep(LEASE).await;
    assert_eq!(view(&stage), None);
}

/// Whoever leaves at any await stands in no election.
#[tokio::test(start_paused = true)]
async fn a_campaign_may_be_left_at_every_await() {
    for twists in twists() {
        at_every_await(async |polls| {
            let stage = Stage::new();
            let client = stage.client().await;
            for twist in twists.clone() {
                stage.next(Kind::Submit, twist);
            }
            let campaign = hasty(&client).election("e").campaign("a").ttl(LEASE);
            let ended = leave_after(polls, campaign.into_future()).await.is_some();
            stage.end_script();
            settle_down().await;
            assert_eq!(view(&stage), None, "{twists:?} after {polls}");
            assert_nothing_is_open(&stage, &client).await;
            ended
        })
        .await;
    }
}
