//! Where questions of one channel wait for each other, for as long as it takes everybody who is
//! ready to ask one.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use quinn::{ReadError, RecvStream, WriteError};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit, oneshot},
    task::yield_now,
};

use crate::{
    AskError, Channel,
    bundle::{Outcome, QUESTION_BYTES_MAX, QUESTIONS_MAX},
    channel::STALL_MAX,
    frame::{FrameError, Frames, Kind, Parcel},
};

/// Questions that one channel has open at once in this way; the next waits for its turn.
const OPEN_MAX: usize = 256;

/// What the handles of one channel share.
#[derive(Debug)]
pub(crate) struct Desk {
    waiting: Mutex<Vec<Question>>,
    places: Semaphore,
}

/// A question, and who waits for its answer.
#[derive(Debug)]
struct Question {
    body: Bytes,
    tell: oneshot::Sender<Result<Bytes, AskError>>,
}

/// Who came first and takes the others along. When it leaves meanwhile, they go without it.
struct Gathering<'a> {
    channel: &'a Channel,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk { waiting: Mutex::default(), places: Semaphore::new(OPEN_MAX) }
    }
}

impl Desk {
    async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("the semaphore is never closed")
    }

    /// Whether no question is open but one.
    fn has_one(&self) -> bool {
        self.places.available_permits() + 1 == OPEN_MAX
    }

    /// Whether it is the first.
    fn put(&self, question: Question) -> bool {
        let mut waiting = self.waiting();
        waiting.push(question);
        waiting.len() == 1
    }

    fn take(&self) -> Vec<Question> {
        mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    /// As [`ask`](Channel::ask), on one stream with whatever else is asked in the same moment: that
    /// is less work for both sides. For questions that have nothing to wait for: whoever answers
    /// hears of callers that have gone only when all of a bundle have.
    pub async fn ask_together(&self, body: Bytes) -> Result<Bytes, AskError> {
        let _place;
        if (1..=QUESTION_BYTES_MAX).contains(&body.len()) {
            _place = self.desk.place().await;
            if let Some(told) = self.join(&body).await {
                let answer = told.await;
                return answer.unwrap_or_else(|_runtime_is_gone| Err(self.lost("no answer came")));
            }
        }
        // In a box, or all who ask would carry along what it takes to ask alone.
        Box::pin(self.ask(body)).await
    }

    /// Puts a question to those that travel together; `None` when there are no others.
    async fn join(&self, body: &Bytes) -> Option<oneshot::Receiver<Result<Bytes, AskError>>> {
        if self.desk.has_one() {
            return None;
        }
        let (tell, told) = oneshot::channel();
        if self.desk.put(Question { body: body.clone(), tell }) {
            let gathering = Gathering { channel: self };
            // Whoever is ready to ask something does it now.
            yield_now().await;
            if gathering.is_alone() {
                return None;
            }
        }
        Some(told)
    }
}

impl Gathering<'_> {
    /// Whether nobody else has come; takes the question off the desk then.
    fn is_alone(&self) -> bool {
        let mut waiting = self.channel.desk.waiting();
        let alone = waiting.len() == 1;
        if alone {
            waiting.clear();
        }
        alone
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        let mut questions = self.channel.desk.take();
        // Without a runtime nobody waits for an answer.
        let Ok(runtime) = Handle::try_current() else { return };
        while !questions.is_empty() {
            let rest = questions.split_off(questions.len().min(QUESTIONS_MAX));
            runtime.spawn(carry(self.channel.clone(), mem::replace(&mut questions, rest)));
        }
    }
}

/// Those who wait for the answers of a bundle, by their places.
struct Waiting {
    channel: Channel,
    tell: Vec<Option<oneshot::Sender<Result<Bytes, AskError>>>>,
}

/// Asks all of them on one stream, and passes each answer on as it comes.
async fn carry(channel: Channel, questions: Vec<Question>) {
    let mut parcel = Parcel::default();
    let mut waiting = Waiting { channel, tell: Vec::with_capacity(questions.len()) };
    for Question { body, tell } in questions {
        parcel.put(Kind::AskTogether, &body);
        waiting.tell.push(Some(tell));
    }
    // While no stream is open, nothing of them was sent.
    let (mut stream, answers) = match waiting.channel.connection().open_bi().await {
        Ok(streams) => streams,
        Err(error) => {
            let unsent = waiting.channel.unsent(&error);
            return waiting.end(&unsent);
        }
    };
    match stream.write_all_chunks(&mut parcel.chunks()).await {
        // It fails only where the other side has cut the stream off, and then the answers' end
        // tells.
        Ok(()) => drop(stream.finish()),
        // Turned away before all of them were read. The answers say which were heard.
        Err(WriteError::Stopped(_)) => {}
        Err(_gone) => {
            let lost = waiting.channel.lost("the questions were cut off");
            return waiting.end(&lost);
        }
    }
    let mut answers = Frames::new(answers, STALL_MAX);
    let lost = waiting.hear(&mut answers).await;
    answers.end();
    waiting.end(&lost);
}

impl Waiting {
    /// Until all are answered or have gone, or no more answers come: what to tell the rest.
    async fn hear(&mut self, answers: &mut Frames<RecvStream>) -> AskError {
        loop {
            let heard = tokio::select! {
                biased;
                answer = answers.next(Kind::AnswerOne) => answer,
                () = self.have_gone() => Ok(None),
            };
            match heard {
                Ok(Some(body)) => match Outcome::read(body) {
                    Some((place, outcome)) if place < self.tell.len() => self.tell(place, outcome),
                    _ => return self.channel.lost("it answers what was not asked"),
                },
                Ok(None) => return self.channel.lost("no answer came"),
                Err(error) => return self.cut_off(error),
            }
        }
    }

    fn cut_off(&self, error: FrameError) -> AskError {
        match error {
            FrameError::Gone(ReadError::Reset(code)) => match self.channel.reset(code) {
                // Some of them may have been heard all the same.
                AskError::Connect { why, .. } => self.channel.lost(&why),
                lost => lost,
            },
            FrameError::Gone(_) => self.channel.lost("no answer came"),
            error => self.channel.lost(&error.to_string()),
        }
    }

    /// Resolves when nobody waits any more.
    async fn have_gone(&mut self) {
        for tell in self.tell.iter_mut().flatten() {
            tell.closed().await;
        }
    }

    fn tell(&mut self, place: usize, outcome: Outcome) {
        match outcome {
            Outcome::Answer(answer) => self.tell_one(place, Ok(answer)),
            Outcome::None => self.tell_one(place, Err(self.channel.lost("it gave no answer"))),
            Outcome::NoRoom => {
                for place in place..self.tell.len() {
                    self.tell_one(place, Err(self.channel.no_room()));
                }
            }
        }
    }

    fn tell_one(&mut self, place: usize, answer: Result<Bytes, AskError>) {
        if let Some(tell) = self.tell[place].take() {
            let _gone = tell.send(answer);
        }
    }

    /// Tells it to all who still wait.
    fn end(mut self, error: &AskError) {
        for place in 0..self.tell.len() {
            self.tell_one(place, Err(error.clone()));
        }
    }
}
