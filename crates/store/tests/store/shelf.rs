//! Snapshots: whole or not there, damaged or not, written, received and sent on.

use std::{fs, path::PathBuf};

use synod_paxos::Slot;
use synod_store::{Chunk, Chunks, Received, Shelf};
use tempfile::TempDir;

const CLUSTER: u64 = 7;

fn slot(number: u64) -> Slot {
    Slot::new(number)
}

/// More than two chunks, and not a round number of bytes.
fn state() -> Vec<u8> {
    (0..600_001_u32).map(|n| (n / 251) as u8).collect()
}

fn shelf() -> (TempDir, Shelf) {
    let place = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(place.path(), CLUSTER);
    (place, shelf)
}

fn put_up(shelf: &Shelf, at: u64, state: &[u8]) {
    let mut draft = shelf.draft(slot(at)).unwrap();
    for piece in state.chunks(10_007) {
        draft.write(piece).unwrap();
    }
    draft.finish().unwrap();
}

fn file(place: &TempDir, name: &str) -> PathBuf {
    place.path().join(name)
}

/// Every chunk of a snapshot, in order.
fn chunks(shelf: &Shelf, at: u64) -> Vec<Chunk> {
    (0..).map_while(|number| shelf.read(slot(at), number).unwrap()).collect()
}

#[test]
fn a_snapshot_holds_the_state_that_was_written() {
    let (_place, shelf) = shelf();
    put_up(&shelf, 40, &state());
    put_up(&shelf, 9, b"small");
    assert_eq!(shelf.slots().unwrap(), [slot(9), slot(40)]);
    assert_eq!(shelf.load(slot(40)).unwrap(), Some(state()));
    assert_eq!(shelf.load(slot(9)).unwrap(), Some(b"small".to_vec()));
    assert_eq!(shelf.load(slot(10)).unwrap(), None);
    shelf.remove(slot(9)).unwrap();
    assert_eq!(shelf.slots().unwrap(), [slot(40)]);
}

/// A state of exactly one chunk, and of exactly two.
#[test]
fn a_state_may_end_where_a_chunk_does() {
    let (_place, shelf) = shelf();
    for (at, bytes) in [(1, 256 << 10), (2, 512 << 10)] {
        let state = vec![7; bytes];
        put_up(&shelf, at, &state);
        assert_eq!(shelf.load(slot(at)).unwrap(), Some(state));
        assert_eq!(chunks(&shelf, at).len(), at as usize);
    }
}

fn entries(place: &TempDir) -> usize {
    fs::read_dir(place.path()).unwrap().count()
}

/// What a writer left that was killed is no snapshot, and is gone at the next start.
#[test]
fn an_interrupted_snapshot_never_was() {
    let (place, shelf) = shelf();
    let mut draft = shelf.draft(slot(40)).unwrap();
    draft.write(&state()).unwrap();
    let new = file(&place, "snapshot-00000000000000000040.new");
    let begun = fs::read(&new).unwrap();
    drop(draft);
    fs::write(&new, begun).unwrap();
    assert_eq!(shelf.slots().unwrap(), []);
    assert_eq!(entries(&place), 0);
}

/// A snapshot that could not be written gives back at once the room that it had: the next one is of
/// another slot, and would not take its place.
#[test]
fn a_snapshot_that_is_given_up_leaves_nothing() {
    let (place, shelf) = shelf();
    let mut draft = shelf.draft(slot(40)).unwrap();
    draft.write(&state()).unwrap();
    assert_eq!(entries(&place), 1);
    drop(draft);
    assert_eq!(entries(&place), 0);

    // A directory of its name keeps it from standing.
    let standing = file(&place, "snapshot-00000000000000000041");
    fs::create_dir(&standing).unwrap();
    let mut draft = shelf.draft(slot(41)).unwrap();
    draft.write(&state()).unwrap();
    assert!(draft.finish().is_err());
    assert_eq!(entries(&place), 1);
    assert!(standing.is_dir());
}

/// One flipped bit anywhere, or an end that is missing, and the snapshot is not served.
#[test]
fn a_damaged_snapshot_is_noticed_wherever_it_is_damaged() {
    let (place, shelf) = shelf();
    put_up(&shelf, 40, &state());
    let path = file(&place, "snapshot-00000000000000000040");
    let whole = fs::read(&path).unwrap();
    let stride = (256 << 10) + 5;
    for at in [0, 1, stride - 1, stride, 2 * stride + 1, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert_eq!(shelf.load(slot(40)).unwrap(), None, "a flipped bit at {at}");
        assert_eq!(shelf.read(slot(40), (at / stride) as u32).unwrap(), None);
    }
    for length in [0, 1, stride, 2 * stride, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(shelf.load(slot(40)).unwrap(), None, "cut at {length}");
    }
}

