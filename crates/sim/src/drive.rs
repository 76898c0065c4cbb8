mod decay;

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;
use redb::StorageBackend;

use self::decay::Late;
pub(crate) use self::decay::{Decay, File};

/// What a disk writes as one.
const SECTOR_BYTES: usize = 512;

/// A disk of three files in memory, below the real store. It outlives the processes that use it.
///
/// What was not synced survives a loss of power by the toss of a coin, sector by sector. A process
/// alone that dies leaves everything it wrote to be read by the next one, synced or not. After a
/// sync that failed what it was to write is there for readers, and on the disk by the toss of a
/// coin, and no later sync writes it (as Linux does it).
#[derive(Clone, Default)]
pub(crate) struct Drive(Arc<Mutex<State>>);

/// Which of the files is the log before the database, and which its count.
const LOG: usize = 1;
const COUNT: usize = 2;

/// One file of a drive, as one process has it open.
#[derive(Clone)]
pub(crate) struct Platter {
    drive: Drive,
    file: usize,
    process: u64,
}

#[derive(Default)]
struct State {
    files: [Surface; 3],
    /// The process that may use it; the handles of those before it are dead.
    process: u64,
    /// How many more calls that change something succeed; `None` for all.
    calls_left: Option<u64>,
    /// How many of them before one fails, once, and what the coins of that failure are tossed with.
    fails: Option<(u64, Rng)>,
    failed: bool,
    /// Whether there is no room for sectors that were never written.
    full: bool,
    counted: Counted,
}

/// How many writes of the log there had been when its count was written.
#[derive(Default)]
struct Counted {
    /// As a reader sees the count.
    seen: u64,
    /// As a loss of power leaves it.
    durable: u64,
}

#[derive(Default)]
struct Surface {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What a loss of power leaves.
    durable: Vec<u8>,
    /// Sectors that the next sync writes.
    dirty: BTreeSet<usize>,
    /// Sectors that have ever been written.
    has_room: BTreeSet<usize>,
    /// What was written of late.
    late: Late,
}

impl Drive {
    /// The database, and the two files of the log before it, for a new process. Whoever had them
    /// before can do nothing any more.
    pub(crate) fn attach(&self) -> (Platter, [Platter; 2]) {
        let mut state = self.state();
        state.process += 1;
        state.calls_left = None;
        let process = state.process;
        let file = |file| Platter { drive: self.clone(), file, process };
        (file(0), [file(1), file(2)])
    }

    /// Stops the process, or the power, after so many more calls.
    pub(crate) fn cut_after(&self, calls: u64) {
        self.state().calls_left = Some(calls);
    }

    /// One call fails after so many more.
    pub(crate) fn fail_after(&self, calls: u64, rng: Rng) {
        self.state().fails = Some((calls, rng));
    }

    /// Whether a call has failed since the last time this was asked.
    pub(crate) fn has_failed(&self) -> bool {
        std::mem::take(&mut self.state().failed)
    }

    /// No call fails that has not failed yet.
    pub(crate) fn stop_failing(&self) {
        self.state().fails = None;
    }

    /// From now on there is no room for more, or there is again.
    pub(crate) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// The process is gone; what it wrote is there.
    pub(crate) fn lose_process(&self) {
        self.state().process += 1;
    }

    /// The power is gone, and with it by the toss of a coin what was not synced.
    pub(crate) fn lose_power(&self, rng: &mut Rng) {
        let state = &mut *self.state();
        state.process += 1;
        let count = state.files[COUNT].seen.clone();
        for surface in &mut state.files {
            surface.lose_power(rng);
        }
        if state.files[COUNT].durable == count {
            state.counted.durable = state.counted.seen;
        } else {
            state.counted.seen = state.counted.durable;
        }
    }

