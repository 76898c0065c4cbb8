//! Atomic commit as its owner drives it.

use std::time::Duration;

use bytes::Bytes;
use synod_machine::{
    AbortCause, BranchIncarnation, Command, Expect, FenceCause, Guard, Proposal, TxnId, Verdict,
    branch::Work,
    door::{NotApplied, Said},
    participant_door::NoReason,
};

use crate::{
    Client, Error, Outcome, TxnBuilder, WhyAborted,
    stage::{Kind, SHARDS, Stage, TTL, Twist},
};

/// On this stage a guard never holds, so this is refused.
fn impossible() -> Work {
    let guard = Guard { key: Bytes::from_static(b"a"), expect: Expect::Present };
    Work { guards: vec![guard], mutations: Vec::new() }
}

fn both(client: &Client) -> TxnBuilder {
    client.txn().ask(SHARDS[0], Work::default()).ask(SHARDS[1], Work::default())
}

fn is_decide(command: &Command) -> bool {
    matches!(command, Command::Decide { .. })
}

/// Waits until phase 2, which is in the background, is over.
async fn finished(client: &Client) {
    let mut finishing = client.core.finishing.subscribe();
    tokio::time::timeout(Duration::from_secs(60), finishing.wait_for(|count| *count == 0))
        .await
        .unwrap()
        .unwrap();
}

fn told(stage: &Stage, txn: TxnId) -> Vec<Option<Verdict>> {
    let of = |name: &&str| {
        let told = stage.shard(name).told.into_iter().find(|(told, _)| *told == txn);
        told.map(|(_, verdict)| verdict)
    };
    SHARDS.iter().map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn what_all_voted_for_is_committed_and_everybody_is_told() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut txn = both(&client).require("claim", Expect::Absent).put("claim", "mine");
    let id = txn.id().await.unwrap();
    assert_eq!(txn.commit().await.unwrap(), Outcome::Committed { txn: id });
    finished(&client).await;
    assert_eq!(told(&stage, id), [Some(Verdict::Committed); 2]);
    assert_eq!(client.verdict(id).await.unwrap(), Verdict::Committed);
    assert!(client.kv().get("claim").await.unwrap().is_some());
    let (views, more) = client.txns(None, 10).await.unwrap();
    assert_eq!((views.len(), views[0].txn, more), (1, id, false), "nobody has acknowledged");
}

/// Presumed abort: a no costs no log entry, and those who had voted yes are released.
#[tokio::test(start_paused = true)]
async fn a_no_aborts_without_a_word_to_the_log() {
    let stage = Stage::new();
    let client = stage.client().await;
    let txn = client.txn().ask("east", impossible()).ask("west", Work::default());
    let prepared = txn.prepare().await.unwrap();
    let id = prepared.id();
    assert!(prepared.refused().is_some());
    let Outcome::Aborted { why, .. } = prepared.decide().await.unwrap() else {
        panic!("committed")
    };
    let WhyAborted::No { participant, reason } = why else { panic!("{why}") };
    assert_eq!(participant.as_str(), "east");
    assert_eq!(reason, NoReason::GuardFailed { place: 0 });
    finished(&client).await;
    assert_eq!(told(&stage, id), [None, Some(Verdict::Aborted)], "who said no holds nothing");
    assert!(!stage.submits().iter().any(|request| is_decide(&request.command)));
}

#[tokio::test(start_paused = true)]
async fn a_participant_that_is_down_aborts_and_holds_nobody_up() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.kill("east");
    let began = tokio::time::Instant::now();
    let outcome = both(&client).commit().await.unwrap();
    let Outcome::Aborted { txn, why: WhyAborted::Unreached(east) } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((east.name.as_str(), east.why.as_str()), ("east", "nobody there"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    finished(&client).await;
    assert_eq!(told(&stage, txn)[1], Some(Verdict::Aborted));
    assert!(!stage.submits().iter().any(|request| is_decide(&request.command)));
}

/// *Transactions* §5, "vote Unknown": counts as no, and may hold a prepared branch.
#[tokio::test(start_paused = true)]
async fn a_vote_that_is_not_heard_in_time_aborts_and_is_released() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::Prepare, Twist::DoneAndSilence);
    let outcome = both(&client).commit().await.unwrap();
    let Outcome::Aborted { txn, why: WhyAborted::NoVote { .. } } = outcome else {
        panic!("{outcome:?}")
    };
    finished(&client).await;
    assert_eq!(told(&stage, txn), [Some(Verdict::Aborted); 2]);
}

/// A participant that answers from another store than the log knows has promised nothing of what
/// the shard has, and knows none of its keys: it is not asked.
#[tokio::test(start_paused = true)]
async fn a_participant_on_another_store_than_the_log_knows_is_not_asked() {
    let stage = Stage::new();
    let client = stage.client().await;
    assert_eq!(client.shard("east").info().await.unwrap().incarnation, BranchIncarnation(1));
    stage.move_shard("east", BranchIncarnation(2), false);
    let error = client.shard("east").info().await.unwrap_err();
    assert!(error.to_string().contains("another store"), "{error}");
    let prepared = both(&client).prepare().await.unwrap();
    let Some(WhyAborted::Unreached(why)) = prepared.refused() else {
        panic!("{:?}", prepared.refused())
    };
    assert!(why.to_string().contains("another store"), "{why}");
    assert_eq!(stage.shard("east").prepared, []);
}

