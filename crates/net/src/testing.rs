//! For tests: what the mesh makes of bytes, without a connection.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use quinn::ReadError;

use crate::{
    Identity,
    bundle::Outcome,
    frame::{Frames, Source, chunks},
    hello::Hello,
};

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

/// The hello of `who`, and whether these bytes are taken for it by a node of this cluster.
pub fn hello(cluster_id: u64, who: &Identity, body: &[u8]) -> (Bytes, Result<(), String>) {
    let hello = Hello { cluster_id, identity: who.clone() };
    let checked = hello.check(body, who).map_err(|error| error.to_string());
    (hello.encode(), checked)
}

/// What a frame says of one question of several, written again; `None` if it says nothing.
pub fn answer_one(body: Bytes) -> Option<Vec<u8>> {
    let (place, outcome) = Outcome::read(body)?;
    let front = outcome.front(u16::try_from(place).ok()?);
    Some(match outcome {
        Outcome::Answer(answer) => [&front, &answer[..]].concat(),
        Outcome::None | Outcome::NoRoom => front.to_vec(),
    })
}
