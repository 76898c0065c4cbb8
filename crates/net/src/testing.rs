//! For tests: what the mesh makes of bytes, without a connection.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use quinn::ReadError;

use crate::frame::{Frames, Source, chunks};

/// Longer than a test, for nothing here stands still.
const NEVER: Duration = Duration::from_secs(3_600);

struct Pieces(VecDeque<Bytes>);

impl Source for Pieces {
    async fn piece(&mut self) -> Result<Option<Bytes>, ReadError> {
        Ok(self.0.pop_front())
    }
}

/// What was read of a stream: the bytes of each frame, header and body, and why no more was, if
/// that was not its end.
pub type Heard = (Vec<Bytes>, Option<String>);

/// What is read of a stream that comes in these pieces, each of them of at least one byte: frames
/// of any kind, one after the other.
pub async fn frames(pieces: impl IntoIterator<Item = Bytes>) -> Heard {
    let mut frames = Frames::new(Pieces(pieces.into_iter().collect()), NEVER);
    let mut heard = Vec::new();
    loop {
        let body = match frames.head().await {
            Ok(None) => return (heard, None),
            Ok(Some((kind, bytes))) => frames.body(bytes).await.map(|body| (kind, body)),
            Err(error) => Err(error),
        };
        match body {
            Ok((kind, body)) => heard.push(chunks(kind, &body).concat().into()),
            Err(error) => return (heard, Some(error.to_string())),
        }
    }
}
