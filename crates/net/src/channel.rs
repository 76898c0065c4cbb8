//! Asking: a connection to one who answers, and one stream a question, or a bundle of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use quinn::{Connection, Endpoint, ReadError, SendStream, WriteError};
use tokio::{runtime::Handle, time::timeout};

use crate::{
    Credentials, Identity, NetError, Who,
    bye::Bye,
    call::{self, Call},
    desk::Desk,
    frame::{self, FRAME_BYTES_MAX, FrameError, Frames, Kind},
    hello::Hello,
    tls, transport,
};

/// A connection that does not stand by then is given up; the caller tries another node.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// An answer that has begun may stand still for this long.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(10);

/// Opens channels to nodes and participants.
#[derive(Clone, Debug)]
pub struct Dialer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    credentials: Credentials,
    hello: Hello,
}

/// A connection on which many questions can be asked at once, each on a stream of its own or with
/// those of the same moment.
#[derive(Clone, Debug)]
pub struct Channel {
    connection: Connection,
    peer: Arc<Identity>,
    pub(crate) desk: Arc<Desk>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No connection, or no room for the question on the other side: nobody has heard it.
    #[error("cannot connect to {address}: {why}")]
    Connect {
        /// Where.
        address: String,
        /// What went wrong, with whose fault.
        why: String,
        /// Whether the other side (or this one) refused the identity: trying again is useless.
        identity: bool,
    },
    /// It may have been heard.
    #[error("the connection was lost after the question was sent: {why}")]
    Lost {
        /// What went wrong.
        why: String,
        /// Whether the other side refused the identity after all: trying again is useless.
        identity: bool,
    },
    /// No frame carries this; it was not sent, and will never be.
    #[error("a question of {bytes} bytes; 1 to {FRAME_BYTES_MAX} can be sent")]
    Length {
        /// Its length.
        bytes: usize,
    },
}

impl Dialer {
    /// A dialer with these credentials, on a port that the system chooses.
    pub fn new(credentials: Credentials, cluster_id: u64) -> Result<Dialer, NetError> {
        let hello = Hello { cluster_id, identity: credentials.identity().clone() };
        Ok(Dialer { shared: Arc::new(Shared { endpoint: endpoint()?, credentials, hello }) })
    }

    /// Connects to `address` (`host:port`), where exactly `expect` of the own cluster must answer,
    /// and let us in.
    pub async fn connect(&self, address: &str, expect: &Who) -> Result<Channel, AskError> {
        let connecting = self.connect_any(address, expect);
        timeout(CONNECT_MAX, connecting).await.unwrap_or_else(|_| {
            let why = format!("nothing was heard on UDP in {CONNECT_MAX:?}");
            Err(call::connect(address, why, false))
        })
    }

    /// Tries each address of the name in turn, with an equal part of the time.
    async fn connect_any(&self, address: &str, expect: &Who) -> Result<Channel, AskError> {
        let cluster = self.shared.credentials.identity().cluster.clone();
        let peer = Arc::new(Identity { cluster, who: expect.clone() });
        let all = call::resolve(address, &self.shared.endpoint).await?;
        let patience = CONNECT_MAX / u32::try_from(all.len()).unwrap_or(u32::MAX);
        let mut last = None;
        for at in all {
            match timeout(patience, self.connect_one(at, &peer)).await {
                Ok(Ok(connection)) => {
                    let desk = Arc::new(Desk::new(Handle::current()));
                    return Ok(Channel { connection, peer, desk });
                }
                Ok(Err(error)) => last = Some(error),
                Err(_late) => {}
            }
        }
        Err(last.unwrap_or_else(|| {
            call::connect(address, "nothing was heard on UDP".to_owned(), false)
        }))
    }

    async fn connect_one(&self, at: SocketAddr, peer: &Identity) -> Result<Connection, AskError> {
        let Shared { endpoint, credentials, hello } = &*self.shared;
        let alpn = match &peer.who {
            Who::Node(_) => tls::ALPN_CLIENT,
            Who::Client { .. } => tls::ALPN_PARTICIPANT,
        };
        let transport = transport::client();
        let call = Call::ring(endpoint, credentials, alpn, peer.clone(), at, transport).await?;
        call.greet(hello, CONNECT_MAX).await
    }
}

