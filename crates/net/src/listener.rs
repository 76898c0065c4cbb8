//! Incoming connections of every kind, from the first datagram to a hello that was accepted.

use std::{
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use quinn::{Connection, Endpoint, Incoming, SendStream, crypto::rustls::HandshakeData};
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tracing::{debug, warn};

use crate::{
    Congestion, Credentials, Identity, IdentityError, NetError,
    bye::Bye,
    counters::Tally,
    hello::{Hello, HelloError},
    identity,
    limits::Limits,
    penalty::Penalties,
    tls,
};

/// Goodbyes have this long to be heard.
const GOODBYE_MAX: std::time::Duration = std::time::Duration::from_millis(300);

/// What everything that serves a connection needs to know of the house.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) hello: Hello,
    pub(crate) limits: Limits,
    pub(crate) congestion: Congestion,
    pub(crate) tally: Tally,
    pub(crate) penalties: Penalties,
    /// Given out in the order of asking.
    turns: Semaphore,
}

impl House {
    /// An answer is not kept any longer for a caller that does not take it.
    pub(crate) fn answer_untaken(&self) {
        if let Some(total) = self.tally.answers_untaken.one() {
            warn!(total, "answers are not taken, and not kept");
        }
    }

    pub(crate) fn new(
        credentials: &Credentials,
        cluster_id: u64,
        limits: Limits,
        congestion: Congestion,
    ) -> House {
        House {
            hello: Hello { cluster_id, identity: credentials.identity().clone() },
            limits,
            congestion,
            tally: Tally::default(),
            penalties: Penalties::new(limits),
            turns: Semaphore::new(limits.handshakes),
        }
    }

    /// Closes a connection that may not be here, and counts it.
    pub(crate) fn refuse(&self, connection: &Connection, bye: Bye, why: &str) {
        if let Some(total) = self.tally.connections_refused.one() {
            warn!(from = %connection.remote_address(), why, total, "connection refused");
        }
        bye.say(connection, why);
    }
}

/// A connection of somebody of our cluster, who waits to hear whether it may come in.
pub(crate) struct Arrived {
    pub(crate) connection: Connection,
    pub(crate) identity: Identity,
    pub(crate) alpn: Vec<u8>,
    answer: SendStream,
}

impl Arrived {
    /// Lets it in.
    pub(crate) async fn welcome(self, house: &House) -> Option<Connection> {
        let answered = house.hello.answer(self.answer).await;
        answered.ok().map(|()| self.connection)
    }
}

