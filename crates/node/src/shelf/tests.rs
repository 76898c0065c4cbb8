use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use synod_paxos::NodeId;
use synod_store::Chunks;
use tempfile::TempDir;

use super::*;

const CLUSTER: u64 = 7;

fn shelf() -> (TempDir, Shelf) {
    let place = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(place.path(), CLUSTER);
    (place, shelf)
}

fn slot(number: u64) -> Slot {
    Slot::new(number)
}

/// The state of an empty machine, as this build writes it.
fn state() -> Vec<u8> {
    Machine::new().snapshot().to_bytes()
}

/// The same as another build writes it.
fn state_of_another_build() -> Vec<u8> {
    let mut state = state();
    state[0] += 1;
    state
}

fn put_up(shelf: &Shelf, at: u64, state: &[u8]) -> PathBuf {
    let mut draft = shelf.draft(slot(at)).unwrap();
    draft.write(state).unwrap();
    draft.finish().unwrap();
    shelf.place(slot(at))
}

/// Something that cannot be read stands in the place of a snapshot: a link, which is not followed.
fn make_unreadable(snapshot: &Path) {
    let elsewhere = snapshot.with_file_name("elsewhere");
    fs::rename(snapshot, &elsewhere).unwrap();
    symlink(&elsewhere, snapshot).unwrap();
}

fn make_readable(snapshot: &Path) {
    fs::rename(snapshot.with_file_name("elsewhere"), snapshot).unwrap();
}

fn damage(snapshot: &Path) {
    let mut bytes = fs::read(snapshot).unwrap();
    bytes[3] ^= 1;
    fs::write(snapshot, bytes).unwrap();
}

/// A snapshot that another build wrote is whole: a start of this one refuses, and says which
/// versions there are. It once removed it, with all that the node had.
#[test]
fn a_snapshot_of_another_build_ends_the_start_and_stays() {
    let (_place, shelf) = shelf();
    let (older, newer) =
        (put_up(&shelf, 5, &state()), put_up(&shelf, 9, &state_of_another_build()));
    let known = state()[0];
    match restored(&shelf) {
        Err(error @ NodeError::OtherVersion { .. }) => {
            let text = error.to_string();
            let versions = format!("version {}, this build reads version {known} only", known + 1);
            assert!(text.contains(&versions) && text.contains(&*newer.to_string_lossy()), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert!(older.exists() && newer.exists());
}

/// What cannot be read this time may be whole: the start ends, and the next one may read it.
#[test]
fn a_snapshot_that_cannot_be_read_ends_the_start_and_stays() {
    let (_place, shelf) = shelf();
    let snapshots = [put_up(&shelf, 5, &state()), put_up(&shelf, 9, &state())];
    for unreadable in &snapshots {
        make_unreadable(unreadable);
        let refused = restored(&shelf);
        assert!(
            matches!(&refused, Err(NodeError::Snapshot { path, .. }) if path == unreadable),
            "{refused:?}"
        );
        make_readable(unreadable);
    }
    let restored = restored(&shelf).unwrap();
    assert_eq!((restored.applied, restored.lost), (slot(9), vec![]));
}

/// A file that does not verify is told apart from one that is whole and no state at all.
#[test]
fn only_what_does_not_verify_is_lost() {
    let (_place, shelf) = shelf();
    put_up(&shelf, 5, &state());
    damage(&put_up(&shelf, 7, &state()));
    put_up(&shelf, 9, &state()[..3]);
    let restored = restored(&shelf).unwrap();
    assert_eq!(restored.applied, slot(5));
    assert_eq!((restored.lost, restored.strange), (vec![slot(7)], vec![slot(9)]));
}

impl Hands {
    /// Takes in a snapshot of one chunk from another node.
    fn receive_whole(&self, at: u64, state: &[u8]) -> ShelfNews {
        let sealed = Chunks::new(CLUSTER).seal(slot(at), state).into();
        self.run(ShelfJob::Receive { slot: slot(at), number: 0, count: 1, sealed }).unwrap()
    }
}

/// A snapshot that was fetched of a peer of another build goes: the peer has it, and the next start
/// would be refused for it.
#[test]
fn a_fetched_snapshot_of_another_build_refuses_no_start() {
    let (_place, shelf) = shelf();
    let hands = Hands::new(shelf.clone(), u64::MAX);
    for state in [&state_of_another_build()[..], &state()[..3]] {
        let news = hands.receive_whole(9, state);
        assert!(matches!(news, ShelfNews::Unusable), "{news:?}");
        assert_eq!(shelf.slots().unwrap(), []);
    }
    assert!(matches!(hands.receive_whole(9, &state()), ShelfNews::Whole { .. }));
    assert_eq!(shelf.slots().unwrap(), [slot(9)]);
}

/// A peer is told that it gets no chunk of a snapshot that cannot be read this time, and nothing
/// more comes of it: only one whose bytes do not verify is lost, and removed.
#[test]
fn only_a_snapshot_that_does_not_verify_is_lost_to_a_peer() {
    let (_place, shelf) = shelf();
    let snapshot = put_up(&shelf, 5, &state());
    let hands = Hands::new(shelf, u64::MAX);
    let read = |number| {
        let to = NodeId::new(2);
        hands.run(ShelfJob::Read { to, slot: slot(5), number }).unwrap()
    };
    assert!(matches!(read(0), ShelfNews::Read { chunk: Some(_), .. }));
    assert!(matches!(read(1), ShelfNews::Read { chunk: None, .. }), "it has one chunk");
    make_unreadable(&snapshot);
    let news = read(0);
    assert!(matches!(news, ShelfNews::Read { chunk: None, .. }), "{news:?}");
    make_readable(&snapshot);
    assert!(matches!(read(0), ShelfNews::Read { chunk: Some(_), .. }));
    damage(&snapshot);
    assert!(matches!(read(0), ShelfNews::Lost { .. }));
    fs::remove_file(&snapshot).unwrap();
    assert!(matches!(read(0), ShelfNews::Lost { .. }));
}
