//! Each request takes effect once, and what its caller is told is true.

use std::time::Duration;

use synod_machine::{
    Command, Expect,
    door::{NotApplied, Refusal, Said},
};

use crate::{
    Cas, Error, Multi, Refused, Settled, Why,
    stage::{Kind, NODES, Stage, Twist, WITHIN},
};

fn is_put(command: &Command) -> bool {
    matches!(command, Command::Put { .. })
}

/// Interfaces, decision 1: `Ok` means done, and says at which revision.
#[tokio::test(start_paused = true)]
async fn what_was_put_is_there() {
    let stage = Stage::new();
    let kv = stage.client().await.kv();
    let at = kv.put("a", "1").await.unwrap();
    let entry = kv.get("a").await.unwrap().unwrap();
    assert_eq!((&entry.value[..], entry.modified), (&b"1"[..], at));
    assert_eq!(kv.get("a").stale().await.unwrap().value, Some(entry.clone()));
    assert_eq!(kv.cas("a", Expect::Absent, "2").await.unwrap(), Cas::Mismatch(Some(entry)));
    assert!(matches!(kv.cas("a", Expect::Revision(at), "2").await.unwrap(), Cas::Done(_)));
    assert!(kv.delete("a").await.unwrap());
    assert!(!kv.delete("a").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_multi_does_all_or_nothing_and_reads_in_the_same_moment() {
    let stage = Stage::new();
    let kv = stage.client().await.kv();
    let done = kv.multi().require("a", Expect::Absent).put("a", "1").put("b", "2").read("b").await;
    let Multi::Done { reads, .. } = done.unwrap() else { panic!("it was refused") };
    assert_eq!(reads[0].as_ref().unwrap().value, "2");
    let refused = kv.multi().require("b", Expect::Present).require("a", Expect::Absent).delete("b");
    assert!(matches!(refused.await.unwrap(), Multi::Refused { failed: 1, .. }));
    assert_eq!(kv.list("").await.unwrap().len(), 2);
}

/// The first reply is the reply, however often the request had to be sent.
#[tokio::test(start_paused = true)]
async fn a_request_whose_answer_was_lost_is_repeated_under_its_name_and_done_once() {
    let stage = Stage::new();
    let client = stage.client().await;
    for twist in [Twist::DoneAndLost, Twist::Lost, Twist::DoneAndLost, Twist::Garbage] {
        stage.next(Kind::Submit, twist);
    }
    let at = client.kv().put("a", "1").await.unwrap();
    let entry = client.kv().get("a").await.unwrap().unwrap();
    assert_eq!((entry.version, entry.modified), (1, at));
    let names = stage.named(is_put);
    assert_eq!(names.len(), 3, "the lost one and the garbled one were not noted");
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_lead_says_who_does_and_is_believed() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.lead(Some("n3"));
    client.kv().put("a", "2").await.unwrap();
    assert_eq!(client.leader().await.unwrap(), "n3");
    let (by, _) = stage.heard().pop().unwrap();
    assert_eq!(by, "n3:1");
}

/// The new leader takes over what the old one left open; nobody is asked to repeat anything.
#[tokio::test(start_paused = true)]
async fn a_request_survives_the_death_of_the_leader_that_heard_it() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    let put = tokio::spawn({
        let kv = client.kv();
        async move { kv.put("a", "2").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.kill("n1");
    stage.lead(None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.lead(Some("n2"));
    put.await.unwrap().unwrap();
    assert_eq!(client.kv().get("a").await.unwrap().unwrap().version, 2);
}

/// A leader that was cut off still says that it leads, at first, and answers nothing that matters.
#[tokio::test(start_paused = true)]
async fn a_leader_that_was_cut_off_is_left_for_its_successor() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.pretend("n1");
    stage.lead(Some("n2"));
    for _ in 0..3 {
        stage.next(Kind::Submit, Twist::Silence);
        let began = tokio::time::Instant::now();
        client.kv().put("a", "2").await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "after {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_left_for_one_that_answers() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.next(Kind::Submit, Twist::Silence);
    let put = tokio::spawn({
        let kv = client.kv();
        async move { kv.put("a", "2").await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    stage.lead(Some("n2"));
    let began = tokio::time::Instant::now();
    put.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "after {:?}", began.elapsed());
}

/// Interfaces, decision 3: what was never heard is not applied.
#[tokio::test(start_paused = true)]
async fn without_a_quorum_a_request_is_not_applied_by_its_deadline() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    for _ in 0..1_000 {
        stage.next(Kind::Submit, Twist::say(Said::NotApplied(NotApplied::NoQuorum)));
    }
    let began = tokio::time::Instant::now();
    let error = client.kv().put("a", "2").await.unwrap_err();
    let why = Why::Node(NotApplied::NoQuorum);
    assert!(matches!(&error, Error::NotApplied { why: said } if *said == why), "{error}");
    assert!(began.elapsed() <= WITHIN + Duration::from_millis(1), "{:?}", began.elapsed());
    stage.end_script();
    client.kv().put("a", "3").await.unwrap();
}

/// What nobody would hear the answer of is not sent: its caller is told for certain that it was not
/// done. And it is no reason for anybody to look for another leader, or to say that there is none.
/// (It was put down to a disk that was full, where one was.)
#[tokio::test(start_paused = true)]
async fn a_request_whose_time_is_up_is_never_sent() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    assert!(client.core.route.node(2).line(&client.core.route.wire).await.is_ok());
    client.core.route.node(2).note_disk_full(true);
    for _ in 0..50 {
        let error = client.within(Duration::ZERO).kv().put("a", "2").await.unwrap_err();
        assert!(matches!(error, Error::NotApplied { why: Why::NoAnswer }), "{error}");
        assert!(client.core.route.watch().borrow().is_some());
    }
    assert_eq!(stage.named(is_put).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_a_request_is_not_applied_by_its_deadline() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.lead(None);
    let error = client.within(Duration::from_millis(700)).kv().put("a", "1").await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { why: Why::NoLeader }), "{error}");
    stage.lead(Some("n2"));
    client.kv().put("a", "1").await.unwrap();
}

/// A request that may have been heard is never called not applied, whatever nodes say afterwards.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_heard_is_unknown_at_the_deadline() {
    let unheard = |said| vec![Twist::Lost, Twist::say(said)];
    for twists in [
        vec![Twist::Silence],
        vec![Twist::DoneAndSilence],
        vec![Twist::Garbage],
        vec![Twist::say(Said::Unknown)],
        vec![Twist::say(Said::Kept)],
        unheard(Said::NotApplied(NotApplied::NoQuorum)),
        unheard(Said::NotLeader { leader: None }),
        unheard(Said::Refused(Refusal::Misuse("now it is".to_owned()))),
    ] {
        let stage = Stage::new();
        let client = stage.client().await;
        let story = format!("{twists:?}");
        let last = twists.last().cloned().unwrap();
        for twist in twists {
            stage.next(Kind::Submit, twist);
        }
        for _ in 0..1_000 {
            stage.next(Kind::Submit, last.clone());
        }
        let result = client.kv().put("a", "1").await;
        assert!(matches!(result, Err(Error::Unknown { .. })), "{story}: {result:?}");
    }
}

/// And can be asked about: the answer is the original reply, or never.
#[tokio::test(start_paused = true)]
async fn an_unknown_request_can_be_settled_either_way() {
    for (twist, applied) in [(Twist::DoneAndSilence, true), (Twist::Silence, false)] {
        let stage = Stage::new();
        let client = stage.client().await;
        stage.next(Kind::Submit, twist);
        let Err(Error::Unknown { request }) = client.kv().put("a", "1").await else {
            panic!("it was answered")
        };
        let settled = client.settle(request).await.unwrap();
        assert_eq!(matches!(settled, Settled::Applied(_)), applied, "{settled:?}");
        assert_eq!(client.kv().get("a").await.unwrap().is_some(), applied);
        assert_eq!(client.settle(request).await.unwrap(), settled, "for good");
    }
}

/// The watermark waits for an unknown request, so that somebody else can settle it too.
#[tokio::test(start_paused = true)]
async fn later_requests_do_not_make_the_cluster_forget_an_unknown_one() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    let Err(Error::Unknown { request }) = client.kv().put("a", "1").await else {
        panic!("it was answered")
    };
    for _ in 0..10 {
        client.kv().put("b", "1").await.unwrap();
    }
    let other = stage.client().await;
    assert!(matches!(other.settle(request).await.unwrap(), Settled::Applied(_)));
    assert!(other.request(request).await.unwrap().is_some());
}

/// The session table holds 1 024 replies. One lost answer must not fill it for ever.
#[tokio::test(start_paused = true)]
async fn an_unknown_request_does_not_stop_the_thousands_after_it() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::Submit, Twist::Silence);
    let unknown = client.within(Duration::from_millis(100)).kv().put("a", "1").await;
    let Err(Error::Unknown { request }) = unknown else { panic!("{unknown:?}") };
    for number in 0..1_500 {
        let put = client.kv().put("b", number.to_string()).await;
        assert!(put.is_ok(), "put {number}: {put:?}");
    }
    assert_eq!(client.settle(request).await.unwrap(), Settled::Never, "it is remembered here");
}

