use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use quinn::SendStream;
use tokio::{sync::oneshot, time::timeout};
use tracing::warn;

use crate::{
    answers::Part,
    bye::Bye,
    frame::{self, Kind},
    guests::{Room, Tray},
    listener::House,
    promptly::is_done,
};

/// The way back to one caller. Dropped without an answer, the caller hears that none will come.
#[derive(Debug)]
pub struct Reply {
    way: Way,
    _room: Room,
}

#[derive(Debug)]
enum Way {
    Alone(Alone),
    Together(Part),
}

/// A stream for one answer.
#[derive(Debug)]
struct Alone {
    // `None` once it was answered.
    stream: Option<SendStream>,
    tray: Tray,
    house: Arc<House>,
}

impl Reply {
    pub(crate) fn new(stream: SendStream, room: Room, tray: Tray, house: Arc<House>) -> Reply {
        Reply { way: Way::Alone(Alone { stream: Some(stream), tray, house }), _room: room }
    }

    /// To one of those who asked together.
    pub(crate) fn together(part: Part, room: Room) -> Reply {
        Reply { way: Way::Together(part), _room: room }
    }

    /// Sends the answer; a caller that is gone is no error. An answer has 1 byte to 2 MiB: another
    /// cannot be sent, and the caller hears that none will come. One that its caller does not take
    /// is kept for a while, as long as there are not too many of them.
    pub fn send(self, body: Bytes) {
        let bytes = body.len();
        if !Kind::Answer.fits(bytes) {
            warn!(bytes, "an answer of this length cannot be sent");
            return;
        }
        match self.way {
            Way::Alone(alone) => alone.send(body),
            Way::Together(part) => part.send(body),
        }
    }

    /// Resolves when the caller has gone away without waiting for the answer, or has it. Callers
    /// who asked together are gone when all of them are.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let gone: Pin<Box<dyn Future<Output = ()> + Send>> = match &self.way {
            Way::Alone(alone) => Box::pin(alone.gone()),
            Way::Together(part) => Box::pin(part.gone()),
        };
        gone
    }
}

impl Alone {
    fn send(mut self, body: Bytes) {
        let bytes = body.len();
        let Some(stream) = self.stream.take() else { return };
        let (cut, is_cut) = oneshot::channel();
        let mut writing = Box::pin(write(stream, body, is_cut));
        // Almost always there is room, and then no task is needed.
        if is_done(writing.as_mut()) {
            return;
        }
        let kept = self.tray.room(bytes);
        let patience = self.tray.patience;
        let house = Arc::clone(&self.house);
        if kept.is_none() {
            house.answer_untaken();
            drop(cut);
            let _done = is_done(writing.as_mut());
            return;
        }
        tokio::spawn(async move {
            let _kept = kept;
            if timeout(patience, writing.as_mut()).await.is_err() {
                house.answer_untaken();
                drop(cut);
                writing.await;
            }
        });
    }

    fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopped = self.stream.as_ref().map(SendStream::stopped);
        async move {
            if let Some(stopped) = stopped {
                // An error means that the whole connection is gone, which is the same to us.
                let _gone = stopped.await;
            }
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // It fails only where the caller has gone.
            let _gone = stream.reset(Bye::Stopping.code());
        }
    }
}

/// Writes the answer, unless it is cut off meanwhile, which its caller is told.
async fn write(mut stream: SendStream, body: Bytes, is_cut: oneshot::Receiver<()>) {
    let mut chunks = frame::chunks(Kind::Answer, &body);
    let wrote = tokio::select! {
        biased;
        _ = is_cut => None,
        wrote = stream.write_all_chunks(&mut chunks) => Some(wrote),
    };
    match wrote {
        None => drop(stream.reset(Bye::Slow.code())),
        Some(Ok(())) => drop(stream.finish()),
        // Whoever asked and went away will ask again, or not.
        Some(Err(_)) => {}
    }
}
