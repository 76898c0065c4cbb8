//! A lock is one client's at a time, its guard knows when it is lost, and whoever leaves holds
//! nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use synod_machine::{
    Answer, Command, LeaseCommand, LeaseId, LockCommand, LockReply, LockView, Name, Query,
    Rejection, Reply, Request, RequestId, Revision, Seq, SessionId,
    door::{Call, Said},
};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

use super::{
    dropping::{assert_nothing_is_open, at_every_await, hasty, leave_after, settle_down, twists},
    leases::living,
};
use crate::{
    Client, Error, LockGuard, Locked, Lost,
    moment::SLEPT,
    stage::{Kind, NODES, Stage, Twist},
};

const LEASE: Duration = Duration::from_secs(9);

pub(super) fn view(stage: &Stage, name: &str) -> Option<LockView> {
    match stage.query(&Query::Lock { name: Name::new(name) }) {
        Answer::Lock { lock, .. } => lock,
        other => panic!("{other:?}"),
    }
}

async fn held(client: &Client, name: &str) -> LockGuard {
    match client.lock(name).ttl(LEASE).await.unwrap() {
        Locked::Held(guard) => guard,
        Locked::Taken(by) => panic!("{by:?}"),
    }
}

fn wait_for(client: &Client, name: &'static str) -> JoinHandle<Result<Locked, Error>> {
    let lock = client.lock(name).ttl(LEASE).wait(Duration::from_secs(600));
    tokio::spawn(async move { lock.await })
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_held_by_one_and_passes_on_with_a_larger_token() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = held(&one, "compaction").await;
    let seen = one.lock_view("compaction").await.unwrap().unwrap().holder;
    assert_eq!((seen.token, seen.lease), (first.token(), first.lease()));
    let Locked::Taken(by) = other.lock("compaction").try_now().await.unwrap() else { panic!() };
    assert_eq!(by, seen);
    let waiting = wait_for(&other, "compaction");
    sleep(3 * LEASE).await;
    assert!(!waiting.is_finished(), "the first holder renews its lease");
    assert_eq!(one.lock_view("compaction").await.unwrap().unwrap().waiting, 1);
    assert!(first.release().await.unwrap());
    let second = waiting.await.unwrap().unwrap().guard().unwrap();
    assert!(second.token() > seen.token);
    drop(second);
    settle_down().await;
    assert_eq!((view(&stage, "compaction"), living(&stage)), (None, vec![]));
}

/// Interfaces, decision 2: that another holds it is an answer.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_leaves_the_queue() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let guard = held(&one, "a").await;
    let began = Instant::now();
    let locked = other.lock("a").wait(Duration::from_secs(30)).await.unwrap();
    assert!(matches!(locked, Locked::Taken(by) if by.token == guard.token()));
    assert_eq!(began.elapsed().as_secs(), 30);
    other.close().await;
    assert_eq!(view(&stage, "a").unwrap().waiting, 0, "closing waits for what was left");
    assert_eq!(living(&stage).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_on_over_the_loss_of_nodes_and_a_gap() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let first = held(&one, "a").await;
    let waiting = wait_for(&other, "a");
    sleep(Duration::from_secs(1)).await;
    for node in &NODES[1..] {
        stage.kill(node);
    }
    stage.next(Kind::Watch, Twist::Silence);
    stage.next(Kind::Watch, Twist::Garbage);
    sleep(Duration::from_secs(3)).await;
    let token = first.token();
    first.release().await.unwrap();
    let upto = stage.revision();
    stage.apply(Command::Compact { upto });
    let second = waiting.await.unwrap().unwrap().guard().unwrap();
    assert!(second.token() > token);
}