/// One that has taken the place of a lost store is found by whoever knew that one, and by whoever
/// knew none.
#[tokio::test(start_paused = true)]
async fn a_participant_that_was_replaced_is_found_anew() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.shard("east").info().await.unwrap();
    stage.move_shard("east", BranchIncarnation(2), true);
    for client in [client, stage.client().await] {
        let found = client.shard("east").info().await.unwrap().incarnation;
        assert_eq!(found, BranchIncarnation(2));
        let outcome = both(&client).commit().await.unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
}

/// Asked again with the same id, a participant answers the same.
#[tokio::test(start_paused = true)]
async fn a_lost_vote_is_asked_for_once_more() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.next(Kind::Prepare, Twist::DoneAndLost);
    let outcome = both(&client).commit().await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// The fault that the demo shows: between votes and decision nothing is lost but time.
#[tokio::test(start_paused = true)]
async fn a_change_of_leader_between_votes_and_decision_changes_nothing() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    stage.kill("n1");
    stage.lead(None);
    let deciding = tokio::spawn(prepared.decide());
    tokio::time::sleep(Duration::from_millis(700)).await;
    stage.lead(Some("n2"));
    let outcome = deciding.await.unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_prepared_transaction_that_is_dropped_is_aborted() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    let id = prepared.id();
    drop(prepared);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(told(&stage, id), [Some(Verdict::Aborted); 2]);
}

/// In flight, committed, aborted, unknown.
fn tally(client: &Client) -> [u64; 4] {
    let now = client.transactions();
    [now.in_flight, now.committed.count(), now.aborted.count(), now.unknown.count()]
}

/// What only an owner can tell: how many are under way and how long each took, whoever decided it
/// and however late it was known.
#[tokio::test(start_paused = true)]
async fn an_owner_knows_what_is_under_way_and_how_long_it_took() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(tally(&client), [1, 0, 0, 0]);
    assert!(client.transactions().oldest >= Duration::from_secs(2));
    prepared.decide().await.unwrap();
    assert_eq!(tally(&client), [0, 1, 0, 0], "it is over although participants are being told");
    assert!(client.transactions().committed.sum() >= Duration::from_secs(2));
    drop(both(&client).prepare().await.unwrap());
    assert_eq!(tally(&client), [0, 1, 1, 0]);
    client.txn().ask(SHARDS[0], impossible()).commit().await.unwrap();
    assert_eq!(tally(&client), [0, 1, 2, 0]);
    // Its caller was not told, and the background has found out.
    let prepared = both(&client).prepare().await.unwrap();
    stage.next(Kind::Submit, Twist::DoneAndSilence);
    prepared.decide().await.unwrap_err();
    assert_eq!(tally(&client)[0], 1);
    finished(&client).await;
    assert_eq!(tally(&client), [0, 2, 2, 0]);
}

/// The caller knows that it does not know; the background finds out and tells.
#[tokio::test(start_paused = true)]
async fn a_commit_without_an_answer_is_unknown_and_its_participants_hear_the_truth() {
    for (twist, verdict) in
        [(Twist::DoneAndSilence, Verdict::Committed), (Twist::Silence, Verdict::Aborted)]
    {
        let stage = Stage::new();
        let client = stage.client().await;
        let prepared = both(&client).prepare().await.unwrap();
        stage.next(Kind::Submit, twist);
        let Err(Error::TxnUnknown { txn }) = prepared.decide().await else {
            panic!("it was answered")
        };
        finished(&client).await;
        assert_eq!(told(&stage, txn), [Some(verdict); 2]);
        assert_eq!(client.verdict(txn).await.unwrap(), verdict);
    }
}

/// Never commit after giving up: what could not be put into the log is aborted there.
#[tokio::test(start_paused = true)]
async fn a_commit_that_was_not_applied_is_aborted_for_good() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    let id = prepared.id();
    for _ in 0..1_000 {
        stage.next(Kind::Submit, Twist::say(Said::NotApplied(NotApplied::NoQuorum)));
    }
    let error = prepared.decide().await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { .. }), "{error}");
    stage.end_script();
    finished(&client).await;
    assert_eq!(told(&stage, id), [Some(Verdict::Aborted); 2]);
    assert_eq!(client.verdict(id).await.unwrap(), Verdict::Aborted);
}

