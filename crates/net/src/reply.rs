use std::{
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use quinn::SendStream;
use tokio::time::timeout;
use tracing::warn;

use crate::{
    bye::Bye,
    frame::{self, Kind},
    guests::Room,
};

/// A caller that does not take its answer in this time loses it.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The way back to one caller. Dropped without an answer, the caller hears that none will come.
#[derive(Debug)]
pub struct Reply {
    // `None` once it was answered.
    stream: Option<SendStream>,
    _room: Room,
}

impl Reply {
    pub(crate) fn new(stream: SendStream, room: Room) -> Reply {
        Reply { stream: Some(stream), _room: room }
    }

    /// Sends the answer; a caller that is gone is no error. An answer has 1 byte to 2 MiB: another
    /// cannot be sent, and the caller hears that none will come.
    pub fn send(mut self, body: Bytes) {
        if !Kind::Answer.fits(body.len()) {
            warn!(bytes = body.len(), "an answer of this length cannot be sent");
            return;
        }
        let Some(stream) = self.stream.take() else { return };
        let mut writing = Box::pin(write(stream, body));
        // Almost always there is room, and then no task is needed.
        let mut now = Context::from_waker(Waker::noop());
        if pin!(&mut writing).poll(&mut now).is_pending() {
            tokio::spawn(timeout(ANSWER_MAX, writing));
        }
    }

    /// Resolves when the caller has gone away without waiting for the answer.
    pub async fn gone(&mut self) {
        if let Some(stream) = &self.stream {
            // An error means that the whole connection is gone, which is the same to us.
            let _gone = stream.stopped().await;
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // It fails only where the caller has gone.
            let _gone = stream.reset(Bye::Stopping.code());
        }
    }
}

async fn write(mut stream: SendStream, body: Bytes) {
    let mut chunks = frame::chunks(Kind::Answer, &body);
    // Whoever asked and went away will ask again, or not.
    if stream.write_all_chunks(&mut chunks).await.is_ok() {
        let _gone = stream.finish();
    }
}
