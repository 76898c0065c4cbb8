//! The power goes at every operation of a shelf of snapshots, and what was not synced is lost, all
//! of it or parts.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use synod_paxos::Slot;
use synod_store::{Chunk, Chunks, Dir, DirFile, Received, Shelf, StoreError};

use crate::disk::Coin;

/// What is kept or lost of a write, by itself.
const SECTOR: usize = 512;

/// A directory in memory. Clones are of the same one.
#[derive(Clone, Debug, Default)]
struct Drawer(Arc<Mutex<Inside>>);

#[derive(Clone, Debug, Default)]
struct Inside {
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// What was done to names since the last sync.
    renamings: Vec<Renaming>,
    files: Vec<Inode>,
    operations: usize,
    cut_at: Option<usize>,
}

#[derive(Clone, Debug)]
enum Renaming {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// What was done to it since its last sync.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Drawer {
    /// The power goes at this operation, counted from 0: it is not done, and nor is anything after.
    fn until(cut_at: usize) -> Drawer {
        let inside = Inside { cut_at: Some(cut_at), ..Inside::default() };
        Drawer(Arc::new(Mutex::new(inside)))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, Inside>> {
        let mut inside = self.inside();
        if inside.cut_at.is_some_and(|at| inside.operations >= at) {
            return Err(io::Error::other("the power is gone"));
        }
        inside.operations += 1;
        Ok(inside)
    }

    /// What is there for the next process when only this one ended.
    fn after_kill(&self) -> Drawer {
        let inside = Inside { cut_at: None, ..self.inside().clone() };
        Drawer(Arc::new(Mutex::new(inside)))
    }

    /// What is there when the power is back.
    fn after_power_cut(&self, coin: &mut Coin) -> Drawer {
        let mut inside = self.inside().clone();
        let mut names = inside.durable.clone();
        for renaming in &inside.renamings {
            if coin.flip() {
                renaming.apply(&mut names);
            }
        }
        for inode in &mut inside.files {
            let mut bytes = inode.durable.clone();
            for change in &inode.changes {
                change.apply_in_part(&mut bytes, coin);
            }
            *inode = Inode { bytes: bytes.clone(), durable: bytes, changes: Vec::new() };
        }
        let durable = names.clone();
        let inside = Inside { names, durable, files: inside.files, ..Inside::default() };
        Drawer(Arc::new(Mutex::new(inside)))
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Renaming::Create(name, file) => drop(names.insert(name.clone(), *file)),
            Renaming::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Renaming::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(from, written) => put(bytes, *from, written),
            Change::Cut(length) => bytes.truncate(*length),
        }
    }

    fn apply_in_part(&self, bytes: &mut Vec<u8>, coin: &mut Coin) {
        match self {
            Change::Write(from, written) => {
                for (n, sector) in written.chunks(SECTOR).enumerate() {
                    if coin.flip() {
                        put(bytes, from + n * SECTOR, sector);
                    }
                }
            }
            Change::Cut(_) => drop(coin.flip().then(|| self.apply(bytes))),
        }
    }
}

fn put(bytes: &mut Vec<u8>, from: usize, written: &[u8]) {
    let end = from + written.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[from..end].copy_from_slice(written);
}

#[derive(Debug)]
struct Open(Drawer, usize);

impl Dir for Drawer {
    type File = Open;

