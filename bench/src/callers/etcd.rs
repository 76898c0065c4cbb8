//! etcd by gRPC, which is what its own clients speak: HTTP/2, one stream a request.

use std::{path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use super::{
    Answered, Pids,
    wire::{field, grpc},
};
use crate::BenchError;

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
/// gRPC's code of a request that the server was not able to serve now (gRPC, "Status codes").
const UNAVAILABLE: &str = "14";

/// A cluster of etcd.
pub struct Etcd {
    host: String,
    tls: Option<TlsConnector>,
    pids: Pids,
}

/// A connection to its leader. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    host: Arc<str>,
    secure: bool,
    send: http2::SendRequest<Full<Bytes>>,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Etcd {
    /// At `host`, with mutual TLS by the files in `tls`.
    pub fn open(host: String, tls: Option<&Path>, pids: Pids) -> Result<Etcd, BenchError> {
        let tls = tls.map(connector).transpose()?;
        Ok(Etcd { host, tls, pids })
    }

    /// Whether it speaks mutual TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn pids(&self) -> &Pids {
        &self.pids
    }

    pub(super) async fn connect(&self) -> Result<Connection, BenchError> {
        let tcp = TcpStream::connect(&self.host).await.map_err(BenchError::io(&*self.host))?;
        tcp.set_nodelay(true).map_err(BenchError::io(&*self.host))?;
        let send = match &self.tls {
            None => handshake(TokioIo::new(tcp)).await?,
            Some(tls) => {
                let name = self.host.rsplit_once(':').map_or(&*self.host, |(name, _)| name);
                let name = ServerName::try_from(name.to_owned()).map_err(failed)?;
                let stream = tls.connect(name, tcp).await.map_err(BenchError::io(&*self.host))?;
                handshake(TokioIo::new(stream)).await?
            }
        };
        Ok(Connection { host: self.host.as_str().into(), secure: self.tls.is_some(), send })
    }
}

impl Connection {
    pub(super) async fn put(&self, key: &str, value: &[u8]) -> Result<Answered, BenchError> {
        let mut put = BytesMut::with_capacity(key.len() + value.len() + 8);
        field(1, key.as_bytes(), &mut put);
        field(2, value, &mut put);
        self.call(PUT, &put).await
    }

    /// A range of one key. Linearizable is what etcd does when it is not told otherwise.
    pub(super) async fn get(&self, key: &str) -> Result<Answered, BenchError> {
        let mut range = BytesMut::new();
        field(1, key.as_bytes(), &mut range);
        self.call(RANGE, &range).await
    }

    async fn call(&self, path: &str, message: &[u8]) -> Result<Answered, BenchError> {
        let scheme = if self.secure { "https" } else { "http" };
        let request = Request::post(format!("{scheme}://{}{path}", self.host))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(grpc(message).freeze()))
            .map_err(failed)?;
        let mut send = self.send.clone();
        let answer = send.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(failed)?;
        let trailers = body.trailers();
        // A failure may come in the head, without a body.
        let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
        let status = status.or_else(|| head.headers.get("grpc-status"));
        match status.and_then(|status| status.to_str().ok()) {
            Some("0") => Ok(Answered::Done),
            Some(UNAVAILABLE) => Ok(Answered::Unknown),
            Some(code) => Err(BenchError::Cluster(format!("etcd answers with code {code}"))),
            None => Err(BenchError::Cluster(format!("etcd answers with HTTP {}", head.status))),
        }
    }
}

async fn handshake<T>(io: T) -> Result<http2::SendRequest<Full<Bytes>>, BenchError>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (send, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(io).await.map_err(failed)?;
    // It ends with the last sender; a failure is told to whoever waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(send)
}

fn connector(dir: &Path) -> Result<TlsConnector, BenchError> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(dir.join("ca.crt")).map_err(failed)?;
    roots.add(authority).map_err(failed)?;
    let own = CertificateDer::pem_file_iter(dir.join("client.crt")).map_err(failed)?;
    let own = own.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let key = PrivateKeyDer::from_pem_file(dir.join("client.key")).map_err(failed)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_client_auth_cert(own, key)
        .map_err(failed)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn failed(error: impl std::fmt::Display) -> BenchError {
    BenchError::Cluster(format!("etcd: {error}"))
}
