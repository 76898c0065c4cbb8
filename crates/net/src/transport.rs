//! How QUIC is set for three kinds of connection. quinn's defaults are for the open internet.
//!
//! What `examples/ping.rs` says of them, 128 bytes over loopback, 64 in flight, against all as
//! below: without segmentation offload 35 % fewer frames and questions a second; streams served in
//! the order of their writes instead of in turn: nothing that the noise does not cover, hence
//! quinn's default. Windows and the initial round trip show on a long way only.

use std::{sync::Arc, time::Duration};

use quinn::{
    AckFrequencyConfig, Connection, IdleTimeout, TransportConfig, VarInt, congestion::BbrConfig,
};
use serde::{Deserialize, Serialize};

/// Silence after which a connection between nodes counts as gone and is dialled anew. The one who
/// dials decides: of two ends the shorter holds (RFC 9000 §10.1). This is no failure detector; it
/// bounds how long a node talks to a life of its peer that is over.
const PEER_IDLE: Duration = Duration::from_secs(1);
const PEER_KEEP_ALIVE: Duration = Duration::from_millis(150);
/// The same for clients, of which there are more, and which come and go.
const CLIENT_IDLE: Duration = Duration::from_millis(1_500);
const CLIENT_KEEP_ALIVE: Duration = Duration::from_millis(500);
/// What a listener allows to those who dial with more patience.
const LISTENER_IDLE: Duration = Duration::from_secs(10);

/// Streams that a client may have open at once on one connection: each is one question.
const ASKS_MAX: u32 = 256;
/// Streams of a peer: one a lane, and room for those that are being replaced.
const LANES_MAX: u32 = 8;
/// Bytes of one stream that may be on their way: at 40 ms round trip, 100 MB/s.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Bytes on their way to us between nodes, on all lanes.
const PEER_WINDOW_BYTES: u32 = 3 * STREAM_WINDOW_BYTES;
/// Bytes on their way to us from one client, and to it: room for its largest question. Two thousand
/// clients that are not read would hold 4 GiB, not more.
const CLIENT_WINDOW_BYTES: u32 = 2 << 20;
/// Bytes that QUIC holds for a peer until they are acknowledged. More waits in the lanes' queues,
/// where a newer heartbeat can still overtake it.
const PEER_SEND_WINDOW_BYTES: u64 = 8 << 20;
/// A round trip before any was measured. With the default of 333 ms, a handshake's lost datagram
/// would be sent again only after a second.
const INITIAL_RTT: Duration = Duration::from_millis(30);
/// Packets that may come without an acknowledgement of their own: nearly always a frame goes the
/// other way before that and takes it along. With quinn's default of one, every other question and
/// every other vote cost one more datagram, and a lone client's put 2 to 5 % more.
const UNACKED_MAX: u32 = 10;

/// How a node finds out how much it may send at a time (congestion control).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// A lost datagram means that the way is full (RFC 9438). Right where nothing else loses any.
    #[default]
    Cubic,
    /// By what arrives and how long that takes, whatever is lost (quinn calls it experimental). For
    /// a long way that loses datagrams without being full: there a hundredth lost leaves CUBIC a
    /// dozen datagrams at a time.
    Bbr,
}

fn base(idle: Duration, congestion: Congestion) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(idle).expect("a few seconds are far below 2^62 milliseconds");
    transport.max_idle_timeout(Some(idle));
    transport.initial_rtt(INITIAL_RTT);
    transport.stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES));
    transport.datagram_receive_buffer_size(None);
    transport.enable_segmentation_offload(true);
    match congestion {
        // quinn's default.
        Congestion::Cubic => {}
        Congestion::Bbr => {
            transport.congestion_controller_factory(Arc::new(BbrConfig::default()));
        }
    }
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(UNACKED_MAX));
    transport.ack_frequency_config(Some(acks));
    transport
}

/// For everyone who is let in; [`for_peer`] opens it wider once it is known to be a node.
pub(crate) fn listener(congestion: Congestion) -> TransportConfig {
    let mut transport = base(LISTENER_IDLE, congestion);
    transport.max_concurrent_bidi_streams(VarInt::from_u32(ASKS_MAX));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.receive_window(VarInt::from_u32(CLIENT_WINDOW_BYTES));
    transport.send_window(u64::from(CLIENT_WINDOW_BYTES));
    transport
}

/// Opens the windows of a connection that has proved to be a node's, on either side.
pub(crate) fn for_peer(connection: &Connection) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(0));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(LANES_MAX));
    connection.set_receive_window(VarInt::from_u32(PEER_WINDOW_BYTES));
    connection.set_send_window(PEER_SEND_WINDOW_BYTES);
}

/// For a node that dials a node.
pub(crate) fn peer(congestion: Congestion) -> TransportConfig {
    let mut transport = base(PEER_IDLE, congestion);
    transport.keep_alive_interval(Some(PEER_KEEP_ALIVE));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(LANES_MAX));
    transport.receive_window(VarInt::from_u32(PEER_WINDOW_BYTES));
    transport.send_window(PEER_SEND_WINDOW_BYTES);
    transport
}

/// For a client that dials.
pub(crate) fn client() -> TransportConfig {
    let mut transport = base(CLIENT_IDLE, Congestion::default());
    transport.keep_alive_interval(Some(CLIENT_KEEP_ALIVE));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.receive_window(VarInt::from_u32(PEER_WINDOW_BYTES));
    transport.send_window(u64::from(PEER_WINDOW_BYTES));
    transport
}