/// The lease of one who waits is renewed; without it there is nothing to wait for.
#[tokio::test(start_paused = true)]
async fn whoever_waits_and_loses_its_lease_is_told() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let _first = held(&one, "a").await;
    let waiting = wait_for(&other, "a");
    sleep(Duration::from_secs(1)).await;
    let lease = view(&stage, "a").unwrap().waiters[0].0;
    one.break_lease(lease, "stuck").await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost { why: Lost::Ended }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_an_operator_took_away_is_lost() {
    let stage = Stage::new();
    let (one, other) = (stage.client().await, stage.client().await);
    let guard = held(&one, "a").await;
    let work = guard.run(std::future::pending::<()>());
    let breaking = async {
        sleep(Duration::from_secs(1)).await;
        other.break_lock("a", "stuck").await.unwrap()
    };
    let soon = timeout(Duration::from_secs(10), work);
    let (worked, broken) = tokio::join!(soon, breaking);
    assert_eq!((worked, broken), (Ok(Err(Lost::Broken)), Some(guard.token())));
    assert_eq!((guard.is_lost(), guard.lost().await), (Some(Lost::Broken), Lost::Broken));
    assert!(!guard.release().await.unwrap(), "it was not held until then");
    assert_eq!(other.break_lock("a", "again").await.unwrap(), None);
}

/// What was forgotten may have been that: it looks.
#[tokio::test(start_paused = true)]
async fn a_guard_that_missed_the_news_looks_whether_it_holds() {
    let stage = Stage::new();
    let client = stage.client().await;
    let (kept, broken) = (held(&client, "kept").await, held(&client, "broken").await);
    for _ in 0..40 {
        stage.next(Kind::Watch, Twist::Late(Duration::from_secs(1)));
    }
    stage.apply(Command::Compact { upto: stage.revision() });
    client.break_lock("broken", "stuck").await.unwrap();
    client.kv().put("other", "1").await.unwrap();
    stage.apply(Command::Compact { upto: stage.revision() });
    let lost = timeout(Duration::from_secs(60), broken.lost()).await;
    assert_eq!(lost, Ok(Lost::Broken));
    settle_down().await;
    assert_eq!(kept.is_lost(), None);
}

/// What is done under the lock stops when its lease is lost, at the moment at which it is.
#[tokio::test(start_paused = true)]
async fn what_runs_under_a_lock_is_dropped_when_its_time_is_up() {
    let stage = Stage::new();
    let client = stage.client().await;
    let guard = held(&client, "a").await;
    assert_eq!(guard.run(async { 7 }).await, Ok(7));
    for node in NODES {
        stage.kill(node);
    }
    let began = Instant::now();
    let ran = guard.run(async {
        loop {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let ran: Result<(), Lost> = ran.await;
    assert_eq!(ran, Err(Lost::NotRenewed));
    assert!(began.elapsed() <= LEASE && guard.until() <= Instant::now());
    assert_eq!(
        guard.run(async { panic!("polled after it was lost") }).await,
        Err(Lost::NotRenewed)
    );
}

#[tokio::test(start_paused = true)]
async fn many_locks_hang_on_one_lease_and_end_with_it() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let mut guards = Vec::new();
    for name in ["a", "b", "c"] {
        guards.push(client.lock(name).on(&lease).await.unwrap().guard().unwrap());
    }
    let error = client.lock("a").on(&lease).await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    let (locks, more) = client.locks("", None, 10).await.unwrap();
    assert_eq!((locks.len(), more, living(&stage).len()), (3, false, 1));
    drop(guards.pop());
    // Its release is on its way: whoever comes after it waits for that.
    let again = client.lock("c").on(&lease).await.unwrap().guard().unwrap();
    settle_down().await;
    assert_eq!(view(&stage, "c").unwrap().holder.token, again.token());
    lease.revoke().await.unwrap();
    for guard in &guards {
        assert_eq!(guard.is_lost(), Some(Lost::GivenBack));
        assert_eq!(view(&stage, guard.name()), None);
    }
}

/// A guard is all that an application need keep.
#[tokio::test(start_paused = true)]
async fn a_guard_keeps_its_lease_alive() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let guard = client.lock("a").on(&lease).await.unwrap().guard().unwrap();
    drop((lease, client));
    sleep(4 * LEASE).await;
    assert_eq!(guard.is_lost(), None);
    drop(guard);
    settle_down().await;
    assert_eq!((view(&stage, "a"), living(&stage)), (None, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_lock_on_a_lease_that_has_ended_is_not_held() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    client.break_lease(lease.id(), "stuck").await.unwrap();
    let error = client.lock("a").on(&lease).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { why: Lost::Ended }), "{error}");
    assert_eq!(lease.is_lost(), Some(Lost::Ended));
}

/// What the log may hold after its word was lost is taken back.
#[tokio::test(start_paused = true)]
async fn a_lock_whose_grant_is_not_heard_is_let_go_of() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(Duration::from_secs(600)).await.unwrap();
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    let error = hasty(&client).lock("a").on(&lease).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    assert!(view(&stage, "a").is_some());
    settle_down().await;
    assert_eq!(view(&stage, "a"), None);
    assert_eq!(lease.is_lost(), None);
    assert_nothing_is_open(&stage, &client).await;
}

