//! The way back of a bundle: one stream, and each answer on it as soon as it is there.

use std::{
    convert::Infallible,
    fmt, mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use quinn::{SendStream, VarInt};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::{
    bundle::Outcome,
    bye::Bye,
    frame::{Kind, Parcel},
    guests::{Room, Tray},
    listener::House,
    promptly::at_once,
};

/// The answers to one bundle.
pub(crate) struct Answers {
    state: Mutex<State>,
    left: Mutex<Left>,
    tray: Tray,
    house: Arc<House>,
}

struct State {
    pen: Pen,
    /// What waits for whoever writes.
    written: Parcel,
    kept: Vec<Room>,
    /// Answers that are still to come, and one more as long as questions may.
    to_come: usize,
}

enum Pen {
    /// Nobody writes.
    Free(SendStream),
    /// A task does, until the caller has taken what it writes, or this is dropped.
    Taken { _until: oneshot::Sender<Infallible> },
    /// The stream has ended.
    Gone,
}

/// Whether the caller has gone: looked for once somebody wants to know.
enum Left {
    Unknown(Pin<Box<dyn Future<Output = ()> + Send>>),
    Watched(watch::Receiver<bool>),
}

/// The way back to one of those who asked together.
#[derive(Debug)]
pub(crate) struct Part {
    answers: Arc<Answers>,
    place: u16,
    answered: bool,
}

impl Answers {
    pub(crate) fn new(stream: SendStream, tray: Tray, house: Arc<House>) -> Arc<Answers> {
        let stopped = stream.stopped();
        let left = Left::Unknown(Box::pin(async move {
            // An error means that the whole connection is gone, which is the same to us.
            let _gone = stopped.await;
        }));
        let (pen, written) = (Pen::Free(stream), Parcel::default());
        let state = State { pen, written, kept: Vec::new(), to_come: 1 };
        Arc::new(Answers { state: Mutex::new(state), left: Mutex::new(left), tray, house })
    }

    /// The way back to whoever asked at this place.
    pub(crate) fn part(self: &Arc<Self>, place: u16) -> Part {
        self.state().to_come += 1;
        Part { answers: Arc::clone(self), place, answered: false }
    }

    /// All questions of the bundle were taken.
    pub(crate) fn no_more_questions(self: &Arc<Self>) {
        self.write(self.state());
    }

    /// From this place on nothing was heard, for there is no room.
    pub(crate) fn no_room(self: &Arc<Self>, from: u16) {
        self.say(from, &Outcome::NoRoom);
    }

    /// What was asked makes no sense: nothing more is said.
    pub(crate) fn cut(&self, code: VarInt) {
        if let Pen::Free(stream) = mem::replace(&mut self.state().pen, Pen::Gone) {
            end(stream, code);
        }
    }

    fn say(self: &Arc<Self>, place: u16, outcome: &Outcome) {
        let answer = match outcome {
            Outcome::Answer(answer) => answer.clone(),
            Outcome::None | Outcome::NoRoom => Bytes::new(),
        };
        let mut state = self.state();
        match state.pen {
            Pen::Free(_) => {}
            Pen::Gone => return,
            Pen::Taken { .. } => match self.tray.room(answer.len()) {
                Some(room) => state.kept.push(room),
                None => {
                    self.house.answer_untaken();
                    // Whoever writes sees it, and tells the caller.
                    state.pen = Pen::Gone;
                    return;
                }
            },
        }
        state.written.put_behind(Kind::AnswerOne, &outcome.front(place), &answer);
        self.write(state);
    }

    /// One less is to come. Writes what there is, as far as it is taken at once; what is not, and
    /// what comes meanwhile, is for a task.
    fn write(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.to_come -= 1;
        let mut stream = match mem::replace(&mut state.pen, Pen::Gone) {
            Pen::Free(stream) => stream,
            pen => return state.pen = pen,
        };
        let mut chunks = mem::take(&mut state.written).chunks();
        let wrote = at_once(pin!(stream.write_all_chunks(&mut chunks)));
        match wrote {
            Some(Ok(())) => state.put_down(stream),
            // Whoever asked and went away will ask again, or not.
            Some(Err(_gone)) => {}
            None => {
                chunks.retain(|chunk| !chunk.is_empty());
                let Some(room) = self.tray.room(chunks.iter().map(Bytes::len).sum()) else {
                    self.house.answer_untaken();
                    return end(stream, Bye::Slow.code());
                };
                state.kept.push(room);
                let (_until, cut) = oneshot::channel();
                state.pen = Pen::Taken { _until };
                tokio::spawn(Arc::clone(self).write_on(stream, chunks, cut));
            }
        }
    }

    /// Writes until everything is written, or the caller takes nothing for too long.
    async fn write_on(
        self: Arc<Self>,
        mut stream: SendStream,
        mut chunks: Vec<Bytes>,
        mut cut: oneshot::Receiver<Infallible>,
    ) {
        let mut kept = Vec::new();
        loop {
            let writing = timeout(self.tray.patience, stream.write_all_chunks(&mut chunks));
            let wrote = tokio::select! {
                biased;
                _ = &mut cut => None,
                wrote = writing => Some(wrote),
            };
            let mut state = self.state();
            let is_late = matches!(wrote, Some(Err(_)));
            if is_late {
                self.house.answer_untaken();
            }
            if let Some(Ok(Err(_gone))) = wrote {
                state.pen = Pen::Gone;
                return;
            }
            if is_late || matches!(state.pen, Pen::Gone) {
                state.pen = Pen::Gone;
                return end(stream, Bye::Slow.code());
            }
            drop(mem::replace(&mut kept, mem::take(&mut state.kept)));
            chunks = mem::take(&mut state.written).chunks();
            if chunks.is_empty() {
                return state.put_down(stream);
            }
        }
    }

    /// Says when the caller has gone, or has all answers.
    fn left(&self) -> watch::Receiver<bool> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = match &*left {
            Left::Watched(watched) => return watched.clone(),
            Left::Unknown(_) => watch::Sender::new(false),
        };
        let receiver = watched.subscribe();
        if let Left::Unknown(leaves) = mem::replace(&mut *left, Left::Watched(receiver.clone())) {
            tokio::spawn(async move {
                leaves.await;
                watched.send_replace(true);
            });
        }
        receiver
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Everything there is was written.
    fn put_down(&mut self, mut stream: SendStream) {
        self.kept.clear();
        if self.to_come > 0 {
            self.pen = Pen::Free(stream);
            return;
        }
        // It fails only where the caller has gone.
        let _gone = stream.finish();
        self.pen = Pen::Gone;
    }
}

fn end(mut stream: SendStream, code: VarInt) {
    // It fails only where the caller has gone.
    let _gone = stream.reset(code);
}

impl Part {
    /// Sends the answer, of which [`Kind::Answer`] says whether it fits.
    pub(crate) fn send(mut self, body: Bytes) {
        self.answered = true;
        self.answers.say(self.place, &Outcome::Answer(body));
    }

    /// Resolves when all who asked together have gone, or have their answers.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut left = self.answers.left();
        async move {
            // An error means that nobody looks any more: the runtime is shutting down.
            let _gone = left.wait_for(|left| *left).await;
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.answered {
            self.answers.say(self.place, &Outcome::None);
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("to_come", &self.state().to_come).finish_non_exhaustive()
    }
}
