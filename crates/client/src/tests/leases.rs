//! A lease renews itself, is never believed to be held for longer than it is, and leaves nothing
//! behind.

use std::time::Duration;

use synod_machine::{Answer, Command, LeaseCommand, LeaseView, Query, door::Call};
use tokio::time::{Instant, sleep, sleep_until};

use super::dropping::{
    assert_nothing_is_open, at_every_await, hasty, leave_after, settle_down, twists,
};
use crate::{
    Error, Lost,
    stage::{Kind, Stage, Twist},
};

const LEASE: Duration = Duration::from_secs(9);

/// Those that have not ended.
pub(super) fn living(stage: &Stage) -> Vec<LeaseView> {
    match stage.query(&Query::Leases { after: None, limit: 100 }) {
        Answer::Leases { leases, .. } => leases,
        other => panic!("{other:?}"),
    }
}

fn renewals(stage: &Stage) -> usize {
    stage.heard().iter().filter(|(_, call)| matches!(call, Call::Renew { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn a_lease_renews_itself_three_times_in_its_time_to_live() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    sleep(4 * LEASE).await;
    assert!((11..=12).contains(&renewals(&stage)), "{}", renewals(&stage));
    assert!(lease.is_lost().is_none());
    let view = client.lease_view(lease.id()).await.unwrap().unwrap();
    assert_eq!((view.owner.as_str(), view.ttl_ms, lease.ttl()), ("audience", 9_000, LEASE));
    assert_eq!(client.leases(None, 10).await.unwrap(), (vec![view], false));
    assert!(client.renew_lease(lease.id()).await.unwrap());
}

/// Interfaces §3.2. The leader may have heard a renewal as soon as it was sent, and its answer may
/// take as long as it likes.
#[tokio::test(start_paused = true)]
async fn until_counts_from_before_the_renewal_was_sent() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let (granted, slow) = (lease.until(), LEASE / 4);
    stage.next(Kind::Renew, Twist::Late(slow));
    let sent = granted - LEASE + LEASE / 3;
    sleep_until(sent + slow + Duration::from_millis(100)).await;
    let until = lease.until();
    assert!(granted < until, "the renewal was not acknowledged");
    // The timers of this runtime are right to a millisecond.
    assert!(until <= sent + LEASE + Duration::from_millis(2), "{:?}", until - sent);
}

/// The log may have granted it to the first copy of the request, whose answer was lost.
#[tokio::test(start_paused = true)]
async fn until_counts_from_before_the_first_copy_of_the_grant_was_sent() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    let began = Instant::now();
    let granting = tokio::spawn({
        let client = client.clone();
        async move { client.lease(LEASE).await }
    });
    sleep(Duration::from_secs(1)).await;
    stage.lead(Some("n2"));
    let lease = granting.await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "the first copy was answered");
    assert_eq!(lease.until(), began + LEASE);
}

/// kubernetes#44887: a renewal that hangs must not keep its owner from noticing.
#[tokio::test(start_paused = true)]
async fn a_lease_whose_renewal_hangs_is_lost_when_its_time_is_up() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let until = lease.until();
    for _ in 0..20 {
        stage.next(Kind::Renew, Twist::Silence);
    }
    assert_eq!(lease.lost().await, Lost::NotRenewed);
    assert!(Instant::now() >= until && until.elapsed() < Duration::from_millis(2));
    assert_eq!(lease.until(), until);
}

