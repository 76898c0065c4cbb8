//! Durable writes alone: what a disk gives, before any program of ours touches it.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{BenchError, Quantiles, quantiles::Spans};

/// Bytes of a file that was filled with zeros ahead.
const FILE_BYTES: usize = 8 << 20;
/// Sizes of a record: a small command, a page, a full batch.
const SIZES: [usize; 3] = [256, 4 << 10, 64 << 10];

/// What a disk gives.
#[derive(Clone, Debug, Serialize)]
pub struct Disk {
    /// `synod.bench.disk/1`.
    pub schema: &'static str,
    /// Where.
    pub dir: String,
    /// Each kind of write, in turn with the others.
    pub writes: Vec<Writes>,
}

/// One kind of durable write.
#[derive(Clone, Debug, Serialize)]
pub struct Writes {
    /// `overwrite` of a file that was filled with zeros, or `append` to one that grows.
    pub how: &'static str,
    /// Bytes of each.
    pub bytes: usize,
    /// How long a write and its sync took, in microseconds.
    pub us: Quantiles,
}

/// A file that is written and synced.
#[derive(Debug)]
struct Written {
    how: &'static str,
    record: Vec<u8>,
    file: File,
    at: usize,
    spans: Spans,
}

/// Writes for so long in a directory. Its files vanish.
pub fn disk(dir: &Path, span: Duration) -> Result<Disk, BenchError> {
    let place = tempfile::tempdir_in(dir).map_err(BenchError::io(dir.display().to_string()))?;
    let mut all = Vec::new();
    for bytes in SIZES {
        all.push(Written::open(place.path(), "overwrite", bytes)?);
        all.push(Written::open(place.path(), "append", bytes)?);
    }
    let begun = Instant::now();
    while begun.elapsed() < span {
        for written in &mut all {
            written.once()?;
        }
    }
    let writes = all.iter().map(|written| Writes {
        how: written.how,
        bytes: written.record.len(),
        us: written.spans.quantiles(),
    });
    Ok(Disk {
        schema: "synod.bench.disk/1",
        dir: dir.display().to_string(),
        writes: writes.collect(),
    })
}

impl Written {
    fn open(dir: &Path, how: &'static str, bytes: usize) -> Result<Written, BenchError> {
        let path = dir.join(format!("{how}-{bytes}"));
        let io = || BenchError::io(path.display().to_string());
        let mut file = OpenOptions::new().create_new(true).write(true).open(&path).map_err(io())?;
        if how == "overwrite" {
            file.write_all(&vec![0; FILE_BYTES]).map_err(io())?;
        }
        file.sync_all().map_err(io())?;
        Ok(Written { how, record: vec![0x5a; bytes], file, at: 0, spans: Spans::new() })
    }

    fn once(&mut self) -> Result<(), BenchError> {
        let begun = Instant::now();
        self.file
            .seek(SeekFrom::Start(self.at as u64))
            .and_then(|_| self.file.write_all(&self.record))
            .and_then(|()| self.file.sync_data())
            .map_err(BenchError::io("a durable write"))?;
        self.spans.add(begun.elapsed());
        self.at += self.record.len();
        if self.how == "overwrite" && self.at + self.record.len() > FILE_BYTES {
            self.at = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind is measured, and nothing is left behind.
    #[test]
    fn a_disk_is_measured_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let told = disk(dir.path(), Duration::from_millis(1)).unwrap();
        assert_eq!(told.writes.len(), 2 * SIZES.len());
        assert!(told.writes.iter().all(|writes| writes.us.count > 0), "{told:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(disk(&dir.path().join("absent"), Duration::ZERO).is_err());
    }
}
