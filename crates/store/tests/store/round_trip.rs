use synod_paxos::{Decree, Durable, Record, Slot, Write};
use synod_store::{Store, StoreError};

use crate::{
    accepted, ballot, chosen, chosen_upto, disk::Disk, identity, promised, trimmed, value,
};

fn formatted() -> Disk {
    let disk = Disk::default();
    Store::format_on(disk.clone(), &identity()).unwrap();
    disk
}

fn open(disk: &Disk) -> (Store, Durable) {
    Store::open_on(disk.clone(), &identity()).unwrap()
}

fn slots(decrees: Vec<(Slot, Decree)>) -> Vec<u64> {
    decrees.into_iter().map(|(slot, _)| slot.get()).collect()
}

/// A new store remembers nothing: nothing promised, accepted or chosen.
#[test]
fn a_new_store_is_empty() {
    assert_eq!(open(&formatted()).1, Durable::default());
}

/// What was written is what the next life finds, votes and chosen decrees each as what they are.
#[test]
fn the_next_life_finds_what_was_written() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    store.write(&[promised(2), accepted(1, 2, value("a")), chosen(2, Decree::Noop)]).unwrap();
    store.write(&[accepted(4, 2, value("d")), chosen_upto(1)]).unwrap();
    drop(store);
    let records = vec![
        (Slot::new(2), Record::Chosen { decree: Decree::Noop }),
        (Slot::new(4), Record::Accepted { ballot: ballot(2), decree: value("d") }),
    ];
    let promised = Some(ballot(2));
    let chosen_upto = Slot::new(1);
    let expected = Durable { promised, chosen_upto, records, ..Durable::default() };
    assert_eq!(open(&disk).1, expected);
}

/// *Paxos Made Simple* §2.2, P1a: what was promised binds for ever, so a promise never falls.
#[test]
fn a_promise_never_falls() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    store.write(&[promised(5)]).unwrap();
    store.write(&[promised(3)]).unwrap();
    drop(store);
    let (mut store, durable) = open(&disk);
    assert_eq!(durable.promised, Some(ballot(5)));
    store.write(&[promised(4)]).unwrap();
    drop(store);
    assert_eq!(open(&disk).1.promised, Some(ballot(5)));
}

/// A later vote in a slot takes the place of the earlier one, with or without a payload.
#[test]
fn a_later_vote_replaces_the_earlier_one() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    for (round, decree) in [(1, value("long enough")), (2, Decree::Noop), (3, value("c"))] {
        store.write(&[accepted(1, round, decree.clone())]).unwrap();
        drop(store);
        let (again, durable) = open(&disk);
        let record = Record::Accepted { ballot: ballot(round), decree };
        assert_eq!(durable.records, [(Slot::new(1), record)]);
        store = again;
    }
}

/// One batch costs a fixed number of syncs, however many facts are in it.
#[test]
fn a_batch_is_synced_as_one() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    // A file that has to grow is synced once more for that: let it have room.
    store.write(&[accepted(1, 1, value(&"x".repeat(1 << 20)))]).unwrap();
    store.write(&[accepted(1, 2, Decree::Noop)]).unwrap();
    store.write(&[promised(2)]).unwrap();
    let before = disk.syncs();
    store.write(&[accepted(200, 1, value("x"))]).unwrap();
    let one = disk.syncs() - before;
    store.write(&(201..240).map(|slot| accepted(slot, 1, value("x"))).collect::<Vec<_>>()).unwrap();
    let many = disk.syncs() - before - one;
    assert_eq!((one, many), (2, 2));
}

/// Nothing to write is nothing to sync.
#[test]
fn an_empty_batch_touches_nothing() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    let before = disk.syncs();
    store.write(&[]).unwrap();
    assert_eq!(disk.syncs(), before);
}

