//! A disk that loses what was not synced, sector by sector, and fails when told to.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

/// What a disk writes as one.
const SECTOR_BYTES: usize = 512;

/// What goes wrong at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The power is cut during it: a write may stand there in part, and nothing answers any more.
    PowerCut,
    /// It and all after it fail with this error; of a write, the first half of its sectors stands
    /// there.
    Error(io::ErrorKind),
    /// From then on there is no room: what needs a block that was not written before fails.
    Full,
    /// The device says that it has done it, and has not, if it is a write.
    Lost,
    /// The same, and what was to be written stands so many bytes further on, or as much further
    /// from the beginning of the file.
    Elsewhere(usize),
}

#[derive(Debug, Default)]
struct State {
    files: [File; 3],
    /// Writes, resizes and syncs so far.
    operations: usize,
    trouble: Option<(usize, Trouble)>,
    gone: bool,
    syncs: usize,
    /// The file of a write that was lost, and whether anything was written to it since.
    lost: Option<(usize, bool)>,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What is there after a power cut, whatever happens.
    synced: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    /// Writes and lengths since the last sync, in order.
    unsynced: Vec<Unsynced>,
    /// The end of the last write: beyond it the file has a length, but no blocks.
    written_upto: usize,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

/// One file of a disk that has three; clones are the same file, and see the same trouble.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    file: usize,
}

impl Disk {
    /// A disk with these bytes in its first file, all synced.
    pub(crate) fn with(bytes: Vec<u8>) -> Disk {
        Disk::with_all([bytes, Vec::new(), Vec::new()])
    }

    /// A disk with these files, all synced.
    pub(crate) fn with_all(files: [Vec<u8>; 3]) -> Disk {
        let files = files.map(|bytes| File {
            synced: bytes.clone(),
            written_upto: bytes.len(),
            seen: bytes,
            unsynced: Vec::new(),
        });
        let state = State { files, ..State::default() };
        Disk { state: Arc::new(Mutex::new(state)), file: 0 }
    }

    /// Another file of the same disk.
    pub(crate) fn second(&self) -> Disk {
        Disk { state: self.state.clone(), file: 1 }
    }

    /// And the last one.
    pub(crate) fn third(&self) -> Disk {
        Disk { state: self.state.clone(), file: 2 }
    }

    /// Makes the operation with this number go wrong; the next one is number 0.
    pub(crate) fn trouble_at(&self, operation: usize, trouble: Trouble) {
        let mut state = self.state();
        state.trouble = Some((state.operations + operation, trouble));
    }

    /// Whether the trouble is still to come.
    pub(crate) fn trouble_is_ahead(&self) -> bool {
        let state = self.state();
        state.trouble.is_some_and(|(at, _)| at >= state.operations)
    }

    /// Whether a write was lost, and what was written to that file of this disk last.
    pub(crate) fn lost_the_last_write(&self) -> Option<bool> {
        self.state().lost.filter(|(file, _)| *file == self.file).map(|(_, later)| !later)
    }

    /// Ends the trouble.
    pub(crate) fn heal(&self) {
        self.state().trouble = None;
    }

