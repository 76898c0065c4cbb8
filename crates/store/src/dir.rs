//! What a shelf of snapshots needs of a file system: one directory of plain files.

use std::{
    fmt::Debug,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{StoreError, directory};

/// One directory. What was done to names is there after a power cut once [`Dir::sync`] has
/// returned, and what was written to a file once [`DirFile::sync`] has.
pub trait Dir: Clone + Debug {
    /// A file in it.
    type File: DirFile;

    /// Where it is, for people to read.
    fn path(&self) -> &Path;

    /// What stands in it.
    fn names(&self) -> io::Result<Vec<String>>;

    /// A new file of this name, which nothing has.
    fn create(&self, name: &str) -> Result<Self::File, StoreError>;

    /// The file of this name, if there is one.
    fn open(&self, name: &str) -> Result<Option<Self::File>, StoreError>;

    /// Gives a file another name, which another file may have had.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the file of this name, if there is one.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which names there are.
    fn sync(&self) -> io::Result<()>;
}

/// One file.
pub trait DirFile: Debug {
    /// How many bytes it has.
    fn length(&self) -> io::Result<u64>;

    /// Fills `bytes` with what stands from there on.
    fn read(&self, from: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes bytes from there on.
    fn write(&self, from: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts it off.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Makes durable what was written to it.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct PlainDir(PathBuf);

impl PlainDir {
    pub(crate) fn new(path: &Path) -> PlainDir {
        PlainDir(path.to_owned())
    }
}

impl Dir for PlainDir {
    type File = File;

    fn path(&self) -> &Path {
        &self.0
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.0)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> Result<File, StoreError> {
        directory::create_plain(&self.0, &self.0.join(name))
    }

    fn open(&self, name: &str) -> Result<Option<File>, StoreError> {
        directory::open_if_there(&self.0, &self.0.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl DirFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, from)
    }

    fn write(&self, from: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, from)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}
