//! Frames on a stream, as `docs/format.md` describes them: a header of six bytes and a body. The
//! length is refused before anything is allocated for it, and memory is taken as bytes arrive, so
//! that a claim costs nothing.

use std::{pin::pin, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use quinn::{ReadError, RecvStream};
use tokio::time::timeout;

use crate::{bundle::QUESTIONS_MAX, promptly::is_done};

/// The version of everything in `docs/format.md`.
pub(crate) const VERSION: u8 = 2;
/// Bytes of a header: version, kind, length.
pub(crate) const HEADER_BYTES: usize = 6;
/// A hello: a number and a URI of three parts, each of at most 64 bytes.
const HELLO_BYTES_MAX: usize = 256;
/// A frame of the control and log lanes, a question, an answer. The largest thing they carry, a
/// batch of one slot, ends at 1 MiB.
pub(crate) const FRAME_BYTES_MAX: usize = 2 << 20;
/// What stands before the answer to one of several questions: which, and how it ended.
pub(crate) const PLACE_BYTES: usize = 3;
/// A frame of the bulk lane.
pub(crate) const BULK_BYTES_MAX: usize = 4 << 20;
/// What is taken from a stream, or reserved for a body, in one go.
const CHUNK_BYTES: usize = 64 << 10;
/// A body from this size on is sent from where it lies; a smaller one is copied beside its header.
const LARGE_BYTES: usize = 16 << 10;

/// What a frame is. All frames of one direction of a stream are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hello = 1,
    Control = 2,
    Log = 3,
    Bulk = 4,
    Ask = 5,
    Answer = 6,
    /// One of several questions on a stream.
    AskTogether = 7,
    /// What became of one of them.
    AnswerOne = 8,
}

impl Kind {
    pub(crate) const ALL: [Kind; 8] = [
        Kind::Hello,
        Kind::Control,
        Kind::Log,
        Kind::Bulk,
        Kind::Ask,
        Kind::Answer,
        Kind::AskTogether,
        Kind::AnswerOne,
    ];

    fn of(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    pub(crate) const fn bytes_max(self) -> usize {
        match self {
            Kind::Hello => HELLO_BYTES_MAX,
            Kind::Control | Kind::Log | Kind::Ask | Kind::Answer | Kind::AskTogether => {
                FRAME_BYTES_MAX
            }
            Kind::AnswerOne => PLACE_BYTES + FRAME_BYTES_MAX,
            Kind::Bulk => BULK_BYTES_MAX,
        }
    }

    /// Whether a body of so many bytes can be a frame of this kind. There is no empty frame.
    pub(crate) const fn fits(self, bytes: usize) -> bool {
        1 <= bytes && bytes <= self.bytes_max()
    }
}

/// Why a stream is read no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of version {found}; this build speaks version {VERSION}")]
    Version { found: u8 },
    #[error("a frame of unknown kind {found}")]
    Kind { found: u8 },
    #[error("a frame of kind {found:?} where {expected:?} was expected")]
    Misplaced { found: Kind, expected: Kind },
    #[error(
        "a frame of kind {kind:?} claims {claimed} bytes; 1 to {} are allowed",
        .kind.bytes_max()
    )]
    Length { kind: Kind, claimed: u32 },
    #[error("more questions on one stream than {QUESTIONS_MAX}")]
    TooMany,
    #[error("the stream ended inside a frame")]
    Truncated,
    #[error("a frame stood still for {0:?}")]
    Stalled(Duration),
    /// The stream or its connection ended, which is nobody's bad manners.
    #[error(transparent)]
    Gone(#[from] ReadError),
}

impl FrameError {
    /// Whether it breaks the format; the rest happens to honest peers on a bad day.
    pub(crate) const fn is_malformed(&self) -> bool {
        match self {
            FrameError::Version { .. }
            | FrameError::Kind { .. }
            | FrameError::Misplaced { .. }
            | FrameError::Length { .. }
            | FrameError::TooMany
            | FrameError::Truncated => true,
            FrameError::Stalled(_) | FrameError::Gone(_) => false,
        }
    }
}

/// The header in front of a body that [`Kind::fits`].
pub(crate) fn header(kind: Kind, bytes: usize) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(bytes).expect("bodies are capped far below 4 GiB");
    let mut header = [VERSION, kind as u8, 0, 0, 0, 0];
    header[2..].copy_from_slice(&length.to_le_bytes());
    header
}