/// It is let go of by whoever has the lease, wherever it was asked for. (What became of the
/// request was looked up where nobody had asked; the lock stayed taken, and its lease was renewed
/// for ever.)
#[tokio::test(start_paused = true)]
async fn a_lock_on_the_lease_of_another_client_whose_grant_is_not_heard_is_let_go_of() {
    let stage = Stage::new();
    let one = stage.client().await;
    let lease = one.lease(Duration::from_secs(600)).await.unwrap();
    for other in [stage.client().await, one.on_behalf_of("bob")] {
        other.kv().put("its session", "is open").await.unwrap();
        stage.next(Kind::Submit, Twist::DoneAndSilence);
        let error = hasty(&other).lock("a").on(&lease).await.unwrap_err();
        assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
        assert!(view(&stage, "a").is_some());
        // Nobody but the lease needs to be there still.
        drop(other);
        settle_down().await;
        assert_eq!((view(&stage, "a"), lease.is_lost()), (None, None));
    }
    one.close().await;
    assert_eq!(living(&stage).len(), 1, "closing waited for nothing");
}

/// What became of it is asked for, however many others have been asked about since. (Only the
/// latest fates are remembered; one that was not among them was waited for in vain.)
#[tokio::test(start_paused = true)]
async fn a_lock_whose_grant_is_one_of_hundreds_not_heard_is_let_go_of() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(Duration::from_secs(600)).await.unwrap();
    for _ in 0..=300 {
        stage.next(Kind::Submit, Twist::DoneAndSilence);
    }
    // By then nobody looks more often than every half a second.
    let (first, then) = (Duration::from_millis(5_000), Duration::from_millis(4_970));
    stage.next(Kind::Settle, Twist::Late(first));
    for _ in 0..300 {
        stage.next(Kind::Settle, Twist::Late(then));
    }
    let error = hasty(&client).lock("a").on(&lease).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    let mut putting = JoinSet::new();
    for number in 0..300 {
        let kv = hasty(&client).kv();
        putting.spawn(async move { kv.put(format!("k{number}"), "v").await });
    }
    for put in putting.join_all().await {
        assert!(matches!(put, Err(Error::Unknown { .. })), "{put:?}");
    }
    settle_down().await;
    assert_eq!((view(&stage, "a"), lease.is_lost()), (None, None));
}

/// A release of which nothing is heard goes on, and the next guard comes after it.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_not_heard_does_not_meet_the_next_guard() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(Duration::from_secs(600)).await.unwrap();
    let guard = hasty(&client).lock("a").on(&lease).await.unwrap().guard().unwrap();
    stage.next(Kind::Submit, Twist::Late(Duration::from_secs(2)));
    let released = guard.release().await;
    assert!(matches!(released, Err(Error::NoAnswer { .. })), "{released:?}");
    let next = client.lock("a").on(&lease).await.unwrap().guard().unwrap();
    settle_down().await;
    assert_eq!(next.is_lost(), None);
    assert_eq!(view(&stage, "a").map(|lock| lock.holder.token), Some(next.token()));
}

