//! Claims, registers, counters and journals: what a caller is told is what the log says, and each
//! call takes effect once.

use std::time::Duration;

use synod_machine::{Name, Position};

use crate::{
    Arrived, Chosen, Claimed, Committed, Counted, CounterSet, Unclaimed,
    stage::{Kind, Stage, Twist},
};

#[tokio::test(start_paused = true)]
async fn a_name_is_whose_it_was_first_until_it_is_given_back() {
    let stage = Stage::new();
    let client = stage.client().await;
    let claim = client.claim("user/alice");
    let Claimed::Ours(at) = claim.take("17").await.unwrap() else { panic!("nobody had it") };
    assert_eq!(claim.take("17").await.unwrap(), Claimed::Ours(at), "it is told so again");
    let view = claim.view().await.unwrap().unwrap();
    assert_eq!((view.owner.as_str(), view.client.as_str(), view.at), ("17", "audience", at));
    assert_eq!(claim.take("18").await.unwrap(), Claimed::TakenBy(view.clone()));
    assert_eq!(claim.release("18").await.unwrap(), Unclaimed::TakenBy(view.clone()));
    assert_eq!(client.claims("user/", None, 9).await.unwrap(), (vec![view], false));
    assert!(matches!(claim.release("17").await.unwrap(), Unclaimed::Released(_)));
    assert_eq!(claim.release("17").await.unwrap(), Unclaimed::Absent);
    assert_eq!(claim.view().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_claim_on_a_lease_ends_with_it() {
    let stage = Stage::new();
    let client = stage.client().await;
    let lease = client.lease(Duration::from_secs(9)).await.unwrap();
    let claim = client.claim("shard/7");
    assert!(matches!(claim.take_on("n1", lease.id()).await.unwrap(), Claimed::Ours(_)));
    assert_eq!(claim.view().await.unwrap().unwrap().lease, Some(lease.id()));
    lease.revoke().await.unwrap();
    assert_eq!(claim.view().await.unwrap(), None);
}

/// The answer of the first copy was lost: the second is told that it was ours.
#[tokio::test(start_paused = true)]
async fn the_first_proposal_stands_and_every_later_proposer_is_told_it() {
    let stage = Stage::new();
    let client = stage.client().await;
    let register = client.register("schema");
    assert_eq!(register.get().await.unwrap(), None);
    stage.next(Kind::Submit, Twist::DoneAndLost);
    let first = register.propose("a").await.unwrap();
    assert!(first.ours && first.value == "a", "{first:?}");
    assert_eq!(register.propose("b").await.unwrap(), Chosen { ours: false, ..first.clone() });
    let view = register.get().await.unwrap().unwrap();
    assert_eq!((&view.value, view.at, &view.by), (&first.value, first.at, &first.by));
    assert_eq!(client.registers("", None, 9).await.unwrap(), (vec![view], false));
}

#[tokio::test(start_paused = true)]
async fn a_counter_counts_each_call_once() {
    let stage = Stage::new();
    let client = stage.client().await;
    let counter = client.counter("n");
    for twist in [Twist::DoneAndLost, Twist::Lost, Twist::Garbage] {
        stage.next(Kind::Submit, twist);
    }
    assert!(matches!(counter.add(2).await.unwrap(), Counted::Value { value: 2, .. }));
    assert_eq!(counter.set(Some(3), 9).await.unwrap(), CounterSet::Mismatch(Some(2)));
    assert!(matches!(counter.set(Some(2), i64::MAX).await.unwrap(), CounterSet::Done(_)));
    assert_eq!(counter.add(1).await.unwrap(), Counted::Overflow(i64::MAX));
    let view = counter.get().await.unwrap().unwrap();
    assert_eq!(client.counters("n", None, 9).await.unwrap(), (vec![view], false));
    assert_eq!(counter.delete().await.unwrap(), Some(i64::MAX));
    assert_eq!(counter.delete().await.unwrap(), None);
    assert!(counter.get().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_read_from_where_a_group_stands() {
    let stage = Stage::new();
    let client = stage.client().await;
    let journal = client.journal("moves");
    let at = Position::new;
    assert_eq!(journal.read(at(0), 9).await.unwrap().journal, None);
    assert_eq!(journal.commit("g", at(0)).await.unwrap(), Committed::Absent);
    for (place, value) in (1..).zip(["a", "b", "c"]) {
        stage.next(Kind::Submit, Twist::DoneAndLost);
        assert_eq!(journal.append(value).await.unwrap(), at(place));
    }
    assert_eq!(journal.commit("g", at(2)).await.unwrap(), Committed::Done);
    assert_eq!(journal.commit("g", at(1)).await.unwrap(), Committed::Behind(at(2)));
    assert_eq!(journal.commit("g", at(4)).await.unwrap(), Committed::Beyond(at(3)));
    assert_eq!(journal.offsets().await.unwrap(), [(Name::new("g"), at(2))]);
    let done = journal.offset("g").await.unwrap().unwrap();
    let page = journal.read(done, 9).await.unwrap();
    let values: Vec<_> = page.entries.iter().map(|entry| entry.value.clone()).collect();
    assert_eq!((values, page.more), (vec!["c".into()], false));
    assert!(journal.read(at(0), 2).await.unwrap().more);
    assert_eq!(journal.trim(at(9)).await.unwrap(), Some(at(3)));
    let page = journal.read(at(0), 9).await.unwrap();
    assert_eq!((page.entries.len(), page.journal.unwrap().trimmed), (0, at(3)));
    assert_eq!(journal.forget("g").await.unwrap(), Some(at(2)));
    assert_eq!(journal.offset("g").await.unwrap(), None);
}

/// One trim of the log goes only so far; the client asks until it is where it was to be.
#[tokio::test(start_paused = true)]
async fn a_long_journal_is_trimmed_to_where_it_was_asked() {
    let stage = Stage::new();
    let client = stage.client().await;
    let journal = client.journal("moves");
    let many = synod_machine::TRIM_MAX + 2;
    for _ in 0..many {
        journal.append("v").await.unwrap();
    }
    let upto = Position::new(many - 1);
    assert_eq!(journal.trim(upto).await.unwrap(), Some(upto));
    assert_eq!(journal.read(Position::ZERO, 9).await.unwrap().entries.len(), 1);
    assert_eq!(client.journal("none").trim(upto).await.unwrap(), None);
}

/// Who waits is woken by the append, on whatever node it asked.
#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_the_next_entry() {
    let stage = Stage::new();
    let client = stage.client().await;
    let journal = client.journal("moves");
    journal.append("a").await.unwrap();
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.wait(Position::new(1), 9).await }
    });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!waiting.is_finished());
    journal.append("b").await.unwrap();
    let page = waiting.await.unwrap().unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].value, "b");
    let nothing = journal.wait(Position::new(2), 9).await.unwrap();
    assert!(nothing.entries.is_empty(), "there was none in all the time of a call");
}