/// It may be acknowledged afterwards: whoever relied on it has stopped by then.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_acknowledged_too_late_brings_nothing_back() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let until = lease.until();
    stage.next(Kind::Renew, Twist::Late(LEASE));
    sleep(3 * LEASE).await;
    assert_eq!((lease.is_lost(), lease.until()), (Some(Lost::NotRenewed), until));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_over_a_change_of_the_leader() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    for (leader, twist) in [("n2", Twist::Silence), ("n3", Twist::Lost), ("n1", Twist::Garbage)] {
        stage.next(Kind::Renew, twist);
        stage.lead(Some(leader));
        sleep(LEASE).await;
        assert_eq!(lease.is_lost(), None, "{leader}");
    }
    stage.lead(None);
    sleep(LEASE / 2).await;
    stage.lead(Some("n2"));
    sleep(LEASE).await;
    assert_eq!(lease.is_lost(), None, "an election shorter than the lease");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_ended_in_the_log_is_lost_when_that_is_heard() {
    let stage = Stage::new();
    let (client, operator) = (stage.client().await, stage.client().await);
    let lease = client.lease(LEASE).await.unwrap();
    assert!(operator.break_lease(lease.id(), "stuck").await.unwrap());
    let until = lease.until();
    assert_eq!(lease.lost().await, Lost::Ended);
    assert!(Instant::now() < until, "heard from the next renewal");
    assert!(!client.renew_lease(lease.id()).await.unwrap());
    assert_eq!(client.lease_view(lease.id()).await.unwrap(), None);
    let audit = client.audit().await.unwrap();
    let entry = format!("{:?}", audit.last().unwrap().act);
    assert!(entry.contains("LeaseBroken") && entry.contains("stuck"), "{entry}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_with_its_handle_unless_it_is_left_to_itself() {
    let stage = Stage::new();
    let client = stage.client().await;
    let (revoked, dropped) = (client.lease(LEASE).await.unwrap(), client.lease(LEASE).await);
    let lost = revoked.lost();
    revoked.revoke().await.unwrap();
    assert_eq!(lost.await, Lost::GivenBack);
    assert_eq!(living(&stage).len(), 1);
    drop(dropped.unwrap());
    settle_down().await;
    assert_eq!(living(&stage), []);
    let left = client.lease(LEASE).await.unwrap().leave();
    let renewed = renewals(&stage);
    settle_down().await;
    assert_eq!(living(&stage).iter().map(|view| view.lease).collect::<Vec<_>>(), [left]);
    assert_eq!(renewals(&stage), renewed);
    assert!(client.revoke_lease(left).await.unwrap());
    assert_eq!(living(&stage), []);
}

/// A handle is all that an application need keep.
#[tokio::test(start_paused = true)]
async fn a_lease_outlives_the_clients_handle_and_session() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let (sessions, _) = client.sessions(None, 10).await.unwrap();
    let session = sessions.last().unwrap().session;
    drop(client);
    let cause = synod_machine::FenceCause::Expired;
    stage.apply(Command::Fence { session, cause, guard: None });
    sleep(4 * LEASE).await;
    assert_eq!(lease.is_lost(), None);
    drop(lease);
    settle_down().await;
    assert_eq!(living(&stage), [], "ended in a session of its own");
    let heard = stage.heard().len();
    settle_down().await;
    assert_eq!(stage.heard().len(), heard, "the background has ended with it");
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_that_makes_no_sense_is_refused_before_anything_is_sent() {
    let stage = Stage::new();
    let client = stage.client().await;
    for ttl in [Duration::ZERO, Duration::from_millis(99), Duration::from_secs(365 * 86_400)] {
        let error = client.lease(ttl).await.unwrap_err();
        assert!(matches!(error, Error::Misuse(_)), "{error}");
    }
    assert_eq!(stage.heard(), []);
}

/// Whoever leaves before it has its lease leaves none behind for longer than that lives by itself.
#[tokio::test(start_paused = true)]
async fn a_lease_may_be_left_at_every_await() {
    for kind in [Kind::OpenSession, Kind::Submit] {
        for twists in twists() {
            at_every_await(async |polls| {
                let stage = Stage::new();
                let client = stage.client().await;
                for twist in twists.clone() {
                    stage.next(kind, twist);
                }
                let left = leave_after(polls, hasty(&client).lease(LEASE)).await;
                let unknown = matches!(left, Some(Err(Error::Unknown { .. })));
                let ended = left.is_some();
                drop(left);
                settle_down().await;
                let story = format!("{twists:?} of {kind:?}, left after {polls}");
                let before = renewals(&stage);
                settle_down().await;
                assert_eq!(renewals(&stage), before, "{story}: somebody renews it");
                if !unknown {
                    assert_nothing_is_open(&stage, &client).await;
                }
                let grants = stage
                    .named(|command| matches!(command, Command::Lease(LeaseCommand::Grant { .. })));
                let lost = twists.iter().any(|twist| matches!(twist, Twist::DoneAndSilence));
                // One whose grant was not answered in time is not known here.
                let unanswered = lost && !grants.is_empty();
                assert!(unanswered || living(&stage).is_empty(), "{story}");
                ended
            })
            .await;
        }
    }
}
