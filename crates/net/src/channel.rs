use bytes::Bytes;

use crate::{Credentials, Identity, NetError, Who};

/// Opens channels to nodes and participants.
#[derive(Clone)]
pub struct Dialer {}

/// A connection on which many questions can be asked at once, each on a stream of its own.
#[derive(Clone)]
pub struct Channel {}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
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
    },
}

impl Dialer {
    /// A dialer with these credentials.
    pub fn new(credentials: Credentials, cluster_id: u64) -> Result<Dialer, NetError> {
        let _ = (credentials, cluster_id);
        Ok(Dialer {})
    }

    /// Connects to `address` (`host:port`), where exactly `expect` of the own cluster must answer.
    pub async fn connect(&self, address: &str, expect: &Who) -> Result<Channel, AskError> {
        let _ = (address, expect);
        Ok(Channel {})
    }
}

impl Channel {
    /// Asks, and waits for the answer. Dropping the future abandons the question and nothing else.
    pub async fn ask(&self, body: Bytes) -> Result<Bytes, AskError> {
        Ok(body)
    }

    /// The smoothed round trip.
    pub fn rtt(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        false
    }

    /// Who answered.
    pub fn peer(&self) -> &Identity {
        unimplemented!("skeleton")
    }
}