#[tokio::test(start_paused = true)]
async fn nobody_enters_before_everybody_has_come() {
    let stage = Stage::new();
    let client = stage.client().await;
    let ttl = Duration::from_secs(60);
    let (one, two) = (client.lease(ttl).await.unwrap(), client.lease(ttl).await.unwrap());
    let barrier = client.barrier("load");
    let entering = tokio::spawn({
        let (barrier, one) = (barrier.clone(), one.id());
        async move { barrier.enter(one, 2).await }
    });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!entering.is_finished());
    assert!(!barrier.remove().await.unwrap(), "somebody waits");
    assert!(barrier.arrive(two.id(), 3).await.is_err(), "it is for two");
    let Arrived::Open { at } = barrier.arrive(two.id(), 2).await.unwrap() else {
        panic!("both are there")
    };
    assert_eq!(entering.await.unwrap().unwrap(), Arrived::Open { at });
    let view = barrier.view().await.unwrap().unwrap();
    assert_eq!((view.here, view.parties, view.opened), (2, 2, Some(at)));
    assert_eq!(client.barriers("", None, 9).await.unwrap(), (vec![view], false));
    one.revoke().await.unwrap();
    assert_eq!(barrier.leave(two.id()).await.unwrap(), Some(0));
    assert_eq!(barrier.leave(two.id()).await.unwrap(), None);
    assert!(barrier.remove().await.unwrap());
    assert_eq!(barrier.view().await.unwrap(), None);
}

/// A lease that ends before it opens takes its party with it, and whoever waited waits on.
#[tokio::test(start_paused = true)]
async fn a_party_whose_lease_ends_has_not_come() {
    let stage = Stage::new();
    let client = stage.client().await;
    let ttl = Duration::from_secs(60);
    let (one, two) = (client.lease(ttl).await.unwrap(), client.lease(ttl).await.unwrap());
    let barrier = client.barrier("load");
    barrier.arrive(one.id(), 2).await.unwrap();
    one.revoke().await.unwrap();
    let waiting = barrier.enter(two.id(), 2).await.unwrap();
    assert!(matches!(waiting, Arrived::Waiting { arrived: 1, of: 2, .. }), "{waiting:?}");
}
