//! One call to one address: the handshake, and then the hello.

use std::{net::SocketAddr, time::Duration};

use quinn::{Connection, Endpoint, TransportConfig};

use crate::{
    AskError, Credentials, Identity,
    bye::Bye,
    hello::{Hello, HelloError},
    tls,
};

/// The name that TLS wants and nobody reads: identities are URI names, not host names.
const SERVER_NAME: &str = "synod";

/// A call that was answered. The one who answered is the one who was called; whether it lets us in,
/// only its hello tells: in TLS 1.3 the caller is done before its own certificate is looked at.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) connection: Connection,
    expect: Identity,
    address: SocketAddr,
}

impl Call {
    pub(crate) async fn ring(
        endpoint: &Endpoint,
        credentials: &Credentials,
        alpn: &[u8],
        expect: Identity,
        address: SocketAddr,
        transport: TransportConfig,
    ) -> Result<Call, AskError> {
        let failed = |why: String, identity| connect(&address.to_string(), why, identity);
        let (config, refusal) = tls::client(credentials, alpn, expect.clone(), transport)
            .map_err(|error| failed(error.to_string(), true))?;
        let connecting = endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| failed(error.to_string(), false))?;
        match connecting.await {
            Ok(connection) => Ok(Call { connection, expect, address }),
            Err(error) => Err(match refusal.take() {
                Some(why) => failed(why, true),
                None => failed(Bye::words(&error), Bye::is_identity(&error)),
            }),
        }
    }

    /// Says hello and waits to be let in.
    pub(crate) async fn greet(
        self,
        hello: &Hello,
        patience: Duration,
    ) -> Result<Connection, AskError> {
        let Err(error) = hello.say(&self.connection, &self.expect, patience).await else {
            return Ok(self.connection);
        };
        // Whoever refuses us closes the connection, and says why: that is the cause, whatever it
        // did to the exchange.
        let (why, identity) = match self.connection.close_reason() {
            Some(reason) => (Bye::words(&reason), Bye::is_identity(&reason)),
            None => {
                let identity =
                    matches!(error, HelloError::Cluster { .. } | HelloError::Forged { .. });
                let bye = if identity { Bye::WrongCluster } else { Bye::Malformed };
                bye.say(&self.connection, &error.to_string());
                (error.to_string(), identity)
            }
        };
        Err(connect(&self.address.to_string(), why, identity))
    }
}

/// All addresses of `host:port` that the endpoint can send to, in the resolver's order.
pub(crate) async fn resolve(
    address: &str,
    endpoint: &Endpoint,
) -> Result<Vec<SocketAddr>, AskError> {
    let found = tokio::net::lookup_host(address)
        .await
        .map_err(|error| connect(address, error.to_string(), false))?;
    let v4_only = endpoint.local_addr().is_ok_and(|own| own.is_ipv4());
    let usable: Vec<_> = found.filter(|found| found.is_ipv4() || !v4_only).collect();
    if usable.is_empty() {
        let why = "the name has no address that can be reached from here".to_owned();
        return Err(connect(address, why, false));
    }
    Ok(usable)
}

pub(crate) fn connect(address: &str, why: String, identity: bool) -> AskError {
    AskError::Connect { address: address.to_owned(), why, identity }
}
