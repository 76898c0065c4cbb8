//! What is asked on one stream, and how long it may take.

use std::time::Duration;

use bytes::Bytes;
use quinn::RecvStream;
use tokio::time::{Instant, timeout};

use crate::{
    frame::{FrameError, Frames, Kind},
    guests::{Room, Seat},
    limits::Limits,
};

/// A stream of questions, with what is left of its time. That runs while its caller is waited for,
/// and not while its caller waits for us; and all questions of one stream have what one alone has.
pub(crate) struct Reading {
    pub(crate) frames: Frames,
    reading: Duration,
    /// What it began with.
    whole: Duration,
    room: Duration,
}

impl Reading {
    pub(crate) fn new(stream: RecvStream, limits: &Limits) -> Reading {
        Reading {
            frames: Frames::new(stream, limits.stall),
            reading: limits.question,
            whole: limits.question,
            room: limits.room,
        }
    }

    /// The kind of the next frame and the bytes of its body; `None` at the end of the stream.
    pub(crate) async fn head(&mut self) -> Result<Option<(Kind, usize)>, FrameError> {
        let began = Instant::now();
        let read = timeout(self.reading, self.frames.head()).await;
        self.took(began, read)
    }

    /// The body of the frame whose head was read.
    pub(crate) async fn body(&mut self, bytes: usize) -> Result<Bytes, FrameError> {
        let began = Instant::now();
        let read = timeout(self.reading, self.frames.body(bytes)).await;
        self.took(began, read)
    }

    fn took<T>(
        &mut self,
        began: Instant,
        read: Result<Result<T, FrameError>, tokio::time::error::Elapsed>,
    ) -> Result<T, FrameError> {
        self.reading = self.reading.saturating_sub(began.elapsed());
        read.unwrap_or(Err(FrameError::Stalled(self.whole)))
    }

    /// Room for a question, if there is some in time.
    pub(crate) async fn room(&mut self, seat: &Seat, bytes: usize) -> Option<Room> {
        let began = Instant::now();
        let room = seat.room(bytes, self.room).await;
        self.room = self.room.saturating_sub(began.elapsed());
        room
    }
}
