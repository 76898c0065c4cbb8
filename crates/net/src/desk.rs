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
    channel::{Asking, STALL_MAX},
    frame::{FrameError, Frames, Kind, Parcel},
};

/// Questions that one channel has open at once in this way; the next waits for its turn.
const OPEN_MAX: usize = 256;

/// What the handles of one channel share. As long as a question lies here, a task is to come for
/// it: that no asker has to be polled for another to get its answer.
#[derive(Debug)]
pub(crate) struct Desk {
    waiting: Mutex<Vec<Question>>,
    places: Semaphore,
    runtime: Handle,
}

/// A question, and who waits for its answer, until that one is told.
#[derive(Debug)]
struct Question {
    body: Bytes,
    tell: Option<oneshot::Sender<Result<Bytes, AskError>>>,
}

/// What became of the desk with one question more.
#[derive(Debug)]
enum Put {
    /// It is the first.
    First,
    /// There are others.
    Joined,
    /// These are as many as travel together.
    Full(Vec<Question>),
}

impl Question {
    fn is_abandoned(&self) -> bool {
        self.tell.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Desk {
    /// Of a channel that was opened on this runtime.
    pub(crate) fn new(runtime: Handle) -> Desk {
        Desk { waiting: Mutex::default(), places: Semaphore::new(OPEN_MAX), runtime }
    }

    async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("the semaphore is never closed")
    }

    /// Whether no question is open but one.
    fn has_one(&self) -> bool {
        self.places.available_permits() + 1 == OPEN_MAX
    }

    /// A bundle that is full leaves in the moment in which it is: with one question more it would
    /// break the format.
    fn put(&self, question: Question) -> Put {
        let mut waiting = self.waiting();
        waiting.push(question);
        match waiting.len() {
            QUESTIONS_MAX => Put::Full(mem::take(&mut *waiting)),
            1 => Put::First,
            _ => Put::Joined,
        }
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
            if !self.desk.has_one() {
                let answer = self.join(body).await;
                return answer.unwrap_or_else(|_runtime_is_gone| Err(self.lost("no answer came")));
            }
        }
        // In a box, or all who ask would carry along what it takes to ask alone.
        Box::pin(self.ask(body)).await
    }

    /// Puts a question to those that travel together.
    fn join(&self, body: Bytes) -> oneshot::Receiver<Result<Bytes, AskError>> {
        let (tell, told) = oneshot::channel();
        match self.desk.put(Question { body, tell: Some(tell) }) {
            Put::First => drop(self.desk.runtime.spawn(gather(Gathering(Some(self.clone()))))),
            Put::Joined => {}
            // Whoever was to come for them finds nothing, or what has come since.
            Put::Full(all) => drop(self.desk.runtime.spawn(carry(self.clone(), all))),
        }
        told
    }
}

#[cfg(test)]
impl Channel {
    /// How many questions are open in this way, and how many of them lie on the desk.
    pub(crate) fn together(&self) -> (usize, usize) {
        (OPEN_MAX - self.desk.places.available_permits(), self.desk.waiting().len())
    }
}

/// Comes for what lies on the desk. When it is dropped before, there is no runtime any more, and
/// nobody is to wait for it.
struct Gathering(Option<Channel>);

impl Drop for Gathering {
    fn drop(&mut self) {
        if let Some(channel) = &self.0 {
            drop(channel.desk.take());
        }
    }
}

/// Asks what is on the desk once whoever is ready to ask something has done so.
async fn gather(mut gathering: Gathering) {
    yield_now().await;
    let Some(channel) = gathering.0.take() else { return };
    let questions = channel.desk.take();
    if !questions.is_empty() {
        carry(channel, questions).await;
    }
}

/// Asks all of them on one stream, and passes each answer on as it comes.
async fn carry(channel: Channel, questions: Vec<Question>) {
    let connection = channel.connection().clone();
    let mut bundle = Bundle { channel, questions };
    // While no stream is open, nothing of them was sent.
    let opened = tokio::select! {
        biased;
        opened = connection.open_bi() => opened,
        () = bundle.is_abandoned() => return,
    };
    let (stream, answers) = match opened {
        Ok(streams) => streams,
        Err(error) => {
            let unsent = bundle.channel.unsent(&error);
            return bundle.end(&unsent);
        }
    };
    let mut asking = Asking::on(stream);
    bundle.questions.retain(|question| !question.is_abandoned());
    if bundle.questions.is_empty() {
        return;
    }
    let mut parcel = Parcel::default();
    for question in &mut bundle.questions {
        parcel.put(Kind::AskTogether, &mem::take(&mut question.body));
    }
    let sent = tokio::select! {
        biased;
        sent = asking.send(parcel.chunks()) => sent,
        () = bundle.is_abandoned() => return,
    };
    match sent {
        Ok(()) => {}
        // Turned away before all of them were read. The answers say which were heard.
        Err(WriteError::Stopped(_)) => {}
        Err(_gone) => {
            let lost = bundle.channel.lost("the questions were cut off");
            return bundle.end(&lost);
        }
    }
    let mut answers = Frames::new(answers, STALL_MAX);
    let lost = bundle.hear(&mut answers).await;
    answers.end();
    bundle.end(&lost);
}

/// What travels on one stream; the places of the questions are their numbers.
struct Bundle {
    channel: Channel,
    questions: Vec<Question>,
}

impl Bundle {
    /// Until all are answered or have gone, or no more answers come: what to tell the rest.
    async fn hear(&mut self, answers: &mut Frames<RecvStream>) -> AskError {
        loop {
            let heard = tokio::select! {
                biased;
                answer = answers.next(Kind::AnswerOne) => answer,
                () = self.is_abandoned() => Ok(None),
            };
            match heard {
                Ok(Some(body)) => match Outcome::read(body) {
                    Some((place, outcome)) if self.waits(place) => self.tell(place, outcome),
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
    async fn is_abandoned(&mut self) {
        for question in &mut self.questions {
            if let Some(tell) = &mut question.tell {
                tell.closed().await;
            }
        }
    }

    /// Whether this place has not been answered. One place that is answered again and again would
    /// be listened to for ever.
    fn waits(&self, place: usize) -> bool {
        self.questions.get(place).is_some_and(|question| question.tell.is_some())
    }

    fn tell(&mut self, place: usize, outcome: Outcome) {
        match outcome {
            Outcome::Answer(answer) => self.tell_one(place, Ok(answer)),
            Outcome::None => self.tell_one(place, Err(self.channel.lost("it gave no answer"))),
            Outcome::NoRoom => {
                for place in place..self.questions.len() {
                    self.tell_one(place, Err(self.channel.no_room()));
                }
            }
        }
    }

    fn tell_one(&mut self, place: usize, answer: Result<Bytes, AskError>) {
        if let Some(tell) = self.questions[place].tell.take() {
            let _gone = tell.send(answer);
        }
    }

    /// Tells it to all who still wait.
    fn end(mut self, error: &AskError) {
        for place in 0..self.questions.len() {
            self.tell_one(place, Err(error.clone()));
        }
    }
}