    fn path(&self) -> &Path {
        Path::new("drawer")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.operate()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Open, StoreError> {
        let fail = |source| StoreError::Io { path: "drawer".into(), source };
        let mut inside = self.operate().map_err(fail)?;
        let file = inside.files.len();
        inside.files.push(Inode::default());
        let created = Renaming::Create(name.to_owned(), file);
        created.apply(&mut inside.names);
        inside.renamings.push(created);
        Ok(Open(self.clone(), file))
    }

    fn open(&self, name: &str) -> Result<Option<Open>, StoreError> {
        let fail = |source| StoreError::Io { path: "drawer".into(), source };
        let inside = self.operate().map_err(fail)?;
        Ok(inside.names.get(name).map(|file| Open(self.clone(), *file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inside = self.operate()?;
        let renaming = Renaming::Rename(from.to_owned(), to.to_owned());
        renaming.apply(&mut inside.names);
        inside.renamings.push(renaming);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inside = self.operate()?;
        let removal = Renaming::Remove(name.to_owned());
        removal.apply(&mut inside.names);
        inside.renamings.push(removal);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inside = self.operate()?;
        inside.durable = inside.names.clone();
        inside.renamings.clear();
        Ok(())
    }
}

impl Open {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut inside = self.0.operate()?;
        let inode = &mut inside.files[self.1];
        change.apply(&mut inode.bytes);
        inode.changes.push(change);
        Ok(())
    }
}

impl DirFile for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.operate()?.files[self.1].bytes.len() as u64)
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> io::Result<()> {
        let inside = self.0.operate()?;
        let there = inside.files[self.1].bytes.get(from as usize..).unwrap_or_default();
        let there = there.get(..bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(there);
        Ok(())
    }

    fn write(&self, from: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Change::Write(from as usize, bytes.to_vec()))
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.change(Change::Cut(length as usize))
    }

    fn sync(&self) -> io::Result<()> {
        let mut inside = self.0.operate()?;
        let inode = &mut inside.files[self.1];
        inode.durable = inode.bytes.clone();
        inode.changes.clear();
        Ok(())
    }
}

/// More than a sector, so that a chunk may be torn.
const CHUNK_BYTES: usize = 700;

fn shelf(drawer: &Drawer) -> Shelf<Drawer> {
    Shelf::in_dir(drawer.clone(), Chunks::of_bytes(7, CHUNK_BYTES))
}

/// The state of a slot: several chunks of it, and no two alike.
fn state(slot: u64) -> Vec<u8> {
    (0..CHUNK_BYTES as u64 * 3 + slot).map(|n| (n / 97 + slot) as u8).collect()
}

fn put_up(shelf: &Shelf<Drawer>, slot: u64) -> Result<(), StoreError> {
    let mut draft = shelf.draft(Slot::new(slot))?;
    draft.write(&state(slot))?;
    draft.finish()
}

/// The chunks of a snapshot, as a peer sends them.
fn chunks(slot: u64) -> Vec<Chunk> {
    let peer = shelf(&Drawer::default());
    put_up(&peer, slot).unwrap();
    (0..).map_while(|number| peer.read(Slot::new(slot), number).unwrap()).collect()
}

/// Receives what is missing; the snapshot stands in the end.
fn receive(shelf: &Shelf<Drawer>, slot: u64, chunks: &[Chunk]) -> Result<(), StoreError> {
    let part = shelf.part()?.filter(|(of, _)| *of == Slot::new(slot));
    let mut next = part.map_or(0, |(_, whole)| whole);
    // Once more from the beginning, if what an earlier life received was torn.
    for _ in 0..2 * chunks.len() {
        match shelf.receive(Slot::new(slot), &chunks[next as usize])? {
            Received::Next(wanted) => next = wanted.min(chunks.len() as u32 - 1),
            Received::Whole => return Ok(()),
        }
    }
    panic!("chunk {next} is asked for again and again");
}

/// What a node does with its shelf, as far as it comes; `stands` is told what was acknowledged.
fn live(shelf: &Shelf<Drawer>, sent: &[Chunk], stands: &mut Vec<u64>) -> Result<(), StoreError> {
    put_up(shelf, 10)?;
    stands.push(10);
    put_up(shelf, 20)?;
    stands.push(20);
    stands.retain(|slot| *slot != 10);
    shelf.remove(Slot::new(10))?;
    receive(shelf, 30, sent)?;
    stands.push(30);
    put_up(shelf, 40)?;
    stands.push(40);
    Ok(())
}

/// Whatever stands is whole, and what was acknowledged stands. A transfer goes on where it can.
#[test]
fn no_power_cut_takes_a_snapshot_or_leaves_a_part_of_one() {
    let sent = chunks(30);
    assert!(sent.len() > 3, "{} chunks", sent.len());
    let mut cut_at = 0;
    loop {
        let mut ended = false;
        for seed in 0..40 {
            let mut coin = Coin::new(seed);
            let (drawer, mut stands) = (Drawer::until(cut_at), Vec::new());
            ended = live(&shelf(&drawer), &sent, &mut stands).is_ok();
            let shelf = shelf(&drawer.after_power_cut(&mut coin));
            let slots = shelf.slots().unwrap();
            for slot in stands {
                assert!(slots.contains(&Slot::new(slot)), "cut at {cut_at}: {slot} of {slots:?}");
            }
            for slot in slots {
                let there = shelf.load(slot).unwrap();
                assert!(there == Some(state(slot.get())), "cut at {cut_at}: {slot} is no state");
            }
            receive(&shelf, 30, &sent).unwrap();
            assert_eq!(shelf.load(Slot::new(30)).unwrap(), Some(state(30)), "cut at {cut_at}");
        }
        if ended {
            break;
        }
        cut_at += 1;
    }
    assert!(cut_at > 40, "{cut_at} operations");
}

/// What a start finds stands for good, also when the process before it was killed between a name
/// and the sync of it: the log is trimmed for it.
#[test]
fn what_a_start_finds_no_power_cut_takes() {
    let sent = chunks(30);
    let (mut cut_at, mut ended) = (0, false);
    while !ended {
        let (drawer, mut stands) = (Drawer::until(cut_at), Vec::new());
        ended = live(&shelf(&drawer), &sent, &mut stands).is_ok();
        for seed in 0..8 {
            let next = drawer.after_kill();
            let found = shelf(&next).slots().unwrap();
            let left = shelf(&next.after_power_cut(&mut Coin::new(seed)));
            assert_eq!(left.slots().unwrap(), found, "killed at {cut_at}");
        }
        cut_at += 1;
    }
    assert!(cut_at > 40, "{cut_at} operations");
}