/// Nor does one that is left before it is heard.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_left_does_not_meet_the_next_guard() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(Duration::from_secs(600)).await.unwrap();
    let guard = client.lock("a").on(&lease).await.unwrap().guard().unwrap();
    stage.next(Kind::Submit, Twist::Late(Duration::from_secs(2)));
    stage.next(Kind::Settle, Twist::Silence);
    assert!(leave_after(20, guard.release()).await.is_none());
    let next = client.lock("a").on(&lease).await.unwrap().guard().unwrap();
    settle_down().await;
    assert_eq!(next.is_lost(), None);
    assert_eq!(view(&stage, "a").map(|lock| lock.holder.token), Some(next.token()));
}

/// One that was rejected is no lock, and leaves nothing.
#[tokio::test(start_paused = true)]
async fn a_lock_that_is_refused_leaves_nothing() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(LEASE).await.unwrap();
    let full = Rejection::Misuse("full".to_owned());
    stage.next(Kind::Submit, Twist::say(Said::Reply(Reply::Rejected(full))));
    let refused = client.lock("a").on(&lease).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let misused = client.lock("").on(&lease).await;
    assert!(matches!(misused, Err(Error::Misuse(_))), "{misused:?}");
    assert!(client.lock("a").on(&lease).await.unwrap().guard().is_some());
    let releases = |stage: &Stage| {
        stage.named(|command| matches!(command, Command::Lock(LockCommand::Release { .. }))).len()
    };
    settle_down().await;
    assert_eq!(releases(&stage), 1, "of the guard that was dropped");
}

/// One who has a lock and is no client: nothing of it goes on in the background.
pub(super) struct Squatter {
    stage: Stage,
    session: SessionId,
    seq: Seq,
    lease: LeaseId,
}

impl Squatter {
    pub(super) fn new(stage: &Stage) -> Squatter {
        let owner = "squatter".to_owned();
        let Reply::Session(session) = stage.apply(Command::OpenSession { owner, ttl_ms: 1_000 })
        else {
            panic!("no session")
        };
        let (stage, seq, lease) = (stage.clone(), Seq::ZERO, LeaseId::ZERO);
        let mut squatter = Squatter { stage, session, seq, lease };
        let grant = LeaseCommand::Grant { ttl_ms: 1_000 };
        let Reply::Lease(lease) = squatter.says(Command::Lease(grant)) else { panic!("no lease") };
        squatter.lease = lease;
        squatter
    }

    fn says(&mut self, command: Command) -> Reply {
        self.seq = self.seq.next();
        let id = Some(RequestId { session: self.session, seq: self.seq });
        self.stage.apply_request(Request { id, acked: self.seq, command })
    }