/// *Transactions* §5, "timeout races with the last vote": log order decides.
#[tokio::test(start_paused = true)]
async fn whoever_was_first_in_the_log_is_obeyed_and_named() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    let cause = AbortCause::Operator { actor: "ops".to_owned(), reason: "test".to_owned() };
    let outcome = Proposal::Abort { cause: cause.clone() };
    stage.apply(Command::Decide { txn: prepared.id(), outcome });
    let outcome = prepared.decide().await.unwrap();
    let Outcome::Aborted { txn, why } = outcome else { panic!("committed") };
    assert_eq!(why, WhyAborted::Log(Some(cause)));
    finished(&client).await;
    assert_eq!(told(&stage, txn), [Some(Verdict::Aborted); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_of_the_log_that_does_not_hold_aborts() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("claim", "theirs").await.unwrap();
    let outcome = both(&client).require("claim", Expect::Absent).commit().await.unwrap();
    let Outcome::Aborted { why, .. } = outcome else { panic!("committed") };
    assert_eq!(why, WhyAborted::Log(Some(AbortCause::Guard)));
}

/// *Transactions* §5, "owner paused, replaced, resumes": the fence was first.
#[tokio::test(start_paused = true)]
async fn an_owner_whose_session_ended_meanwhile_is_told_aborted() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    let id = prepared.id();
    let fence = Command::Fence { session: id.session, cause: FenceCause::Expired, guard: None };
    stage.apply(fence);
    let outcome = prepared.decide().await.unwrap();
    assert!(matches!(outcome, Outcome::Aborted { .. }), "{outcome:?}");
    finished(&client).await;
    assert_eq!(told(&stage, id), [Some(Verdict::Aborted); 2]);
}

/// A participant that is away is told again; the answer does not wait for it.
#[tokio::test(start_paused = true)]
async fn the_answer_does_not_wait_for_phase_2() {
    let stage = Stage::new();
    let client = stage.client().await;
    let prepared = both(&client).prepare().await.unwrap();
    let id = prepared.id();
    stage.kill("east");
    assert!(matches!(prepared.decide().await.unwrap(), Outcome::Committed { .. }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.start("east");
    finished(&client).await;
    assert_eq!(told(&stage, id), [Some(Verdict::Committed); 2]);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_told_before_anything_is_sent() {
    let stage = Stage::new();
    let client = stage.client().await;
    let twice = client.txn().ask("east", Work::default()).ask("east", Work::default());
    for txn in [twice, client.txn(), client.txn().put("", "1")] {
        let error = txn.commit().await.unwrap_err();
        assert!(matches!(error, Error::Misuse(_)), "{error}");
    }
    assert_eq!(stage.heard(), []);
    let unknown = client.txn().ask("north", Work::default()).commit().await.unwrap_err();
    assert!(matches!(unknown, Error::NotApplied { .. }), "{unknown}");
}

/// Numbers of transactions are never used twice, and the log is told when it may forget.
#[tokio::test(start_paused = true)]
async fn the_log_is_told_now_and_then_what_it_may_forget() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut named = Vec::new();
    for _ in 0..130 {
        let mut txn = client.txn().ask("east", Work::default());
        named.push(txn.id().await.unwrap());
        let _ = txn.commit().await.unwrap();
    }
    finished(&client).await;
    assert!(named.windows(2).all(|pair| pair[0] < pair[1]));
    let retires = stage.named(|command| matches!(command, Command::Retire { .. }));
    assert!((1..=2).contains(&retires.len()), "{}", retires.len());
}

/// A builder that was asked for its id and then dropped does not hold back the retiring of others.
#[tokio::test(start_paused = true)]
async fn a_transaction_that_was_only_named_is_over_when_it_is_dropped() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.txn().id().await.unwrap();
    for _ in 0..70 {
        let _ = client.txn().ask("east", Work::default()).commit().await.unwrap();
    }
    finished(&client).await;
    assert_eq!(stage.named(|command| matches!(command, Command::Retire { .. })).len(), 1);
}

/// A participant keeps what it has applied of so many sessions, and of those that are older it
/// refuses whatever is new. An owner that was there long before the others never committed there
/// again, for it went on in its session.
#[tokio::test(start_paused = true)]
async fn a_session_that_a_participant_has_forgotten_is_put_aside() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut kept = client.txn().ask("west", Work::default());
    let old = kept.id().await.unwrap().session;
    stage.forget("east", old);
    let Outcome::Aborted { why: WhyAborted::No { reason, .. }, .. } =
        both(&client).commit().await.unwrap()
    else {
        panic!("not refused")
    };
    assert_eq!(reason, NoReason::Ended);
    let Outcome::Committed { txn } = both(&client).commit().await.unwrap() else {
        panic!("refused again")
    };
    assert_ne!(txn.session, old);
    finished(&client).await;

    // What was begun in it comes to its end, which it is kept alive for.
    tokio::time::sleep(3 * TTL).await;
    let open = || async {
        let (sessions, _) = client.sessions(None, 10).await.unwrap();
        let ours = sessions.iter().filter(|view| view.owner == "audience");
        ours.map(|view| view.session).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [old, txn.session]);
    assert!(matches!(kept.commit().await.unwrap(), Outcome::Committed { .. }));
    finished(&client).await;
    tokio::time::sleep(TTL).await;
    assert_eq!(open().await, [txn.session]);
}