/// Reads a header; nothing has been allocated for what it claims.
pub(crate) fn parse(header: [u8; HEADER_BYTES]) -> Result<(Kind, usize), FrameError> {
    let [version, kind, length @ ..] = header;
    if version != VERSION {
        return Err(FrameError::Version { found: version });
    }
    let kind = Kind::of(kind).ok_or(FrameError::Kind { found: kind })?;
    let claimed = u32::from_le_bytes(length);
    match usize::try_from(claimed) {
        Ok(bytes) if kind.fits(bytes) => Ok((kind, bytes)),
        _ => Err(FrameError::Length { kind, claimed }),
    }
}

/// Frames that are written in one go: small ones side by side, large ones from where they lie.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    closed: Vec<Bytes>,
    open: BytesMut,
}

impl Parcel {
    /// Adds a frame whose body [`Kind::fits`].
    pub(crate) fn put(&mut self, kind: Kind, body: &Bytes) {
        self.put_behind(kind, &[], body);
    }

    /// Adds a frame whose body is `front` and then `body`, which together [`Kind::fits`].
    pub(crate) fn put_behind(&mut self, kind: Kind, front: &[u8], body: &Bytes) {
        self.open.put_slice(&header(kind, front.len() + body.len()));
        self.open.put_slice(front);
        if body.len() < LARGE_BYTES {
            self.open.put_slice(body);
        } else {
            self.closed.push(self.open.split().freeze());
            self.closed.push(body.clone());
        }
    }

    pub(crate) fn chunks(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.closed.push(self.open.freeze());
        }
        self.closed
    }
}

/// One frame as chunks.
pub(crate) fn chunks(kind: Kind, body: &Bytes) -> Vec<Bytes> {
    let mut parcel = Parcel::default();
    parcel.put(kind, body);
    parcel.chunks()
}

/// Bytes in their order, in pieces that say nothing.
pub(crate) trait Source {
    /// The next piece, which is not empty; `None` at the end.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send;
}

impl Source for RecvStream {
    async fn piece(&mut self) -> Result<Option<Bytes>, ReadError> {
        Ok(self.read_chunk(CHUNK_BYTES, true).await?.map(|chunk| chunk.bytes))
    }
}

/// Takes frames from a stream.
#[derive(Debug)]
pub(crate) struct Frames<S = RecvStream> {
    stream: S,
    chunk: Bytes,
    /// How long a frame that has begun may stand still.
    stall: Duration,
}

impl Frames {
    /// Tells the sender to send no more.
    pub(crate) fn stop(&mut self, code: quinn::VarInt) {
        // It fails only where the stream is at its end anyway.
        let _ended = self.stream.stop(code);
    }

    /// Takes note of the end of the stream, which comes with its last frame or right behind it.
    ///
    /// A stream that is let go of before its end was read tells the other side to stop sending:
    /// a datagram for each question and each answer, to be acknowledged as well. Nobody waits here
    /// for an end that is late; then that datagram is sent.
    pub(crate) fn end(&mut self) {
        // What has been read stands, whatever follows it.
        let _ended = is_done(pin!(self.stream.read_chunk(CHUNK_BYTES, true)));
    }
}

impl<S: Source> Frames<S> {
    pub(crate) fn new(stream: S, stall: Duration) -> Frames<S> {
        Frames { stream, chunk: Bytes::new(), stall }
    }