    pub(super) fn takes(&mut self, name: &str) -> Revision {
        let (name, lease) = (Name::new(name), self.lease);
        let acquire = LockCommand::Acquire { name, lease, wait: false };
        match self.says(Command::Lock(acquire)) {
            Reply::Lock(LockReply::Held { token }) => token,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leaves(&mut self, name: &str) {
        let (name, lease) = (Name::new(name), self.lease);
        self.says(Command::Lock(LockCommand::Release { name, lease }));
    }
}

/// Whoever leaves before it has its lock holds none and waits for none, on whichever lease.
#[tokio::test(start_paused = true)]
async fn a_lock_may_be_left_at_every_await() {
    for own in [true, false] {
        // The words about a lease of its own are those of the test of leases.
        for twists in twists().into_iter().take(if own { 2 } else { 6 }) {
            at_every_await(async |polls| left(polls, own, Kind::Submit, &twists).await).await;
        }
        let lost = [Twist::Lost, Twist::Garbage];
        at_every_await(async |polls| left(polls, own, Kind::Watch, &lost).await).await;
    }
}

async fn left(polls: usize, own: bool, kind: Kind, twists: &[Twist]) -> bool {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(Duration::from_secs(600)).await.unwrap();
    let mut squatter = Squatter::new(&stage);
    let token = squatter.takes("a");
    for twist in twists {
        stage.next(kind, twist.clone());
    }
    let lock = hasty(&client).lock("a").wait(Duration::from_millis(60));
    let lock = if own { lock.ttl(LEASE) } else { lock.on(&lease) };
    let got = leave_after(polls, lock.into_future()).await;
    let (ended, story) = (got.is_some(), format!("{own} {twists:?} of {kind:?}, after {polls}"));
    assert!(!matches!(got, Some(Ok(Locked::Held(_)))), "{story}");
    stage.end_script();
    settle_down().await;
    let queue = view(&stage, "a").unwrap();
    assert_eq!((queue.holder.token, queue.waiting), (token, 0), "{story}");
    squatter.leaves("a");
    assert_eq!(view(&stage, "a"), None, "{story}");
    assert_nothing_is_open(&stage, &client).await;
    ended
}

/// Letting go may be left too: it goes on.
#[tokio::test(start_paused = true)]
async fn a_release_may_be_left_at_every_await() {
    for own in [true, false] {
        for twists in twists() {
            at_every_await(async |polls| {
                let stage = Stage::new();
                let client = stage.client().await;
                let lease = client.lease(Duration::from_secs(600)).await.unwrap();
                let lock = hasty(&client).lock("a");
                let lock = if own { lock.ttl(LEASE) } else { lock.on(&lease) };
                let guard = lock.await.unwrap().guard().unwrap();
                for twist in twists.clone() {
                    stage.next(Kind::Submit, twist);
                }
                let released = leave_after(polls, guard.release()).await;
                stage.end_script();
                settle_down().await;
                assert_eq!(view(&stage, "a"), None, "{own} {twists:?} after {polls}");
                assert_nothing_is_open(&stage, &client).await;
                released.is_some()
            })
            .await;
        }
    }
}

/// The clock of its machine leaps: it slept, and none of its timers has run out. It holds nothing
/// from that moment on, whatever was under way and whatever is acknowledged to it later.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_holder_whose_clock_leaps_beyond_its_lease_holds_nothing_from_then_on() {
    let stage = Stage::new();
    let client = stage.client().await;
    let guard = held(&client, "a").await;
    let worked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&worked);
    let work = async move {
        for _ in 0..1_000 {
            sleep(Duration::from_millis(100)).await;
            count.fetch_add(1, SeqCst);
        }
    };
    let running = tokio::spawn(async move {
        let ended = guard.run(work).await;
        (guard, ended)
    });
    sleep(Duration::from_secs(1)).await;
    assert!(worked.load(SeqCst) > 5, "it works");
    SLEPT.set(LEASE);
    let (guard, ended) = timeout(Duration::from_millis(1_001), running).await.unwrap().unwrap();
    assert_eq!((ended, guard.is_lost()), (Err(Lost::NotRenewed), Some(Lost::NotRenewed)));
    let done = worked.load(SeqCst);
    sleep(3 * LEASE).await;
    assert_eq!(worked.load(SeqCst), done);
    assert_eq!(guard.is_lost(), Some(Lost::NotRenewed), "a renewal came too late");
    SLEPT.set(Duration::ZERO);
}

/// A leap that is shorter than what is left of the lease costs that much of it, and no more.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_holder_whose_clock_leaps_a_little_renews_and_goes_on() {
    let stage = Stage::new();
    let client = stage.client().await;
    let guard = held(&client, "a").await;
    for leap in 1..=5 {
        SLEPT.set(LEASE / 4 * leap);
        assert_eq!(guard.is_lost(), None, "after {leap}");
        sleep(LEASE / 2).await;
    }
    assert!(guard.release().await.unwrap());
    SLEPT.set(Duration::ZERO);
}

/// One poll at a time, and none for a guard that is gone.
#[tokio::test(start_paused = true)]
async fn nobody_listens_for_a_guard_that_is_gone() {
    let stage = Stage::new();
    let client = stage.client().await;
    drop(held(&client, "a").await);
    settle_down().await;
    let watches = |stage: &Stage| {
        stage.heard().iter().filter(|(_, call)| matches!(call, Call::Watch { .. })).count()
    };
    let before = watches(&stage);
    settle_down().await;
    assert_eq!(watches(&stage), before);
}
