use synod_paxos::Life;
use synod_store::Identity;

use super::*;
use crate::shaky::{Shaky, Trouble, a_batch, batch_of, votes_of};

fn identity() -> Identity {
    let life = Life::first(synod_paxos::NodeId::new(1));
    Identity { cluster: "eu".to_owned(), cluster_id: 7, life }
}

struct Bench {
    medium: Shaky,
    disk: Disk,
    done: mpsc::UnboundedReceiver<Done>,
    closed: oneshot::Receiver<()>,
}

fn bench() -> Bench {
    let medium = Shaky::formatted(&identity());
    let (disk, done, closed) = Disk::start(medium.open(&identity()).0).unwrap();
    Bench { medium, disk, done, closed }
}

impl Bench {
    /// Waits for the end of a write; how many words may be spoken then.
    fn written(&mut self) -> usize {
        match self.done.blocking_recv().unwrap() {
            Done::Written { words, synced_in, store_bytes } => {
                self.disk.written(words, synced_in, store_bytes).len()
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Architecture, durability rules 1 to 3: nothing sealed leaves before its facts are durable.
#[test]
fn words_wait_for_the_sync_of_their_facts() {
    let mut bench = bench();
    bench.medium.set(Trouble::Stuck);
    bench.disk.give(a_batch());
    bench.disk.run(Instant::now());
    assert!(!bench.disk.is_idle());
    assert!(bench.done.try_recv().is_err(), "spoken before the sync");
    bench.medium.set(Trouble::None);
    assert!(bench.written() > 0);
    assert!(bench.disk.is_idle());
}

/// What gathers while a sync runs is made durable by the next one, all together.
#[test]
fn what_gathers_during_a_sync_shares_the_next_one() {
    let mut bench = bench();
    bench.medium.set(Trouble::Stuck);
    bench.disk.give(a_batch());
    bench.disk.run(Instant::now());
    for _ in 0..5 {
        bench.disk.give(a_batch());
        bench.disk.run(Instant::now());
    }
    bench.medium.set(Trouble::None);
    let words = bench.written();
    let syncs = bench.medium.syncs();
    bench.disk.run(Instant::now());
    assert_eq!(bench.written(), 5 * words);
    let one_write = bench.medium.syncs() - syncs;
    bench.disk.give(a_batch());
    bench.disk.run(Instant::now());
    bench.written();
    assert_eq!(bench.medium.syncs() - syncs, 2 * one_write, "five batches cost more than one");
    assert!(bench.disk.syncs().median_and_p99().1 > 0);
}

/// Security §7: a full disk loses nothing and speaks nothing; it is tried again by itself.
#[test]
fn a_full_disk_keeps_words_sealed_until_there_is_room() {
    let mut bench = bench();
    bench.medium.set(Trouble::Full);
    bench.disk.give(a_batch());
    let now = Instant::now();
    bench.disk.run(now);
    let full = bench.done.blocking_recv().unwrap();
    let Done::Full { batch } = full else { panic!("{full:?}") };
    bench.disk.full(batch, now);
    assert!(bench.disk.is_full() && !bench.disk.is_idle());
    let facts = bench.disk.waiting.writes().len();
    bench.disk.give(a_batch());
    assert_eq!(bench.disk.waiting.writes().len(), 2 * facts);
    bench.medium.set(Trouble::None);
    bench.disk.run(now);
    assert!(bench.done.try_recv().is_err(), "tried again at once");
    bench.disk.run(now + FULL_RETRY);
    assert!(bench.written() > 1);
    assert!(!bench.disk.is_full() && bench.disk.is_idle());
}

/// Consensus §11.2: facts become durable in the order in which they were given, also those that
/// found no room at first.
#[test]
fn facts_that_found_no_room_stay_before_later_ones() {
    let mut bench = bench();
    let order = [batch_of(1), batch_of(2), batch_of(3)];
    let order: Vec<_> = order.iter().flat_map(|batch| batch.writes().to_vec()).collect();
    bench.medium.set(Trouble::Full);
    bench.disk.give(batch_of(1));
    bench.disk.run(Instant::now());
    bench.disk.give(batch_of(2));
    let Done::Full { batch } = bench.done.blocking_recv().unwrap() else { panic!("not full") };
    bench.disk.full(batch, Instant::now());
    bench.disk.give(batch_of(3));
    assert_eq!(bench.disk.waiting.writes(), order);
}

/// A disk that hangs, or has no room, has only so many bytes wait for it, however few facts they
/// are; what it has been handed waits no more.
#[test]
fn a_disk_that_takes_nothing_is_swamped_by_bytes() {
    const EACH: usize = 8 << 20;
    let mut hung = bench();
    hung.medium.set(Trouble::Stuck);
    hung.disk.give(votes_of(EACH));
    hung.disk.run(Instant::now());
    for _ in 0..WAITING_BYTES_MAX / EACH {
        hung.disk.give(votes_of(EACH));
        hung.disk.run(Instant::now());
        assert!(!hung.disk.is_swamped());
    }
    hung.disk.give(votes_of(1));
    assert!(hung.disk.is_swamped());
    hung.medium.set(Trouble::None);
    hung.written();
    hung.disk.run(Instant::now());
    assert!(!hung.disk.is_swamped());

    let mut full = bench();
    full.disk.full(votes_of(WAITING_BYTES_MAX), Instant::now());
    assert!(!full.disk.is_swamped());
    full.disk.give(votes_of(1));
    assert!(full.disk.is_swamped());
}

/// Consensus §11.21: a failed sync is final; nothing is retried, nothing spoken.
#[test]
fn a_failed_sync_ends_the_thread() {
    let mut bench = bench();
    bench.medium.set(Trouble::Broken);
    bench.disk.give(a_batch());
    bench.disk.run(Instant::now());
    let failed = bench.done.blocking_recv().unwrap();
    assert!(matches!(failed, Done::Failed(StoreError::SyncFailed { .. })), "{failed:?}");
    bench.medium.set(Trouble::None);
    bench.disk.hand(Job::Write(a_batch()));
    assert!(bench.done.blocking_recv().is_none(), "it went on after a failed sync");
}

/// The directory is free when the driver's end is dropped and the receiver has resolved.
#[test]
fn the_store_is_closed_with_the_drivers_end() {
    let Bench { medium, disk, done, closed } = bench();
    drop((disk, done));
    closed.blocking_recv().unwrap_err();
    medium.open(&identity());
}
