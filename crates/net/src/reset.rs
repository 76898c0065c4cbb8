//! Stateless resets (RFC 9000 §10.3) that outlive a process. A node that was killed and comes back
//! on its port cannot know the connections of its former life; with a key drawn from its own
//! private key it can still tell their other ends, on their next datagram, that it has forgotten
//! them. Without it they would learn it by silence.

use std::{fmt, sync::Arc, time::Duration};

use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig,
    crypto::{CryptoError, HmacKey},
};
use rustls::crypto::{
    SecureRandom,
    ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    tls13::{Hkdf, OkmBlock},
};

use crate::tls;

/// Binds the drawn key to this one use.
const PURPOSE: &[u8] = b"synod stateless reset, version 1";
/// Bytes of an HMAC-SHA-256.
const TAG_BYTES: usize = 32;
/// Bytes of a connection id: enough that nobody guesses one.
const ID_BYTES: usize = 8;
/// quinn sends at most one reset in 20 ms, which is long where hundreds of clients wait for theirs.
/// A reset is smaller than what it answers, so nobody gains by provoking it.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The key of one identity's resets; the same in each of its lives. `Debug` prints nothing of it.
#[derive(Clone)]
pub(crate) struct ResetKey(Arc<OkmBlock>);

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(..)")
    }
}

/// The hash that the keys are drawn and used with. Fixed: another would be another key.
fn hkdf() -> &'static dyn Hkdf {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is named a suite of TLS 1.3");
    suite.hkdf_provider
}

impl ResetKey {
    /// Draws the key from a private key (HKDF, RFC 5869), which cannot be found out from it.
    pub(crate) fn draw(private_key: &[u8]) -> ResetKey {
        let expander = hkdf().extract_from_secret(Some(PURPOSE), private_key);
        ResetKey(Arc::new(expander.expand_block(&[PURPOSE])))
    }

    /// A listener's endpoint that can reset what it has forgotten.
    pub(crate) fn endpoint(&self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(self.clone()));
        config.cid_generator(|| Box::new(RandomIds(tls::provider().secure_random)));
        config.min_reset_interval(INTERVAL_MIN);
        config
    }

    fn tag(&self, message: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(hkdf().hmac_sign(&self.0, message).as_ref());
        tag
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, message: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.tag(message));
    }

    fn signature_len(&self) -> usize {
        TAG_BYTES
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let wrong = self.tag(message).iter().zip(signature).fold(0, |sum, (a, b)| sum | (a ^ b));
        if wrong == 0 && signature.len() == TAG_BYTES { Ok(()) } else { Err(CryptoError) }
    }
}

/// Connection ids without the stamp by which quinn's own recognizes those of this process: after a
/// restart the ids of the former life must still be answered with a reset.
#[derive(Debug)]
struct RandomIds(&'static dyn SecureRandom);

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; ID_BYTES];
        self.0.fill(&mut bytes).expect("the system's randomness does not run dry");
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_private_key_gives_one_reset_key_in_each_life_and_another_gives_another() {
        let tag = |private: &[u8]| ResetKey::draw(private).tag(b"connection");
        assert_eq!(tag(b"one"), tag(b"one"));
        assert_ne!(tag(b"one"), tag(b"two"));
        let key = ResetKey::draw(b"one");
        assert!(key.verify(b"connection", &tag(b"one")).is_ok());
        assert!(key.verify(b"connection", &tag(b"two")).is_err());
        assert!(key.verify(b"connection", &tag(b"one")[..31]).is_err());
    }
}
