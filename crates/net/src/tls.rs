//! TLS 1.3, mutual, with one provider; identities are compared here, addresses never.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use quinn::{
    IdleTimeout, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier},
    sign::SingleCertAndKey,
};

use crate::{Credentials, Identity, identity};

/// Between nodes.
pub(crate) const ALPN_PEER: &[u8] = b"synod-peer/1";
/// From a client to a node.
pub(crate) const ALPN_CLIENT: &[u8] = b"synod-client/1";
/// From an owner to a participant.
pub(crate) const ALPN_PARTICIPANT: &[u8] = b"synod-participant/1";

/// The one provider, always passed explicitly.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Whether `chain` leads to `roots` now, for whichever use its leaf is made.
pub(crate) fn check_chain(
    roots: &Arc<RootCertStore>,
    chain: &[CertificateDer<'static>],
) -> Result<(), Error> {
    let [leaf, intermediates @ ..] = chain else {
        return Err(Error::NoCertificatesPresented);
    };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).map(|_| ())
}

/// What a listener shows and demands.
pub(crate) fn server(
    credentials: &Credentials,
    alpns: &[&[u8]],
) -> Result<quinn::ServerConfig, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(credentials.roots(), provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    tls.alpn_protocols = alpns.iter().map(|alpn| alpn.to_vec()).collect();
    // A peer whose certificate was refused meanwhile must not come back on an old ticket, and what
    // can be replayed (0-RTT) must not be heard.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls.max_early_data_size = 0;
    let quic = QuicServerConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport(&Pace::SERVER)));
    Ok(config)
}

/// What a dialler shows, and whom it expects. What it refused is told in `refusal`.
pub(crate) fn client(
    credentials: &Credentials,
    alpn: &[u8],
    expect: Identity,
    pace: &Pace,
) -> Result<(quinn::ClientConfig, Refusal), Error> {
    let refusal = Refusal::default();
    let verifier = ExpectIdentity { roots: credentials.roots(), expect, refusal: refusal.clone() };
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
    config.transport_config(Arc::new(transport(pace)));
    Ok((config, refusal))
}

/// Why the last certificate was refused, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal(Arc<Mutex<Option<String>>>);

impl Refusal {
    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Checks chain, dates and use as webpki does, and then that the URI name is whom we dialled.
#[derive(Debug)]
struct ExpectIdentity {
    roots: Arc<RootCertStore>,
    expect: Identity,
    refusal: Refusal,
}

impl ServerCertVerifier for ExpectIdentity {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = provider().signature_verification_algorithms.all;
        ParsedCertificate::try_from(end_entity)
            .and_then(|parsed| {
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    &self.roots,
                    intermediates,
                    now,
                    algorithms,
                )
            })
            .inspect_err(|error| self.refusal.set(format!("its certificate: {error}")))?;
        let wrong = |why: String| {
            self.refusal.set(why.clone());
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Wrong(why)))))
        };
        let found = identity::of_certificate(end_entity).map_err(|e| wrong(e.to_string()))?;
        if found == self.expect {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(wrong(format!("{found} answered where {} was dialled", self.expect)))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// How long a connection may be silent. It decides when to connect anew, and nothing else: the idle
/// timeout is no failure detector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    idle: Duration,
    keep_alive: Option<Duration>,
}

impl Pace {
    /// Between nodes, which speak every few milliseconds: a peer that was killed and restarted on
    /// its port cannot tell us that it forgot the connection, so silence must.
    pub(crate) const PEER: Pace =
        Pace { idle: Duration::from_millis(800), keep_alive: Some(Duration::from_millis(150)) };
    /// From clients.
    pub(crate) const CLIENT: Pace =
        Pace { idle: Duration::from_secs(3), keep_alive: Some(Duration::from_millis(700)) };
    /// At the listener: whoever dials decides, below this.
    pub(crate) const SERVER: Pace = Pace { idle: Duration::from_secs(10), keep_alive: None };
}

/// Streams that a client may have open at once on one connection: each is one question.
const ASKS_MAX: u32 = 1_024;
/// Streams of a peer: one a lane, and room for those that are being replaced.
const LANES_MAX: u32 = 8;
/// Bytes of one stream that may be on their way: a frame of the largest kind, and some.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// A round trip before any was measured. The default of 333 ms is for the open internet; a
/// handshake packet that is lost in a data centre would be sent again only after a second.
const INITIAL_RTT: Duration = Duration::from_millis(30);

fn transport(pace: &Pace) -> TransportConfig {
    let mut transport = TransportConfig::default();
    // A span of seconds is far below QUIC's limit of 2^62 milliseconds.
    transport.max_idle_timeout(IdleTimeout::try_from(pace.idle).ok());
    transport.keep_alive_interval(pace.keep_alive);
    transport.initial_rtt(INITIAL_RTT);
    transport.max_concurrent_bidi_streams(VarInt::from_u32(ASKS_MAX));
    transport.max_concurrent_uni_streams(VarInt::from_u32(LANES_MAX));
    transport.stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES));
    transport.receive_window(VarInt::from_u32(4 * STREAM_WINDOW_BYTES));
    transport.send_window(u64::from(4 * STREAM_WINDOW_BYTES));
    transport.datagram_receive_buffer_size(None);
    transport
}