    /// Another drive, with what a loss of power would surely leave of this one.
    pub(crate) fn image(&self) -> Drive {
        let mut image = State::default();
        for (copy, surface) in image.files.iter_mut().zip(&self.state().files) {
            copy.durable.clone_from(&surface.durable);
            copy.seen.clone_from(&surface.durable);
            copy.has_room = (0..copy.seen.len().div_ceil(SECTOR_BYTES)).collect();
        }
        Drive(Arc::new(Mutex::new(image)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // One thread runs a universe; a panic in it ends the universe, not the disk.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Surface {
    /// Makes one sector durable, as far as the durable file reaches.
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.seen.len()).min(self.durable.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }

    /// Makes what is dirty durable, all of it or by the toss of a coin; nothing is dirty any more.
    fn clean(&mut self, mut survives: impl FnMut() -> bool) {
        if survives() {
            self.durable.resize(self.seen.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if survives() {
                self.keep(sector);
            }
        }
    }

    fn lose_power(&mut self, rng: &mut Rng) {
        self.clean(|| rng.bool());
        self.seen = self.durable.clone();
    }

    /// Writes as much as there is room for; beyond the end the file grows, as files do.
    fn write(&mut self, start: usize, bytes: &[u8], full: bool) -> io::Result<()> {
        let end = start + bytes.len();
        self.late.note(&self.seen, start, bytes.len());
        for sector in start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            if full && !self.has_room.contains(&sector) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let from = start.max(sector * SECTOR_BYTES);
            let to = end.min((sector + 1) * SECTOR_BYTES);
            if to > self.seen.len() {
                self.seen.resize(to, 0);
            }
            self.seen[from..to].copy_from_slice(&bytes[from - start..to - start]);
            self.has_room.insert(sector);
            self.dirty.insert(sector);
        }
        Ok(())
    }
}

impl Platter {
    /// Calls `change` if it may still be done. When it fails, `undone` is what becomes of it.
    fn change(
        &self,
        change: impl FnOnce(&mut Surface, bool) -> io::Result<()>,
        failed: impl FnOnce(&mut Surface, &mut Rng),
    ) -> io::Result<()> {
        let state = &mut *self.drive.state();
        if state.process != self.process || state.calls_left == Some(0) {
            return Err(io::Error::other("nobody is there any more"));
        }
        if let Some(left) = &mut state.calls_left {
            *left -= 1;
        }
        let surface = &mut state.files[self.file];
        match state.fails.take() {
            Some((0, mut rng)) => {
                failed(surface, &mut rng);
                state.failed = true;
                Err(io::Error::other("the disk failed"))
            }
            fails => {
                state.fails = fails.map(|(calls, rng)| (calls - 1, rng));
                change(surface, state.full)
            }
        }
    }
}

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.state().files[0].seen.len();
        f.debug_struct("Drive").field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Platter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platter").field("file", &self.file).finish_non_exhaustive()
    }
}