    pub(crate) fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// What a reader sees.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().files[self.file].seen.clone()
    }

    /// Changes what is there behind the store's back.
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.state().files[self.file].seen);
    }

    /// What is there after a power cut now: every un-synced sector survives by `coin`.
    pub(crate) fn after_power_cut(&self, coin: &mut Coin) -> Disk {
        let state = self.state();
        Disk::with_all([0, 1, 2].map(|file| state.files[file].after_power_cut(coin)))
    }

    /// The same for the next process: all that was written is there, and what was not synced still
    /// is not.
    pub(crate) fn restarted(&self) -> Disk {
        let state = State { files: self.state().files.clone(), ..State::default() };
        Disk { state: Arc::new(Mutex::new(state)), file: 0 }
    }

    /// What is there after the process was killed, and some time has passed: all that was written.
    pub(crate) fn after_kill(&self) -> Disk {
        let state = self.state();
        Disk::with_all([0, 1, 2].map(|file| state.files[file].seen.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn has_room(&self, end: usize) -> bool {
        end <= self.written_upto
    }

    fn after_power_cut(&self, coin: &mut Coin) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for unsynced in &self.unsynced {
            match unsynced {
                Unsynced::Length(length) if coin.flip() => bytes.resize(*length, 0),
                Unsynced::Length(_) => {}
                Unsynced::Write { offset, bytes: written } => {
                    for (start, sector) in sectors(*offset, written) {
                        if coin.flip() {
                            put(&mut bytes, start, sector);
                        }
                    }
                }
            }
        }
        bytes
    }
}

impl State {
    /// Counts an operation; says what goes wrong with it.
    fn operate(&mut self) -> io::Result<Option<Trouble>> {
        if self.gone {
            return Err(io::Error::other("no power"));
        }
        let number = self.operations;
        self.operations += 1;
        match self.trouble {
            Some((at, Trouble::PowerCut)) if at == number => {
                self.gone = true;
                Ok(Some(Trouble::PowerCut))
            }
            Some((at, trouble @ (Trouble::Lost | Trouble::Elsewhere(_)))) => {
                Ok((at == number).then_some(trouble))
            }
            Some((at, trouble)) if at <= number && trouble != Trouble::PowerCut => {
                Ok(Some(trouble))
            }
            _ => Ok(None),
        }
    }
}

impl Trouble {
    fn error(self) -> io::Error {
        match self {
            Trouble::PowerCut => io::Error::other("power cut"),
            Trouble::Error(kind) => io::Error::new(kind, "trouble"),
            Trouble::Full => io::Error::new(io::ErrorKind::StorageFull, "full"),
            Trouble::Lost | Trouble::Elsewhere(_) => io::Error::other("nothing is said of it"),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().files[self.file].seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.gone {
            return Err(io::Error::other("no power"));
        }
        let offset = offset as usize;
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        let bytes = state.files[self.file].seen.get(offset..offset + out.len()).ok_or(end)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        match state.operate()? {
            None | Some(Trouble::Lost | Trouble::Elsewhere(_)) => {}
            Some(trouble) => return Err(trouble.error()),
        }
        let file = &mut state.files[self.file];
        file.seen.resize(len as usize, 0);
        file.unsynced.push(Unsynced::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        match state.operate()? {
            None | Some(Trouble::Full | Trouble::Lost | Trouble::Elsewhere(_)) => {}
            Some(trouble) => return Err(trouble.error()),
        }
        state.syncs += 1;
        let file = &mut state.files[self.file];
        for unsynced in std::mem::take(&mut file.unsynced) {
            match unsynced {
                Unsynced::Length(length) => file.synced.resize(length, 0),
                Unsynced::Write { offset, bytes } => put(&mut file.synced, offset, &bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let offset = offset as usize;
        let room = state.files[self.file].has_room(offset + bytes.len());
        let trouble = state.operate()?.filter(|trouble| *trouble != Trouble::Full || !room);
        if let Some(Trouble::Lost | Trouble::Elsewhere(_)) = trouble {
            state.lost = Some((self.file, false));
            if let Some(Trouble::Elsewhere(further)) = trouble {
                let file = &mut state.files[self.file];
                let offset = (offset + further) % file.seen.len().max(1);
                let bytes = &bytes[..bytes.len().min(file.seen.len() - offset)];
                put(&mut file.seen, offset, bytes);
                file.unsynced.push(Unsynced::Write { offset, bytes: bytes.to_vec() });
            }
            return Ok(());
        }
        if let Some((file, later)) = &mut state.lost {
            *later |= *file == self.file;
        }
        // A failed write stands there in part; a cut one is judged sector by sector later.
        let part = match trouble {
            Some(Trouble::Error(_) | Trouble::Full) => {
                &bytes[..bytes.len() / 2 / SECTOR_BYTES * SECTOR_BYTES]
            }
            Some(Trouble::PowerCut | Trouble::Lost | Trouble::Elsewhere(_)) | None => bytes,
        };
        let file = &mut state.files[self.file];
        file.written_upto = file.written_upto.max(offset + part.len());
        put(&mut file.seen, offset, part);
        file.unsynced.push(Unsynced::Write { offset, bytes: part.to_vec() });
        trouble.map_or(Ok(()), |trouble| Err(trouble.error()))
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len());
    let (head, tail) = bytes.split_at(first);
    let rest = tail.chunks(SECTOR_BYTES).enumerate();
    let rest = rest.map(move |(i, sector)| (offset + first + i * SECTOR_BYTES, sector));
    std::iter::once((offset, head)).chain(rest)
}

/// A seeded coin (splitmix64) that lands on "survives" in `survive_of_4` of four throws.
pub(crate) struct Coin {
    state: u64,
    survive_of_4: u64,
}

impl Coin {
    pub(crate) fn new(seed: u64) -> Coin {
        Coin { state: seed, survive_of_4: seed % 5 }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn flip(&mut self) -> bool {
        self.draw() % 4 < self.survive_of_4
    }
}
