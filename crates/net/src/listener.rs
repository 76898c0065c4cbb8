//! Incoming connections of every kind, from the first datagram to an identity.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use quinn::{Connection, Endpoint, EndpointConfig, Incoming, crypto::rustls::HandshakeData};
use rustls::pki_types::CertificateDer;
use tracing::{debug, warn};

use crate::{Credentials, Identity, NetError, bye::Bye, counters::Tally, identity, tls};

/// A handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Handshakes under way, beyond which a caller must first prove its address (QUIC Retry).
const HALF_OPEN_MAX: usize = 256;
/// Connections of clients, all together and under one name.
const CLIENTS_MAX: usize = 2_000;
const CLIENTS_PER_NAME_MAX: usize = 256;

/// A connection with whose it is.
pub(crate) struct Arrived {
    pub(crate) connection: Connection,
    pub(crate) identity: Identity,
    pub(crate) alpn: Vec<u8>,
}

/// An endpoint that accepts.
pub(crate) struct Listener {
    pub(crate) endpoint: Endpoint,
    cluster: crate::Name,
    half_open: Arc<AtomicUsize>,
    pub(crate) tally: Arc<Tally>,
}

impl Listener {
    pub(crate) fn open(
        listen: SocketAddr,
        credentials: &Credentials,
        alpns: &[&[u8]],
        tally: Arc<Tally>,
    ) -> Result<Listener, NetError> {
        let other = |source| NetError::Listen { address: listen, source };
        let config = tls::server(credentials, alpns).map_err(|e| other(io::Error::other(e)))?;
        let socket = UdpSocket::bind(listen).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => NetError::PortTaken { address: listen },
            _ => other(source),
        })?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)
            .map_err(other)?;
        Ok(Listener {
            endpoint,
            cluster: credentials.identity().cluster.clone(),
            half_open: Arc::default(),
            tally,
        })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, NetError> {
        self.endpoint.local_addr().map_err(|source| NetError::Listen {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            source,
        })
    }

    /// Accepts until the endpoint is closed; each connection that has an identity of our cluster is
    /// handed to `serve` in a task of its own.
    pub(crate) async fn accept<F>(&self, serve: impl Fn(Arrived) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        while let Some(incoming) = self.endpoint.accept().await {
            let busy = self.half_open.load(Relaxed) >= HALF_OPEN_MAX;
            if busy && !incoming.remote_address_validated() {
                // Retry costs us no state; a flood from forged addresses ends here.
                if incoming.may_retry() {
                    let _ = incoming.retry();
                }
                continue;
            }
            let (half_open, tally) = (Arc::clone(&self.half_open), Arc::clone(&self.tally));
            let (cluster, serve) = (self.cluster.clone(), serve.clone());
            half_open.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                let arrived = shake(incoming, &cluster, &tally).await;
                half_open.fetch_sub(1, Relaxed);
                if let Some(arrived) = arrived {
                    serve(arrived).await;
                }
            });
        }
    }
}

async fn shake(incoming: Incoming, cluster: &crate::Name, tally: &Tally) -> Option<Arrived> {
    let from = incoming.remote_address();
    let failed = |why: &dyn std::fmt::Display| {
        if Tally::count(&tally.handshakes_failed) {
            debug!(%from, %why, "handshake failed");
        }
        None
    };
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => return failed(&error),
    };
    let connection = match tokio::time::timeout(HANDSHAKE_MAX, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return failed(&error),
        Err(_) => return failed(&"too slow"),
    };
    match identity_of(&connection) {
        Ok((identity, alpn)) if identity.cluster == *cluster => {
            Some(Arrived { connection, identity, alpn })
        }
        Ok((identity, _)) => {
            let why = format!("this is cluster {cluster}; your certificate is of {identity}");
            refuse(tally, &connection, Bye::WrongCluster, &why);
            None
        }
        Err(error) => {
            refuse(tally, &connection, Bye::WrongIdentity, &error.to_string());
            None
        }
    }
}

/// Closes a connection that may not be here, and counts it.
pub(crate) fn refuse(tally: &Tally, connection: &Connection, bye: Bye, why: &str) {
    if Tally::count(&tally.connections_refused) {
        warn!(from = %connection.remote_address(), why, "connection refused");
    }
    bye.say(connection, why);
}

/// Whose connection it is, and for what it was opened.
fn identity_of(connection: &Connection) -> Result<(Identity, Vec<u8>), crate::IdentityError> {
    let chain = connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = chain.as_ref().and_then(|chain| chain.first());
    let identity = match leaf {
        Some(leaf) => identity::of_certificate(leaf)?,
        None => return Err(crate::IdentityError::NoUri),
    };
    let alpn = connection
        .handshake_data()
        .and_then(|any| any.downcast::<HandshakeData>().ok())
        .and_then(|shaken| shaken.protocol)
        .unwrap_or_default();
    Ok((identity, alpn))
}

/// How many connections clients have open.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<BTreeMap<Identity, usize>>);

/// One connection's place among the guests; given back when dropped.
pub(crate) struct Seat {
    guests: Arc<Guests>,
    identity: Identity,
}

impl Guests {
    /// A place for one more connection, unless a limit says no.
    pub(crate) fn seat(self: &Arc<Guests>, identity: &Identity) -> Option<Seat> {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = guests.values().sum();
        let own = guests.entry(identity.clone()).or_default();
        if total >= CLIENTS_MAX || *own >= CLIENTS_PER_NAME_MAX {
            return None;
        }
        *own += 1;
        Some(Seat { guests: Arc::clone(self), identity: identity.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guests = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = guests.get_mut(&self.identity) {
            *own -= 1;
            if *own == 0 {
                guests.remove(&self.identity);
            }
        }
    }
}
