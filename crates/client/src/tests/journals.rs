//! Who reads a journal is told every entry once, in order, from where its group stands.

use std::time::Duration;

use synod_machine::Position;
use tokio::time::timeout;

use crate::{
    Client, Committed, Delivered, GroupReader, Subscription,
    stage::{Kind, NODES, Stage, Twist},
};

/// The positions of the next so many entries.
async fn entries(sub: &mut Subscription, count: usize) -> Vec<u64> {
    positions(count, async || sub.next().await.unwrap().unwrap()).await
}

async fn for_group(sub: &mut GroupReader, count: usize) -> Vec<u64> {
    positions(count, async || sub.next().await.unwrap().unwrap()).await
}

async fn positions(count: usize, mut next: impl AsyncFnMut() -> Delivered) -> Vec<u64> {
    let mut all = Vec::new();
    while all.len() < count {
        match next().await {
            Delivered::Entry(entry) => all.push(entry.position.get()),
            Delivered::CaughtUp(_) | Delivered::Stale { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    all
}

async fn append(client: &Client, count: usize) {
    for _ in 0..count {
        client.journal("moves").append("move").await.unwrap();
    }
}

fn from(client: &Client, after: u64) -> Subscription {
    client.journal("moves").subscribe(Position::new(after))
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_told_every_entry_after_its_position_and_what_comes() {
    let stage = Stage::new();
    let client = stage.client().await;
    append(&client, 600).await;
    let mut sub = from(&client, 3);
    assert_eq!(entries(&mut sub, 597).await, (4..=600).collect::<Vec<_>>());
    append(&client, 2).await;
    assert_eq!(entries(&mut sub, 2).await, [601, 602]);
}

/// Before there is a journal there is nothing in it; and its reader is never silent.
#[tokio::test(start_paused = true)]
async fn a_reader_may_come_before_the_first_entry_and_is_never_left_in_silence() {
    let stage = Stage::new();
    let client = stage.client().await;
    let mut sub = from(&client, 0);
    for _ in 0..5 {
        let item = timeout(Duration::from_millis(1_010), sub.next()).await.unwrap();
        assert_eq!(item.unwrap().unwrap(), Delivered::CaughtUp(Position::ZERO));
    }
    append(&client, 1).await;
    assert_eq!(entries(&mut sub, 1).await, [1]);
    stage.lead(None);
    NODES.iter().for_each(|node| stage.kill(node));
    for _ in 0..3 {
        let item = timeout(Duration::from_millis(1_010), sub.next()).await.unwrap();
        assert!(!matches!(item, Some(Ok(Delivered::Entry(_)))), "{item:?}");
    }
    assert!(matches!(sub.next().await, Some(Ok(Delivered::Stale { .. }))));
}

/// The offset of the group is the cluster's: whoever reads for it next goes on there.
#[tokio::test(start_paused = true)]
async fn a_group_goes_on_where_it_committed() {
    let stage = Stage::new();
    let client = stage.client().await;
    append(&client, 5).await;
    let mut sub = from(&client, 0).group("indexer");
    assert_eq!(for_group(&mut sub, 3).await, [1, 2, 3]);
    assert_eq!(sub.commit(Position::new(2)).await.unwrap(), Committed::Done);
    drop(sub);
    let mut next = from(&client, 0).group("indexer");
    assert_eq!(for_group(&mut next, 3).await, [3, 4, 5]);
    let back = next.commit(Position::new(1)).await.unwrap();
    assert_eq!(back, Committed::Behind(Position::new(2)));
    let mut other = from(&client, 4).group("other");
    assert_eq!(for_group(&mut other, 1).await, [5], "a group that is new begins as it is told");
}

#[tokio::test(start_paused = true)]
async fn what_was_trimmed_before_it_was_read_is_told_to_be_missed() {
    let stage = Stage::new();
    let client = stage.client().await;
    append(&client, 5).await;
    client.journal("moves").trim(Position::new(3)).await.unwrap();
    let mut sub = from(&client, 1);
    let missed = Delivered::Missed { upto: Position::new(3) };
    assert_eq!(sub.next().await.unwrap().unwrap(), missed);
    assert_eq!(entries(&mut sub, 2).await, [4, 5]);
}

/// Nodes die, answers are lost: it goes on where it was.
#[tokio::test(start_paused = true)]
async fn a_reader_goes_on_over_the_loss_of_nodes() {
    let stage = Stage::new();
    let client = stage.client().await;
    append(&client, 1).await;
    let mut sub = from(&client, 0);
    assert_eq!(entries(&mut sub, 1).await, [1]);
    for (round, node) in NODES.iter().cycle().take(9).enumerate() {
        stage.kill(node);
        for twist in [Twist::Lost, Twist::DoneAndLost, Twist::Garbage] {
            stage.next(Kind::Watch, twist.clone());
            stage.next(Kind::Read, twist);
        }
        stage.lead(NODES.iter().find(|other| *other != node).copied());
        append(&client, 3).await;
        let first = 2 + 3 * round as u64;
        assert_eq!(entries(&mut sub, 3).await, [first, first + 1, first + 2]);
        stage.start(node);
    }
}
