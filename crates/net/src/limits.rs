//! Every limit on strangers and guests, and on patience with peers, with its reason. A test can
//! have others.

use std::time::Duration;

/// What nobody outside may exceed, and how long a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A handshake that takes longer is given up: it holds memory and proves nothing.
    pub(crate) handshake: Duration,
    /// From the handshake to the hello, and to its answer.
    pub(crate) hello: Duration,
    /// A frame that has begun may stand still for this long.
    pub(crate) stall: Duration,
    /// A question must be whole by then, however steadily it drips.
    pub(crate) question: Duration,
    /// A question waits this long for room in the budgets below, and is then turned away unheard.
    pub(crate) room: Duration,
    /// Handshakes at work at once. They are reckoned on the thread that also beats the node's heart
    /// and hears its peers: of a crowd, only so many stand between one heartbeat and the next.
    pub(crate) handshakes: usize,
    /// A handshake that waits for its caller for longer than a round trip within a house gives up
    /// its turn and goes on without: whoever stalls holds up nobody.
    pub(crate) turn: Duration,
    /// Who has not had its turn by then is refused: it is about to give up by itself, and to shake
    /// hands with those who are gone would be all that a node in a crowd does.
    pub(crate) turn_wait: Duration,
    /// Handshakes under way, beyond which a caller must first prove its address (QUIC Retry,
    /// RFC 9000 §8.1.2).
    pub(crate) half_open: usize,
    /// Handshakes under way, beyond which callers are refused.
    pub(crate) half_open_max: usize,
    /// Client connections, all together and of one identity.
    pub(crate) clients: usize,
    pub(crate) clients_per_name: usize,
    /// Bytes of questions that were read in part or whole and are not answered yet: those of one
    /// connection, and all together. One guest can take its own budget, not the house's.
    pub(crate) unanswered_bytes: usize,
    pub(crate) unanswered_bytes_all: usize,
    /// Bytes of answers that a connection was sent and has not taken, and all together. Beyond it
    /// an answer is not kept for whoever does not read: its caller is told, and asks again or not.
    pub(crate) untaken_bytes: usize,
    pub(crate) untaken_bytes_all: usize,
    /// An answer that was not taken in this time is lost to its caller.
    pub(crate) untaken: Duration,
    /// Broken or stalled frames on one connection, before it is closed and its identity has to
    /// wait.
    pub(crate) strikes: u32,
    /// The first wait after that; it doubles with each repetition up to the last.
    pub(crate) penalty_min: Duration,
    pub(crate) penalty_max: Duration,
    /// The first wait before a peer is dialled again; it doubles, with jitter, up to the last. A
    /// peer that is back and does not say so is reached within the last.
    pub(crate) redial_min: Duration,
    pub(crate) redial_max: Duration,
    /// An attempt to reach a peer may take this long: two round trips, far across an ocean, with a
    /// loss.
    pub(crate) attempt: Duration,
}

impl Limits {
    pub(crate) const DEFAULT: Limits = Limits {
        handshake: Duration::from_secs(5),
        hello: Duration::from_secs(5),
        stall: Duration::from_secs(10),
        question: Duration::from_secs(10),
        room: Duration::from_secs(2),
        handshakes: 4,
        turn: Duration::from_millis(20),
        turn_wait: Duration::from_secs(1),
        half_open: 256,
        half_open_max: 1_024,
        clients: 2_000,
        clients_per_name: 256,
        unanswered_bytes: 16 << 20,
        unanswered_bytes_all: 64 << 20,
        untaken_bytes: 32 << 20,
        untaken_bytes_all: 256 << 20,
        untaken: Duration::from_secs(10),
        strikes: 3,
        penalty_min: Duration::from_secs(1),
        penalty_max: Duration::from_secs(60),
        redial_min: Duration::from_millis(20),
        redial_max: Duration::from_millis(200),
        attempt: Duration::from_secs(3),
    };
}
