//! The door for those who ask: a stream for each question, or for those of one moment, answered
//! whenever the owner of the door likes.

use std::{fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};
use tracing::warn;

use crate::{
    Congestion, Credentials, Identity, Who,
    answers::Answers,
    bundle::QUESTIONS_MAX,
    bye::Bye,
    frame::{FrameError, Frames, Kind},
    guests::{Guests, Room, Seat},
    limits::Limits,
    listener::{Arrived, House, Listener},
    promptly::is_done,
    reading::Reading,
    reply::Reply,
    strikes::Strikes,
    tls,
};

/// Questions that may wait to be taken; beyond it their streams wait, each within its own limits.
const WAITING_MAX: usize = 1_024;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Somebody else listens there.
    #[error("{address}: the port is taken by another process; choose another `listen`")]
    PortTaken {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("{address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Somebody asks something.
#[derive(Debug)]
pub struct Asked {
    /// Who, by certificate.
    pub from: Identity,
    /// What.
    pub body: Bytes,
    /// Where the answer goes.
    pub reply: Reply,
}

/// A listener for askers alone: a participant's door. It ends when it is dropped.
pub struct Server {
    listener: Arc<Listener>,
    accepting: AbortHandle,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens for clients of the same cluster.
    pub async fn open(
        listen: SocketAddr,
        credentials: Credentials,
        cluster_id: u64,
    ) -> Result<(Server, mpsc::Receiver<Asked>), NetError> {
        Server::open_with(listen, &credentials, cluster_id, Limits::DEFAULT)
    }

    pub(crate) fn open_with(
        listen: SocketAddr,
        credentials: &Credentials,
        cluster_id: u64,
        limits: Limits,
    ) -> Result<(Server, mpsc::Receiver<Asked>), NetError> {
        let congestion = Congestion::default();
        let house = Arc::new(House::new(credentials, cluster_id, limits, congestion));
        let alpns = [tls::ALPN_PARTICIPANT];
        let listener = Listener::open(listen, credentials, &alpns, Arc::clone(&house))?;
        let listener = Arc::new(listener);
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let guests = Arc::new(Guests::new(limits));
        let serve = move |arrived| {
            let (sender, guests, house) = (sender.clone(), Arc::clone(&guests), Arc::clone(&house));
            async move {
                let hand_over = move |asked| {
                    let sender = sender.clone();
                    // A closed channel means that the server stops: the asker sees it end.
                    async move { drop(sender.send(asked).await) }
                };
                serve_client(arrived, &house, &guests, hand_over).await;
            }
        };
        let accepting = Arc::clone(&listener);
        let accepting = tokio::spawn(async move { accepting.accept(serve).await }).abort_handle();
        Ok((Server { listener, accepting }, receiver))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Says goodbye and stops.
    pub async fn close(&self) {
        self.listener.goodbye().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.listener.close();
    }
}

/// Serves one client's connection, if clients may come and there is a place for it.
pub(crate) async fn serve_client<F>(
    arrived: Arrived,
    house: &Arc<House>,
    guests: &Arc<Guests>,
    hand_over: impl Fn(Asked) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let identity = arrived.identity.clone();
    if !matches!(identity.who, Who::Client { .. }) {
        let why = format!("{} may not act as a client", identity.who);
        return house.refuse(&arrived.connection, Bye::WrongIdentity, &why);
    }
    let Some(seat) = guests.seat(&identity) else {
        return house.refuse(&arrived.connection, Bye::Busy, "too many connections");
    };
    if let Some(connection) = arrived.welcome(house).await {
        let door = Door {
            strikes: Strikes::new(Arc::clone(house), connection.clone(), identity),
            connection,
            seat,
        };
        Arc::new(door).open(hand_over).await;
    }
}

/// One client's connection.
struct Door {
    connection: Connection,
    seat: Seat,
    strikes: Strikes,
}

impl Door {
    /// Takes every question of the connection; ends with it.
    async fn open<F>(self: Arc<Door>, hand_over: impl Fn(Asked) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut questions = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.connection.accept_bi() => {
                    let Ok((answer, question)) = accepted else { return };
                    let (door, hand_over) = (Arc::clone(&self), hand_over.clone());
                    let mut taking =
                        Box::pin(async move { door.take(question, answer, hand_over).await });
                    // Nearly always a question is there as soon as its stream is.
                    if !is_done(taking.as_mut()) {
                        questions.spawn(taking);
                    }
                }
                Some(_done) = questions.join_next() => {}
            }
        }
    }

    /// Takes what is asked on one stream, and hands it over.
    async fn take<F>(
        &self,
        question: RecvStream,
        answer: SendStream,
        hand_over: impl Fn(Asked) -> F,
    ) where
        F: Future<Output = ()>,
    {
        let mut reading = Reading::new(question, &self.strikes.house().limits);
        match self.begin(&mut reading).await {
            Ok(Begun::Alone(body, room)) => {
                let house = Arc::clone(self.strikes.house_of());
                let reply = Reply::new(answer, room, self.seat.tray(), house);
                hand_over(self.asked(body, reply)).await;
            }
            Ok(Begun::Together(bytes)) => {
                let house = Arc::clone(self.strikes.house_of());
                let answers = Answers::new(answer, self.seat.tray(), house);
                let taken = self.take_bundle(&mut reading, bytes, &answers, hand_over).await;
                if let Err(error) = taken {
                    let code = self.strikes.strike(&error);
                    reading.frames.stop(code);
                    answers.cut(code);
                }
            }
            Ok(Begun::NoRoom) => {
                self.turn_away(&mut reading.frames);
                reset(answer, Bye::Busy.code());
            }
            Err(error) => {
                let code = self.strikes.strike(&error);
                reading.frames.stop(code);
                reset(answer, code);
            }
        }
    }

    fn asked(&self, body: Bytes, reply: Reply) -> Asked {
        Asked { from: self.strikes.identity().clone(), body, reply }
    }

    /// The question of a stream that carries one, or the head of the first of several.
    async fn begin(&self, reading: &mut Reading) -> Result<Begun, FrameError> {
        match reading.head().await?.ok_or(FrameError::Truncated)? {
            (Kind::Ask, bytes) => match reading.room(&self.seat, bytes).await {
                Some(room) => {
                    let body = reading.body(bytes).await?;
                    reading.frames.end();
                    Ok(Begun::Alone(body, room))
                }
                None => Ok(Begun::NoRoom),
            },
            (Kind::AskTogether, bytes) => Ok(Begun::Together(bytes)),
            (found, _) => Err(FrameError::Misplaced { found, expected: Kind::Ask }),
        }
    }

    /// Takes the questions of a bundle, of which the head of the first was read, each as it comes.
    async fn take_bundle<F>(
        &self,
        reading: &mut Reading,
        first: usize,
        answers: &Arc<Answers>,
        hand_over: impl Fn(Asked) -> F,
    ) -> Result<(), FrameError>
    where
        F: Future<Output = ()>,
    {
        let mut head = Some((Kind::AskTogether, first));
        for place in 0.. {
            let bytes = match head {
                None => break,
                Some((Kind::AskTogether, bytes)) if usize::from(place) < QUESTIONS_MAX => bytes,
                Some((Kind::AskTogether, _)) => return Err(FrameError::TooMany),
                Some((found, _)) => {
                    return Err(FrameError::Misplaced { found, expected: Kind::AskTogether });
                }
            };
            let Some(room) = reading.room(&self.seat, bytes).await else {
                self.turn_away(&mut reading.frames);
                answers.no_room(place);
                return Ok(());
            };
            let body = reading.body(bytes).await?;
            hand_over(self.asked(body, Reply::together(answers.part(place), room))).await;
            head = reading.head().await?;
        }
        answers.no_more_questions();
        Ok(())
    }

    fn turn_away(&self, frames: &mut Frames) {
        if let Some(total) = self.strikes.house().tally.questions_refused.one() {
            warn!(from = %self.strikes.identity(), total, "too many questions are waiting");
        }
        frames.stop(Bye::Busy.code());
    }
}

/// What a stream begins with.
enum Begun {
    /// The only question on it, whole.
    Alone(Bytes, Room),
    /// The head of the first of several, of so many bytes.
    Together(usize),
    /// There is no room for it.
    NoRoom,
}

fn reset(mut answer: SendStream, code: quinn::VarInt) {
    // It fails only where the stream has ended anyway.
    let _ended = answer.reset(code);
}