/// More requests at once than the cluster keeps replies for: they wait for their turn.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_requests_waits_and_none_is_refused() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut putting = tokio::task::JoinSet::new();
    for number in 0..3_000_u32 {
        let kv = client.kv();
        putting.spawn(async move { kv.put(format!("k{number}"), "v").await });
    }
    for put in putting.join_all().await {
        put.unwrap();
    }
    let acked = stage
        .submits()
        .into_iter()
        .map(|request| request.id.map_or(0, |id| id.seq.get() - request.acked.get()));
    assert!(acked.max().unwrap() < 1_024);
}

#[tokio::test(start_paused = true)]
async fn a_door_that_refuses_is_not_asked_again() {
    let stage = Stage::new();
    let client = stage.client().await;
    let refusal = Refusal::Role { has: "read".to_owned(), needs: "write".to_owned() };
    stage.next(Kind::Submit, Twist::say(Said::Refused(refusal.clone())));
    let error = client.kv().put("a", "1").await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { why: Refused::Door(why) } if *why == refusal),
        "{error}"
    );
    assert_eq!(stage.named(is_put), []);
}

#[tokio::test(start_paused = true)]
async fn misuse_is_told_before_anything_is_sent() {
    let stage = Stage::new();
    let client = stage.client().await;
    let error = client.kv().put("", "1").await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    let error = client.kv().put("a", vec![0; 2 << 20]).await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    assert_eq!(stage.heard(), []);
}

/// An overloaded node says when to come back.
#[tokio::test(start_paused = true)]
async fn an_overloaded_node_is_given_the_time_it_asks_for() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    let busy = NotApplied::Overloaded { retry_after_ms: 900 };
    stage.next(Kind::Submit, Twist::say(Said::NotApplied(busy)));
    let began = tokio::time::Instant::now();
    client.kv().put("a", "2").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(900));
}

/// A read may be repeated freely, so it is never unknown.
#[tokio::test(start_paused = true)]
async fn a_read_without_an_answer_is_not_applied() {
    let stage = Stage::new();
    let client = stage.client().await;
    for _ in NODES {
        stage.next(Kind::Read, Twist::Silence);
    }
    let error = client.kv().get("a").await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { why: Why::NoAnswer }), "{error}");
}
