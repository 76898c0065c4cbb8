//! TLS over TCP, for what speaks to programs that speak no QUIC: the same authority, the same
//! identities.

use std::io;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Credentials, Identity, IdentityError, identity, tls};

/// What is offered to those who call, and all that is understood.
const ALPN_HTTP: &[u8] = b"http/1.1";

/// A connection whose caller is known.
pub type WebStream = TlsStream<TcpStream>;

/// Shakes hands over TCP: both sides show a certificate of the cluster's authority.
#[derive(Clone)]
pub struct WebDoor {
    acceptor: TlsAcceptor,
    own: Identity,
}

/// Why a caller is not let in, or nobody can be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The handshake failed: no certificate, another authority's, an expired one.
    #[error("{0}")]
    Handshake(#[from] io::Error),
    /// The certificate names nobody.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is of another cluster, under the same authority.
    #[error("the certificate is of cluster {found}, this is {own}")]
    OtherCluster {
        /// Of which.
        found: String,
        /// Of which this is.
        own: String,
    },
    /// The own certificate cannot be shown.
    #[error("{0}")]
    Own(#[from] rustls::Error),
}

impl std::fmt::Debug for WebDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebDoor").field("own", &self.own).finish_non_exhaustive()
    }
}

impl WebDoor {
    /// Shows these credentials, whose certificate must be one for answering calls.
    pub fn new(credentials: &Credentials) -> Result<WebDoor, WebError> {
        let mut config: ServerConfig = tls::listener(credentials)?;
        config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
        let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
        Ok(WebDoor { acceptor, own: credentials.identity().clone() })
    }

    /// Shakes hands with whoever has connected; and who that is.
    pub async fn accept(&self, stream: TcpStream) -> Result<(WebStream, Identity), WebError> {
        let stream = self.acceptor.accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or(IdentityError::NoUri)?;
        let caller = identity::of_certificate(leaf)?;
        if caller.cluster != self.own.cluster {
            let (found, own) = (caller.cluster.to_string(), self.own.cluster.to_string());
            return Err(WebError::OtherCluster { found, own });
        }
        Ok((stream, caller))
    }
}
