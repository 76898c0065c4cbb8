//! Small files, read so that neither a pipe nor a giant can hold us up, and written so that nothing
//! is overwritten by mistake.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// A directory, a pipe, a device.
    NotAFile,
    TooLarge,
    Io(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        Unread::Io(error)
    }
}

/// A file's bytes, and its permission bits.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<(Vec<u8>, u32), Unread> {
    // Before it is opened: opening a pipe waits for somebody to write.
    if !fs::metadata(path)?.is_file() {
        return Err(Unread::NotAFile);
    }
    let file = File::open(path)?;
    // Of the file that was opened, for the path may lead elsewhere by now.
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Unread::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Unread::TooLarge);
    }
    Ok((bytes, found.mode() & 0o7777))
}

/// Writes a file that must not be there yet (`O_EXCL`), and syncs it. Directories that are missing
/// are made for their owner alone.
pub(crate) fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts a whole new file in the place of the one at `path`: written and synced beside it, and
/// renamed. A crash leaves the old one or the new one.
pub(crate) fn replace(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{:08x}", fastrand::u32(..)));
    let beside = dir.join(beside);
    write_new(&beside, mode, text).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        // Of no use to anybody; that it is gone matters less than the error.
        let _still_there = fs::remove_file(&beside);
    })?;
    File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?.sync_all()
}
