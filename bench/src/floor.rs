//! The floor of a durable write on this machine, now: what no implementation can go below.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::{BenchError, Quantiles, quantiles::Spans};

/// Bytes of one synced record: a put of 128 bytes and its headers.
const RECORD_BYTES: usize = 256;
/// Bytes of the file that is overwritten in turn.
const FILE_BYTES: u64 = 1 << 20;

/// Syncs of a file that was filled with zeros ahead: no block is allotted on the way.
#[derive(Debug)]
pub struct SyncFloor {
    file: File,
    at: u64,
    spans: Spans,
}

impl SyncFloor {
    /// A file for syncs in `dir`, which should be where the nodes keep their stores.
    pub fn new(dir: &Path) -> Result<SyncFloor, BenchError> {
        let path = dir.join("floor");
        let what = || path.display().to_string();
        let mut file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(BenchError::io(what()))?;
        let zeros = vec![0; usize::try_from(FILE_BYTES).unwrap_or(RECORD_BYTES)];
        file.write_all(&zeros).and_then(|()| file.sync_all()).map_err(BenchError::io(what()))?;
        Ok(SyncFloor { file, at: 0, spans: Spans::new() })
    }

    /// Writes one record and syncs it; how long that took.
    pub fn sync(&mut self) -> Result<Duration, BenchError> {
        let record = [0x5a; RECORD_BYTES];
        let begun = Instant::now();
        self.file
            .seek(SeekFrom::Start(self.at))
            .and_then(|_| self.file.write_all(&record))
            .and_then(|()| self.file.sync_data())
            .map_err(BenchError::io("sync of the floor's file"))?;
        let span = begun.elapsed();
        self.at = (self.at + RECORD_BYTES as u64) % (FILE_BYTES - RECORD_BYTES as u64);
        self.spans.add(span);
        Ok(span)
    }

    /// All syncs so far.
    pub fn quantiles(&self) -> Quantiles {
        self.spans.quantiles()
    }
}
