//! Frames on a stream. A stream begins with a preamble that says what it is; frames follow, each with its
//! length in front. A length is refused before anything is allocated for it.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use quinn::{ReadExactError, RecvStream};

/// The version of everything in this file.
pub(crate) const VERSION: u8 = 1;
/// Bytes of a preamble: version, kind, cluster id.
pub(crate) const PREAMBLE_BYTES: usize = 10;
/// A frame of the control and log lanes, and of a question or answer. A batch of one slot, the
/// largest thing they carry, ends at 1 MiB.
pub(crate) const FRAME_BYTES_MAX: usize = 2 << 20;
/// A frame of the bulk lane.
pub(crate) const BULK_BYTES_MAX: usize = 4 << 20;

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Control = 1,
    Log = 2,
    Bulk = 3,
    Ask = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        [Kind::Control, Kind::Log, Kind::Bulk, Kind::Ask]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    pub(crate) const fn bytes_max(self) -> usize {
        match self {
            Kind::Control | Kind::Log | Kind::Ask => FRAME_BYTES_MAX,
            Kind::Bulk => BULK_BYTES_MAX,
        }
    }
}

/// Why a stream is read no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("frame version {0}; this build speaks {VERSION}")]
    Version(u8),
    #[error("unknown stream kind {0}")]
    Kind(u8),
    #[error("cluster id {found:016x}; ours is {ours:016x}")]
    Cluster { found: u64, ours: u64 },
    #[error("a frame of {0} bytes; at most {1} are allowed")]
    Length(u64, usize),
    #[error("an empty frame")]
    Empty,
    #[error("the stream ended inside a frame")]
    Truncated,
    /// The connection went, which is nobody's bad manners.
    #[error(transparent)]
    Gone(#[from] io::Error),
}

/// The preamble of a stream.
pub(crate) fn preamble(kind: Kind, cluster_id: u64) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[0] = VERSION;
    bytes[1] = kind as u8;
    bytes[2..].copy_from_slice(&cluster_id.to_le_bytes());
    bytes
}

/// Checks a preamble.
pub(crate) fn check_preamble(
    bytes: [u8; PREAMBLE_BYTES],
    cluster_id: u64,
) -> Result<Kind, FrameError> {
    let [version, kind, rest @ ..] = bytes;
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let kind = Kind::of(kind).ok_or(FrameError::Kind(kind))?;
    let found = u64::from_le_bytes(rest);
    if found == cluster_id {
        Ok(kind)
    } else {
        Err(FrameError::Cluster { found, ours: cluster_id })
    }
}

/// Appends a frame. The caller keeps bodies within the cap of their lane.
pub(crate) fn put(out: &mut BytesMut, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("bodies are capped far below 4 GiB");
    out.reserve(4 + body.len());
    out.put_u32_le(length);
    out.put_slice(body);
}

/// Checks the length in front of a frame, before anything is allocated for it.
pub(crate) fn check_length(bytes: [u8; 4], bytes_max: usize) -> Result<usize, FrameError> {
    let claimed = u32::from_le_bytes(bytes);
    match usize::try_from(claimed) {
        Ok(0) => Err(FrameError::Empty),
        Ok(length) if length <= bytes_max => Ok(length),
        _ => Err(FrameError::Length(u64::from(claimed), bytes_max)),
    }
}

/// Reads the preamble of a stream.
pub(crate) async fn read_preamble(
    stream: &mut RecvStream,
    cluster_id: u64,
) -> Result<Kind, FrameError> {
    let mut bytes = [0; PREAMBLE_BYTES];
    stream.read_exact(&mut bytes).await.map_err(cut)?;
    check_preamble(bytes, cluster_id)
}

/// Reads one frame; `None` when the stream ended before it.
pub(crate) async fn read(
    stream: &mut RecvStream,
    bytes_max: usize,
) -> Result<Option<Bytes>, FrameError> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(error) => return Err(cut(error)),
    }
    let length = check_length(length, bytes_max)?;
    let mut body = BytesMut::zeroed(length);
    stream.read_exact(&mut body).await.map_err(cut)?;
    Ok(Some(body.freeze()))
}

fn cut(error: ReadExactError) -> FrameError {
    match error {
        ReadExactError::FinishedEarly(_) => FrameError::Truncated,
        ReadExactError::ReadError(error) => FrameError::Gone(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_preamble_and_a_frame() {
        assert_eq!(preamble(Kind::Log, 0x0102_0304_0506_0708), [1, 2, 8, 7, 6, 5, 4, 3, 2, 1]);
        let mut out = BytesMut::new();
        put(&mut out, b"abc");
        assert_eq!(&out[..], [3, 0, 0, 0, b'a', b'b', b'c']);
    }

    #[test]
    fn a_preamble_of_another_version_kind_or_cluster_is_refused_by_name() {
        let good = preamble(Kind::Ask, 7);
        assert_eq!(check_preamble(good, 7).unwrap(), Kind::Ask);
        for (place, byte, word) in [(0, 9, "version 9"), (1, 77, "kind 77"), (2, 8, "cluster id")] {
            let mut bad = good;
            bad[place] = byte;
            let error = check_preamble(bad, 7).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_length_of_nothing_or_beyond_the_cap_is_refused_before_it_is_allocated() {
        let cap = FRAME_BYTES_MAX;
        let length = |n: u32| check_length(n.to_le_bytes(), cap);
        assert!(matches!(length(0), Err(FrameError::Empty)));
        assert_eq!(length(1).unwrap(), 1);
        assert_eq!(length(cap as u32).unwrap(), cap);
        assert!(matches!(length(cap as u32 + 1), Err(FrameError::Length(..))));
        assert!(matches!(length(u32::MAX), Err(FrameError::Length(..))));
    }
}