/// A snapshot is bound to its slot and its cluster.
#[test]
fn a_snapshot_from_elsewhere_is_none() {
    let (place, shelf) = shelf();
    put_up(&shelf, 40, &state());
    let stranger = Shelf::new(place.path(), CLUSTER + 1);
    assert_eq!(stranger.load(slot(40)).unwrap(), None);
    let from = file(&place, "snapshot-00000000000000000040");
    fs::rename(from, file(&place, "snapshot-00000000000000000041")).unwrap();
    assert_eq!(shelf.load(slot(41)).unwrap(), None);
}

/// Chunk by chunk from one shelf to another, with one damaged, one doubled and one too early on the
/// way.
#[test]
fn a_snapshot_travels_chunk_by_chunk() {
    let (_place, from) = shelf();
    let (_other_place, to) = shelf();
    put_up(&from, 40, &state());
    let chunks = chunks(&from, 40);
    let [first, second, third] = &chunks[..] else { panic!("{} chunks", chunks.len()) };
    assert_eq!(to.receive(slot(40), second).unwrap(), Received::Next(0), "too early");
    assert_eq!(to.receive(slot(40), first).unwrap(), Received::Next(1));
    let mut damaged = second.clone();
    damaged.sealed = damaged.sealed.iter().map(|byte| byte ^ 1).collect();
    assert_eq!(to.receive(slot(40), &damaged).unwrap(), Received::Next(1));
    assert_eq!(to.receive(slot(40), second).unwrap(), Received::Next(2));
    assert_eq!(to.receive(slot(40), second).unwrap(), Received::Next(2), "twice");
    assert_eq!(to.slots().unwrap(), [], "it is not whole yet");
    assert_eq!(to.receive(slot(40), third).unwrap(), Received::Whole);
    assert_eq!(to.load(slot(40)).unwrap(), Some(state()));
    assert_eq!(to.part().unwrap(), None);
}

/// A node that dies in the middle goes on where it was; what is torn is fetched again.
#[test]
fn a_part_is_taken_up_where_it_ended() {
    let (_place, from) = shelf();
    let (place, to) = shelf();
    put_up(&from, 40, &state());
    let chunks = chunks(&from, 40);
    to.receive(slot(40), &chunks[0]).unwrap();
    to.receive(slot(40), &chunks[1]).unwrap();
    assert_eq!(to.part().unwrap(), Some((slot(40), 2)));
    assert_eq!(to.slots().unwrap(), []);
    let path = file(&place, "snapshot-00000000000000000040.part");
    let mut torn = fs::read(&path).unwrap();
    let end = torn.len() - 9;
    torn[end..].fill(0);
    fs::write(&path, torn).unwrap();
    assert_eq!(to.part().unwrap(), Some((slot(40), 1)), "the second chunk is torn");
    for chunk in &chunks[1..] {
        to.receive(slot(40), chunk).unwrap();
    }
    assert_eq!(to.load(slot(40)).unwrap(), Some(state()));
    // One that is begun takes the place of one that will not be ended.
    put_up(&from, 50, &state());
    to.receive(slot(45), &chunks[0]).unwrap();
    to.receive(slot(50), &from.read(slot(50), 0).unwrap().unwrap()).unwrap();
    assert_eq!(to.part().unwrap(), Some((slot(50), 1)));
}

/// A link is not followed.
#[test]
fn a_link_is_not_a_snapshot() {
    let (place, shelf) = shelf();
    put_up(&shelf, 40, b"state");
    let (from, to) = ("snapshot-00000000000000000040", "snapshot-00000000000000000041");
    std::os::unix::fs::symlink(file(&place, from), file(&place, to)).unwrap();
    assert!(shelf.load(slot(41)).is_err());
}

/// The bytes of a chunk are fixed.
#[test]
fn a_chunk_has_golden_bytes() {
    let sealed = Chunks::of_bytes(CLUSTER, 4).seal(slot(40), b"state");
    let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "0173746174e02f79f10165b6591f2f");
    assert_eq!(Chunks::of_bytes(CLUSTER, 4).state(slot(40), &sealed), Some(b"state".to_vec()));
}