/// An offset as an index: a platter is smaller than memory.
fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::Error::other("beyond the platter"))
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.drive.state().files[self.file].seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = place(offset)?;
        let seen = &self.drive.state().files[self.file].seen;
        match start.checked_add(out.len()).and_then(|end| seen.get(start..end)) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = place(len)?;
        let resize = |surface: &mut Surface, _| {
            surface.seen.resize(len, 0);
            surface.has_room.split_off(&len.div_ceil(SECTOR_BYTES));
            Ok(())
        };
        self.change(resize, |_, _| {})
    }

    fn sync_data(&self) -> io::Result<()> {
        let sync = |surface: &mut Surface, _| {
            surface.late.synced(!surface.dirty.is_empty());
            surface.clean(|| true);
            Ok(())
        };
        self.change(sync, |surface, rng| surface.clean(|| rng.bool()))?;
        if self.file == COUNT {
            let counted = &mut self.drive.state().counted;
            counted.durable = counted.seen;
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = place(offset)?;
        let part = |surface: &mut Surface, rng: &mut Rng| {
            // Some of the sectors, each as a whole.
            let first = SECTOR_BYTES - start % SECTOR_BYTES;
            let part = first + rng.usize(0..=bytes.len() / SECTOR_BYTES) * SECTOR_BYTES;
            let part = if rng.bool() { 0 } else { part.min(bytes.len()) };
            // It failed anyway: whether the part had room is of no interest.
            let _ = surface.write(start, &bytes[..part], false);
        };
        self.change(|surface, full| surface.write(start, bytes, full), part)?;
        if self.file == COUNT {
            let state = &mut *self.drive.state();
            state.counted.seen = state.files[LOG].late.count();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(platter: &Platter) -> Vec<u8> {
        let mut bytes = vec![0; platter.len().unwrap() as usize];
        platter.read(0, &mut bytes).unwrap();
        bytes
    }

    /// A drive whose first file has one sector that was synced and one that was not.
    fn half_synced(seed: u64) -> (Drive, Rng) {
        let drive = Drive::default();
        let (file, _) = drive.attach();
        file.set_len(2 * SECTOR_BYTES as u64).unwrap();
        file.write(0, b"synced").unwrap();
        file.sync_data().unwrap();
        file.write(SECTOR_BYTES as u64, b"not").unwrap();
        (drive, Rng::with_seed(seed))
    }

    fn second_sector(drive: &Drive) -> Vec<u8> {
        let (file, _) = drive.attach();
        let bytes = bytes(&file);
        assert_eq!(&bytes[..6], b"synced");
        bytes[SECTOR_BYTES..SECTOR_BYTES + 3].to_vec()
    }

    /// What was synced is there after every loss of power; what was not is there in some and not in
    /// others. A process that dies loses nothing.
    #[test]
    fn a_loss_of_power_keeps_what_was_synced_and_tosses_for_the_rest() {
        let mut kept = BTreeSet::new();
        for seed in 0..64 {
            let (drive, mut rng) = half_synced(seed);
            drive.lose_process();
            assert_eq!(second_sector(&drive), b"not");
            drive.lose_power(&mut rng);
            kept.insert(second_sector(&drive));
        }
        assert_eq!(kept, BTreeSet::from([b"not".to_vec(), vec![0; 3]]));
    }

    /// After a failed sync a reader sees what was written, no later sync writes it, and a loss of
    /// power may take it.
    #[test]
    fn what_a_failed_sync_lost_is_seen_until_the_power_goes() {
        let mut kept = BTreeSet::new();
        for seed in 0..64 {
            let (drive, mut rng) = half_synced(seed);
            drive.fail_after(0, rng.fork());
            let (file, _) = drive.attach();
            assert!(file.sync_data().is_err());
            assert!(file.sync_data().is_ok(), "it is told once");
            assert_eq!(second_sector(&drive), b"not");
            drive.lose_power(&mut rng);
            kept.insert(second_sector(&drive));
        }
        assert_eq!(kept, BTreeSet::from([b"not".to_vec(), vec![0; 3]]));
    }

    /// After the cut, and for a process of which another has taken the place, every change fails.
    #[test]
    fn nothing_changes_after_the_cut() {
        let drive = Drive::default();
        let (file, _) = drive.attach();
        drive.cut_after(1);
        file.set_len(8).unwrap();
        assert!(file.write(0, b"x").is_err());
        let (next, _) = drive.attach();
        next.write(0, b"y").unwrap();
        assert!(file.write(0, b"x").is_err());
        assert_eq!(bytes(&next)[0], b'y');
    }

    /// A full disk takes what overwrites, and of what does not as much as there is room for.
    #[test]
    fn a_full_disk_takes_only_what_has_room() {
        let drive = Drive::default();
        let (file, _) = drive.attach();
        file.set_len(3 * SECTOR_BYTES as u64).unwrap();
        file.write(0, b"here").unwrap();
        drive.set_full(true);
        file.write(0, b"over").unwrap();
        let long = [7; 2 * SECTOR_BYTES];
        assert_eq!(file.write(0, &long).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(bytes(&file)[..SECTOR_BYTES + 1], [[7; SECTOR_BYTES].as_slice(), &[0]].concat());
        drive.set_full(false);
        file.write(0, &long).unwrap();
    }
}
