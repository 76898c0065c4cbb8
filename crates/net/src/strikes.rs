//! What nonsense costs: its stream, then its connection, then a wait that grows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};

use quinn::{Connection, VarInt};
use tracing::warn;

use crate::{Identity, bye::Bye, frame::FrameError, listener::House};

/// The record of one connection.
#[derive(Debug)]
pub(crate) struct Strikes {
    house: Arc<House>,
    connection: Connection,
    identity: Identity,
    so_far: AtomicU32,
}

impl Strikes {
    pub(crate) fn new(house: Arc<House>, connection: Connection, identity: Identity) -> Strikes {
        Strikes { house, connection, identity, so_far: AtomicU32::new(0) }
    }

    pub(crate) fn house(&self) -> &House {
        &self.house
    }

    pub(crate) fn house_of(&self) -> &Arc<House> {
        &self.house
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Counts what went wrong on a stream; with which code to end the stream.
    pub(crate) fn strike(&self, error: &FrameError) -> VarInt {
        let tally = &self.house.tally;
        let count = match error {
            FrameError::Gone(_) => return Bye::Stopping.code(),
            FrameError::Stalled(_) => &tally.frames_stalled,
            FrameError::Version { .. }
            | FrameError::Kind { .. }
            | FrameError::Misplaced { .. }
            | FrameError::Length { .. }
            | FrameError::TooMany
            | FrameError::Truncated => &tally.frames_malformed,
        };
        if let Some(total) = count.one() {
            warn!(from = %self.identity, %error, total, "a stream was cut off");
        }
        if self.so_far.fetch_add(1, Relaxed) + 1 == self.house.limits.strikes {
            let wait = self.house.penalties.impose(&self.identity, Instant::now());
            warn!(from = %self.identity, ?wait, "a connection was cut off, for too much of this");
            Bye::Malformed.say(&self.connection, &format!("{error}, and not for the first time"));
        }
        Bye::Malformed.code()
    }
}
