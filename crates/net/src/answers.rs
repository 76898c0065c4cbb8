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
    runtime::Handle,
    sync::{oneshot, watch},
    task::AbortHandle,
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
    tray: Tray,
    house: Arc<House>,
    /// Answers are also given where no runtime is: by whoever drops a question unanswered.
    runtime: Handle,
}

struct State {
    pen: Pen,
    /// What waits for whoever writes.
    written: Parcel,
    kept: Vec<Room>,
    /// Answers that are still to come, and one more as long as questions may.
    to_come: usize,
    /// Resolves when the caller has gone, or has all answers; until somebody wants to know.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    watch: Option<Watch>,
}

/// Somebody wants to know whether the caller has gone.
struct Watch {
    tell: watch::Sender<bool>,
    task: AbortHandle,
}

enum Pen {
    /// Nobody writes.
    Free(SendStream),
    /// A task does, until the caller has taken what it writes, or this is dropped.
    Taken { _until: oneshot::Sender<Infallible> },
    /// The stream has ended.
    Gone,
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
        let stopped = async move {
            // An error means that the whole connection is gone, which is the same to us.
            let _gone = stopped.await;
        };
        let state = State {
            pen: Pen::Free(stream),
            written: Parcel::default(),
            kept: Vec::new(),
            to_come: 1,
            stopped: Some(Box::pin(stopped)),
            watch: None,
        };
        Arc::new(Answers { state: Mutex::new(state), tray, house, runtime: Handle::current() })
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
        if let Pen::Free(stream) = self.state().drop_pen() {
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
                    state.drop_pen();
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
        // Counted before some of it is sent: what is left holds the memory of all.
        let bytes = chunks.iter().map(Bytes::len).sum();
        let wrote = at_once(pin!(stream.write_all_chunks(&mut chunks)));
        match wrote {
            Some(Ok(())) => state.put_down(stream),
            // Whoever asked and went away will ask again, or not.
            Some(Err(_gone)) => drop(state.drop_pen()),
            None => {
                chunks.retain(|chunk| !chunk.is_empty());
                let Some(room) = self.tray.room(bytes) else {
                    self.house.answer_untaken();
                    state.drop_pen();
                    return end(stream, Bye::Slow.code());
                };
                let (_until, cut) = oneshot::channel();
                state.pen = Pen::Taken { _until };
                self.runtime.spawn(Arc::clone(self).write_on(stream, chunks, vec![room], cut));
            }
        }
    }

    /// Writes until everything is written, or the caller takes nothing for too long.
    async fn write_on(
        self: Arc<Self>,
        mut stream: SendStream,
        mut chunks: Vec<Bytes>,
        mut kept: Vec<Room>,
        mut cut: oneshot::Receiver<Infallible>,
    ) {
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
                state.drop_pen();
                return;
            }
            if is_late || matches!(state.pen, Pen::Gone) {
                state.drop_pen();
                return end(stream, Bye::Slow.code());
            }
            // What was written is taken, and its room is given back.
            drop(mem::replace(&mut kept, mem::take(&mut state.kept)));
            chunks = mem::take(&mut state.written).chunks();
            if chunks.is_empty() {
                return state.put_down(stream);
            }
        }
    }

    /// Says when the caller has gone, has all answers, or hears no more of them.
    fn left(&self) -> watch::Receiver<bool> {
        let mut state = self.state();
        if let Some(stopped) = state.stopped.take() {
            let tell = watch::Sender::new(matches!(state.pen, Pen::Gone));
            let leaves = tell.clone();
            let watching = self.runtime.spawn(async move {
                stopped.await;
                leaves.send_replace(true);
            });
            state.watch = Some(Watch { tell, task: watching.abort_handle() });
        }
        let watch = state.watch.as_ref().expect("it is there since nobody has to look any more");
        watch.tell.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Nothing more is said: whatever is answered from now on, nobody hears it.
    fn drop_pen(&mut self) -> Pen {
        self.kept.clear();
        if let Some(watch) = &self.watch {
            watch.tell.send_replace(true);
        }
        mem::replace(&mut self.pen, Pen::Gone)
    }

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

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
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
