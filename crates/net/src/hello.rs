//! The first words on a connection, in both directions: which cluster, and who. TLS has proved the
//! certificate; the hello binds it to this cluster's number, and its answer tells the dialler that
//! it was let in, before anything else is said.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use quinn::{Connection, ConnectionError, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

use crate::{
    Identity,
    frame::{self, FrameError, Frames, Kind},
};

/// Who speaks, in which cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) cluster_id: u64,
    pub(crate) identity: Identity,
}

/// Why a hello is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("cluster id {found:016x}; ours is {ours:016x}")]
    Cluster { found: u64, ours: u64 },
    #[error("{said:?} under the certificate of {proven}")]
    Forged { said: String, proven: Identity },
    #[error("no hello in {0:?}")]
    Late(Duration),
    #[error("hello: {0}")]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl From<WriteError> for HelloError {
    fn from(error: WriteError) -> HelloError {
        match error {
            WriteError::ConnectionLost(error) => HelloError::Connection(error),
            WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
                HelloError::Frame(FrameError::Truncated)
            }
        }
    }
}

impl Hello {
    pub(crate) fn encode(&self) -> Bytes {
        let uri = self.identity.to_string();
        let mut out = BytesMut::with_capacity(8 + uri.len());
        out.put_u64_le(self.cluster_id);
        out.put_slice(uri.as_bytes());
        out.freeze()
    }

    /// Checks what the other side said against what it has proven and against our cluster.
    pub(crate) fn check(&self, body: &[u8], proven: &Identity) -> Result<(), HelloError> {
        let (number, uri) = body.split_first_chunk::<8>().ok_or(FrameError::Truncated)?;
        let (found, ours) = (u64::from_le_bytes(*number), self.cluster_id);
        if found != ours {
            return Err(HelloError::Cluster { found, ours });
        }
        if uri != proven.to_string().as_bytes() {
            let said = String::from_utf8_lossy(uri).into_owned();
            return Err(HelloError::Forged { said, proven: proven.clone() });
        }
        Ok(())
    }

    /// The dialler's side: says hello and waits to be let in.
    pub(crate) async fn say(
        &self,
        connection: &Connection,
        expect: &Identity,
        patience: Duration,
    ) -> Result<(), HelloError> {
        let exchange = async {
            let (mut send, receive) = connection.open_bi().await?;
            self.write(&mut send).await?;
            self.read(receive, expect, patience).await
        };
        timeout(patience, exchange).await.map_err(|_| HelloError::Late(patience))?
    }

    /// The listener's side, first half: hears who wants to come in.
    pub(crate) async fn hear(
        &self,
        connection: &Connection,
        proven: &Identity,
        patience: Duration,
    ) -> Result<SendStream, HelloError> {
        let exchange = async {
            let (send, receive) = connection.accept_bi().await?;
            self.read(receive, proven, patience).await?;
            Ok(send)
        };
        timeout(patience, exchange).await.map_err(|_| HelloError::Late(patience))?
    }

    /// The listener's side, second half: lets the other in.
    pub(crate) async fn answer(&self, mut send: SendStream) -> Result<(), HelloError> {
        self.write(&mut send).await
    }

    async fn write(&self, send: &mut SendStream) -> Result<(), HelloError> {
        let mut chunks = frame::chunks(Kind::Hello, &self.encode());
        send.write_all_chunks(&mut chunks).await?;
        // It fails only where the other side wants no more of the stream.
        let _stopped = send.finish();
        Ok(())
    }

    async fn read(
        &self,
        receive: RecvStream,
        proven: &Identity,
        patience: Duration,
    ) -> Result<(), HelloError> {
        let body = Frames::new(receive, patience).next(Kind::Hello).await?;
        self.check(&body.ok_or(FrameError::Truncated)?, proven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(cluster_id: u64, uri: &str) -> Hello {
        Hello { cluster_id, identity: uri.parse().unwrap() }
    }

    #[test]
    fn golden_bytes_of_a_hello() {
        let hello = hello(0x0102_0304_0506_0708, "synod://eu/node/n1");
        assert_eq!(&hello.encode()[..], b"\x08\x07\x06\x05\x04\x03\x02\x01synod://eu/node/n1");
    }

    #[test]
    fn the_longest_hello_fits_its_frame() {
        let name = "n".repeat(64);
        let longest = hello(u64::MAX, &format!("synod://{name}/client/{name}?role=participant"));
        assert!(Kind::Hello.fits(longest.encode().len()));
    }

    #[test]
    fn another_cluster_number_and_a_forged_name_are_refused_and_each_cut_is() {
        let (ours, theirs) = (hello(7, "synod://eu/node/n2"), hello(7, "synod://eu/node/n1"));
        let said = theirs.encode();
        assert!(ours.check(&said, &theirs.identity).is_ok());
        let stranger = hello(8, "synod://eu/node/n1").encode();
        let error = ours.check(&stranger, &theirs.identity).unwrap_err();
        assert!(matches!(error, HelloError::Cluster { found: 8, ours: 7 }));
        let forged = hello(7, "synod://eu/node/n3").encode();
        let error = ours.check(&forged, &theirs.identity).unwrap_err();
        assert!(matches!(error, HelloError::Forged { .. }));
        for length in 0..said.len() {
            assert!(ours.check(&said[..length], &theirs.identity).is_err(), "{length}");
        }
    }
}
