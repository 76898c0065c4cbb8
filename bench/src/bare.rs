//! QUIC with nothing of Synod on it: what a round trip of it costs between two threads of this
//! machine, on a stream that stays and as datagrams.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde::Serialize;
use tokio::runtime::Builder;

use crate::{BenchError, Quantiles, quantiles::Spans};

/// What is sent, and sent back.
const BODY: [u8; 128] = [7; 128];
const NAME: &str = "localhost";
/// A datagram that is lost is not waited for.
const DATAGRAM_MAX: Duration = Duration::from_secs(1);

/// Round trips of 128 bytes over loopback, TLS included.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bare {
    /// On one stream, which stays open.
    pub stream_us: Quantiles,
    /// As datagrams.
    pub datagram_us: Quantiles,
}

/// Round trips of both kinds, in turn, for so long.
pub async fn bare(span: Duration) -> Result<Bare, BenchError> {
    let (endpoint, connection) = connected().await?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(failed)?;
    let (mut streams, mut datagrams) = (Spans::new(), Spans::new());
    let (begun, mut back) = (Instant::now(), BODY);
    while begun.elapsed() < span {
        let asked = Instant::now();
        send.write_all(&BODY).await.map_err(failed)?;
        receive.read_exact(&mut back).await.map_err(failed)?;
        streams.add(asked.elapsed());
        let asked = Instant::now();
        connection.send_datagram(Bytes::from_static(&BODY)).map_err(failed)?;
        let came = tokio::time::timeout(DATAGRAM_MAX, connection.read_datagram()).await;
        if let Ok(came) = came {
            came.map_err(failed)?;
            datagrams.add(asked.elapsed());
        }
    }
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(Bare { stream_us: streams.quantiles(), datagram_us: datagrams.quantiles() })
}

/// A connection to a thread that sends back what it hears, and ends with the connection.
async fn connected() -> Result<(Endpoint, Connection), BenchError> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(failed)?;
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(failed)?;
    let server = ServerConfig::with_single_cert(vec![certificate.clone()], key).map_err(failed)?;
    let (say, said) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        // Whoever waits for the address is told that there is none.
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let Ok(endpoint) = Endpoint::server(server, loopback) else { return };
            if let Ok(address) = endpoint.local_addr() {
                let _gone = say.send(address);
                echo(&endpoint).await;
            }
        });
    });
    let address = said.await.map_err(failed)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(failed)?;
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())
        .map_err(BenchError::io("a socket on loopback"))?;
    let config = ClientConfig::with_root_certificates(Arc::new(roots)).map_err(failed)?;
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(address, NAME).map_err(failed)?.await.map_err(failed)?;
    Ok((endpoint, connection))
}

async fn echo(endpoint: &Endpoint) {
    let Some(incoming) = endpoint.accept().await else { return };
    let Ok(connection) = incoming.await else { return };
    tokio::join!(echo_streams(&connection), echo_datagrams(&connection));
}

/// Ends with the connection.
async fn echo_streams(connection: &Connection) {
    let Ok((mut send, mut receive)) = connection.accept_bi().await else { return };
    let mut body = BODY;
    while receive.read_exact(&mut body).await.is_ok() && send.write_all(&body).await.is_ok() {}
}

async fn echo_datagrams(connection: &Connection) {
    while let Ok(body) = connection.read_datagram().await {
        // What cannot be sent is a datagram that was lost.
        let _lost = connection.send_datagram(body);
    }
}

fn failed(why: impl std::fmt::Display) -> BenchError {
    BenchError::Cluster(format!("bare QUIC: {why}"))
}