/// Chosen decrees come in pages: gapless from the first wanted, never past the last, and at least
/// one however small the page is.
#[test]
fn chosen_decrees_come_in_pages() {
    let (mut store, _) = open(&formatted());
    let log: Vec<Write> = (1..=5).map(|slot| accepted(slot, 1, value("four"))).collect();
    store.write(&log).unwrap();
    store.write(&[chosen_upto(5)]).unwrap();
    let page = |first, upto, bytes_max| {
        slots(store.chosen(Slot::new(first), Slot::new(upto), bytes_max).unwrap())
    };
    assert_eq!(page(1, 5, usize::MAX), [1, 2, 3, 4, 5]);
    assert_eq!(page(2, 3, usize::MAX), [2, 3]);
    assert_eq!(page(1, 5, 8), [1, 2]);
    assert_eq!(page(1, 5, 9), [1, 2, 3]);
    assert_eq!(page(1, 5, 0), [1]);
    assert_eq!(page(4, 100, usize::MAX), [4, 5]);
    assert_eq!(page(6, 100, usize::MAX), []);
    assert_eq!(page(3, 2, usize::MAX), []);
}

/// A vote above the watermark is not known to be chosen and is never handed out as such; a chosen
/// decree above it is, up to the first gap.
#[test]
fn only_what_is_known_to_be_chosen_is_handed_out() {
    let (mut store, _) = open(&formatted());
    let log = [
        accepted(1, 1, value("a")),
        chosen(2, value("b")),
        chosen(3, value("c")),
        accepted(4, 1, value("d")),
        chosen(6, value("f")),
    ];
    store.write(&log).unwrap();
    let page = |store: &Store, first| {
        slots(store.chosen(Slot::new(first), Slot::new(9), usize::MAX).unwrap())
    };
    assert_eq!(page(&store, 1), []);
    assert_eq!(page(&store, 2), [2, 3]);
    store.write(&[chosen_upto(1)]).unwrap();
    assert_eq!(page(&store, 1), [1, 2, 3]);
    store.write(&[chosen_upto(4)]).unwrap();
    assert_eq!(page(&store, 1), [1, 2, 3, 4]);
    assert_eq!(page(&store, 6), [6]);
}

/// A store never formats by itself, and formatting never touches a store that is there.
#[test]
fn formatting_is_asked_for_and_happens_once() {
    let disk = Disk::default();
    let missing = Store::open_on(disk.clone(), &identity()).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    assert!(disk.bytes().is_empty());
    Store::format_on(disk.clone(), &identity()).unwrap();
    open(&disk).0.write(&[promised(3)]).unwrap();
    let exists = Store::format_on(disk.clone(), &identity()).unwrap_err();
    assert!(matches!(exists, StoreError::Exists { .. }), "{exists}");
    assert_eq!(open(&disk).1.promised, Some(ballot(3)));
}

/// The file's size is known, for status and metrics.
#[test]
fn the_size_of_the_file_is_known() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    store.write(&[accepted(1, 1, value(&"x".repeat(100_000)))]).unwrap();
    assert_eq!(store.bytes(), disk.bytes().len() as u64);
    assert!(store.bytes() > 100_000);
}

/// What is trimmed is gone, and the next life knows that it was there: the watermark is at least
/// where the log begins, whatever was written down of it.
#[test]
fn the_next_life_knows_what_was_trimmed() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    for slot in 1..=6 {
        store.write(&[accepted(slot, 1, value("x"))]).unwrap();
    }
    store.write(&[chosen_upto(2), trimmed(4)]).unwrap();
    assert_eq!(slots(store.chosen(Slot::new(5), Slot::new(9), 1).unwrap()), [0_u64; 0]);
    assert_eq!(slots(store.chosen(Slot::new(1), Slot::new(4), usize::MAX).unwrap()), [0_u64; 0]);
    drop(store);
    let (_, durable) = open(&disk);
    assert_eq!((durable.trimmed, durable.chosen_upto), (Slot::new(4), Slot::new(4)));
    let above: Vec<u64> = durable.records.iter().map(|(slot, _)| slot.get()).collect();
    assert_eq!(above, [5, 6], "votes above stay votes");
}

/// Space comes back: a log of which the beginning is trimmed again and again needs no more room
/// than its longest state.
#[test]
fn what_is_trimmed_is_room_for_what_follows() {
    let disk = formatted();
    let (mut store, _) = open(&disk);
    let mut sizes = Vec::new();
    for round in 0..12_u64 {
        for slot in round * 200 + 1..=round * 200 + 200 {
            let upto = slot.saturating_sub(300);
            let vote = accepted(slot, 1, value(&"x".repeat(1_000)));
            store.write(&[vote, chosen_upto(slot), trimmed(upto)]).unwrap();
        }
        sizes.push(store.bytes());
    }
    assert_eq!(sizes[3], sizes[11], "the file grows: {sizes:?}");
}
