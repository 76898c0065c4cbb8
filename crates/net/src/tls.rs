//! TLS 1.3, mutual, with one provider, without resumption.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    Error, RootCertStore,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};

use crate::{
    Congestion, Credentials, Identity,
    expect::{ExpectIdentity, Refusal},
    transport,
};

/// Between nodes.
pub(crate) const ALPN_PEER: &[u8] = b"synod-peer/1";
/// From a node to one that dials it: it is there.
pub(crate) const ALPN_KNOCK: &[u8] = b"synod-knock/1";
/// From a client to a node.
pub(crate) const ALPN_CLIENT: &[u8] = b"synod-client/1";
/// From an owner to a participant.
pub(crate) const ALPN_PARTICIPANT: &[u8] = b"synod-participant/1";

/// The one provider, always passed explicitly.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Checks chain, dates and use of whoever calls; the identity is read after the handshake.
fn caller_verifier(roots: Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

/// Whether `chain` leads to `roots` at this time, and may be shown by one who calls. Everyone
/// calls.
pub(crate) fn check_chain(
    roots: Arc<RootCertStore>,
    chain: &[CertificateDer<'static>],
    at: UnixTime,
) -> Result<(), Error> {
    let [leaf, intermediates @ ..] = chain else {
        return Err(Error::NoCertificatesPresented);
    };
    let verifier = caller_verifier(roots)?;
    verifier.verify_client_cert(leaf, intermediates, at).map(|_verified| ())
}

/// What any listener shows and demands.
pub(crate) fn listener(credentials: &Credentials) -> Result<rustls::ServerConfig, Error> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(caller_verifier(credentials.roots())?)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    // A peer whose certificate was refused meanwhile must not come back on an old ticket, and what
    // can be replayed (0-RTT, RFC 9001 §9.2) must not be heard.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls.max_early_data_size = 0;
    Ok(tls)
}

/// What a listener of the mesh shows and demands.
pub(crate) fn server(
    credentials: &Credentials,
    alpns: &[&[u8]],
    congestion: Congestion,
) -> Result<quinn::ServerConfig, Error> {
    let mut tls = listener(credentials)?;
    tls.alpn_protocols = alpns.iter().map(|alpn| alpn.to_vec()).collect();
    let quic = QuicServerConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport::listener(congestion)));
    Ok(config)
}

/// What a dialler shows, and whom it expects. Whom it refused is told in the [`Refusal`].
pub(crate) fn client(
    credentials: &Credentials,
    alpn: &[u8],
    expect: Identity,
    transport: quinn::TransportConfig,
) -> Result<(quinn::ClientConfig, Refusal), Error> {
    let refusal = Refusal::default();
    let verifier = ExpectIdentity::new(credentials.roots(), expect, refusal.clone());
    // "Dangerous" is rustls' word for any verifier of one's own; this one checks what webpki
    // checks, and compares the URI name instead of a DNS name.
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.resumption = Resumption::disabled();
    tls.enable_early_data = false;
    let quic = QuicClientConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport));
    Ok((config, refusal))
}
