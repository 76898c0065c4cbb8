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
    /// It fails with this error; if it is a write, half of it stands there.
    Error(io::ErrorKind),
}

#[derive(Debug, Default)]
struct State {
    /// What is there after a power cut, whatever happens.
    synced: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    /// Writes and lengths since the last sync, in order.
    unsynced: Vec<Unsynced>,
    /// Writes, resizes and syncs so far.
    operations: usize,
    trouble: Option<(usize, Trouble)>,
    gone: bool,
    syncs: usize,
}

#[derive(Debug)]
enum Unsynced {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk with these bytes on it, all synced.
    pub(crate) fn with(bytes: Vec<u8>) -> Disk {
        let state = State { synced: bytes.clone(), seen: bytes, ..State::default() };
        Disk(Arc::new(Mutex::new(state)))
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

    /// Ends the trouble.
    pub(crate) fn heal(&self) {
        self.state().trouble = None;
    }

    pub(crate) fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// What a reader sees.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().seen.clone()
    }

    /// Changes what is there behind the store's back.
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.state().seen);
    }

    /// What is there after a power cut now: every un-synced sector survives by `coin`.
    pub(crate) fn after_power_cut(&self, coin: &mut Coin) -> Vec<u8> {
        let state = self.state();
        let mut bytes = state.synced.clone();
        for unsynced in &state.unsynced {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation; says what goes wrong with it.
    fn operate(&self, state: &mut State) -> io::Result<Option<Trouble>> {
        if state.gone {
            return Err(io::Error::other("no power"));
        }
        let number = state.operations;
        state.operations += 1;
        match state.trouble {
            Some((at, Trouble::PowerCut)) if at == number => {
                state.gone = true;
                Ok(Some(Trouble::PowerCut))
            }
            Some((at, trouble @ Trouble::Error(_))) if at <= number => Ok(Some(trouble)),
            _ => Ok(None),
        }
    }
}

impl Trouble {
    fn error(self) -> io::Error {
        match self {
            Trouble::PowerCut => io::Error::other("power cut"),
            Trouble::Error(kind) => io::Error::new(kind, "trouble"),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.gone {
            return Err(io::Error::other("no power"));
        }
        let offset = offset as usize;
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        let bytes = state.seen.get(offset..offset + out.len()).ok_or(end)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if let Some(trouble) = self.operate(&mut state)? {
            return Err(trouble.error());
        }
        state.seen.resize(len as usize, 0);
        state.unsynced.push(Unsynced::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(trouble) = self.operate(&mut state)? {
            return Err(trouble.error());
        }
        state.syncs += 1;
        state.synced = state.seen.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let offset = offset as usize;
        let trouble = self.operate(&mut state)?;
        // A failed write stands there in part; a cut one is judged sector by sector later.
        let part = match trouble {
            Some(Trouble::Error(_)) => &bytes[..bytes.len() / 2],
            Some(Trouble::PowerCut) | None => bytes,
        };
        put(&mut state.seen, offset, part);
        state.unsynced.push(Unsynced::Write { offset, bytes: part.to_vec() });
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

    fn flip(&mut self) -> bool {
        self.draw() % 4 < self.survive_of_4
    }
}
