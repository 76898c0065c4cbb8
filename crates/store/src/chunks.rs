use synod_paxos::Slot;

use crate::seal::Place;

/// Bytes of a state in one chunk: what is read, checked and sent as one. A frame of the bulk lane
/// has room for it, and heartbeats do not wait for it.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// The layout of a chunk.
const VERSION: u8 = 1;

/// The version and the CRC of a chunk.
const SEAL_BYTES: usize = 5;

/// How a state becomes the chunks of a snapshot, each sealed and bound to its place: which cluster,
/// the state after which slot, which chunk of it, and whether it is the last. So a chunk of another
/// snapshot, or one that was moved or changed, does not pass, and nor does a snapshot cut short.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    cluster_id: u64,
    bytes: usize,
}

impl Chunks {
    /// As every node of the cluster has them.
    pub fn new(cluster_id: u64) -> Chunks {
        Chunks::of_bytes(cluster_id, CHUNK_BYTES)
    }

    /// Of another size: for the simulator, whose states are small.
    pub fn of_bytes(cluster_id: u64, bytes: usize) -> Chunks {
        assert!(bytes > 0, "a chunk holds something");
        Chunks { cluster_id, bytes }
    }

    /// Bytes of a state in one chunk.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of a sealed chunk; the last one may be shorter.
    pub(crate) fn sealed_bytes(&self) -> usize {
        self.bytes + SEAL_BYTES
    }

    /// All chunks of a state, sealed, one after the other: a snapshot.
    pub fn seal(&self, slot: Slot, state: &[u8]) -> Vec<u8> {
        let count = state.len().div_ceil(self.bytes);
        let chunks = state.chunks(self.bytes).enumerate();
        chunks.flat_map(|(n, body)| self.seal_one(slot, n as u32, n + 1 == count, body)).collect()
    }

    /// How many chunks a snapshot of so many bytes has.
    pub fn count(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(self.sealed_bytes() as u64)).unwrap_or(u32::MAX)
    }

    /// A sealed chunk out of a snapshot.
    pub fn chunk<'s>(&self, snapshot: &'s [u8], number: u32) -> Option<&'s [u8]> {
        snapshot.chunks(self.sealed_bytes()).nth(number as usize)
    }

    /// Whether this is the chunk of this place, whole.
    pub fn is_whole(&self, slot: Slot, number: u32, last: bool, sealed: &[u8]) -> bool {
        self.open(slot, number, last, sealed).is_some()
    }

    /// The state in a snapshot; `None` when any of it is damaged or missing.
    pub fn state(&self, slot: Slot, snapshot: &[u8]) -> Option<Vec<u8>> {
        let count = self.count(snapshot.len() as u64);
        let mut state = Vec::with_capacity(snapshot.len());
        for (n, sealed) in (0..count).zip(snapshot.chunks(self.sealed_bytes())) {
            state.extend_from_slice(self.open(slot, n, n + 1 == count, sealed)?);
        }
        (count > 0).then_some(state)
    }

    pub(crate) fn seal_one(&self, slot: Slot, number: u32, last: bool, body: &[u8]) -> Vec<u8> {
        self.place(slot, number, last).seal(VERSION, body)
    }

    pub(crate) fn open<'s>(
        &self,
        slot: Slot,
        number: u32,
        last: bool,
        sealed: &'s [u8],
    ) -> Option<&'s [u8]> {
        let body = self.place(slot, number, last).unseal(VERSION, sealed).ok()?;
        let fits =
            if last { (1..=self.bytes).contains(&body.len()) } else { body.len() == self.bytes };
        fits.then_some(body)
    }

    fn place(&self, slot: Slot, number: u32, last: bool) -> Place {
        Place::chunk(self.cluster_id, slot, number, last)
    }
}
