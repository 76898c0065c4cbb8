//! The one place where bytes leave: QUIC, or in this crate's tests a stage with a script.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use synod_net::{AskError, Asked, Channel, Credentials, Dialer, NetError, Server, Who};
use tokio::sync::mpsc;

/// Opens lines.
pub(crate) enum Wire {
    Quic {
        dialer: Dialer,
        credentials: Box<Credentials>,
        cluster_id: u64,
    },
    #[cfg(test)]
    Scripted(crate::stage::Stage),
}

/// A connection on which many questions can be asked at once.
pub(crate) enum Line {
    Quic(Channel),
    #[cfg(test)]
    Scripted(crate::stage::Booth),
}

impl Wire {
    pub(crate) fn quic(credentials: Credentials, cluster_id: u64) -> Result<Wire, NetError> {
        let dialer = Dialer::new(credentials.clone(), cluster_id)?;
        Ok(Wire::Quic { dialer, credentials: Box::new(credentials), cluster_id })
    }

    /// Listens under the identity that one dials with.
    pub(crate) async fn listen(
        &self,
        listen: SocketAddr,
    ) -> Result<(Server, mpsc::Receiver<Asked>), NetError> {
        match self {
            Wire::Quic { credentials, cluster_id, .. } => {
                Server::open(listen, Credentials::clone(credentials), *cluster_id).await
            }
            #[cfg(test)]
            Wire::Scripted(_) => panic!("participants on stage are played by the stage"),
        }
    }

    pub(crate) async fn connect(&self, address: &str, who: &Who) -> Result<Line, AskError> {
        match self {
            Wire::Quic { dialer, .. } => Ok(Line::Quic(dialer.connect(address, who).await?)),
            #[cfg(test)]
            Wire::Scripted(stage) => Ok(Line::Scripted(stage.connect(address).await?)),
        }
    }
}

impl Line {
    /// Asks; an error other than [`AskError::Connect`] leaves open whether it was heard.
    pub(crate) async fn ask(&self, body: Bytes) -> Result<Bytes, AskError> {
        match self {
            Line::Quic(channel) => channel.ask(body).await,
            #[cfg(test)]
            // In a box: tests look at how large a question is.
            Line::Scripted(booth) => Box::pin(booth.ask(body)).await,
        }
    }

    /// The same, on one stream with what others ask at the same moment.
    pub(crate) async fn ask_together(&self, body: Bytes) -> Result<Bytes, AskError> {
        match self {
            Line::Quic(channel) => channel.ask_together(body).await,
            #[cfg(test)]
            // In a box: tests look at how large a question is.
            Line::Scripted(booth) => Box::pin(booth.ask(body)).await,
        }
    }

    pub(crate) fn rtt(&self) -> Duration {
        match self {
            Line::Quic(channel) => channel.rtt(),
            #[cfg(test)]
            Line::Scripted(booth) => booth.rtt(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Line::Quic(channel) => channel.is_closed(),
            #[cfg(test)]
            Line::Scripted(booth) => booth.is_closed(),
        }
    }
}

/// Most questions are shorter, and are written without growing what they are written into.
const QUESTION_BYTES: usize = 256;

/// A question as bytes.
pub(crate) fn encode(question: &impl Serialize) -> Bytes {
    postcard::to_extend(question, Vec::with_capacity(QUESTION_BYTES))
        .expect("a question is plain data of known length, which postcard always writes")
        .into()
}

/// What the bytes say; `None` when they say nothing, or something and then more.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &Bytes) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((said, [])) => Some(said),
        Ok((_, _)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::{Command, Request, RequestId, Seq, SessionId, door};

    use super::*;

    /// One for the bytes, and one for those who share them.
    #[test]
    fn a_question_is_written_without_growing_what_it_is_written_into() {
        let command = Command::Put { key: "sat-25544".into(), value: vec![7; 128].into() };
        let id = RequestId { session: SessionId::new(9), seq: Seq::new(7) };
        let request = Request { id: Some(id), acked: Seq::new(7), command };
        let ask = door::Ask { within_ms: 5_000, call: door::Call::Submit(request) };
        let mut written = Bytes::new();
        let counted = allocation_counter::measure(|| written = encode(&ask));
        assert!(counted.count_total <= 2, "{counted:?}");
        assert_eq!(decode(&written), Some(ask));
    }
}
