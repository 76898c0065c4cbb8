//! Where the demo's files go: a directory that vanishes, or the one that was asked for.
//!
//! A demo that is killed takes nothing along. So each holds a lock on its directory for as long as
//! it lives, and removes those of its kind that nobody holds.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::exit::{Code, Failure};

/// What such a directory's name begins with; the number of its process and chance follow.
const PREFIX: &str = "synod-demo-";
/// Somebody may take a new directory for a leftover before it is locked, but not for ever.
const ATTEMPTS_MAX: usize = 16;

/// The place of one demo.
pub(super) enum Place {
    /// Dropped in this order: the directory is gone before its lock is free.
    Vanishes {
        dir: tempfile::TempDir,
        _lock: File,
    },
    Stays(PathBuf),
}

impl Place {
    /// The directory that was asked for, made when it is not there.
    pub(super) fn at(dir: &Path) -> Result<Place, Failure> {
        fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        Ok(Place::Stays(dir.to_path_buf()))
    }

    /// A new one below `site`, from which the leftovers of the dead are removed.
    pub(super) fn vanishing(site: &Path) -> Result<Place, Failure> {
        sweep(site);
        for _ in 0..ATTEMPTS_MAX {
            let prefix = format!("{PREFIX}{}-", std::process::id());
            let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(site);
            let dir = dir.map_err(|error| failed(site, &error))?;
            if let Some(lock) = hold(dir.path()) {
                return Ok(Place::Vanishes { dir, _lock: lock });
            }
        }
        let lost = io::Error::other("each new directory was removed by somebody at once");
        Err(failed(site, &lost))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Place::Vanishes { dir, .. } => dir.path(),
            Place::Stays(dir) => dir,
        }
    }
}

/// Locks a directory that is still there when it is locked.
fn hold(dir: &Path) -> Option<File> {
    let file = File::open(dir).ok()?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return None;
    }
    // Where nothing can be locked at all, nothing is swept either.
    is_at(&file, dir).then_some(file)
}

fn is_at(file: &File, dir: &Path) -> bool {
    let same =
        |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let (Ok(held), Ok(found)) = (file.metadata(), fs::symlink_metadata(dir)) else { return false };
    found.is_dir() && same(&held, &found)
}

/// Removes what dead demos of this user left. What cannot be removed is the next one's to try.
fn sweep(site: &Path) {
    let Ok(own) = fs::metadata("/proc/self") else { return };
    for entry in fs::read_dir(site).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own.uid());
        if !ours || !entry.file_name().to_str().is_some_and(is_of_a_demo) {
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        // Held until it is gone: whoever has just made it then sees that it is lost.
        if file.try_lock().is_ok() && is_at(&file, &path) {
            let _next_time = fs::remove_dir_all(&path);
        }
    }
}

/// Whether a directory of this name is locked while its demo lives.
fn is_of_a_demo(name: &str) -> bool {
    let Some((id, chance)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    id.parse::<u32>().is_ok() && !chance.is_empty()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Usage, "SYN-DEMO-002", format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(site: &Path) -> Vec<String> {
        let names = fs::read_dir(site).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A demo beside a living one leaves that alone, and takes what a dead one has left.
    #[test]
    fn only_what_nobody_holds_is_removed() {
        let site = tempfile::tempdir().unwrap();
        let living = Place::vanishing(site.path()).unwrap();
        fs::write(living.path().join("n1.log"), "alive").unwrap();
        let place = Place::vanishing(site.path()).unwrap();
        let Place::Vanishes { dir: dead, _lock: lock } = place else { panic!() };
        // As SIGKILL leaves it: the lock goes with the process, the files do not.
        let left = dead.keep();
        fs::create_dir(left.join("c")).unwrap();
        drop(lock);
        let next = Place::vanishing(site.path()).unwrap();
        assert!(!left.exists());
        assert!(living.path().join("n1.log").exists());
        drop((living, next));
        assert_eq!(names(site.path()), [""; 0]);
    }

    /// Others' files lie in a directory of everybody's: what is no demo's is nobody's to remove.
    #[test]
    fn what_is_not_certainly_a_demos_is_left_alone() {
        let (site, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = ["notes", "synod-demo-", "synod-demo-aB3xYz", "synod-demo-x-aB3xYz"];
        kept.iter().for_each(|name| fs::create_dir(site.path().join(name)).unwrap());
        fs::write(site.path().join("synod-demo-1-file"), "").unwrap();
        fs::write(elsewhere.path().join("precious"), "").unwrap();
        symlink(elsewhere.path(), site.path().join("synod-demo-1-link")).unwrap();
        let before = names(site.path());
        drop(Place::vanishing(site.path()).unwrap());
        assert_eq!(names(site.path()), before);
        assert!(elsewhere.path().join("precious").exists());
    }

    /// Between making a directory and locking it, another demo may have taken it for a leftover.
    #[test]
    fn a_directory_that_was_swept_before_it_was_locked_is_not_used() {
        let site = tempfile::tempdir().unwrap();
        let dir = site.path().join("synod-demo-1-x");
        fs::create_dir(&dir).unwrap();
        let sweeper = File::open(&dir).unwrap();
        sweeper.try_lock().unwrap();
        assert!(hold(&dir).is_none(), "it is being swept");
        let late = File::open(&dir).unwrap();
        fs::remove_dir(&dir).unwrap();
        drop(sweeper);
        assert!(hold(&dir).is_none(), "it is gone");
        fs::create_dir(&dir).unwrap();
        assert!(!is_at(&late, &dir), "another stands in its place");
    }
}
