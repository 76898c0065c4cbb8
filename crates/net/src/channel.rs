use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use quinn::{Connection, Endpoint};

use crate::{
    Credentials, Identity, NetError, Who,
    bye::Bye,
    frame::{self, FrameError, Kind},
    tls::{self, Pace},
};

/// A connection that does not stand by then is given up; the caller tries another node.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// The name that TLS wants and nobody reads: identities are URI names, not host names.
const SERVER_NAME: &str = "synod";

/// Opens channels to nodes and participants.
#[derive(Clone, Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    credentials: Credentials,
    cluster_id: u64,
}

/// A connection on which many questions can be asked at once, each on a stream of its own.
#[derive(Clone, Debug)]
pub struct Channel {
    connection: Connection,
    peer: Identity,
    cluster_id: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No connection: nothing was sent.
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
}

impl Dialer {
    /// A dialer with these credentials, on a port that the system chooses.
    pub fn new(credentials: Credentials, cluster_id: u64) -> Result<Dialer, NetError> {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let endpoint =
            Endpoint::client(any).map_err(|source| NetError::Listen { address: any, source })?;
        Ok(Dialer { endpoint, credentials, cluster_id })
    }

    /// Connects to `address` (`host:port`), where exactly `expect` of the own cluster must answer.
    pub async fn connect(&self, address: &str, expect: &Who) -> Result<Channel, AskError> {
        let alpn = match expect {
            Who::Node(_) => tls::ALPN_CLIENT,
            Who::Client { .. } => tls::ALPN_PARTICIPANT,
        };
        let peer =
            Identity { cluster: self.credentials.identity().cluster.clone(), who: expect.clone() };
        let dialled = dial(&self.endpoint, &self.credentials, alpn, &peer, address, &Pace::CLIENT);
        let connection = match tokio::time::timeout(CONNECT_MAX, dialled).await {
            Ok(dialled) => dialled?,
            Err(_) => {
                return Err(AskError::Connect {
                    address: address.to_owned(),
                    why: format!("no answer in {CONNECT_MAX:?} on UDP"),
                    identity: false,
                });
            }
        };
        Ok(Channel { connection, peer, cluster_id: self.cluster_id })
    }
}

/// One attempt to connect, with everything that can go wrong in words.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    credentials: &Credentials,
    alpn: &[u8],
    expect: &Identity,
    address: &str,
    pace: &Pace,
) -> Result<Connection, AskError> {
    let failed =
        |why: String, identity| AskError::Connect { address: address.to_owned(), why, identity };
    let resolved = tokio::net::lookup_host(address)
        .await
        .map_err(|error| failed(error.to_string(), false))?
        .next()
        .ok_or_else(|| failed("the name has no address".to_owned(), false))?;
    let (config, refusal) = tls::client(credentials, alpn, expect.clone(), pace)
        .map_err(|error| failed(error.to_string(), true))?;
    let connecting = endpoint
        .connect_with(config, resolved, SERVER_NAME)
        .map_err(|error| failed(error.to_string(), false))?;
    connecting.await.map_err(|error| match refusal.take() {
        Some(why) => failed(why, true),
        None => failed(Bye::words(&error), Bye::is_identity(&error)),
    })
}

impl Channel {
    /// Asks, and waits for the answer. Dropping the future abandons the question and nothing else.
    pub async fn ask(&self, body: Bytes) -> Result<Bytes, AskError> {
        let (mut stream, mut answers) = self.connection.open_bi().await.map_err(|error| {
            // No stream was opened, so nothing of this question was sent.
            let why = Bye::words(&error);
            let address = self.connection.remote_address().to_string();
            AskError::Connect { address, why, identity: Bye::is_identity(&error) }
        })?;
        let mut out = BytesMut::with_capacity(frame::PREAMBLE_BYTES + 4 + body.len());
        out.extend_from_slice(&frame::preamble(Kind::Ask, self.cluster_id));
        frame::put(&mut out, &body);
        if stream.write_chunk(out.freeze()).await.is_err() {
            return Err(self.lost("the question was cut off"));
        }
        // Finishing fails only where the stream was stopped, which the answer will tell.
        let _ = stream.finish();
        match frame::read(&mut answers, Kind::Ask.bytes_max()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(FrameError::Gone(_)) => Err(self.lost("no answer came")),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    fn lost(&self, what: &str) -> AskError {
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

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Who answered.
    pub fn peer(&self) -> &Identity {
        &self.peer
    }
}
