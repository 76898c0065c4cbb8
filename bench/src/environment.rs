//! What a measurement was made on.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

/// What a measurement was made on. What cannot be found out is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Processors that this process may use.
    pub cores: usize,
    /// What they are called.
    pub cpu: String,
    /// The device under the directory of the floor's syncs.
    pub disk: String,
    /// And the filesystem on it.
    pub filesystem: String,
    /// The kernel.
    pub kernel: String,
    /// The program's version.
    pub version: String,
    /// The commit that it was built from, where the builder said so in `SYNOD_COMMIT`.
    pub commit: String,
    /// `release` or `debug`.
    pub profile: String,
}

impl Environment {
    /// Of this process, with the disk of a directory.
    pub fn here(dir: Option<&Path>) -> Environment {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (disk, filesystem) =
            dir.and_then(|dir| mounted(&read("/proc/mounts"), dir)).unwrap_or_default();
        Environment {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu(&read("/proc/cpuinfo")),
            disk,
            filesystem,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("SYNOD_COMMIT").unwrap_or_default().to_owned(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }
}

fn cpu(cpuinfo: &str) -> String {
    let named = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let named = named.filter(|(key, _)| key.trim() == "model name");
    named.map(|(_, name)| name.trim().to_owned()).next().unwrap_or_default()
}

/// Device and kind of the filesystem that holds a directory: the mount that lies deepest above it.
fn mounted(mounts: &str, dir: &Path) -> Option<(String, String)> {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let rows = mounts.lines().filter_map(|row| {
        let mut words = row.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    });
    rows.filter(|(_, at, _)| dir.starts_with(at))
        .max_by_key(|(_, at, _)| at.len())
        .map(|(device, _, kind)| (device.to_owned(), kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_on_the_mount_that_is_deepest() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /nowhere/tmp tmpfs rw 0 0\n";
        let on = |dir: &str| mounted(mounts, Path::new(dir)).unwrap().1;
        assert_eq!(on("/nowhere/tmp/x"), "tmpfs");
        assert_eq!(on("/nowhere/tmpx"), "ext4");
        assert_eq!(cpu("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n"), "Some CPU @ 2 GHz");
    }
}
