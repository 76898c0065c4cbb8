//! The floor of a durable write on this machine, now: what no implementation can go below.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::{Client, machine::door::NodeStatus};

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
        let what = || dir.display().to_string();
        // It has no name, so nothing is left in the directory.
        let mut file = tempfile::tempfile_in(dir).map_err(BenchError::io(what()))?;
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

/// The three parts of the floor, each measured as often as what is compared with them.
#[derive(Debug)]
pub(crate) struct Floor {
    sync: SyncFloor,
    rtts: Spans,
    quorum: Spans,
}

/// What a command cannot be faster than, and what it is made of.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FloorUs {
    /// Syncs of a zero-filled file in the nodes' directory.
    pub sync_us: Quantiles,
    /// Asking the leader something that it answers at once.
    pub client_rtt_us: Quantiles,
    /// The leader's round trip to the nearest that make a quorum with it.
    pub quorum_rtt_us: Quantiles,
    /// Client's round trip, quorum's round trip and sync, of their medians.
    pub floor_us: u64,
}

impl Floor {
    /// With syncs in `dir`, which should be where the nodes keep their stores.
    pub(crate) fn new(dir: &Path) -> Result<Floor, BenchError> {
        Ok(Floor { sync: SyncFloor::new(dir)?, rtts: Spans::new(), quorum: Spans::new() })
    }

    /// One more measurement of each part.
    pub(crate) async fn measure(&mut self, client: &Client) -> Result<(), BenchError> {
        let leader = client.leader().await?;
        let asked = Instant::now();
        let status = client.status(&leader).await?;
        self.rtts.add(asked.elapsed());
        self.quorum.add(Duration::from_micros(quorum_rtt(&status).unwrap_or_default()));
        self.sync.sync()?;
        Ok(())
    }

    pub(crate) fn us(&self) -> FloorUs {
        let (sync_us, client_rtt_us) = (self.sync.quantiles(), self.rtts.quantiles());
        let quorum_rtt_us = self.quorum.quantiles();
        let floor_us = client_rtt_us.p50 + quorum_rtt_us.p50 + sync_us.p50;
        FloorUs { sync_us, client_rtt_us, quorum_rtt_us, floor_us }
    }
}

impl FloorUs {
    /// As a multiple of the floor.
    pub(crate) fn ratio(&self, us: u64) -> f64 {
        us as f64 / self.floor_us.max(1) as f64
    }
}

/// Microseconds of the leader's round trip to the nearest that make a quorum with it: QUIC's own,
/// smoothed.
pub(crate) fn quorum_rtt(leader: &NodeStatus) -> Option<u64> {
    let mut peers: Vec<_> = leader.peers.iter().filter_map(|peer| peer.rtt_us).collect();
    peers.sort_unstable();
    // The leader is one of the quorum, so it waits for half of the others, the nearest ones.
    let waits_for = leader.peers.len().div_ceil(2);
    waits_for.checked_sub(1).and_then(|place| peers.get(place)).copied()
}