    /// The kind and length of the next frame; `None` when the stream ended before it. May wait for
    /// ever: between two frames there is no hurry.
    pub(crate) async fn head(&mut self) -> Result<Option<(Kind, usize)>, FrameError> {
        if self.chunk.is_empty() && !self.fetch().await? {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        let mut filled = 0;
        while filled < HEADER_BYTES {
            let part = self.some(HEADER_BYTES - filled).await?;
            bytes[filled..filled + part.len()].copy_from_slice(&part);
            filled += part.len();
        }
        parse(bytes).map(Some)
    }

    /// The body after a [`head`](Frames::head), in memory of its own: a small part of a large
    /// datagram must not keep the whole of it.
    pub(crate) async fn body(&mut self, bytes: usize) -> Result<Bytes, FrameError> {
        let mut body = BytesMut::with_capacity(bytes.min(CHUNK_BYTES));
        while body.len() < bytes {
            let part = self.some(bytes - body.len()).await?;
            body.put_slice(&part);
        }
        Ok(body.freeze())
    }

    /// The next frame, which must be of this kind.
    pub(crate) async fn next(&mut self, expected: Kind) -> Result<Option<Bytes>, FrameError> {
        match self.head().await? {
            None => Ok(None),
            Some((found, bytes)) if found == expected => self.body(bytes).await.map(Some),
            Some((found, _)) => Err(FrameError::Misplaced { found, expected }),
        }
    }

    /// At least one and at most `most` bytes of a frame that has begun.
    async fn some(&mut self, most: usize) -> Result<Bytes, FrameError> {
        if self.chunk.is_empty() {
            let stall = self.stall;
            let fetched = timeout(stall, self.fetch()).await;
            if !fetched.map_err(|_| FrameError::Stalled(stall))?? {
                return Err(FrameError::Truncated);
            }
        }
        Ok(self.chunk.split_to(most.min(self.chunk.len())))
    }

    /// Waits for bytes; `false` at the end of the stream.
    async fn fetch(&mut self) -> Result<bool, FrameError> {
        match self.stream.piece().await? {
            Some(piece) => {
                self.chunk = piece;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes_of_a_frame() {
        let chunks = chunks(Kind::Log, &Bytes::from_static(b"abc"));
        assert_eq!(chunks.concat(), [2, 3, 3, 0, 0, 0, b'a', b'b', b'c']);
        let numbers = Kind::ALL.map(|kind| header(kind, 0x0001_0203));
        for (number, header) in (1..).zip(numbers) {
            assert_eq!(header, [2, number, 3, 2, 1, 0]);
        }
    }

    #[test]
    fn a_length_of_nothing_or_beyond_the_cap_is_refused_by_its_header_alone() {
        for kind in Kind::ALL {
            let claim = |claimed: u32| {
                let mut header = header(kind, 0);
                header[2..].copy_from_slice(&claimed.to_le_bytes());
                parse(header)
            };
            let cap = u32::try_from(kind.bytes_max()).unwrap();
            for fine in [1, cap - 1, cap] {
                assert_eq!(claim(fine).unwrap(), (kind, fine as usize));
            }
            for bad in [0, cap + 1, u32::MAX] {
                let error = claim(bad).unwrap_err();
                assert!(matches!(error, FrameError::Length { claimed, .. } if claimed == bad));
            }
        }
    }

    #[test]
    fn another_version_and_an_unknown_kind_are_refused_by_number() {
        let error = parse([9, 3, 1, 0, 0, 0]).unwrap_err().to_string();
        assert_eq!(error, "a frame of version 9; this build speaks version 2");
        for kind in [0, 9, 255] {
            let error = parse([2, kind, 1, 0, 0, 0]).unwrap_err();
            assert!(matches!(error, FrameError::Kind { found } if found == kind));
        }
    }

    #[test]
    fn a_large_body_is_not_copied_and_the_order_is_kept() {
        let large = Bytes::from(vec![7; LARGE_BYTES]);
        let mut parcel = Parcel::default();
        parcel.put(Kind::Log, &Bytes::from_static(b"a"));
        parcel.put(Kind::Log, &large);
        parcel.put(Kind::Log, &Bytes::from_static(b"b"));
        let chunks = parcel.chunks();
        assert_eq!(chunks[1].as_ptr(), large.as_ptr());
        let flat = chunks.concat();
        assert_eq!(flat.len(), 3 * HEADER_BYTES + LARGE_BYTES + 2);
        assert_eq!(flat[..8], [2, 3, 1, 0, 0, 0, b'a', 2]);
        assert_eq!(flat[flat.len() - 7..], [2, 3, 1, 0, 0, 0, b'b']);
    }

    proptest! {
        /// Six bytes are a header or an error, and a header is written as it was read.
        #[test]
        fn any_header_is_read_or_refused(bytes: [u8; HEADER_BYTES]) {
            if let Ok((kind, length)) = parse(bytes) {
                prop_assert_eq!(header(kind, length), bytes);
            }
        }
    }
}