/// An endpoint that accepts.
pub(crate) struct Listener {
    pub(crate) endpoint: Endpoint,
    pub(crate) house: Arc<House>,
    address: SocketAddr,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Listener {
    pub(crate) fn open(
        listen: SocketAddr,
        credentials: &Credentials,
        alpns: &[&[u8]],
        house: Arc<House>,
    ) -> Result<Listener, NetError> {
        let other = |source| NetError::Listen { address: listen, source };
        let config = tls::server(credentials, alpns, house.congestion);
        let config = config.map_err(|e| other(io::Error::other(e)))?;
        let socket = UdpSocket::bind(listen).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => NetError::PortTaken { address: listen },
            _ => other(source),
        })?;
        let address = socket.local_addr().map_err(other)?;
        let (ours, runtime) = (credentials.reset_key().endpoint(), Arc::new(quinn::TokioRuntime));
        let endpoint = Endpoint::new(ours, Some(config), socket, runtime).map_err(other)?;
        Ok(Listener { endpoint, house, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the endpoint is closed; each connection with an identity of our cluster is
    /// handed to `serve` in a task of its own.
    pub(crate) async fn accept<F>(&self, serve: impl Fn(Arrived) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let half_open = Arc::new(AtomicUsize::new(0));
        while let Some(incoming) = self.endpoint.accept().await {
            let House { limits, tally, .. } = &*self.house;
            let now = half_open.load(Relaxed);
            if now >= limits.half_open_max {
                if let Some(total) = tally.handshakes_refused.one() {
                    warn!(under_way = now, total, "handshakes are refused: too many");
                }
                incoming.refuse();
                continue;
            }
            if now >= limits.half_open && incoming.may_retry() {
                tally.handshakes_put_off.add(1);
                // Retry costs us no state; a flood from forged addresses ends here.
                let _gone = incoming.retry();
                continue;
            }
            let (house, serve) = (Arc::clone(&self.house), serve.clone());
            let place = Place::among(&half_open);
            tokio::spawn(async move {
                let arrived = arrive(incoming, &house).await;
                drop(place);
                if let Some(arrived) = arrived {
                    serve(arrived).await;
                }
            });
        }
    }

    /// Closes every connection and gives the goodbyes a moment to be heard.
    pub(crate) async fn goodbye(&self) {
        self.close();
        // Past the moment the others find out by silence.
        let _late = timeout(GOODBYE_MAX, self.endpoint.wait_idle()).await;
    }

    pub(crate) fn close(&self) {
        self.endpoint.close(Bye::Stopping.code(), b"it is stopping");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// One handshake under way.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn among(half_open: &Arc<AtomicUsize>) -> Place {
        half_open.fetch_add(1, Relaxed);
        Place(Arc::clone(half_open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Handshake, identity, penalty, hello: each can end it.
async fn arrive(incoming: Incoming, house: &House) -> Option<Arrived> {
    let from = incoming.remote_address();
    let failed = |why: &dyn fmt::Display| {
        if let Some(total) = house.tally.handshakes_failed.one() {
            debug!(%from, %why, total, "handshake failed");
        }
        None
    };
    let Ok(Ok(turn)) = timeout(house.limits.turn_wait, house.turns.acquire()).await else {
        if let Some(total) = house.tally.handshakes_refused.one() {
            warn!(%from, total, "too many handshakes");
        }
        incoming.refuse();
        return None;
    };
    let connection = match shake(incoming, turn, &house.limits).await {
        Ok(connection) => connection,
        Err(why) => return failed(&why),
    };
    let (identity, alpn) = match identity_of(&connection) {
        Ok(found) => found,
        Err(error) => {
            house.refuse(&connection, Bye::WrongIdentity, &format!("your certificate: {error}"));
            return None;
        }
    };
    let ours = &house.hello.identity.cluster;
    if identity.cluster != *ours {
        let why =
            format!("this is cluster {ours}, and your certificate is of {}", identity.cluster);
        house.refuse(&connection, Bye::WrongCluster, &why);
        return None;
    }
    if let Some(left) = house.penalties.left(&identity, Instant::now()) {
        let why = format!("too many malformed frames; come back in {left:.0?}");
        house.refuse(&connection, Bye::Penalty, &why);
        return None;
    }
    match house.hello.hear(&connection, &identity, house.limits.hello).await {
        Ok(answer) => Some(Arrived { connection, identity, alpn, answer }),
        Err(error) => {
            deny(house, &connection, &identity, &error);
            None
        }
    }
}

/// The handshake. Its turn ends with it, or before when it waits for long.
async fn shake(
    incoming: Incoming,
    turn: SemaphorePermit<'_>,
    limits: &Limits,
) -> Result<Connection, String> {
    let mut connecting = incoming.accept().map_err(|error| error.to_string())?;
    let in_turn = timeout(limits.turn, &mut connecting).await;
    drop(turn);
    let shaken = match in_turn {
        Ok(shaken) => shaken,
        Err(_) => timeout(limits.handshake, connecting).await.map_err(|_| "it took too long")?,
    };
    shaken.map_err(|error| Bye::words(&error))
}

/// What a hello that is not accepted leads to.
fn deny(house: &House, connection: &Connection, identity: &Identity, error: &HelloError) {
    let why = error.to_string();
    match error {
        HelloError::Cluster { .. } => house.refuse(connection, Bye::WrongCluster, &why),
        HelloError::Forged { .. } => house.refuse(connection, Bye::WrongIdentity, &why),
        // Dialling again while an attempt is under way, the dialler drops the slower one.
        HelloError::Connection(_) => Bye::Stopping.say(connection, "gone"),
        HelloError::Late(_) => house.refuse(connection, Bye::Busy, &why),
        HelloError::Frame(frame) if frame.is_malformed() => {
            if let Some(total) = house.tally.frames_malformed.one() {
                warn!(%identity, %error, total, "malformed hello");
            }
            Bye::Malformed.say(connection, &why);
        }
        HelloError::Frame(_) => Bye::Stopping.say(connection, &why),
    }
}

/// Whose connection it is, and for what it was opened.
fn identity_of(connection: &Connection) -> Result<(Identity, Vec<u8>), IdentityError> {
    let chain = connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = chain.as_ref().and_then(|chain| chain.first()).ok_or(IdentityError::NoUri)?;
    let alpn = connection
        .handshake_data()
        .and_then(|any| any.downcast::<HandshakeData>().ok())
        .and_then(|shaken| shaken.protocol)
        .unwrap_or_default();
    Ok((identity::of_certificate(leaf)?, alpn))
}