/// For both families where the machine has both.
fn endpoint() -> Result<Endpoint, NetError> {
    let v6 = SocketAddr::from(([0_u16; 8], 0));
    let v4 = SocketAddr::from(([0_u8; 4], 0));
    Endpoint::client(v6)
        .or_else(|_no_v6: io::Error| Endpoint::client(v4))
        .map_err(|source| NetError::Listen { address: v4, source })
}

impl Channel {
    /// Asks, and waits for the answer. Dropping the future abandons the question and nothing else.
    pub async fn ask(&self, body: Bytes) -> Result<Bytes, AskError> {
        if !Kind::Ask.fits(body.len()) {
            return Err(AskError::Length { bytes: body.len() });
        }
        // While no stream is open, nothing of this question was sent.
        let (stream, answers) =
            self.connection.open_bi().await.map_err(|error| self.unsent(&error))?;
        let mut asking = Asking::on(stream);
        let mut answers = Frames::new(answers, STALL_MAX);
        match asking.send(frame::chunks(Kind::Ask, &body)).await {
            Ok(()) => {}
            // Turned away before all of it was read. The answer's end says why.
            Err(WriteError::Stopped(_)) => {}
            Err(_gone) => return Err(self.lost("the question was cut off")),
        }
        let answer = answers.next(Kind::Answer).await;
        answers.end();
        match answer {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.lost("no answer came")),
            Err(FrameError::Gone(ReadError::Reset(code))) => Err(self.reset(code)),
            Err(FrameError::Gone(_)) => Err(self.lost("no answer came")),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn unsent(&self, error: &quinn::ConnectionError) -> AskError {
        let address = self.connection.remote_address().to_string();
        call::connect(&address, Bye::words(error), Bye::is_identity(error))
    }

    pub(crate) fn no_room(&self) -> AskError {
        let address = self.connection.remote_address().to_string();
        call::connect(&address, "it has no room for another question".to_owned(), false)
    }

    pub(crate) fn reset(&self, code: quinn::VarInt) -> AskError {
        if code == Bye::Busy.code() {
            return self.no_room();
        }
        if code == Bye::Slow.code() {
            return self.lost("its answer was not taken in time, and not kept");
        }
        if code == Bye::Malformed.code() {
            return self.lost("it could not read the question");
        }
        self.lost("it gave no answer")
    }

    pub(crate) fn lost(&self, what: &str) -> AskError {
        let reason = self.connection.close_reason();
        let identity = reason.as_ref().is_some_and(Bye::is_identity);
        let why = match reason {
            Some(error) => format!("{what}: {}", Bye::words(&error)),
            None => what.to_owned(),
        };
        AskError::Lost { why, identity }
    }

    /// The smoothed round trip.
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// QUIC's frames so far, sent and heard.
    #[cfg(test)]
    pub(crate) fn frames(&self) -> (quinn::FrameStats, quinn::FrameStats) {
        let stats = self.connection.stats();
        (stats.frame_tx, stats.frame_rx)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Who answered.
    pub fn peer(&self) -> &Identity {
        &self.peer
    }
}

/// What is asked, on its way. If it is abandoned half sent its stream is reset: ended in the
/// ordinary way it would look like a broken frame.
pub(crate) struct Asking {
    stream: SendStream,
    whole: bool,
}

impl Asking {
    pub(crate) fn on(stream: SendStream) -> Asking {
        Asking { stream, whole: false }
    }

    pub(crate) async fn send(&mut self, mut chunks: Vec<Bytes>) -> Result<(), WriteError> {
        self.stream.write_all_chunks(&mut chunks).await?;
        self.whole = true;
        // It fails only where the other side has cut the stream off, and then the answer's end
        // tells.
        let _cut_off = self.stream.finish();
        Ok(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.whole {
            // It fails only where the stream has ended anyway.
            let _ended = self.stream.reset(Bye::Stopping.code());
        }
    }
}
