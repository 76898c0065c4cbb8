//! Multi-Paxos as a value: ballots, acceptor, campaign (phase 1), proposer (phase 2), learner,
//! election and read barriers. It chooses one decree per slot, whatever fails.
//!
//! The one way in is [`Peer::step`]; the one way out is [`Output`]. There is no clock, file, socket,
//! task or randomness here: the driver is the world.

mod ballot;
mod config;
mod decree;
mod detector;
mod durable;
mod ids;
mod message;
mod peer;
mod time;

pub use ballot::Ballot;
pub use config::{Config, ConfigError, Members, Timing};
pub use decree::Decree;
pub use detector::{Detector, EWMA_FACTOR, PHI, Policy, WINDOW_SAMPLES};
pub use durable::{Durable, Durably, Record, Write};
pub use ids::{Epoch, Incarnation, Life, NodeId, Slot};
pub use message::{Envelope, Lane, Message};
pub use peer::{Barrier, BarrierId, Chosen, Fetch, Fetched, Input, Output, Peer, Role};
pub use time::Tick;
