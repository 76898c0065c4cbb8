use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::{sync::mpsc, task::AbortHandle};

use crate::{
    Credentials, Identity, Who,
    bye::Bye,
    counters::Tally,
    frame::{self, FrameError, Kind},
    listener::{self, Arrived, Guests, Listener},
    tls,
};

/// A question must be whole by then, from the opening of its stream.
const QUESTION_MAX: Duration = Duration::from_secs(10);
/// Questions of one connection that may wait to be taken.
const WAITING_MAX: usize = 1_024;
/// Connections that say goodbye have this long to hear it.
const GOODBYE_MAX: Duration = Duration::from_millis(200);

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

/// Somebody asks something on a stream of its own.
#[derive(Debug)]
pub struct Asked {
    /// Who, by certificate.
    pub from: Identity,
    /// What.
    pub body: Bytes,
    /// Where the answer goes.
    pub reply: Reply,
}

/// The way back to one caller.
#[derive(Debug)]
pub struct Reply {
    stream: SendStream,
}

impl Reply {
    /// Sends the answer; a caller that is gone is no error.
    pub fn send(mut self, body: Bytes) {
        tokio::spawn(async move {
            let mut out = BytesMut::with_capacity(body.len() + 4);
            frame::put(&mut out, &body);
            // Whoever asked and went away will ask again, or not.
            if self.stream.write_chunk(out.freeze()).await.is_ok() {
                let _ = self.stream.finish();
            }
        });
    }

    /// Resolves when the caller has gone away without waiting for the answer.
    pub async fn gone(&mut self) {
        // An error means that the whole connection is gone, which is the same to us.
        let _ = self.stream.stopped().await;
    }
}

/// Takes every question of one connection; ends with it.
pub(crate) async fn answer<F>(
    connection: Connection,
    from: Identity,
    cluster_id: u64,
    tally: Arc<Tally>,
    hand_over: impl Fn(Asked) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    while let Ok((stream, questions)) = connection.accept_bi().await {
        let (connection, from) = (connection.clone(), from.clone());
        let (tally, hand_over) = (Arc::clone(&tally), hand_over.clone());
        tokio::spawn(async move {
            let read = tokio::time::timeout(QUESTION_MAX, question(questions, cluster_id)).await;
            match read {
                Ok(Ok(body)) => {
                    hand_over(Asked { from, body, reply: Reply { stream } }).await;
                }
                Ok(Err(FrameError::Gone(_))) => {}
                Ok(Err(error @ FrameError::Cluster { .. })) => {
                    listener::refuse(&tally, &connection, Bye::WrongCluster, &error.to_string());
                }
                Ok(Err(error)) => malformed(&tally, stream, &error.to_string()),
                Err(_) => malformed(&tally, stream, "a question that takes too long"),
            }
        });
    }
}

async fn question(mut stream: RecvStream, cluster_id: u64) -> Result<Bytes, FrameError> {
    let kind = frame::read_preamble(&mut stream, cluster_id).await?;
    if kind != Kind::Ask {
        return Err(FrameError::Kind(kind as u8));
    }
    frame::read(&mut stream, kind.bytes_max()).await?.ok_or(FrameError::Truncated)
}

fn malformed(tally: &Tally, mut stream: SendStream, why: &str) {
    if Tally::count(&tally.frames_malformed) {
        tracing::warn!(why, "malformed question");
    }
    // The stream is reset; a stream that is closed already needs no reset.
    let _ = stream.reset(VarInt::from_u32(Bye::Malformed as u32));
}

/// A listener for askers alone: a participant's door.
pub struct Server {
    listener: Arc<Listener>,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens for clients of the same cluster.
    pub async fn open(
        listen: SocketAddr,
        credentials: Credentials,
        cluster_id: u64,
    ) -> Result<(Server, mpsc::Receiver<Asked>), NetError> {
        let tally = Arc::new(Tally::default());
        let alpns = [tls::ALPN_PARTICIPANT];
        let listener = Listener::open(listen, &credentials, &alpns, Arc::clone(&tally))?;
        let listener = Arc::new(listener);
        let address = listener.address()?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let guests = Arc::new(Guests::default());
        let serve = move |arrived| {
            let (sender, guests, tally) = (sender.clone(), Arc::clone(&guests), Arc::clone(&tally));
            async move {
                let hand_over = move |asked| {
                    let sender = sender.clone();
                    // A closed channel means that the server stops: the asker sees it end.
                    async move { drop(sender.send(asked).await) }
                };
                serve_client(arrived, cluster_id, &guests, tally, hand_over).await;
            }
        };
        let accepting = Arc::clone(&listener);
        let accepting = tokio::spawn(async move { accepting.accept(serve).await }).abort_handle();
        Ok((Server { listener, address, accepting }, receiver))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says goodbye and stops.
    pub async fn close(&self) {
        goodbye(&self.listener).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.listener.endpoint.close(Bye::Stopping.code(), b"stopping");
    }
}

/// Serves one client's connection, if clients may come and there is a place for it.
pub(crate) async fn serve_client<F>(
    arrived: Arrived,
    cluster_id: u64,
    guests: &Arc<Guests>,
    tally: Arc<Tally>,
    hand_over: impl Fn(Asked) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let Arrived { connection, identity, .. } = arrived;
    if !matches!(identity.who, Who::Client { .. }) {
        let why = format!("{identity} is no client");
        return listener::refuse(&tally, &connection, Bye::WrongIdentity, &why);
    }
    match guests.seat(&identity) {
        Some(_seat) => answer(connection, identity, cluster_id, tally, hand_over).await,
        None => {
            listener::refuse(&tally, &connection, Bye::TooMany, "too many connections");
        }
    }
}

/// Closes every connection and gives them a moment to hear it.
pub(crate) async fn goodbye(listener: &Listener) {
    listener.endpoint.close(Bye::Stopping.code(), b"stopping");
    // Past the moment the others find out by silence.
    let _ = tokio::time::timeout(GOODBYE_MAX, listener.endpoint.wait_idle()).await;
}
